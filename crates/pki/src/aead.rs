//! AES-256-GCM (NIST SP 800-38D), the tag after the ciphertext.

use openssl::symm::{Cipher, Crypter, Mode};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::random::{self, RandomError};

/// The tag's length.
pub const TAG_BYTES: usize = 16;
/// The nonce's length.
pub const NONCE_BYTES: usize = 12;

/// A key of 256 bits; wiped when dropped, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key256([u8; 32]);

impl Key256 {
    /// A key from its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh key.
    ///
    /// # Errors
    /// No randomness.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 32];
        random::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Its bytes, for wrapping under another key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Key256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key256(…)")
    }
}

/// Encryption or decryption did not come to pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AeadError {
    /// Changed bytes, another key, another nonce or other associated data.
    #[error("aead.not-authentic")]
    NotAuthentic,
    /// The crypto library refused.
    #[error("aead.failed")]
    Failed,
}

/// Encrypts; the result is longer by [`TAG_BYTES`]. A nonce serves once under a key.
///
/// # Errors
/// `Failed`: ours.
pub fn seal(key: &Key256, nonce: &[u8; NONCE_BYTES], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, AeadError> {
    let failed = |_| AeadError::Failed;
    let mut tag = [0; TAG_BYTES];
    let mut sealed =
        openssl::symm::encrypt_aead(Cipher::aes_256_gcm(), &key.0, Some(nonce), aad, plain, &mut tag)
            .map_err(failed)?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Decrypts what [`seal`] made.
///
/// # Errors
/// `NotAuthentic`: not these bytes, or not this key, nonce and associated data.
pub fn open(
    key: &Key256,
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, AeadError> {
    let split = sealed.len().checked_sub(TAG_BYTES).ok_or(AeadError::NotAuthentic)?;
    let (ciphertext, tag) = sealed.split_at(split);
    let failed = |_| AeadError::Failed;
    let mut crypter =
        Crypter::new(Cipher::aes_256_gcm(), Mode::Decrypt, &key.0, Some(nonce)).map_err(failed)?;
    crypter.aad_update(aad).map_err(failed)?;
    let mut plain = vec![0; ciphertext.len() + 16];
    let mut length = crypter.update(ciphertext, &mut plain).map_err(failed)?;
    crypter.set_tag(tag).map_err(failed)?;
    let rest = plain.get_mut(length..).ok_or(AeadError::Failed)?;
    match crypter.finalize(rest) {
        Ok(more) => length += more,
        Err(_) => {
            plain.zeroize();
            return Err(AeadError::NotAuthentic);
        }
    }
    plain.truncate(length);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_nothing_else_does() {
        let key = Key256::random().unwrap();
        let sealed = seal(&key, &[1; 12], b"where", b"what").unwrap();
        assert_eq!(open(&key, &[1; 12], b"where", &sealed).unwrap(), b"what");
        assert_eq!(open(&key, &[2; 12], b"where", &sealed), Err(AeadError::NotAuthentic));
        assert_eq!(open(&key, &[1; 12], b"there", &sealed), Err(AeadError::NotAuthentic));
        assert_eq!(
            open(&Key256::random().unwrap(), &[1; 12], b"where", &sealed),
            Err(AeadError::NotAuthentic)
        );
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(open(&key, &[1; 12], b"where", &changed), Err(AeadError::NotAuthentic));
        }
        assert_eq!(open(&key, &[1; 12], b"where", &sealed[..10]), Err(AeadError::NotAuthentic));
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", Key256::new([7; 32])), "Key256(…)");
    }
}
