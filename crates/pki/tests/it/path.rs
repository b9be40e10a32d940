//! RFC 5280 §6, `security.md` rows 37 and 43 to 46.

use openssl::hash::MessageDigest;
use pki::certificate::Certificate;
use pki::crl::{Crl, CrlSet};
use pki::path::{PathError, Purpose, Revocation, TrustAnchors};

use crate::kit::*;

struct World {
    root: Party,
    ca: Party,
}

impl World {
    fn new() -> Self {
        let root = Wanted::authority("Root", 1).itself();
        let ca = Wanted::authority("CA", 2).by(&root);
        Self { root, ca }
    }

    fn judge(&self, leaf: &Party, extra: &[&Party]) -> Result<(), &'static str> {
        self.judge_for(Purpose::MessageSigning, leaf, extra)
    }

    fn judge_for(&self, purpose: Purpose, leaf: &Party, extra: &[&Party]) -> Result<(), &'static str> {
        let anchors = TrustAnchors::new(vec![self.root.certificate()], vec![self.ca.certificate()]);
        let extra: Vec<Certificate> = extra.iter().map(|party| party.certificate()).collect();
        let path = anchors.validate(&leaf.certificate(), &extra, Revocation::NotChecked, purpose, at(NOW));
        path.map(drop).map_err(|error| error.code())
    }

    fn judge_by_lists(&self, leaf: &Party, of_ca: &[Crl]) -> Result<(), &'static str> {
        let anchors = TrustAnchors::new(vec![self.root.certificate()], vec![self.ca.certificate()]);
        let lists = CrlSet::new([of_ca, &[List::default().by(&self.root)]].concat());
        let revocation = Revocation::HardFail(&lists);
        let path = anchors.validate(&leaf.certificate(), &[], revocation, Purpose::MessageSigning, at(NOW));
        let judged = path.map(drop).map_err(|error| error.code());
        println!("verdict: {}", judged.err().unwrap_or("good"));
        judged
    }
}

#[test]
fn an_honest_path_is_leaf_authority_anchor() {
    let world = World::new();
    let leaf = Wanted::leaf("Leaf", 3).by(&world.ca);
    let anchors = TrustAnchors::new(vec![world.root.certificate()], Vec::new());
    let extra = [world.ca.certificate(), world.root.certificate()];
    let path = anchors
        .validate(&leaf.certificate(), &extra, Revocation::NotChecked, Purpose::MessageSigning, at(NOW))
        .unwrap();
    assert_eq!(path.chain(), [leaf.certificate(), world.ca.certificate(), world.root.certificate()]);
    assert_eq!((path.leaf(), path.issuing_ca()), (&leaf.certificate(), &world.ca.certificate()));
    let rsa_leaf = Wanted::leaf("Leaf", 4).issue(rsa(2048), Some(&world.ca));
    assert_eq!(world.judge(&rsa_leaf, &[]), Ok(()));
    let p384_leaf = Wanted::leaf("Leaf", 5).issue(p384(), Some(&world.ca));
    assert_eq!(world.judge(&p384_leaf, &[]), Ok(()));
}

#[test]
fn anchors_are_trusted_by_key() {
    let world = World::new();
    let rogue_root = Wanted::authority("Root", 1).itself();
    let rogue_ca = Wanted::authority("CA", 2).by(&rogue_root);
    let leaf = Wanted::leaf("Leaf", 3).by(&rogue_ca);
    assert_eq!(world.judge(&leaf, &[]), Err("path.unknown-issuer"), "same names and serials, other keys");
    assert_eq!(
        world.judge(&leaf, &[&rogue_ca, &rogue_root]),
        Err("path.unknown-issuer"),
        "it brings its own root"
    );
    let itself = Wanted::leaf("Leaf", 3).itself();
    assert_eq!(world.judge(&itself, &[&itself]), Err("path.unknown-issuer"), "self-signed");
    assert_eq!(world.judge(&world.root, &[]), Err("path.unknown-issuer"), "the anchor itself");

    // An intermediate that is an anchor ends the path: what is above is not asked for.
    let anchors = TrustAnchors::new(vec![world.ca.certificate()], Vec::new());
    let leaf = Wanted::leaf("Leaf", 3).by(&world.ca).certificate();
    let path =
        anchors.validate(&leaf, &[], Revocation::NotChecked, Purpose::MessageSigning, at(NOW)).unwrap();
    assert_eq!(path.issuing_ca(), &world.ca.certificate());
}

