//! The texts of the policies that evidence names, as packages carry them.

use std::collections::BTreeMap;

use super::{StartError, value};
use crate::config::{EVIDENCE_POLICY, EVIDENCE_POLICY_TEXT, Seal};
use crate::trust;

/// Each text by its policy's URI: of those that are named now, and of those that were.
///
/// # Errors
/// The operator's: a file that cannot be read or is no such text, a policy that is named now and has none.
pub(super) fn texts(seal: &Seal) -> Result<BTreeMap<String, String>, StartError> {
    let expected = || format!("a text in UTF-8, of {TEXT_BYTES_MAX} bytes at most");
    let mut texts = BTreeMap::from([(EVIDENCE_POLICY.to_owned(), EVIDENCE_POLICY_TEXT.to_owned())]);
    for (uri, path) in &seal.evidence_policy_texts {
        let bytes = trust::read(path)?;
        if !(1..=TEXT_BYTES_MAX).contains(&bytes.len()) {
            return Err(value(OPTION, format!("{} bytes for {uri}", bytes.len()), expected()));
        }
        let text = String::from_utf8(bytes).map_err(|error| value(OPTION, error, expected()))?;
        texts.insert(uri.clone(), text);
    }
    // Our own text says what stands behind our URI, and nothing of anybody else's.
    match seal.evidence_policies.iter().find(|uri| !texts.contains_key(*uri)) {
        Some(uri) => {
            Err(value(OPTION, format!("none for {uri}"), "the text of each policy in seal.evidence_policies"))
        }
        None => Ok(texts),
    }
}

const OPTION: &str = "seal.evidence_policy_texts";
/// The largest text: each package has it, and each package's record.
const TEXT_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "https://example.org/policy/1";

    fn seal(policies: &[&str], texts: &[(&str, &std::path::Path)]) -> Seal {
        let mut seal: Seal = toml::from_str(
            "certificate = \"c\"\nkey = \"k\"\nanchors = []\ncrls = []\ncontroller_cbe = \"0\"",
        )
        .unwrap();
        seal.evidence_policies = policies.iter().map(|uri| (*uri).to_owned()).collect();
        let texts = texts.iter().map(|(uri, path)| ((*uri).to_owned(), path.to_path_buf()));
        seal.evidence_policy_texts = texts.collect();
        seal
    }

    #[test]
    fn each_policy_that_is_named_has_a_text_and_only_ours_is_built_in() {
        let built_in = texts(&seal(&[EVIDENCE_POLICY], &[])).unwrap();
        assert_eq!(built_in[EVIDENCE_POLICY], EVIDENCE_POLICY_TEXT);
        assert!(EVIDENCE_POLICY_TEXT.contains(EVIDENCE_POLICY) && EVIDENCE_POLICY_TEXT.is_ascii());
        let error = texts(&seal(&[EVIDENCE_POLICY, OTHER], &[])).unwrap_err().to_string();
        assert!(error.contains(OPTION) && error.contains(OTHER), "{error}");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let given = |bytes: Vec<u8>| {
            std::fs::write(&path, bytes).unwrap();
            texts(&seal(&[OTHER], &[(OTHER, &path)]))
        };
        let longest = "a".repeat(TEXT_BYTES_MAX);
        let read = given(longest.clone().into_bytes()).unwrap();
        assert_eq!((&read[OTHER], read.len()), (&longest, 2), "former evidence may name the built-in one");
        for wrong in [vec![b'a'; TEXT_BYTES_MAX + 1], Vec::new(), vec![0xff]] {
            assert!(given(wrong).unwrap_err().to_string().contains("a text in UTF-8"));
        }
        assert!(texts(&seal(&[OTHER], &[(OTHER, &folder.path().join("absent"))])).is_err());
    }
}
