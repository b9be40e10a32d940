//! Public keys: parsed once, judged for strength, and the verification of signatures with exact forms.
//!
//! Source: RFC 8017 §8.1–8.2, FIPS 186-5, `security.md` rows 34–37.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::EcKey;
use openssl::ecdsa::EcdsaSig;
use openssl::md::Md;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa, RsaRef};
use openssl::sign::RsaPssSaltlen;

use crate::algorithm::SignatureAlgorithm;
use crate::digest::{Digest, DigestAlgorithm};

/// What kind of key it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// RSA.
    Rsa,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Anything else: nothing verifies with it.
    Other,
}

/// A key that nothing may verify with; the fault of who certified it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a weak key: {0}")]
pub struct WeakKey(&'static str);

/// A signature that does not verify. One class: what was wrong would be an oracle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// The algorithm is not one of this kind of key.
    #[error("the algorithm is not one of the key's kind")]
    OtherKind,
    /// The value is not this key's signature of the message.
    #[error("the signature value is not this key's over this message")]
    Invalid,
}

impl VerifyError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherKind => "signature.other-kind",
            Self::Invalid => "signature.invalid",
        }
    }
}

/// A public key, decoded once.
pub struct PublicKey {
    key: PKey<Public>,
    rsa: Option<Rsa<Public>>,
    curve: Option<Curve>,
    kind: KeyKind,
    weakness: Option<&'static str>,
}

struct Curve {
    key: EcKey<Public>,
    order: BigNum,
    half_bytes: usize,
}

impl PublicKey {
    /// Decodes a key that OpenSSL read; an unknown kind can be held, but nothing verifies with it.
    pub(crate) fn new(key: PKey<Public>) -> Self {
        let rsa = key.rsa().ok();
        let (kind, curve) = match key.id() {
            Id::RSA => (KeyKind::Rsa, None),
            Id::EC => curve(&key).map_or((KeyKind::Other, None), |(kind, curve)| (kind, Some(curve))),
            _ => (KeyKind::Other, None),
        };
        let weakness = match kind {
            KeyKind::Rsa => rsa_weakness(rsa.as_deref()),
            KeyKind::P256 | KeyKind::P384 => None,
            KeyKind::Other => Some("expected RSA, P-256 or P-384"),
        };
        Self { key, rsa, curve, kind, weakness }
    }

    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its length: the modulus, or the field.
    pub fn bits(&self) -> u32 {
        self.key.bits()
    }

    /// RSA of at least 2048 bits with an odd exponent of at least 65537, or P-256, P-384.
    ///
    /// # Errors
    /// [`WeakKey`] says what was expected (security row 37).
    pub fn check_strength(&self) -> Result<(), WeakKey> {
        self.weakness.map_or(Ok(()), |expected| Err(WeakKey(expected)))
    }

