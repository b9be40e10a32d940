//! Signing with a key that stays in a token.

use std::sync::Mutex;

use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::{KeyUse, Token, TokenError, whole};
use crate::algorithm::SignatureAlgorithm;
use crate::certificate::Certificate;
use crate::digest::Digest;
use crate::key::digest_info;
use crate::signer::{Certified, SignError, Signer};

/// A key in a token, and its certificate. Whoever signs has a session to himself meanwhile: there are never more than signed at once.
///
/// Each signature is verified before it is given away: a token that fails, or whose key was exchanged, makes none that is false.
pub struct TokenSigner {
    token: Token,
    label: String,
    certified: Certified,
    idle: Mutex<Vec<Worker>>,
}

struct Worker {
    session: Session,
    key: ObjectHandle,
}

impl TokenSigner {
    /// The key of this label, and PEM certificates, the key's own first. One signature is made, and must be that of the certificate.
    ///
    /// # Errors
    /// `Mismatch`: another key than the certificate's. `Token`: the token's, or who configured it. Else as [`crate::signer::FileSigner`].
    pub fn new(token: Token, label: &str, certificates_pem: &[u8]) -> Result<Self, SignError> {
        let certified = Certified::new(Certificate::from_pem(certificates_pem)?)?;
        let (mechanism, named) = match certified.algorithm {
            SignatureAlgorithm::EcdsaSha256 | SignatureAlgorithm::EcdsaSha384 => {
                (MechanismType::ECDSA, "CKM_ECDSA")
            }
            _ => (MechanismType::RSA_PKCS, "CKM_RSA_PKCS"),
        };
        token.require(mechanism, named)?;
        let signer = Self { token, label: label.to_owned(), certified, idle: Mutex::new(Vec::new()) };
        signer.sign(TRIAL)?;
        Ok(signer)
    }

    fn worker(&self) -> Result<Worker, TokenError> {
        let session = self.token.session()?;
        let key = self.token.key(&session, ObjectClass::PRIVATE_KEY, &self.label)?;
        let attributes = session.get_attributes(key, &[AttributeType::KeyType]);
        let attributes = attributes.map_err(|error| self.token.away("describe a key", &error))?;
        let expected = match self.certified.algorithm {
            SignatureAlgorithm::EcdsaSha256 | SignatureAlgorithm::EcdsaSha384 => KeyType::EC,
            _ => KeyType::RSA,
        };
        if attributes != [Attribute::KeyType(expected)] {
            return Err(TokenError::Unfit {
                label: self.token.label.clone(),
                key: self.label.clone(),
                used: KeyUse::Sign,
                seen: format!("{attributes:?}, and the certificate's is {expected}"),
            });
        }
        Ok(Worker { session, key })
    }

    /// ECDSA comes back as r‖s, as [`Signer`] has it.
    fn sign_with(&self, worker: &Worker, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        let digest = Digest::of(self.certified.algorithm.digest(), message);
        let signed = match self.certified.algorithm {
            SignatureAlgorithm::EcdsaSha256 | SignatureAlgorithm::EcdsaSha384 => {
                worker.session.sign(&Mechanism::Ecdsa, worker.key, digest.as_bytes())
            }
            _ => {
                let info = [digest_info(digest.algorithm()).as_slice(), digest.as_bytes()].concat();
                worker.session.sign(&Mechanism::RsaPkcs, worker.key, &info)
            }
        };
        signed.map_err(|error| self.token.unfit("sign", &self.label, KeyUse::Sign, &error))
    }

    /// With a session of before, if it is good still; else with a new one.
    fn sign_once_more(&self, message: &[u8]) -> Result<(Worker, Vec<u8>), TokenError> {
        let idle = whole(&self.idle).pop();
        if let Some(worker) = idle {
            if let Ok(value) = self.sign_with(&worker, message) {
                return Ok((worker, value));
            }
            // The token may have been away, and with it every session and the login.
            drop(worker);
            whole(&self.idle).clear();
        }
        let worker = self.worker()?;
        let value = self.sign_with(&worker, message)?;
        Ok((worker, value))
    }
}

impl Signer for TokenSigner {
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
        let (worker, value) = self.sign_once_more(message)?;
        let key = self.certified.certificate.public_key();
        key.verify(self.certified.algorithm, message, &value).map_err(|_| SignError::Mismatch)?;
        whole(&self.idle).push(worker);
        Ok(value)
    }
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "TokenSigner({}, {:?} in {:?})",
            self.certified.certificate.subject(),
            self.label,
            self.token
        )
    }
}

/// No proof, request or token begins so.
const TRIAL: &[u8] = b"ePost: is this the key of the certificate?\n";
