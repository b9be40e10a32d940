//! Rows 37, 41, 43 to 49: whose certificate it is, and whether it may sign.

use crate::kit::*;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use openssl::x509::extension::ExtendedKeyUsage;

/// The key of `identity` with another public exponent.
fn with_exponent(identity: &Identity, exponent: u32) -> PKey<Public> {
    let n = identity.key.rsa().and_then(|rsa| rsa.n().to_owned()).expect("n");
    let e = BigNum::from_u32(exponent).expect("e");
    Rsa::from_public_components(n, e).and_then(PKey::from_rsa).expect("a key")
}

/// What PKCS#1 v1.5 made of the hash, out of a value by `identity`'s key.
fn encoded_message(identity: &Identity, value: &[u8]) -> Vec<u8> {
    let rsa = identity.key.rsa().expect("RSA");
    let mut message = BigNum::new().expect("a number");
    let mut context = openssl::bn::BigNumContext::new().expect("a context");
    let value = BigNum::from_slice(value).expect("s");
    message.mod_exp(&value, rsa.e(), rsa.n(), &mut context).expect("EMSA");
    message.to_vec_padded(256).expect("256 bytes")
}

/// The smallest number whose cube is not below that.
fn cube_root(of: &BigNum) -> BigNum {
    let one = BigNum::from_u32(1).expect("1");
    let (mut low, mut high) = (BigNum::from_u32(0).expect("0"), &one << (of.num_bits() / 3 + 1));
    while low < high {
        let middle = &(&low + &high) >> 1;
        if &(&middle * &middle) * &middle < *of { low = &middle + &one } else { high = middle }
    }
    low
}

#[test]
fn row_37_an_exponent_that_lets_anybody_sign() {
    let holder = pki().issue(&Person::alice(), KeyKind::Rsa);
    for (exponent, forgery) in [(1, trivial as fn(&Identity, Vec<u8>) -> Vec<u8>), (3, garbage_after_hash)] {
        let public_key = Some(with_exponent(&holder, exponent));
        let certified = pki().grant(&Person::alice(), KeyKind::Rsa, &Wish { public_key, ..Wish::default() });
        // The certificate with the odd exponent; the kit signs by the key of the same modulus, the forger needs none.
        let identity = Identity { certificate: certified.certificate, key: holder.key.clone() };
        let mut forge = Forge::new(&identity);
        let holder = &holder;
        forge.value = Box::new(move |value| forgery(holder, value));
        check(forge.sign(), "SOA-01001 path.weak-key");
    }
}

fn trivial(holder: &Identity, value: Vec<u8>) -> Vec<u8> {
    encoded_message(holder, &value)
}

/// Bleichenbacher's: two bytes of padding, the hash, and after it whatever makes a cube.
fn garbage_after_hash(holder: &Identity, value: Vec<u8>) -> Vec<u8> {
    let message = encoded_message(holder, &value);
    let digest_info = &message[message.len() - 51..];
    let mut block = [&[0, 1, 0xff, 0xff, 0], digest_info].concat();
    block.resize(256, 0);
    let root = cube_root(&BigNum::from_slice(&block).expect("a number"));
    let cube = (&(&root * &root) * &root).to_vec_padded(256).expect("256 bytes");
    assert_eq!(cube[..56], block[..56], "a lax verifier would take this one");
    root.to_vec_padded(256).expect("256 bytes")
}

#[test]
fn row_36_garbage_after_the_hash() {
    let mut forge = Forge::new(&ALICE);
    forge.value = Box::new(|value| garbage_after_hash(&ALICE, value));
    check(forge.sign(), "SOA-01001 wss.signature.value");
}

