//! Base64 as `xs:base64Binary` and XML Signature carry it: white space anywhere between, otherwise strict.

use base64_simd::STANDARD;
use pki::digest::{Digest, DigestAlgorithm, Hasher};
use pki::sha256::Sha256;

use crate::run;

/// What base64 stands for, and the SHA-256 of that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Content {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub sha256: Digest,
}

impl Content {
    /// With the digest, taken now.
    pub fn of(bytes: Vec<u8>) -> Self {
        let sha256 = Digest::of(DigestAlgorithm::Sha256, &bytes);
        Self { bytes, sha256 }
    }
}

/// Decodes the text of an element: XML white space is dropped (`&#13;` before each newline too, as WSS4J writes it).
///
/// # Errors
/// [`Base64Error`]: another alphabet, wrong padding, bits beyond the last byte.
pub fn decode_text(text: &str) -> Result<Vec<u8>, Base64Error> {
    // Most have none: looking for it first would cost as much as decoding.
    STANDARD.decode_to_vec(text).or_else(|_| STANDARD.decode_to_vec(packed(text))).map_err(|_| Base64Error)
}

/// Without XML white space.
fn packed(text: &str) -> Vec<u8> {
    let mut packed = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((before, after)) =
        memchr::memchr3(b'\n', b'\r', b' ', rest).and_then(|at| rest.split_at_checked(at))
    {
        packed.extend_from_slice(before);
        rest = after.get(1..).unwrap_or_default();
    }
    packed.extend_from_slice(rest);
    packed.retain(|&byte| byte != b'\t');
    packed
}

/// Encodes on one line, padded.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

/// Decodes, a step at a time, what has no white space in it, and digests what comes of it.
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    /// Of the bytes but for the last step's.
    pub(crate) sha256: Sha256,
}

/// What a step of a run stands for.
const STEP_BYTES: usize = run::STEP_BYTES / 4 * 3;

impl Decoder {
    /// With room for so long a text.
    pub(crate) fn with_room(text_bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(text_bytes / 4 * 3), sha256: Sha256::default() }
    }

    /// How much of the text is decoded.
    pub(crate) fn taken_bytes(&self) -> usize {
        self.bytes.len() / 3 * 4
    }

    /// Goes on with a step of the text; after an error nothing of it was taken.
    pub(crate) fn decode(&mut self, text: &[u8; run::STEP_BYTES]) -> Result<(), Base64Error> {
        let begun = self.bytes.len();
        let decoded = STANDARD.decode_append(text, &mut self.bytes);
        // Less comes of padding, which is for the end.
        if decoded.is_err() || self.bytes.len() < begun + STEP_BYTES {
            self.bytes.truncate(begun);
            return Err(Base64Error);
        }
        Ok(())
    }

    /// The last step, which is to be digested, and room for one more, which is to be decoded; if there is a last step.
    #[inline]
    pub(crate) fn grow(&mut self) -> Option<(&[u8; STEP_BYTES], &mut [u8; STEP_BYTES])> {
        let last = self.bytes.len().checked_sub(STEP_BYTES)?;
        self.bytes.resize(last + 2 * STEP_BYTES, 0);
        let (last, next) = self.bytes.get_mut(last..)?.split_first_chunk_mut()?;
        Some((last, next.first_chunk_mut()?))
    }

    /// Takes back [`grow`](Self::grow).
    #[inline]
    pub(crate) fn shrink(&mut self) {
        self.bytes.truncate(self.bytes.len().saturating_sub(STEP_BYTES));
    }

    /// Digests the last step, which is to be followed by one more.
    pub(crate) fn digest_last_step(&mut self) {
        let last = self.bytes.len().saturating_sub(STEP_BYTES);
        self.sha256.update(self.bytes.get(last..).unwrap_or_default());
    }

    /// Ends with the rest of the text.
    pub(crate) fn finish(mut self, rest: &[u8]) -> Result<Content, Base64Error> {
        let digested_bytes = self.bytes.len().saturating_sub(STEP_BYTES);
        STANDARD.decode_append(rest, &mut self.bytes).map_err(|_| Base64Error)?;
        self.sha256.update(self.bytes.get(digested_bytes..).unwrap_or_default());
        Ok(Content { bytes: self.bytes, sha256: Hasher::from(self.sha256).finish() })
    }
}

/// The text is not base64: the sender's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not base64")]
pub struct Base64Error;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_but_for_white_space() {
        assert_eq!(decode_text(" AQ\r\nI\tD ").unwrap(), [1, 2, 3]);
        assert_eq!(decode_text("").unwrap(), []);
        assert_eq!(decode_text("\t\t").unwrap(), []);
        assert_eq!(decode_text("AQ==").unwrap(), [1]);
        for wrong in ["AQ", "AQ=", "AR==", "AQ==AQ==", "A-I_", "AQ==\u{a0}", "====", "AQID="] {
            assert_eq!(decode_text(wrong), Err(Base64Error), "{wrong}");
        }
    }
}