#[test]
fn only_authorities_issue() {
    let world = World::new();
    let leaf = Wanted::leaf("Leaf", 3).by(&world.ca);
    let below = Wanted::leaf("Below", 4).by(&leaf);
    assert_eq!(world.judge(&below, &[&leaf]), Err("path.wrong-usage"), "leaf as CA");
    let cases = [
        ("no basicConstraints", vec![usage(CERT_SIGN)]),
        ("basicConstraints without CA", vec![basic(false, None), usage(CERT_SIGN)]),
        ("no keyCertSign", vec![basic(true, None), usage(SIGN | CRL_SIGN)]),
        ("no keyUsage", vec![basic(true, None)]),
        ("no extension but keyIdentifier", vec![extension("2.5.29.14", false, &octets(&[1; 20]))]),
    ];
    for (case, extensions) in cases {
        let authority = Wanted::new("Authority", 5, extensions).by(&world.root);
        let leaf = Wanted::leaf("Leaf", 6).by(&authority);
        assert_eq!(world.judge(&leaf, &[&authority]), Err("path.wrong-usage"), "{case}");
    }
}

#[test]
fn the_rules_of_rfc_5280_hold() {
    let world = World::new();
    let last = Wanted::new("Last", 5, vec![basic(true, Some(0)), usage(CERT_SIGN)]).by(&world.root);
    let beyond = Wanted::authority("Beyond", 6).by(&last);
    let leaf = Wanted::leaf("Leaf", 7).by(&beyond);
    assert_eq!(world.judge(&leaf, &[&last, &beyond]), Err("path.rule"), "pathLen");
    let leaf = Wanted::leaf("Leaf", 7).by(&last);
    assert_eq!(world.judge(&leaf, &[&last]), Ok(()), "pathLen kept");

    let unknown = extension("1.3.6.1.4.1.99999.7", true, &[5, 0]);
    let leaf = Wanted::leaf("Leaf", 8).with(unknown.clone()).by(&world.ca);
    assert_eq!(world.judge(&leaf, &[]), Err("path.rule"), "unknown critical extension");
    let authority = Wanted::authority("Authority", 9).with(unknown).by(&world.root);
    let leaf = Wanted::leaf("Leaf", 10).by(&authority);
    assert_eq!(
        world.judge(&leaf, &[&authority]),
        Err("path.rule"),
        "unknown critical extension of an authority"
    );

    let only = |common_name| {
        let subtree = seq(&[&tlv(0xa4, &[&name(common_name)])]);
        let constraints = extension("2.5.29.30", true, &seq(&[&tlv(0xa0, &[&subtree])]));
        Wanted::authority("Constrained", 11).with(constraints).by(&world.root)
    };
    let (fitting, other) = (only("Leaf"), only("Somebody"));
    assert_eq!(world.judge(&Wanted::leaf("Leaf", 12).by(&fitting), &[&fitting]), Ok(()));
    assert_eq!(
        world.judge(&Wanted::leaf("Leaf", 12).by(&other), &[&other]),
        Err("path.rule"),
        "name constraints"
    );
}

#[test]
fn time_is_judged_of_each() {
    let world = World::new();
    assert_eq!(world.judge(&Wanted::leaf("Leaf", 3).days(-9, -1).by(&world.ca), &[]), Err("path.expired"));
    assert_eq!(
        world.judge(&Wanted::leaf("Leaf", 3).days(1, 9).by(&world.ca), &[]),
        Err("path.not-yet-valid")
    );
    let old = Wanted::authority("Old", 4).days(-9, -1).by(&world.root);
    let leaf = Wanted::leaf("Leaf", 5).by(&old);
    assert_eq!(world.judge(&leaf, &[&old]), Err("path.expired"), "the authority");
    let leaf = Wanted::leaf("Leaf", 5).days(-9, -1).by(&old);
    assert_eq!(world.judge(&leaf, &[&old]), Err("path.expired"), "both");
    // The authority is past its end as well: what is told is the leaf, which its holder can mend.
    let shorter = Wanted::authority("Old", 4).days(-9, -1).by(&world.root);
    let leaf = Wanted::leaf("Leaf", 5).days(-9, -2).by(&shorter).certificate();
    let anchors = TrustAnchors::new(vec![world.root.certificate()], vec![shorter.certificate()]);
    let refused =
        anchors.validate(&leaf, &[], Revocation::NotChecked, Purpose::MessageSigning, at(NOW)).unwrap_err();
    assert_eq!(refused, PathError::Expired { subject: leaf.subject().to_string(), at: leaf.not_after() });
    let young = Wanted::authority("Young", 4).days(1, 9).by(&world.root);
    let leaf = Wanted::leaf("Leaf", 5).by(&young);
    assert_eq!(world.judge(&leaf, &[&young]), Err("path.not-yet-valid"), "the authority");
}