#[test]
fn row_41_names_that_fit_somebody_else() {
    let ski = ALICE.certificate.subject_key_id().expect("a SKI").as_slice().to_vec();
    let named = format!(
        "<wsse:SecurityTokenReference><ds:X509Data><ds:X509SKI>{}</ds:X509SKI></ds:X509Data></wsse:SecurityTokenReference>",
        openssl::base64::encode_block(&ski)
    );
    // Another authority's certificate that claims alice's identifier.
    let other = Pki::new();
    let twin =
        other.grant(&Person::bob(), KeyKind::Rsa, &Wish { subject_key_id: Some(ski), ..Wish::default() });
    let known = |candidates| Setting { candidates, ..Setting::default() };
    let honest = Forge::new(&ALICE).named(&named).sign();
    check_in(&honest, &known(vec![ALICE.read(), twin.read()]), "SOA-01001 wss.token.ambiguous");
    check_in(&honest, &known(vec![twin.read()]), "SOA-01001 wss.token.unknown");
    let forged = Forge::new(&twin).named(&named).sign();
    check_in(&forged, &known(vec![ALICE.read()]), "SOA-01001 wss.signature.value");
    check_in(&forged, &known(vec![BOB.read()]), "SOA-01001 wss.token.unresolved");
}

#[test]
fn row_43_a_rogue_ca_of_the_same_names() {
    let rogue = Pki::new();
    check(Forge::new(&rogue.issue(&Person::alice(), KeyKind::Rsa)).sign(), "SOA-01001 wss.token.unknown");
    check(Forge::new(&self_signed(&Person::alice())).sign(), "SOA-01001 wss.token.unknown");
    // He brings his own root along.
    let leaf = rogue.issue(&Person::alice(), KeyKind::Rsa);
    let [issuing, root] = rogue.authorities();
    let path = Forge::new(&leaf).with_path(&[root, issuing, &leaf]);
    check(path.sign(), "SOA-01001 wss.token.unknown");
}

fn authority(
    name: &'static str,
    issuer: Option<&Identity>,
    path_length: Option<u32>,
    extensions: Vec<openssl::x509::X509Extension>,
) -> Identity {
    let mut person = Person::alice();
    person.name = name;
    let wish = Wish { issuer, usage: Use::Ca, path_length, extensions, ..Wish::default() };
    pki().grant(&person, KeyKind::Rsa, &wish)
}

/// What a certificate issued by that authority comes to, where the service knows the authority.
fn issued_by(issuer: &Identity, known: &[&Identity]) -> String {
    let leaf =
        pki().grant(&Person::alice(), KeyKind::P256, &Wish { issuer: Some(issuer), ..Wish::default() });
    let setting = Setting { intermediates: known.iter().map(|ca| ca.read()).collect(), ..Setting::default() };
    outcome(Forge::new(&leaf).sign(), &setting)
}

#[test]
fn row_44_paths_that_no_authority_granted() {
    let honest = authority("A", None, Some(0), vec![]);
    told(issued_by(&honest, &[&honest]), ACCEPTED);
    told(issued_by(&ALICE, &[&ALICE]), "SOA-01001 path.wrong-usage");
    let below = authority("B", Some(&honest), None, vec![]);
    told(issued_by(&below, &[&honest, &below]), "SOA-01001 path.rule");
    let unknown = authority("C", None, None, vec![extension("1.2.3.4.5", true, &[5, 0])]);
    told(issued_by(&unknown, &[&unknown]), "SOA-01001 path.rule");
    let wish = Wish { extensions: vec![extension("1.2.3.4.5", true, &[5, 0])], ..Wish::default() };
    let leaf = pki().grant(&Person::alice(), KeyKind::P256, &wish);
    check(Forge::new(&leaf).sign(), "SOA-01001 path.rule");
    // Names: C=BE, O=Other alone may be issued; alice is of another.
    let other = [
        &[0x31, 0x0b, 0x30, 9, 6, 3, 0x55, 4, 6, 0x13, 2][..],
        b"BE",
        &[0x31, 0x0e, 0x30, 12, 6, 3, 0x55, 4, 10, 0x0c, 5],
        b"Other",
    ]
    .concat();
    let name = wrapped(0x30, &other);
    let permitted = wrapped(0x30, &wrapped(0xa0, &wrapped(0x30, &wrapped(0xa4, &name))));
    let constrained = authority("D", None, None, vec![extension("2.5.29.30", true, &permitted)]);
    told(issued_by(&constrained, &[&constrained]), "SOA-01001 path.rule");
}

/// DER of less than 128 bytes.
fn wrapped(tag: u8, contents: &[u8]) -> Vec<u8> {
    assert!(contents.len() < 128);
    [&[tag, contents.len() as u8], contents].concat()
}

