//! RFC 3161 §2.4.2, `security.md` rows 79 and 80: every lie has its own refusal.

use openssl::hash::{MessageDigest, hash};
use pki::crl::CrlSet;
use pki::digest::{Digest, DigestAlgorithm};
use pki::path::{Revocation, TrustAnchors};
use pki::tsp::{self, TimeStampToken, TokenChecks};

use crate::kit::*;

const POLICY: &str = "1.3.6.1.4.1.99999.1";
const NONCE: [u8; 8] = [0x41, 2, 3, 4, 5, 6, 7, 8];
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const DATA: &str = "1.2.840.113549.1.7.1";
const SHA1: &str = "1.3.14.3.2.26";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";

/// Its name, what it changes, and the code of its refusal.
type Lie = (&'static str, fn(&mut Stamp<'_>), &'static str);

struct World {
    root: Party,
    ca: Party,
    unit: Party,
}

impl World {
    fn new() -> Self {
        let root = Wanted::authority("TSA root", 1).itself();
        let ca = Wanted::authority("TSA CA", 2).by(&root);
        let unit = unit(3).by(&ca);
        Self { root, ca, unit }
    }
}

fn unit(serial: u32) -> Wanted {
    Wanted::new("TSA unit", serial, vec![usage(SIGN), eku(true, &[TIME_STAMPING])])
}

/// A token in the making: each field as it is written.
struct Stamp<'a> {
    unit: &'a Party,
    policy: &'static str,
    imprint_algorithm: &'static str,
    imprint: Vec<u8>,
    gen_time: String,
    /// accuracy, ordering
    after_gen_time: Vec<u8>,
    nonce: Vec<u8>,
    /// tsa, extensions
    after_nonce: Vec<u8>,
    encapsulated_type: &'static str,
    content_type: &'static str,
    message_digest_of: Option<&'static [u8]>,
    digest_algorithm: &'static str,
    announced: &'static str,
    ess: Option<Vec<u8>>,
    signed_instead: Option<&'static [u8]>,
    certificates: Vec<Vec<u8>>,
    signers: usize,
    signed_data_version: u32,
    signer_version: u32,
    signer_id: Vec<u8>,
    unsigned_attributes: Vec<u8>,
}

impl<'a> Stamp<'a> {
    fn honest(world: &'a World) -> Self {
        Self::of(&world.unit, &world.ca)
    }

    fn of(unit: &'a Party, ca: &Party) -> Self {
        Self {
            unit,
            policy: POLICY,
            imprint_algorithm: SHA256,
            imprint: sha256(b"stamped"),
            gen_time: generalized(NOW),
            after_gen_time: Vec::new(),
            nonce: tlv(2, &[&NONCE]),
            after_nonce: Vec::new(),
            encapsulated_type: TST_INFO,
            content_type: TST_INFO,
            message_digest_of: None,
            digest_algorithm: SHA256,
            announced: SHA256,
            ess: Some(ess(&sha256(&unit.der), &issuer_serial(&unit.issuer_name, &unit.serial))),
            signed_instead: None,
            certificates: vec![unit.der.clone(), ca.der.clone()],
            signers: 1,
            signed_data_version: 3,
            signer_version: 1,
            signer_id: seq(&[&unit.issuer_name, &unit.serial]),
            unsigned_attributes: Vec::new(),
        }
    }

    fn info(&self) -> Vec<u8> {
        let imprint = seq(&[&seq(&[&oid(self.imprint_algorithm), &[5, 0]]), &octets(&self.imprint)]);
        let gen_time = tlv(0x18, &[self.gen_time.as_bytes()]);
        let policy = oid(self.policy);
        seq(&[
            &int(1),
            &policy,
            &imprint,
            &int(77),
            &gen_time,
            &self.after_gen_time,
            &self.nonce,
            &self.after_nonce,
        ])
    }

