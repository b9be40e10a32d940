//! Base64 as `xs:base64Binary` and XML Signature carry it: white space anywhere between, otherwise strict.

use base64_simd::STANDARD;

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
