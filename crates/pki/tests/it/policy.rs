//! Certificate policies and name constraints: RFC 5280 §4.2.1.4, §4.2.1.10 to §4.2.1.14 and §6.1.

use pki::path::{Purpose, Revocation, TrustAnchors};

use crate::kit::*;

const WANTED: &str = "1.3.6.1.4.1.99999.1";
const OTHER: &str = "1.3.6.1.4.1.99999.2";
const ANY: &str = "2.5.29.32.0";

fn policies(policies: &[&str]) -> Vec<u8> {
    let policies: Vec<Vec<u8>> = policies.iter().map(|policy| seq(&[&oid(policy)])).collect();
    extension("2.5.29.32", false, &seq(&[&policies.concat()]))
}

fn mappings(from: &str, to: &str) -> Vec<u8> {
    extension("2.5.29.33", true, &seq(&[&seq(&[&oid(from), &oid(to)])]))
}

/// requireExplicitPolicy at once.
fn explicit() -> Vec<u8> {
    extension("2.5.29.36", true, &seq(&[&[0x80, 1, 0]]))
}

/// inhibitAnyPolicy at once.
fn no_any() -> Vec<u8> {
    extension("2.5.29.54", true, &int(0))
}

/// A leaf and its authority with these extensions, where these policies are required.
fn judge(required: &[&str], of_ca: &[Vec<u8>], of_leaf: &[Vec<u8>]) -> Result<(), &'static str> {
    let with = |wanted: Wanted, extensions: &[Vec<u8>]| extensions.iter().cloned().fold(wanted, Wanted::with);
    let root = Wanted::authority("Root", 1).itself();
    let ca = with(Wanted::authority("CA", 2), of_ca).by(&root);
    let leaf = with(Wanted::leaf("Leaf", 3), of_leaf).by(&ca).certificate();
    let anchors = TrustAnchors::new(vec![root.certificate()], vec![ca.certificate()])
        .requiring_policies(required.iter().map(|&policy| policy.to_owned()).collect());
    let path = anchors.validate(&leaf, &[], Revocation::NotChecked, Purpose::MessageSigning, at(NOW));
    path.map(drop).map_err(|error| error.code())
}

#[test]
fn a_required_policy_holds_for_the_whole_path() {
    let no = Err("path.policy");
    let cases = [
        ("named by both", policies(&[WANTED]), policies(&[WANTED]), Ok(())),
        ("one of several", policies(&[OTHER, WANTED]), policies(&[WANTED, OTHER]), Ok(())),
        ("the authority may issue under any", policies(&[ANY]), policies(&[WANTED]), Ok(())),
        ("another one", policies(&[OTHER]), policies(&[OTHER]), no),
        ("the authority is not under it", policies(&[OTHER]), policies(&[WANTED, OTHER]), no),
        ("the leaf is not under it", policies(&[WANTED, OTHER]), policies(&[OTHER]), no),
        ("both under any", policies(&[ANY]), policies(&[ANY]), Ok(())),
        ("the leaf under any, its authority under another", policies(&[OTHER]), policies(&[ANY]), no),
        ("a longer number", policies(&[ANY]), policies(&["1.3.6.1.4.1.99999.1.1"]), no),
    ];
    for (case, of_ca, of_leaf, expected) in cases {
        assert_eq!(judge(&[WANTED], &[of_ca], &[of_leaf]), expected, "{case}");
    }
    assert_eq!(judge(&[WANTED], &[], &[]), no, "no policy at all");
    assert_eq!(judge(&[WANTED], &[], &[policies(&[WANTED])]), no, "an authority without policies");
    assert_eq!(
        judge(&[OTHER, WANTED], &[policies(&[ANY])], &[policies(&[WANTED])]),
        Ok(()),
        "either will do"
    );
    assert_eq!(judge(&[], &[], &[]), Ok(()), "none is required");
    let inhibited = [policies(&[ANY]), no_any()];
    assert_eq!(judge(&[WANTED], &inhibited, &[policies(&[ANY])]), no, "any does not count below it");
    assert_eq!(judge(&[WANTED], &inhibited, &[policies(&[WANTED])]), Ok(()), "a name does");
    let mapped = [policies(&[WANTED]), mappings(WANTED, OTHER)];
    assert_eq!(judge(&[WANTED], &mapped, &[policies(&[OTHER])]), no, "policies are not mapped");
    let mapped_away = [policies(&[WANTED]), mappings(WANTED, OTHER)];
    assert_eq!(judge(&[WANTED], &mapped_away, &[policies(&[WANTED])]), no, "nor do they stay what they were");
}

#[test]
fn an_authority_that_demands_a_policy_is_heard() {
    let demanding = [policies(&[WANTED]), explicit()];
    assert_eq!(judge(&[], &demanding, &[policies(&[WANTED])]), Ok(()));
    assert_eq!(judge(&[], &demanding, &[policies(&[OTHER])]), Err("path.policy"));
    assert_eq!(judge(&[], &demanding, &[]), Err("path.policy"));
    assert_eq!(judge(&[], &[policies(&[WANTED])], &[]), Ok(()), "it demands nothing");
    let later = |skip: u8| [policies(&[WANTED]), extension("2.5.29.36", true, &seq(&[&[0x80, 1, skip]]))];
    assert_eq!(judge(&[], &later(1), &[]), Err("path.policy"), "from the certificate after the next on");
    assert_eq!(judge(&[], &later(2), &[]), Ok(()), "beyond the end of the path");
    assert_eq!(judge(&[], &[], &[explicit()]), Err("path.policy"), "the leaf demands it of itself");
}

/// nameConstraints over directory names: O=Test with this CN, permitted (0xa0) or excluded (0xa1).
fn constrained(tag: u8, subtree: &[u8]) -> Vec<u8> {
    extension("2.5.29.30", true, &seq(&[&tlv(tag, &[&seq(&[&tlv(0xa4, &[subtree])])])]))
}

#[test]
fn an_authority_issues_within_its_names() {
    let organization =
        |text: &str| seq(&[&tlv(0x31, &[&seq(&[&oid("2.5.4.10"), &tlv(0x0c, &[text.as_bytes()])])])]);
    let no = Err("path.rule");
    let cases = [
        ("its own organisation", constrained(0xa0, &organization("Test")), Ok(())),
        ("another organisation", constrained(0xa0, &organization("Else")), no),
        ("a name that begins alike", constrained(0xa0, &organization("Tes")), no),
        ("an excluded one", constrained(0xa1, &organization("Test")), no),
        ("another is excluded", constrained(0xa1, &organization("Else")), Ok(())),
        ("this leaf alone", constrained(0xa0, &name("Leaf")), Ok(())),
        ("not this leaf", constrained(0xa1, &name("Leaf")), no),
    ];
    for (case, constraints, expected) in cases {
        assert_eq!(judge(&[], &[constraints], &[]), expected, "{case}");
    }
    // A DNS constraint binds the alternative names too, whatever stands in the subject.
    let dns = |text: &str| tlv(0x82, &[text.as_bytes()]);
    let within = extension("2.5.29.30", true, &seq(&[&tlv(0xa0, &[&seq(&[&dns("example.be")])])]));
    let called = |text: &str| extension("2.5.29.17", false, &seq(&[&dns(text)]));
    assert_eq!(judge(&[], std::slice::from_ref(&within), &[called("a.example.be")]), Ok(()));
    assert_eq!(judge(&[], &[within], &[called("example.be.evil")]), no);
}
