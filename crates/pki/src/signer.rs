//! Who signs: a certificate, its intermediates, and a key that stays where it is.

use openssl::bn::BigNumRef;
use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer as OpensslSigner};
use openssl::stack::Stack;
use zeroize::Zeroizing;

use crate::algorithm::SignatureAlgorithm;
use crate::certificate::{Certificate, KeyKind};
use crate::digest::{Digest, DigestAlgorithm};

/// Makes signature values with one key. ECDSA values are r‖s.
pub trait Signer: Send + Sync {
    /// The key's certificate.
    fn certificate(&self) -> &Certificate;
    /// The intermediates above it, nearest first; never the root.
    fn chain(&self) -> &[Certificate];
    /// What it signs with.
    fn algorithm(&self) -> SignatureAlgorithm;
    /// Signs a message.
    ///
    /// # Errors
    /// The key cannot be used: ours.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A key could not be read or used; the fault of who configured it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignError {
    /// Not a private key in PEM (PKCS#8, PKCS#1, SEC 1) or PKCS#12.
    #[error("signer.key: not a private key that can be read: {0}")]
    Key(String),
    /// No certificate, or one that is malformed.
    #[error("signer.certificate: {0}")]
    Certificate(#[from] crate::certificate::CertificateError),
    /// Key and certificate are not a pair.
    #[error("signer.mismatch: the key is not the one of the certificate")]
    Mismatch,
    /// The key is too weak, or of a kind that nothing here signs with.
    #[error("signer.weak: {0}")]
    Weak(#[from] crate::certificate::WeakKey),
    /// An RSA key so long that signing with it would hold up everything.
    #[error("signer.too-long: an RSA key of {bits} bits, expected at most 4096")]
    TooLong {
        /// How long.
        bits: u32,
    },
    /// The crypto library did not sign.
    #[error("signer.failed: {0}")]
    Failed(String),
    /// The token that holds the key.
    #[error(transparent)]
    Token(#[from] crate::token::TokenError),
}

impl SignError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Key(_) => "signer.key",
            Self::Certificate(_) => "signer.certificate",
            Self::Mismatch => "signer.mismatch",
            Self::Weak(_) => "signer.weak",
            Self::TooLong { .. } => "signer.too-long",
            Self::Failed(_) => "signer.failed",
            Self::Token(error) => error.code(),
        }
    }
}

/// A key from a file, in memory; its bytes are wiped by the crypto library when dropped, and never shown.
pub struct FileSigner {
    key: PKey<Private>,
    certified: Certified,
}

/// A certificate whose key may sign here, and what it signs with.
pub(crate) struct Certified {
    pub(crate) certificate: Certificate,
    /// Nearest first, no root.
    pub(crate) chain: Vec<Certificate>,
    pub(crate) algorithm: SignatureAlgorithm,
}

impl Certified {
    /// The first is the key's own.
    pub(crate) fn new(certificates: Vec<Certificate>) -> Result<Self, SignError> {
        let mut certificates = certificates.into_iter();
        let certificate = certificates.next().ok_or(crate::certificate::CertificateError::Pem)?;
        certificate.public_key().check_strength()?;
        let bits = certificate.public_key().bits();
        if bits > RSA_BITS_MAX {
            return Err(SignError::TooLong { bits });
        }
        let algorithm = match certificate.public_key().kind() {
            KeyKind::P256 => SignatureAlgorithm::EcdsaSha256,
            KeyKind::P384 => SignatureAlgorithm::EcdsaSha384,
            _ => SignatureAlgorithm::RsaSha256,
        };
        // A root in the file is left out: nobody may be handed his trust anchor by us.
        let chain = certificates.filter(|ca| ca.subject().der() != ca.issuer().der()).collect();
        Ok(Self { certificate, chain, algorithm })
    }
}

impl FileSigner {
    /// From a PEM key and PEM certificates, the key's own first.
    ///
    /// # Errors
    /// [`SignError`]: the fault of who configured them.
    pub fn from_pem(key_pem: &[u8], certificates_pem: &[u8]) -> Result<Self, SignError> {
        let key = PKey::private_key_from_pem_callback(key_pem, |_| Ok(0))
            .map_err(|e| SignError::Key(e.to_string()))?;
        Self::new(key, Certificate::from_pem(certificates_pem)?)
    }