#[test]
fn each_use_has_its_usages() {
    use Purpose::{MessageSigning, Sealing, TimeStamping, TlsClient, TlsServer};
    const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
    const DOCUMENT_SIGNING: &str = "1.3.6.1.5.5.7.3.36";
    const ANY: &str = "2.5.29.37.0";
    let world = World::new();
    let no = Err("path.wrong-usage");
    let cases = [
        (MessageSigning, vec![], Ok(())),
        (MessageSigning, vec![usage(SIGN)], Ok(())),
        (MessageSigning, vec![usage(SIGN), eku(false, &[CLIENT_AUTH, EMAIL_PROTECTION])], Ok(())),
        (MessageSigning, vec![usage(SIGN), eku(false, &[ANY])], Ok(())),
        (MessageSigning, vec![usage(NON_REPUDIATION)], no),
        (MessageSigning, vec![usage(ENCIPHER)], no),
        (MessageSigning, vec![usage(SIGN), eku(false, &[EMAIL_PROTECTION])], no),
        (MessageSigning, vec![usage(SIGN), eku(false, &[DOCUMENT_SIGNING])], no),
        (MessageSigning, vec![usage(SIGN), eku(false, &[SERVER_AUTH])], no),
        (MessageSigning, vec![usage(SIGN), eku(true, &[TIME_STAMPING])], no),
        (MessageSigning, vec![basic(true, None), usage(SIGN | CERT_SIGN)], no),
        (TlsClient, vec![usage(SIGN), eku(false, &[CLIENT_AUTH])], Ok(())),
        (TlsClient, vec![usage(SIGN), eku(false, &[SERVER_AUTH])], no),
        (TlsClient, vec![usage(ENCIPHER)], no),
        (TlsServer, vec![usage(SIGN), eku(false, &[SERVER_AUTH])], Ok(())),
        (TlsServer, vec![usage(SIGN), eku(false, &[CLIENT_AUTH])], no),
        (Sealing, vec![usage(SIGN | NON_REPUDIATION)], Ok(())),
        (Sealing, vec![usage(SIGN)], no),
        (Sealing, vec![], no),
        (Sealing, vec![usage(SIGN | NON_REPUDIATION), eku(false, &[CLIENT_AUTH])], no),
        (TimeStamping, vec![usage(SIGN), eku(true, &[TIME_STAMPING])], Ok(())),
        (TimeStamping, vec![usage(SIGN), eku(false, &[TIME_STAMPING])], no),
    ];
    for (place, (purpose, extensions, expected)) in cases.into_iter().enumerate() {
        let mut extensions = extensions;
        extensions.push(extension("2.5.29.14", false, &octets(&[1; 20])));
        let leaf = Wanted::new("Leaf", 3, extensions).by(&world.ca);
        assert_eq!(world.judge_for(purpose, &leaf, &[]), expected, "case {place}, {purpose:?}");
    }
    assert_eq!(world.judge(&world.ca, &[]), no, "CA as signer");
}