    fn signer(&self, info: &[u8]) -> Vec<u8> {
        let digest =
            if self.digest_algorithm == SHA1 { MessageDigest::sha1() } else { MessageDigest::sha256() };
        let message_digest = hash(digest, self.message_digest_of.unwrap_or(info)).unwrap();
        let mut attributes = vec![
            attribute("1.2.840.113549.1.9.3", &oid(self.content_type)),
            attribute("1.2.840.113549.1.9.4", &octets(&message_digest)),
        ];
        attributes.extend(self.ess.as_ref().map(|ess| attribute("1.2.840.113549.1.9.16.2.47", ess)));
        let signed = set(attributes.clone(), 0x31);
        let signature = sign(&self.unit.key, digest, self.signed_instead.unwrap_or(&signed));
        seq(&[
            &int(self.signer_version),
            &self.signer_id,
            &seq(&[&oid(self.digest_algorithm)]),
            &set(attributes, 0xa0),
            &algorithm(&self.unit.key, digest),
            &octets(&signature),
            &self.unsigned_attributes,
        ])
    }

    fn token(&self) -> Vec<u8> {
        let info = self.info();
        let mut signers = vec![self.signer(&info)];
        signers.resize(self.signers, self.signer(&info));
        let certificates = match self.certificates.as_slice() {
            [] => Vec::new(),
            some => set(some.to_vec(), 0xa0),
        };
        let signed_data = seq(&[
            &int(self.signed_data_version),
            &tlv(0x31, &[&seq(&[&oid(self.announced)])]),
            &seq(&[&oid(self.encapsulated_type), &tlv(0xa0, &[&octets(&info)])]),
            &certificates,
            &set(signers, 0x31),
        ]);
        seq(&[&oid("1.2.840.113549.1.7.2"), &tlv(0xa0, &[&signed_data])])
    }
}

fn generalized(second: i64) -> String {
    at(second).strftime("%Y%m%d%H%M%SZ").to_string()
}

fn attribute(kind: &str, value: &[u8]) -> Vec<u8> {
    seq(&[&oid(kind), &tlv(0x31, &[value])])
}

fn issuer_serial(issuer: &[u8], serial: &[u8]) -> Vec<u8> {
    seq(&[&seq(&[&tlv(0xa4, &[issuer])]), serial])
}

fn ess(hash: &[u8], issuer_serial: &[u8]) -> Vec<u8> {
    seq(&[&seq(&[&seq(&[&octets(hash), issuer_serial])])])
}

fn granted(token: &[u8]) -> Vec<u8> {
    seq(&[&seq(&[&int(0)]), token])
}

/// What is said of an answer by somebody who asked within the last minute, with the world's root and lists.
fn judge(world: &World, answer: &[u8]) -> Result<(), &'static str> {
    judge_with(world, answer, &[List::default().by(&world.root), List::default().by(&world.ca)])
}

fn judge_with(world: &World, answer: &[u8], crls: &[pki::crl::Crl]) -> Result<(), &'static str> {
    let crls = CrlSet::new(crls.to_vec());
    let checks = TokenChecks {
        imprint: &Digest::of(DigestAlgorithm::Sha256, b"stamped"),
        nonce: Some(&NONCE),
        policies: &[POLICY.to_owned()],
        anchors: &TrustAnchors::new(vec![world.root.certificate()], Vec::new()),
        revocation: Revocation::HardFail(&crls),
        gen_time_window: Some((at(NOW - 60), at(NOW + 60))),
        at: at(NOW),
    };
    let token = tsp::parse_response(answer).map_err(|error| error.code())?;
    tsp::check(&token, &checks).map(drop).map_err(|error| error.code())
}

