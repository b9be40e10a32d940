//! The signatures of a policy file: detached CMS, each a line of base64 behind the text that it is over.
//!
//! They lie in the file itself, as comments of TOML, so that one rename puts text and signatures in place together.

use crate::PolicyError;

/// How a signature's line begins.
pub const SIGNATURE_LINE: &str = "#signature: ";

/// The text that is signed, and the signatures behind it (DER).
pub(crate) fn split(text: &str) -> Result<(&str, Vec<Vec<u8>>), PolicyError> {
    let begin = match text.strip_prefix(SIGNATURE_LINE) {
        Some(_) => Some(0),
        None => text.find(&format!("\n{SIGNATURE_LINE}")).map(|at| at + 1),
    };
    let Some((signed, trailer)) = begin.and_then(|begin| text.split_at_checked(begin)) else {
        return Ok((text, Vec::new()));
    };
    let first = signed.lines().count() + 1;
    let read = |(line, number): (&str, usize)| {
        let base64 = line.strip_prefix(SIGNATURE_LINE);
        let bytes = base64.and_then(|base64| base64_simd::STANDARD.decode_to_vec(base64).ok());
        bytes.filter(|bytes| !bytes.is_empty()).ok_or(PolicyError::Signature { line: number })
    };
    let signatures = trailer.lines().zip(first..).map(read).collect::<Result<_, _>>()?;
    Ok((signed, signatures))
}

/// The file with one signature more at its end.
pub fn with_signature(file: &str, signature_der: &[u8]) -> String {
    let end = if file.is_empty() || file.ends_with('\n') { "" } else { "\n" };
    format!("{file}{end}{SIGNATURE_LINE}{}\n", base64_simd::STANDARD.encode_to_string(signature_der))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_told_from_the_text() {
        let text = "version = 1\n# a comment\n";
        assert_eq!(split(text), Ok((text, vec![])));
        let one = with_signature(text, b"one");
        let two = with_signature(&one, b"two");
        assert_eq!(split(&two), Ok((text, vec![b"one".to_vec(), b"two".to_vec()])));
        assert_eq!(split(&with_signature("", b"x")), Ok(("", vec![b"x".to_vec()])));
    }

    #[test]
    fn nothing_hides_behind_them() {
        let signed = with_signature("version = 1\n", b"one");
        for behind in
            ["version = 2\n", "\n", "# note\n", "#signature: \n", "#signature: !\n", "#signature:x\n"]
        {
            assert_eq!(
                split(&format!("{signed}{behind}")),
                Err(PolicyError::Signature { line: 3 }),
                "{behind}"
            );
        }
    }
}
