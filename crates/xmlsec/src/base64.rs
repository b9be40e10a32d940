//! Base64 as `xs:base64Binary` and XML Signature carry it: white space anywhere between, otherwise strict.

mod wide;

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

/// Decodes, as it comes, what has no white space in it, and digests what comes of it.
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    sha256: Sha256,
    /// So many of the bytes are digested: whole blocks, which is quickest.
    digested_bytes: usize,
}

impl Decoder {
    /// With room for so long a text.
    pub(crate) fn with_room(text_bytes: usize) -> Self {
        let bytes = Vec::with_capacity(text_bytes / 4 * 3);
        Self { bytes, sha256: Sha256::default(), digested_bytes: 0 }
    }

    /// How much of the text is decoded.
    pub(crate) fn taken_bytes(&self) -> usize {
        self.bytes.len() / 3 * 4
    }

    /// Goes on with the text, which is here up to some place beyond that of the last time; digests in `beside`, and in `third`,
    /// whatever it is, what is new of it, at once with what the text stands for. Nothing more is to come after an error.
    pub(crate) fn take_beside(
        &mut self,
        text: &[u8],
        new: &[u8],
        beside: &mut Sha256,
        third: Option<&mut Sha256>,
    ) -> Result<(), Base64Error> {
        // The last characters may be padding, which is for the end.
        let unpadded = text.get(self.taken_bytes()..text.len().saturating_sub(1)).unwrap_or_default();
        let decoded = self.decode_unpadded(unpadded.as_chunks::<AT_ONCE>().0.as_flattened());
        let whole = self.bytes.len() / 64 * 64;
        let decoded_new = self.bytes.get(self.digested_bytes..whole).unwrap_or_default();
        match third {
            None => beside.update_both(new, &mut self.sha256, decoded_new),
            // Three, so that always two go on at once: each of the others with one half of what is decoded, then with each other.
            Some(third) => {
                let half = (decoded_new.len() / 128 * 64).min(new.len());
                let (decoded, more_decoded) = decoded_new.split_at_checked(half).unwrap_or_default();
                let (text, more_text) = new.split_at_checked(half).unwrap_or_default();
                beside.update_both(text, &mut self.sha256, decoded);
                let half = more_decoded.len().min(new.len());
                let (text, last_text) = new.split_at_checked(half).unwrap_or_default();
                third.update_both(text, &mut self.sha256, more_decoded);
                beside.update_both(more_text, third, last_text);
            }
        }
        self.digested_bytes = whole;
        decoded
    }

    /// Ends with the rest of the text.
    pub(crate) fn finish(mut self, rest: &[u8]) -> Result<Content, Base64Error> {
        STANDARD.decode_append(rest, &mut self.bytes).map_err(|_| Base64Error)?;
        self.sha256.update(self.bytes.get(self.digested_bytes..).unwrap_or_default());
        Ok(Content { bytes: self.bytes, sha256: Hasher::from(self.sha256).finish() })
    }

    fn decode_unpadded(&mut self, groups: &[u8]) -> Result<(), Base64Error> {
        let whole = self.bytes.len() + groups.len() / 4 * 3;
        let taken = wide::decode(groups, &mut self.bytes);
        let rest = groups.get(taken..).unwrap_or_default();
        if !rest.is_empty() {
            STANDARD.decode_append(rest, &mut self.bytes).map_err(|_| Base64Error)?;
        }
        if self.bytes.len() == whole { Ok(()) } else { Err(Base64Error) }
    }
}

/// So many characters are decoded at once.
const AT_ONCE: usize = 64;

/// The text is not base64: the sender's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not base64")]
pub struct Base64Error;

#[cfg(test)]
mod tests {
    use super::*;

    fn check_pieces(text: &[u8], cuts: [usize; 2]) {
        check_pieces_with(text, cuts, None);
        check_pieces_with(text, cuts, Some(Sha256::default()));
    }

    fn check_pieces_with(text: &[u8], cuts: [usize; 2], mut third: Option<Sha256>) {
        let (before, more) = (&text[..cuts[0]], &text[..cuts[1]]);
        let mut decoder = Decoder::with_room(text.len());
        let mut beside = Sha256::default();
        let taken = decoder.take_beside(before, before, &mut beside, third.as_mut());
        let new = &more[before.len()..];
        let taken = taken.and_then(|()| decoder.take_beside(more, new, &mut beside, third.as_mut()));
        assert!(taken.is_err() || decoder.taken_bytes() <= more.len());
        let rest = decoder.taken_bytes();
        let content = taken.and_then(|()| decoder.finish(&text[rest..]));
        let expected = STANDARD.decode_to_vec(text).map(Content::of).map_err(|_| Base64Error);
        if expected.is_ok() {
            let expected = pki::digest::sha256(more);
            assert_eq!(beside.finish(), expected, "{cuts:?}");
            assert_eq!(third.map_or(expected, Sha256::finish), expected, "{cuts:?}");
        }
        assert_eq!(content, expected, "{cuts:?} of {text:?}");
    }

    #[test]
    fn by_pieces_as_in_one() {
        let texts =
            ["", "AQID", "AQIDBA==", "AQIDBAU=", "AQ", "AQ==AQ==", "AQIDBA==AQID", "AQI DBA==", "A==="];
        for text in texts {
            for cut in 0..=text.len() {
                (cut..=text.len()).for_each(|other_cut| check_pieces(text.as_bytes(), [cut, other_cut]));
            }
        }
        for length in [127, 191, 192, 193] {
            let text = encode(&(0..length).map(|i| (i * 31 + 7) as u8).collect::<Vec<u8>>());
            for cut in 0..=text.len() {
                check_pieces(text.as_bytes(), [cut, (cut + 65).min(text.len())]);
                for wrong in ["=", "-", " ", "A", "é"] {
                    let changed = format!("{}{wrong}{}", &text[..cut], &text[cut..]);
                    check_pieces(changed.as_bytes(), [0, text.len()]);
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
