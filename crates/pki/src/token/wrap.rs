//! A key that lies outside wrapped by one inside: AES-256-GCM, under a key that never leaves the token.
//!
//! ```text
//! epost wrapped key 1\n   20 bytes, which the tag covers too
//! nonce                   12
//! ciphertext, tag         32 + 16
//! ```

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use zeroize::Zeroizing;

use super::{KeyUse, Token, TokenError};
use crate::aead::{Key256, NONCE_BYTES, TAG_BYTES};
use crate::random;

const HEAD: &[u8] = b"epost wrapped key 1\n";
const KEY_BYTES: usize = 32;

impl Token {
    /// Wraps a key under the token's AES key of this label. What comes of it is worth nothing without the token.
    ///
    /// # Errors
    /// [`TokenError`]: the token's, or who configured it.
    pub fn wrap(&self, label: &str, key: &Key256) -> Result<Vec<u8>, TokenError> {
        let (session, handle) = self.wrapping_key(label)?;
        let mut nonce = [0; NONCE_BYTES];
        let no_nonce = |cause: random::RandomError| TokenError::Away {
            label: self.label.clone(),
            doing: "wrap a key",
            cause: cause.to_string(),
        };
        random::fill(&mut nonce).map_err(no_nonce)?;
        let gcm = gcm(&mut nonce).map_err(|error| self.away("wrap a key", &error))?;
        let sealed = session.encrypt(&gcm, handle, key.as_bytes());
        drop(gcm);
        let sealed = sealed.map_err(|error| self.unfit("wrap a key", label, KeyUse::Wrap, &error))?;
        // The nonce as it is now: some tokens draw their own.
        Ok([HEAD, &nonce, &sealed].concat())
    }

    /// Unwraps what [`Token::wrap`] made.
    ///
    /// # Errors
    /// `Wrapped`: not these bytes, or not under this key. Else as [`Token::wrap`].
    pub fn unwrap(&self, label: &str, wrapped: &[u8]) -> Result<Key256, TokenError> {
        let wrong =
            |seen: String| TokenError::Wrapped { label: self.label.clone(), key: label.to_owned(), seen };
        let (mut nonce, sealed) = parts(wrapped)
            .ok_or_else(|| wrong(format!("{} bytes that are no wrapped key", wrapped.len())))?;
        let (session, handle) = self.wrapping_key(label)?;
        let gcm = gcm(&mut nonce).map_err(|error| self.away("unwrap a key", &error))?;
        let opened = session.decrypt(&gcm, handle, sealed).map(Zeroizing::new);
        let opened = opened.map_err(|error| match error {
            Error::Pkcs11(
                cause @ (RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::GeneralError
                | RvError::FunctionFailed),
                _,
            ) => wrong(format!("the token does not open it ({cause:?})")),
            error => self.unfit("unwrap a key", label, KeyUse::Wrap, &error),
        })?;
        let key = opened.as_slice().try_into();
        key.map(Key256::new).map_err(|_| wrong(format!("a key of {} bytes", opened.len())))
    }

    fn wrapping_key(&self, label: &str) -> Result<(Session, ObjectHandle), TokenError> {
        self.require(MechanismType::AES_GCM, "CKM_AES_GCM")?;
        let session = self.session()?;
        let handle = self.key(&session, ObjectClass::SECRET_KEY, label)?;
        let length = session.get_attributes(handle, &[AttributeType::ValueLen]);
        match length.map_err(|error| self.away("describe a key", &error))?[..] {
            [Attribute::ValueLen(length)] if *length == KEY_BYTES as u64 => Ok((session, handle)),
            ref other => Err(TokenError::Unfit {
                label: self.label.clone(),
                key: label.to_owned(),
                used: KeyUse::Wrap,
                seen: format!("{other:?}"),
            }),
        }
    }
}

fn gcm(nonce: &mut [u8; NONCE_BYTES]) -> Result<Mechanism<'_>, Error> {
    let tag_bits = (TAG_BYTES as u64 * 8).into();
    Ok(Mechanism::AesGcm(GcmParams::new(nonce, HEAD, tag_bits)?))
}

/// Nonce, and ciphertext with its tag.
fn parts(wrapped: &[u8]) -> Option<([u8; NONCE_BYTES], &[u8])> {
    let (nonce, sealed) = wrapped.strip_prefix(HEAD)?.split_first_chunk()?;
    (sealed.len() == KEY_BYTES + TAG_BYTES).then_some((*nonce, sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_wrapped_key_is_shown_to_the_token() {
        let whole = [HEAD, &[7; NONCE_BYTES], &[8; KEY_BYTES + TAG_BYTES]].concat();
        assert_eq!(parts(&whole), Some(([7; NONCE_BYTES], &[8; KEY_BYTES + TAG_BYTES][..])));
        assert_eq!(parts(&whole[..whole.len() - 1]), None);
        assert_eq!(parts(&[whole.as_slice(), &[0]].concat()), None);
        assert_eq!(parts(&[9; 32]), None, "a key in the clear");
        assert_eq!(parts(b""), None);
    }
}