#[test]
fn weak_keys_and_signatures_make_no_path() {
    let world = World::new();
    let short = Wanted::leaf("Leaf", 3).issue(rsa(1024), Some(&world.ca));
    assert_eq!(world.judge(&short, &[]), Err("path.weak-key"), "RSA-1024");
    for exponent in [1, 3, 65536] {
        let modulus = rsa(2048).rsa().unwrap().n().to_vec();
        let key = seq(&[&tlv(2, &[&[0], &modulus]), &int(exponent)]);
        let key_info = seq(&[&seq(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &bits(&key)]);
        let wanted = Wanted { key_info: Some(key_info), ..Wanted::leaf("Leaf", 3) };
        assert_eq!(world.judge(&wanted.by(&world.ca), &[]), Err("path.weak-key"), "e = {exponent}");
    }
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::SECP256K1).unwrap();
    let curve = openssl::pkey::PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
    assert_eq!(
        world.judge(&Wanted::leaf("Leaf", 3).issue(curve, Some(&world.ca)), &[]),
        Err("path.weak-key")
    );

    let sha1 = Wanted { digest: MessageDigest::sha1(), ..Wanted::leaf("Leaf", 3) }.by(&world.ca);
    assert_eq!(world.judge(&sha1, &[]), Err("path.weak-signature"), "a leaf issued with SHA-1");
    let ca = Wanted { digest: MessageDigest::sha1(), ..Wanted::authority("Weak", 4) }.by(&world.root);
    let leaf = Wanted::leaf("Leaf", 5).by(&ca);
    assert_eq!(world.judge(&leaf, &[&ca]), Err("path.weak-signature"), "an authority issued with SHA-1");
    let mut tampered = Wanted::leaf("Leaf", 6).by(&world.ca);
    let place = tampered.der.windows(4).position(|bytes| bytes == b"Leaf").unwrap();
    tampered.der[place] = b'X';
    assert!(world.judge(&tampered, &[]).is_err(), "not what was signed");
}

#[test]
fn revocation_fails_hard() {
    let world = World::new();
    let leaf = Wanted::leaf("Leaf", 3).by(&world.ca);
    let other = Wanted::leaf("Other", 300).by(&world.ca);
    let namesake = Wanted::authority("CA", 2).itself();
    let list = |list: List| vec![list.by(&world.ca)];
    let cases = [
        ("good", list(List::default()), Ok(())),
        ("another is revoked", list(List::revoking(&other)), Ok(())),
        ("revoked", list(List::revoking(&leaf)), Err("path.revoked")),
        ("none", vec![], Err("path.crl-missing")),
        (
            "stale",
            list(List { this_update: NOW - 9, next_update: Some(NOW - 1), ..List::default() }),
            Err("path.crl-stale"),
        ),
        ("future", list(List { this_update: NOW + 1, ..List::default() }), Err("path.crl-stale")),
        ("endless", list(List { next_update: None, ..List::default() }), Err("path.crl-stale")),
        ("same issuer name, another key", vec![List::default().by(&namesake)], Err("path.crl-missing")),
        ("of the root", vec![List::default().by(&world.root)], Err("path.crl-missing")),
        ("of CAs only", list(List::scoped(&[&[0x82, 1, 0xff]])), Err("path.crl-missing")),
        ("of users only", list(List::scoped(&[&[0x81, 1, 0xff]])), Ok(())),
        ("of another point", list(List::scoped(&[&full_name("http://crl/1")])), Err("path.crl-missing")),
        (
            "revoked in one of two",
            vec![List::default().by(&world.ca), List::revoking(&leaf).by(&world.ca)],
            Err("path.revoked"),
        ),
        (
            "stale beside current",
            vec![
                List { next_update: Some(NOW - 1), ..List::default() }.by(&world.ca),
                List::default().by(&world.ca),
            ],
            Ok(()),
        ),
    ];
    for (case, crls, expected) in cases {
        assert_eq!(world.judge_by_lists(&leaf, &crls), expected, "{case}");
    }
}

#[test]
fn row_46_a_revoked_authority_revokes_what_is_below() {
    let world = World::new();
    let leaf = Wanted::leaf("Leaf", 3).by(&world.ca).certificate();
    let anchors = TrustAnchors::new(vec![world.root.certificate()], vec![world.ca.certificate()]);
    let judge = |crls| {
        let crls = CrlSet::new(crls);
        let revocation = Revocation::HardFail(&crls);
        let path = anchors.validate(&leaf, &[], revocation, Purpose::MessageSigning, at(NOW));
        let judged = path.map(drop).map_err(|error| error.code());
        println!("verdict: {}", judged.err().unwrap_or("good"));
        judged
    };
    let revoked = List::revoking(&world.ca).by(&world.root);
    assert_eq!(judge(vec![List::default().by(&world.ca), revoked.clone()]), Err("path.revoked"));
    assert_eq!(judge(vec![revoked]), Err("path.revoked"), "told before the missing list of the leaf");
    assert_eq!(judge(vec![List::default().by(&world.ca)]), Err("path.crl-missing"), "no list of the root");
}

