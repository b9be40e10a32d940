//! Base64 as `xs:base64Binary` and XML Signature carry it: white space anywhere between, otherwise strict.

use base64_simd::STANDARD;
use pki::digest::{Digest, DigestAlgorithm, Hasher};
use pki::sha256::Sha256;

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

/// Decodes piece by piece what has no white space in it, and digests what comes of it.
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    sha256: Sha256,
    /// So many of the bytes are digested: whole blocks, which is quickest.
    digested_bytes: usize,
    /// Characters that make no group of four yet.
    pending: Vec<u8>,
    /// There was padding: nothing may follow.
    ended: bool,
}

impl Decoder {
    /// With room for so long a text.
    pub(crate) fn with_room(text_bytes: usize) -> Self {
        let bytes = Vec::with_capacity(text_bytes / 4 * 3);
        let pending = Vec::with_capacity(4);
        Self { bytes, sha256: Sha256::default(), digested_bytes: 0, pending, ended: false }
    }

    /// Takes the next characters, and digests them in `beside`, whatever they are, at once with what they stand for.
    pub(crate) fn take_beside(&mut self, text: &[u8], beside: &mut Sha256) -> Result<(), Base64Error> {
        let decoded = self.decode(text);
        let whole = self.bytes.len() / 64 * 64;
        let new = self.bytes.get(self.digested_bytes..whole).unwrap_or_default();
        beside.update_both(text, &mut self.sha256, new);
        self.digested_bytes = whole;
        decoded
    }

    /// Ends with the last characters.
    pub(crate) fn finish(mut self, text: &[u8]) -> Result<Content, Base64Error> {
        self.decode(text)?;
        if !self.pending.is_empty() {
            return Err(Base64Error);
        }
        self.sha256.update(self.bytes.get(self.digested_bytes..).unwrap_or_default());
        Ok(Content { bytes: self.bytes, sha256: Hasher::from(self.sha256).finish() })
    }

    fn decode(&mut self, text: &[u8]) -> Result<(), Base64Error> {
        let missing = if self.pending.is_empty() { 0 } else { 4 - self.pending.len() };
        let (head, text) = text.split_at_checked(missing).unwrap_or((text, &[]));
        self.pending.extend_from_slice(head);
        if let Ok(group) = <[u8; 4]>::try_from(self.pending.as_slice()) {
            self.pending.clear();
            self.decode_groups(&group)?;
        }
        let (groups, rest) = text.as_chunks::<4>();
        self.decode_groups(groups.as_flattened())?;
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    fn decode_groups(&mut self, groups: &[u8]) -> Result<(), Base64Error> {
        if groups.is_empty() {
            return Ok(());
        }
        let whole = self.bytes.len() + groups.len() / 4 * 3;
        let decoded = if self.ended { None } else { STANDARD.decode_append(groups, &mut self.bytes).ok() };
        self.ended = self.bytes.len() < whole;
        decoded.ok_or(Base64Error)
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
    fn by_pieces_as_in_one() {
        let texts =
            ["", "AQID", "AQIDBA==", "AQIDBAU=", "AQ", "AQ==AQ==", "AQIDBA==AQID", "AQI DBA==", "A==="];
        for text in texts {
            for cut in 0..=text.len() {
                for other_cut in cut..=text.len() {
                    let pieces = [&text[..cut], &text[cut..other_cut], &text[other_cut..]];
                    let mut decoder = Decoder::with_room(text.len());
                    let mut beside = Sha256::default();
                    let [first, second, last] = pieces.map(str::as_bytes);
                    let taken = decoder.take_beside(first, &mut beside);
                    let taken = taken.and_then(|()| decoder.take_beside(second, &mut beside));
                    let content = taken.and_then(|()| decoder.finish(last));
                    let expected = STANDARD.decode_to_vec(text).map(Content::of).map_err(|_| Base64Error);
                    assert_eq!(content, expected, "{pieces:?}");
                    if expected.is_ok() {
                        assert_eq!(beside.finish(), pki::digest::sha256(&text.as_bytes()[..other_cut]));
                    }
                }
            }
        }
    }

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