fn verdict(world: &World, change: impl FnOnce(&mut Stamp<'_>)) -> Result<(), &'static str> {
    let mut stamp = Stamp::honest(world);
    change(&mut stamp);
    judge(world, &granted(&stamp.token()))
}

#[test]
fn honest_tokens_are_taken() {
    let world = World::new();
    assert_eq!(verdict(&world, |_| ()), Ok(()));
    let fractional = |token: &mut Stamp<'_>| token.gen_time = generalized(NOW).replace('Z', ".25Z");
    assert_eq!(verdict(&world, fractional), Ok(()));
    let optional = |token: &mut Stamp<'_>| {
        token.after_gen_time =
            [seq(&[&int(1), &tlv(0x80, &[&[1, 0xf4]]), &tlv(0x81, &[&[1]])]), vec![1, 1, 0xff]].concat();
        let extension = extension("1.3.6.1.4.1.99999.9", false, &[5, 0]);
        token.after_nonce =
            [tlv(0xa0, &[&tlv(0xa4, &[&name("TSA unit")])]), tlv(0xa1, &[&extension])].concat();
    };
    assert_eq!(verdict(&world, optional), Ok(()));
    let bare_ess = |token: &mut Stamp<'_>| token.ess = Some(ess(&sha256(&token.unit.der), &[]));
    assert_eq!(verdict(&world, bare_ess), Ok(()));
    let modified = seq(&[&seq(&[&int(1)]), &Stamp::honest(&world).token()]);
    assert_eq!(judge(&world, &modified), Ok(()), "grantedWithMods");
}

#[test]
fn what_it_attests_is_read() {
    let world = World::new();
    let mut stamp = Stamp::honest(&world);
    stamp.gen_time = generalized(NOW).replace('Z', ".25Z");
    let token = TimeStampToken::from_der(&stamp.token()).unwrap();
    let info = token.tst_info();
    assert_eq!(info.gen_time.as_millisecond(), NOW * 1000 + 250);
    assert_eq!(
        (info.policy.as_str(), info.serial.as_slice(), info.nonce.as_deref()),
        (POLICY, &[77][..], Some(&NONCE[..]))
    );
    assert_eq!(token.certificates().len(), 2);
}

#[test]
fn each_lie_of_what_is_attested_is_refused_by_its_code() {
    let world = World::new();
    let lies: [Lie; 17] = [
        ("wrong imprint", |t| t.imprint = sha256(b"other"), "tsp.imprint"),
        ("SHA-1 imprint", |t| (t.imprint_algorithm, t.imprint) = (SHA1, vec![7; 20]), "tsp.digest-algorithm"),
        (
            "SHA-384 imprint",
            |t| (t.imprint_algorithm, t.imprint) = ("2.16.840.1.101.3.4.2.2", vec![7; 48]),
            "tsp.digest-algorithm",
        ),
        ("short imprint", |t| t.imprint.truncate(31), "tsp.malformed"),
        ("wrong nonce", |t| t.nonce = int(9), "tsp.nonce.wrong"),
        ("missing nonce", |t| t.nonce.clear(), "tsp.nonce.missing"),
        ("wrong policy", |t| t.policy = "1.3.6.1.4.1.99999.2", "tsp.policy"),
        ("yesterday", |t| t.gen_time = generalized(NOW - DAY), "tsp.gen-time.past"),
        ("future", |t| t.gen_time = generalized(NOW + 61), "tsp.gen-time.future"),
        ("second 60", |t| t.gen_time = "20270115075960Z".into(), "tsp.gen-time.leap-second"),
        ("trailing zero", |t| t.gen_time = generalized(NOW).replace('Z', ".10Z"), "tsp.malformed"),
        ("no zone", |t| t.gen_time = generalized(NOW).replace('Z', ""), "tsp.malformed"),
        ("offset", |t| t.gen_time = generalized(NOW).replace('Z', "+0100"), "tsp.malformed"),
        ("ordering FALSE", |t| t.after_gen_time = vec![1, 1, 0], "tsp.malformed"),
        ("ordering of two octets", |t| t.after_gen_time = vec![1, 2, 0xff, 0xff], "tsp.malformed"),
        (
            "critical extension",
            |t| t.after_nonce = tlv(0xa1, &[&extension("1.3.6.1.4.1.99999.9", true, &[5, 0])]),
            "tsp.extension",
        ),
        (
            "critical extension as 1",
            |t| {
                t.after_nonce =
                    tlv(0xa1, &[&seq(&[&oid("1.3.6.1.4.1.99999.9"), &[1, 1, 1], &octets(&[5, 0])])])
            },
            "tsp.malformed",
        ),
    ];
    for (lie, change, code) in lies {
        assert_eq!(verdict(&world, change), Err(code), "{lie}");
    }
}

#[test]
fn each_lie_of_the_signature_is_refused_by_its_code() {
    let world = World::new();
    let lies: [Lie; 15] = [
        ("encapsulated type", |t| t.encapsulated_type = DATA, "tsp.content-type"),
        ("content-type attribute", |t| t.content_type = DATA, "tsp.content-type-attribute"),
        ("message digest", |t| t.message_digest_of = Some(b"other"), "tsp.message-digest"),
        ("signature over other bytes", |t| t.signed_instead = Some(b"other"), "tsp.signature"),
        ("no ESSCertID", |t| t.ess = None, "tsp.no-ess-cert-id"),
        ("ESSCertID with rest", |t| t.ess = Some(ess(&sha256(&t.unit.der), &[4, 0])), "tsp.ess-cert-id"),
        ("SHA-1", |t| t.digest_algorithm = SHA1, "tsp.digest-algorithm"),
        ("announced SHA-1", |t| t.announced = SHA1, "tsp.digest-algorithm"),
        ("announced SHA-512", |t| t.announced = "2.16.840.1.101.3.4.2.3", "tsp.digest-algorithm"),
        ("two signers", |t| t.signers = 2, "tsp.signers"),
        ("no signer", |t| t.signers = 0, "tsp.malformed"),
        ("no certificate", |t| t.certificates.clear(), "tsp.no-certificate"),
        (
            "unsigned attributes",
            |t| t.unsigned_attributes = tlv(0xa1, &[&attribute("1.2.3", &[5, 0])]),
            "tsp.unsigned-attributes",
        ),
        ("SignedData version", |t| t.signed_data_version = 1, "tsp.malformed"),
        ("SignerInfo version", |t| t.signer_version = 3, "tsp.malformed"),
    ];
    for (lie, change, code) in lies {
        assert_eq!(verdict(&world, change), Err(code), "{lie}");
    }
}

#[test]
fn the_named_certificate_is_the_signers() {
    let world = World::new();
    let other = unit(4).by(&world.ca);
    let of = |hash: &Party, issuer: &[u8], serial: &[u8]| {
        let value = ess(&sha256(&hash.der), &issuer_serial(issuer, serial));
        verdict(&world, |token| token.ess = Some(value))
    };
    assert_eq!(of(&world.unit, &world.ca.name, &world.unit.serial), Ok(()));
    assert_eq!(of(&other, &world.ca.name, &other.serial), Err("tsp.ess-cert-id"), "another certificate");
    assert_eq!(
        of(&world.unit, &world.root.name, &world.unit.serial),
        Err("tsp.ess-cert-id"),
        "another issuer"
    );
    assert_eq!(of(&world.unit, &world.ca.name, &other.serial), Err("tsp.ess-cert-id"), "another serial");
}

#[test]
fn each_unfit_unit_is_refused_by_its_code() {
    let world = World::new();
    let with = |extensions: Vec<Vec<u8>>| Wanted::new("TSA unit", 9, extensions).by(&world.ca);
    // The right names and another key.
    let rogue_root = Wanted::authority("TSA root", 1).itself();
    let rogue_ca = Wanted::authority("TSA CA", 2).by(&rogue_root);
    let cases = [
        ("no EKU", with(vec![usage(SIGN)]), "path.wrong-usage"),
        ("EKU not critical", with(vec![usage(SIGN), eku(false, &[TIME_STAMPING])]), "path.wrong-usage"),
        (
            "EKU not alone",
            with(vec![usage(SIGN), eku(true, &[TIME_STAMPING, CLIENT_AUTH])]),
            "path.wrong-usage",
        ),
        ("keyUsage", with(vec![usage(ENCIPHER), eku(true, &[TIME_STAMPING])]), "path.wrong-usage"),
        ("expired", unit(9).days(-10, -1).by(&world.ca), "path.expired"),
        ("not yet valid", unit(9).days(1, 10).by(&world.ca), "path.not-yet-valid"),
        ("unknown CA", unit(9).by(&rogue_ca), "path.unknown-issuer"),
        ("itself", unit(9).itself(), "path.unknown-issuer"),
    ];
    for (case, unit, code) in &cases {
        let ca = if *case == "unknown CA" { &rogue_ca } else { &world.ca };
        assert_eq!(judge(&world, &granted(&Stamp::of(unit, ca).token())), Err(*code), "{case}");
    }
    let crls = [List::default().by(&world.root), List::revoking(&world.unit).by(&world.ca)];
    let honest = granted(&Stamp::honest(&world).token());
    assert_eq!(judge_with(&world, &honest, &crls), Err("path.revoked"));
    assert_eq!(judge_with(&world, &honest, &crls[..1]), Err("path.crl-missing"));
}

#[test]
fn only_a_granted_answer_in_der_is_read() {
    let world = World::new();
    let token = Stamp::honest(&world).token();
    for status in 2..=5 {
        assert_eq!(judge(&world, &seq(&[&seq(&[&int(status)])])), Err("tsp.not-granted"), "without token");
        assert_eq!(
            judge(&world, &seq(&[&seq(&[&int(status)]), &token])),
            Err("tsp.not-granted"),
            "with token"
        );
    }
    let answer = granted(&token);
    assert_eq!(judge(&world, &seq(&[&seq(&[&int(0)])])), Err("tsp.malformed"), "granted, no token");
    assert_eq!(judge(&world, &[answer.as_slice(), &[0]].concat()), Err("tsp.malformed"));
    assert_eq!(judge(&world, &granted(&[token.as_slice(), &[5, 0]].concat())), Err("tsp.malformed"));
    for length in 0..answer.len() {
        assert_eq!(judge(&world, &answer[..length]), Err("tsp.malformed"), "{length} bytes");
    }
    // 0x82 length with a leading zero octet: the same value, not the shortest.
    let mut longer = vec![0x30, 0x83, 0];
    longer.extend(&answer[2..]);
    assert_eq!(judge(&world, &longer), Err("tsp.malformed"));
    assert!(judge(&world, b"<html/>").is_err() && judge(&world, &[0x30, 0x80, 0, 0]).is_err());
}

#[test]
fn no_flipped_bit_passes() {
    let world = World::new();
    let token = Stamp::honest(&world).token();
    for (place, bit) in (0..token.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let mut flipped = token.clone();
        flipped[place] ^= 1 << bit;
        assert!(judge(&world, &granted(&flipped)).is_err(), "bit {bit} of byte {place}");
    }
}

#[test]
fn a_unit_may_be_named_by_its_key() {
    let root = Wanted::authority("TSA root", 1).itself();
    let ca = Wanted::authority("TSA CA", 2).by(&root);
    let unit = unit(3).with(extension("2.5.29.14", false, &octets(&[7; 20]))).by(&ca);
    let world = World { root, ca, unit };
    let named = |key: u8, version| {
        verdict(&world, |token| {
            token.signer_id = tlv(0x80, &[&[key; 20]]);
            token.signer_version = version;
        })
    };
    assert_eq!(named(7, 3), Ok(()));
    assert_eq!(named(8, 3), Err("tsp.no-certificate"));
    assert_eq!(named(7, 1), Err("tsp.malformed"));
}