    /// Verifies a signature value: RSA as long as the modulus, ECDSA as r‖s of exact length with 0 < r, s < n.
    ///
    /// # Errors
    /// [`VerifyError`]; a weak key verifies nothing.
    ///
    /// Never by an identifier that a message states (`security.md` rule 2):
    /// ```
    /// use pki::{algorithm::SignatureAlgorithm, certificate::PublicKey};
    /// fn judge(key: &PublicKey, method: SignatureAlgorithm) -> bool {
    ///     key.verify(method, b"data", b"value").is_ok()
    /// }
    /// ```
    /// ```compile_fail,E0308
    /// use pki::{algorithm::SignatureAlgorithm, certificate::PublicKey};
    /// fn judge(key: &PublicKey, method: &str) -> bool {
    ///     key.verify(method, b"data", b"value").is_ok()
    /// }
    /// ```
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        value: &[u8],
    ) -> Result<(), VerifyError> {
        self.verify_digest(algorithm, &Digest::of(algorithm.digest(), message), value)
    }

    /// As [`Self::verify`], of a message whose digest is known.
    ///
    /// # Errors
    /// As [`Self::verify`]; a digest by another algorithm is the signature's of nothing.
    pub fn verify_digest(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &Digest,
        value: &[u8],
    ) -> Result<(), VerifyError> {
        use SignatureAlgorithm as A;
        if self.weakness.is_some() || digest.algorithm() != algorithm.digest() {
            return Err(VerifyError::Invalid);
        }
        match (algorithm, self.kind) {
            (A::RsaSha256 | A::RsaSha384 | A::RsaSha512, KeyKind::Rsa) => self.verify_rsa(digest, value),
            (A::RsaPssSha256, KeyKind::Rsa) => self.verify_pss(digest, value),
            (A::EcdsaSha256, KeyKind::P256) | (A::EcdsaSha384, KeyKind::P384) => {
                self.verify_ecdsa(digest, value)
            }
            _ => Err(VerifyError::OtherKind),
        }
    }

    /// RFC 8017 §8.2.2 to the letter: what the value comes to is the message's one encoding. Through the bare operation, as OpenSSL's
    /// general way to it costs a tenth of it.
    fn verify_rsa(&self, digest: &Digest, value: &[u8]) -> Result<(), VerifyError> {
        let rsa = self.rsa.as_ref().ok_or(VerifyError::OtherKind)?;
        let mut encoded = vec![0; self.key.size()];
        if value.len() != encoded.len() {
            return Err(VerifyError::Invalid);
        }
        let written = rsa.public_decrypt(value, &mut encoded, Padding::NONE);
        let padding = encoded
            .strip_suffix(digest.as_bytes())
            .and_then(|rest| rest.strip_suffix(digest_info(digest.algorithm()).as_slice()))
            .and_then(|rest| rest.strip_suffix(&[0]))
            .and_then(|rest| rest.strip_prefix(&[0, 1]));
        match (written, padding) {
            (Ok(bytes), Some(padding))
                if bytes == value.len() && padding.iter().all(|&byte| byte == 0xff) =>
            {
                Ok(())
            }
            _ => Err(VerifyError::Invalid),
        }
    }

    /// With MGF1 over the same digest and a salt of 32 bytes.
    fn verify_pss(&self, digest: &Digest, value: &[u8]) -> Result<(), VerifyError> {
        let invalid = |_| VerifyError::Invalid;
        if value.len() != self.key.size() {
            return Err(VerifyError::Invalid);
        }
        let mut context = PkeyCtx::new(&self.key).map_err(invalid)?;
        context.verify_init().map_err(invalid)?;
        context.set_rsa_padding(Padding::PKCS1_PSS).map_err(invalid)?;
        context.set_signature_md(Md::sha256()).map_err(invalid)?;
        context.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32)).map_err(invalid)?;
        context.set_rsa_mgf1_md(Md::sha256()).map_err(invalid)?;
        match context.verify(digest.as_bytes(), value) {
            Ok(true) => Ok(()),
            _ => Err(VerifyError::Invalid),
        }
    }

    fn verify_ecdsa(&self, digest: &Digest, value: &[u8]) -> Result<(), VerifyError> {
        let invalid = |_| VerifyError::Invalid;
        let curve = self.curve.as_ref().ok_or(VerifyError::OtherKind)?;
        if value.len() != 2 * curve.half_bytes {
            return Err(VerifyError::Invalid);
        }
        let (r, s) = value.split_at(curve.half_bytes);
        let (r, s) = (BigNum::from_slice(r).map_err(invalid)?, BigNum::from_slice(s).map_err(invalid)?);
        let in_range = |number: &BigNumRef| number.num_bits() > 0 && number < &*curve.order;
        if !in_range(&r) || !in_range(&s) {
            return Err(VerifyError::Invalid);
        }
        let signature = EcdsaSig::from_private_components(r, s).map_err(invalid)?;
        match signature.verify(digest.as_bytes(), &curve.key) {
            Ok(true) => Ok(()),
            _ => Err(VerifyError::Invalid),
        }
    }
}

/// What stands before the digest in RFC 8017 §9.2 (note 1): the DER of a DigestInfo up to it.
pub(crate) fn digest_info(digest: DigestAlgorithm) -> [u8; 19] {
    let (kind, length_bytes) = match digest {
        DigestAlgorithm::Sha256 => (1, 32),
        DigestAlgorithm::Sha384 => (2, 48),
        DigestAlgorithm::Sha512 => (3, 64),
    };
    [0x30, 17 + length_bytes, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, kind, 5, 0, 4, length_bytes]
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:?}, {} bits)", self.kind, self.bits())
    }
}

fn curve(key: &PKey<Public>) -> Option<(KeyKind, Curve)> {
    let key = key.ec_key().ok()?;
    let (kind, half_bytes) = match key.group().curve_name()? {
        Nid::X9_62_PRIME256V1 => (KeyKind::P256, 32),
        Nid::SECP384R1 => (KeyKind::P384, 48),
        _ => return None,
    };
    let mut order = BigNum::new().ok()?;
    let mut context = BigNumContext::new().ok()?;
    key.group().order(&mut order, &mut context).ok()?;
    Some((kind, Curve { key, order, half_bytes }))
}

fn rsa_weakness(rsa: Option<&RsaRef<Public>>) -> Option<&'static str> {
    const EXPECTED: &str = "expected RSA of at least 2048 bits with an odd exponent of at least 65537";
    let Some(rsa) = rsa else { return Some(EXPECTED) };
    let Ok(least) = BigNum::from_u32(65537) else { return Some(EXPECTED) };
    let strong =
        rsa.n().num_bits() >= 2048 && rsa.e() >= &*least && rsa.e().is_bit_set(0) && rsa.e().num_bits() <= 64;
    (!strong).then_some(EXPECTED)
}
