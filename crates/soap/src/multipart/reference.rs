//! From a reference in the envelope to the part it names.

use percent_encoding::percent_decode_str;

/// The one Content-ID among `content_ids` that `reference` names.
///
/// `reference` is `cid:ID`, `cid:` with ID percent-encoded, or the bare ID (CXF 3.6 and 4.0). `None` if none or more
/// than one is meant; a reference to anything that is not a part (`http:`, `file:`, a path) names none, and is never
/// followed (`security.md` row 68).
pub fn find_content_id<'a>(
    reference: &str,
    content_ids: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let reference = reference.trim_matches([' ', '\t', '\r', '\n']);
    let bare = match reference.split_at_checked(4) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("cid:") => rest,
        _ => reference,
    };
    let decoded = percent_decode_str(bare).decode_utf8().ok();
    let mut found = None;
    for id in content_ids {
        if id == bare || decoded.as_deref() == Some(id) {
            if found.is_some() {
                return None;
            }
            found = Some(id);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_reference() {
        check("cid:a@b", &["a@b"], Some("a@b"));
        check("cid:a%40b", &["a@b"], Some("a@b"));
        check("CID:a%40b", &["x", "a@b"], Some("a@b"));
        check("a@b", &["a@b"], Some("a@b"));
        check("cid:urn:uuid:1@null", &["urn:uuid:1@null"], Some("urn:uuid:1@null"));
        check("cid:a%40b", &["a%40b"], Some("a%40b"));
        check("cid:a%40b", &["a%40b", "a@b"], None);
        check("cid:A@b", &["a@b"], None);
        check("http://a@b", &["a@b"], None);
        check("cid:", &["a@b"], None);
    }

    #[track_caller]
    fn check(reference: &str, ids: &[&str], expected: Option<&str>) {
        assert_eq!(find_content_id(reference, ids.iter().copied()), expected, "{reference}");
    }
}