    /// From a PKCS#12 file.
    ///
    /// # Errors
    /// [`SignError`]; a wrong password is `Key`.
    pub fn from_pkcs12(der: &[u8], password: &str) -> Result<Self, SignError> {
        let key_error = |error: ErrorStack| SignError::Key(error.to_string());
        let parsed = Pkcs12::from_der(der).and_then(|file| file.parse2(password)).map_err(key_error)?;
        let key = parsed.pkey.ok_or_else(|| SignError::Key("no key in the file".into()))?;
        let leaf = parsed.cert.ok_or_else(|| SignError::Key("no certificate in the file".into()))?;
        let mut certificates = vec![Certificate::from_der(&leaf.to_der().map_err(key_error)?)?];
        for certificate in parsed.ca.iter().flatten() {
            certificates.push(Certificate::from_der(&certificate.to_der().map_err(key_error)?)?);
        }
        Self::new(key, certificates)
    }

    /// The same RSA key, signing by RSASSA-PSS with SHA-256, MGF1 over it and 32 bytes of salt, instead of PKCS#1 v1.5; `None` of any
    /// other key.
    pub fn by_pss(mut self) -> Option<Self> {
        self.certified.algorithm = (self.certified.algorithm == SignatureAlgorithm::RsaSha256)
            .then_some(SignatureAlgorithm::RsaPssSha256)?;
        Some(self)
    }

    fn new(key: PKey<Private>, certificates: Vec<Certificate>) -> Result<Self, SignError> {
        let own = certificates.first().ok_or(crate::certificate::CertificateError::Pem)?;
        let certified = own.openssl().public_key().map_err(|e| SignError::Failed(e.to_string()))?;
        if !key.public_eq(&certified) {
            return Err(SignError::Mismatch);
        }
        Ok(Self { key, certified: Certified::new(certificates)? })
    }

    /// A detached CMS signature over a file, DER, with the certificate and its intermediates: what [`crate::detached::verify`] reads.
    ///
    /// # Errors
    /// `Failed`.
    pub fn sign_detached(&self, content: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |error: ErrorStack| SignError::Failed(error.to_string());
        let mut chain = Stack::new().map_err(failed)?;
        for certificate in &self.certified.chain {
            chain.push(certificate.openssl().to_owned()).map_err(failed)?;
        }
        let options = CMSOptions::DETACHED | CMSOptions::BINARY | CMSOptions::NOSMIMECAP;
        let certificate = self.certified.certificate.openssl();
        CmsContentInfo::sign(Some(certificate), Some(&self.key), Some(&chain), Some(content), options)
            .and_then(|signature| signature.to_der())
            .map_err(failed)
    }

    /// The key as PKCS#8, for a TLS client's configuration; wiped when dropped.
    ///
    /// # Errors
    /// `Failed`.
    pub fn private_key_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, SignError> {
        self.key
            .private_key_to_pkcs8()
            .map(Zeroizing::new)
            .map_err(|error| SignError::Failed(error.to_string()))
    }

    fn sign_rsa(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let mut signer = OpensslSigner::new(MessageDigest::sha256(), &self.key)?;
        if algorithm == SignatureAlgorithm::RsaPssSha256 {
            signer.set_rsa_padding(Padding::PKCS1_PSS)?;
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32))?;
            signer.set_rsa_mgf1_md(MessageDigest::sha256())?;
        }
        signer.sign_oneshot_to_vec(message)
    }

    fn sign_ecdsa(
        &self,
        digest: DigestAlgorithm,
        half_bytes: i32,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let failed = |error: ErrorStack| SignError::Failed(error.to_string());
        let key = self.key.ec_key().map_err(failed)?;
        let value = EcdsaSig::sign(Digest::of(digest, message).as_bytes(), &key).map_err(failed)?;
        let padded = |number: &BigNumRef| number.to_vec_padded(half_bytes).map_err(failed);
        let mut fixed = padded(value.r())?;
        fixed.extend(padded(value.s())?);
        Ok(fixed)
    }
}

impl Signer for FileSigner {
    fn certificate(&self) -> &Certificate {
        &self.certified.certificate
    }

    fn chain(&self) -> &[Certificate] {
        &self.certified.chain
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.certified.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self.certified.algorithm {
            SignatureAlgorithm::EcdsaSha256 => self.sign_ecdsa(DigestAlgorithm::Sha256, 32, message),
            SignatureAlgorithm::EcdsaSha384 => self.sign_ecdsa(DigestAlgorithm::Sha384, 48, message),
            by_rsa => self.sign_rsa(by_rsa, message).map_err(|error| SignError::Failed(error.to_string())),
        }
    }
}

impl std::fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileSigner({}, key not shown)", self.certified.certificate.subject())
    }
}

const RSA_BITS_MAX: u32 = 4096;