#[test]
fn the_most_telling_reason_is_told() {
    let world = World::new();
    let expired = Wanted::leaf("Leaf", 3).days(-9, -1).by(&world.ca);
    assert_eq!(world.judge_by_lists(&expired, &[]), Err("path.expired"), "before the missing list");
    let revoked = [List::revoking(&expired).by(&world.ca)];
    assert_eq!(world.judge_by_lists(&expired, &revoked), Err("path.revoked"), "before the end of its life");
    let unfit = Wanted::new("Leaf", 3, vec![usage(ENCIPHER)]).by(&world.ca);
    assert_eq!(world.judge_by_lists(&unfit, &revoked), Err("path.revoked"), "before the wrong usage");
    assert_eq!(world.judge_by_lists(&unfit, &[]), Err("path.wrong-usage"), "before the missing list");
}

#[test]
fn row_46_a_list_speaks_of_its_distribution_points_alone() {
    let world = World::new();
    let leaf = Wanted::leaf("Leaf", 3).with(crl_point(&["http://crl/1", "http://crl/2"])).by(&world.ca);
    let of = |text| vec![List::scoped(&[&full_name(text)]).by(&world.ca)];
    assert_eq!(world.judge_by_lists(&leaf, &of("http://crl/1")), Ok(()));
    assert_eq!(world.judge_by_lists(&leaf, &of("http://crl/2")), Ok(()), "each of several points");
    assert_eq!(world.judge_by_lists(&leaf, &of("http://crl/3")), Err("path.crl-missing"));
    assert_eq!(world.judge_by_lists(&leaf, &of("http://crl/")), Err("path.crl-missing"), "a part of one");
    // A point whose list somebody else signs, and one for some reasons: neither is answered by a direct, complete list.
    let by_other = seq(&[&full_name("http://crl/1"), &tlv(0xa2, &[&tlv(0xa4, &[&name("Other")])])]);
    let by_reason = seq(&[&full_name("http://crl/1"), &tlv(0x81, &[&[1, 0x40]])]);
    for point in [by_other, by_reason] {
        let leaf = Wanted::leaf("Leaf", 3).with(extension("2.5.29.31", false, &seq(&[&point]))).by(&world.ca);
        assert_eq!(world.judge_by_lists(&leaf, &of("http://crl/1")), Err("path.crl-missing"));
    }
}

#[test]
fn an_authority_that_may_not_sign_lists_has_none() {
    let world = World::new();
    let ca = Wanted::new("No lists", 5, vec![basic(true, None), usage(CERT_SIGN)]).by(&world.root);
    let leaf = Wanted::leaf("Leaf", 6).by(&ca).certificate();
    let anchors = TrustAnchors::new(vec![world.root.certificate()], vec![ca.certificate()]);
    let crls = CrlSet::new(vec![List::default().by(&ca), List::default().by(&world.root)]);
    let path = anchors.validate(&leaf, &[], Revocation::HardFail(&crls), Purpose::MessageSigning, at(NOW));
    assert_eq!(path.unwrap_err().code(), "path.crl-missing");
}

/// Every copy of `der` with one bit flipped.
fn flipped(der: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    (0..der.len() * 8).map(|bit| {
        let mut copy = der.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        (bit, copy)
    })
}

#[test]
fn no_flipped_bit_of_a_certificate_or_list_passes() {
    let world = World::new();
    let leaf = Wanted::leaf("Leaf", 3).by(&world.ca);
    let anchors = TrustAnchors::new(vec![world.root.certificate()], vec![world.ca.certificate()]);
    for (bit, der) in flipped(&leaf.der) {
        let Ok(certificate) = Certificate::from_der(&der) else { continue };
        let path =
            anchors.validate(&certificate, &[], Revocation::NotChecked, Purpose::MessageSigning, at(NOW));
        assert!(path.is_err(), "bit {bit} of the certificate");
    }
    for (bit, der) in flipped(&List::default().der(&world.ca)) {
        let Ok(crl) = Crl::from_der(&der) else { continue };
        assert!(world.judge_by_lists(&leaf, &[crl]).is_err(), "bit {bit} of the list");
    }
}