#[track_caller]
fn told(seen: String, expected: &str) {
    assert_eq!(seen, expected);
}

#[test]
fn row_45_validity_usage_and_strength() {
    let mut expired = Person::alice();
    expired.not_after = "20260201000000Z";
    check(Forge::new(&pki().issue(&expired, KeyKind::P256)).sign(), "SOA-01001 path.expired");
    let mut early = Person::alice();
    early.not_before = "20260401000000Z";
    check(Forge::new(&pki().issue(&early, KeyKind::P256)).sign(), "SOA-01001 path.not-yet-valid");
    check(Forge::new(&pki().issue(&Person::alice(), KeyKind::RsaWeak)).sign(), "SOA-01001 path.weak-key");
    let server = ExtendedKeyUsage::new().server_auth().build().expect("EKU");
    for (wish, expected) in [
        (Wish { usage: Use::Encrypt, ..Wish::default() }, "SOA-01001 path.wrong-usage"),
        (Wish { usage: Use::Ca, ..Wish::default() }, "SOA-01001 path.wrong-usage"),
        (Wish { usage: Use::SigningCa, ..Wish::default() }, "SOA-01001 path.wrong-usage"),
        (Wish { extensions: vec![server], ..Wish::default() }, "SOA-01001 path.wrong-usage"),
        (Wish { digest: MessageDigest::sha1(), ..Wish::default() }, "SOA-01001 path.weak-signature"),
    ] {
        check(Forge::new(&pki().grant(&Person::alice(), KeyKind::Rsa, &wish)).sign(), expected);
    }
}

/// What alice's message comes to, judged by the lists that `change` makes of two honest ones: the issuing CA's and the root's.
#[track_caller]
fn under<'a>(change: impl FnOnce(&mut Vec<List<'a>>), expected: &str) {
    let [issuing, root] = pki().authorities();
    let mut lists = vec![List::of(issuing), List::of(root)];
    change(&mut lists);
    check_in(Forge::new(&ALICE).sign(), &Setting { crls: Some(lists), ..Setting::default() }, expected);
}

#[test]
fn row_46_revocation_lists() {
    let [issuing, root] = pki().authorities();
    let other = Pki::new();
    under(|_| {}, ACCEPTED);
    under(|lists| lists[0].revoked = vec![&BOB], ACCEPTED);
    under(|lists| lists[0].revoked = vec![&BOB, &ALICE], "SOA-01001 path.revoked");
    under(|lists| lists[1].revoked = vec![issuing], "SOA-01001 path.revoked");
    // Unknown is not good: the sender is told to come again, because the lists are the service's to fetch.
    let missing = "SOA-02002 path.crl-missing";
    let stale = "SOA-02002 path.crl-stale";
    under(|lists| lists.clear(), missing);
    under(|lists| drop(lists.remove(1)), missing);
    under(|lists| lists[0].next_update = "20260301115959Z", stale);
    under(|lists| lists[0].this_update = "20260301130000Z", stale);
    under(|lists| lists[0].signer = Some(other.authorities()[0]), missing);
    under(|lists| lists[0].signer = Some(root), missing);
    under(|lists| lists[0].issuer = root, missing);
    // Scope: another point's list, authorities alone, by reason, indirect, delta, or something critical that nobody knows.
    let uri = wrapped(0xa0, &wrapped(0xa0, &wrapped(0x86, b"http://localhost/other.crl")));
    for point in [uri, vec![0x82, 1, 0xff], vec![0x83, 2, 5, 0x40], vec![0x84, 1, 0xff], vec![0x85, 1, 0xff]]
    {
        let point = wrapped(0x30, &point);
        under(|lists| lists[0].extension = Some(("2.5.29.28", true, point)), missing);
    }
    under(|lists| lists[0].extension = Some(("2.5.29.27", true, vec![2, 1, 1])), missing);
    under(|lists| lists[0].extension = Some(("1.2.3.4", true, vec![5, 0])), missing);
    under(|lists| lists[0].extension = Some(("1.2.3.4", false, vec![5, 0])), ACCEPTED);
    // A good list does not outweigh one that names him, in either order.
    under(|lists| lists.push(List { revoked: vec![&ALICE], ..List::of(issuing) }), "SOA-01001 path.revoked");
    under(
        |lists| lists.insert(0, List { revoked: vec![&ALICE], ..List::of(issuing) }),
        "SOA-01001 path.revoked",
    );
}

