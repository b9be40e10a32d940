//! Ed25519: the key of the journal's checkpoints, and nothing else. Senders, seals and stamps use other algorithms.
//!
//! Source: RFC 8032 §5.1; RFC 8410 (the PKCS#8 file).

use openssl::pkey::{Id, PKey, Private, Public};
use openssl::sign::{Signer, Verifier};
use zeroize::Zeroizing;

use crate::signer::SignError;

/// A private key; its bytes are wiped by the crypto library when dropped, and never shown.
pub struct Ed25519Key(PKey<Private>);

impl Ed25519Key {
    /// A fresh one.
    ///
    /// # Errors
    /// `Failed`: the crypto library has no randomness.
    pub fn random() -> Result<Self, SignError> {
        PKey::generate_ed25519().map(Self).map_err(|error| SignError::Failed(error.to_string()))
    }

    /// From a PKCS#8 file in PEM.
    ///
    /// # Errors
    /// `Key`: another kind of key, or none; the fault of who configured it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SignError> {
        let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0))
            .map_err(|error| SignError::Key(error.to_string()))?;
        match key.id() {
            Id::ED25519 => Ok(Self(key)),
            other => Err(SignError::Key(format!("expected an Ed25519 key, found kind {}", other.as_raw()))),
        }
    }

    /// As a PKCS#8 file in PEM; wiped when dropped.
    ///
    /// # Errors
    /// `Failed`.
    pub fn to_pem(&self) -> Result<Zeroizing<Vec<u8>>, SignError> {
        let pem = self.0.private_key_to_pem_pkcs8().map_err(|error| SignError::Failed(error.to_string()))?;
        Ok(Zeroizing::new(pem))
    }

    /// Its public half.
    ///
    /// # Errors
    /// `Failed`.
    pub fn public(&self) -> Result<Ed25519PublicKey, SignError> {
        let bytes = self.0.raw_public_key().map_err(|error| SignError::Failed(error.to_string()))?;
        let bytes =
            bytes.try_into().map_err(|_| SignError::Failed("a public key of another length".into()))?;
        Ed25519PublicKey::from_bytes(bytes)
    }

    /// Signs a message: 64 bytes, the same ones for the same message.
    ///
    /// # Errors
    /// `Failed`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |error: openssl::error::ErrorStack| SignError::Failed(error.to_string());
        let mut signer = Signer::new_without_digest(&self.0).map_err(failed)?;
        signer.sign_oneshot_to_vec(message).map_err(failed)
    }
}

impl std::fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ed25519Key(not shown)")
    }
}

/// A public key.
#[derive(Clone)]
pub struct Ed25519PublicKey {
    key: PKey<Public>,
    bytes: [u8; 32],
}

impl Ed25519PublicKey {
    /// From its 32 bytes.
    ///
    /// # Errors
    /// `Key`: not a key.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, SignError> {
        let key = PKey::public_key_from_raw_bytes(&bytes, Id::ED25519)
            .map_err(|error| SignError::Key(error.to_string()))?;
        Ok(Self { key, bytes })
    }

    /// Its 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Verifier::new_without_digest(&self.key)
            .and_then(|mut verifier| verifier.verify_oneshot(signature, message))
            .unwrap_or(false)
    }
}

impl std::fmt::Debug for Ed25519PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ed25519PublicKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 §7.1, test 2.
    #[test]
    fn the_rfcs_signature_verifies_and_no_other() {
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let public = Ed25519PublicKey::from_bytes(public.try_into().unwrap()).unwrap();
        let mut signature = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        assert!(public.verifies(&[0x72], &signature));
        assert!(!public.verifies(&[0x73], &signature));
        signature[9] ^= 1;
        assert!(!public.verifies(&[0x72], &signature));
        assert!(!public.verifies(&[0x72], &signature[..63]));
    }

    #[test]
    fn a_key_comes_back_from_its_file_and_no_other_kind_does() {
        let key = Ed25519Key::random().unwrap();
        let again = Ed25519Key::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.public().unwrap().bytes(), key.public().unwrap().bytes());
        assert!(key.public().unwrap().verifies(b"text", &again.sign(b"text").unwrap()));
        let rsa = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/seal.key")).unwrap();
        assert_eq!(Ed25519Key::from_pem(&rsa).unwrap_err().code(), "signer.key");
    }
}