#[test]
fn row_47_a_responder_named_by_a_certificate_vouches_for_nothing() {
    // authorityInfoAccess: OCSP at an address that nobody asks; without a list of the authority the status is unknown.
    let access = [&[6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1][..], &wrapped(0x86, b"http://127.0.0.1:9/")].concat();
    let access = wrapped(0x30, &wrapped(0x30, &access));
    let wish = Wish { extensions: vec![extension("1.3.6.1.5.5.7.1.1", false, &access)], ..Wish::default() };
    let identity = pki().grant(&Person::alice(), KeyKind::P256, &wish);
    let message = Forge::new(&identity).sign();
    let [issuing, root] = pki().authorities();
    let judged_by = |crls| Setting { crls: Some(crls), ..Setting::default() };
    check_in(&message, &judged_by(vec![List::of(root)]), "SOA-02002 path.crl-missing");
    check_in(&message, &judged_by(vec![List::of(issuing), List::of(root)]), ACCEPTED);
    let revoked = List { revoked: vec![&identity], ..List::of(issuing) };
    check_in(&message, &judged_by(vec![revoked, List::of(root)]), "SOA-01001 path.revoked");
}

#[test]
fn row_48_names_that_look_alike() {
    // Of the same trusted authority: each of them is somebody, and nobody is alice.
    for (name, seen) in [
        ("urn:be:test:ALICE", "accepted 0244640631 urn:be:test:ALICE"),
        ("urn:be:test:alic\u{435}", "accepted 0244640631 urn:be:test:alic\u{435}"),
        ("urn:be:test:alice, OU=TST", "accepted 0244640631 urn:be:test:alice, OU=TST"),
    ] {
        let mut person = Person::alice();
        person.name = name;
        let seen = format!("{seen} GetStatusRequest 0123456789ABC");
        check(Forge::new(&pki().issue(&person, KeyKind::P256)).sign(), &seen);
    }
    for name in ["urn:be:test:alice\r\nX: y", "urn:be:test:alice\u{1}"] {
        let mut person = Person::alice();
        person.name = name;
        let seen = outcome(Forge::new(&pki().issue(&person, KeyKind::P256)).sign(), &Setting::default());
        assert!(!seen.starts_with("accepted"), "{seen}");
    }
}

#[test]
fn row_49_identity_and_environment() {
    for (units, expected) in [
        (vec!["TST"], "SOA-01002 identity.enterprise.missing"),
        (
            vec![
                "urn:be:fgov:kbo-bce:organization:cbe-number:0244640631",
                "urn:be:fgov:kbo-bce:organization:cbe-number:0206731645",
                "TST",
            ],
            "SOA-01002 identity.enterprise.repeated",
        ),
        (
            vec!["urn:be:fgov:kbo-bce:organization:cbe-number:0244640632", "TST"],
            "SOA-01002 identity.enterprise.invalid",
        ),
        (
            vec!["urn:be:fgov:kbo-bce:organization:cbe-number:0244640631"],
            "SOA-01002 identity.environment.missing",
        ),
    ] {
        let mut person = Person::alice();
        person.units = units.into_iter().map(str::to_owned).collect();
        check(Forge::new(&pki().issue(&person, KeyKind::P256)).sign(), expected);
    }
    let production = |policy: &mut soap::wss::Policy<'_>| policy.environment = Some(erds::Environment::Prd);
    let setting = Setting { policy: Some(&production), ..Setting::default() };
    check_in(Forge::new(&ALICE).sign(), &setting, "SOA-01002 wss.sender.environment");
    let test = |policy: &mut soap::wss::Policy<'_>| policy.environment = Some(erds::Environment::Tst);
    check_in(Forge::new(&ALICE).sign(), &Setting { policy: Some(&test), ..Setting::default() }, ACCEPTED);
}
