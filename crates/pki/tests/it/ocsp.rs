//! RFC 6960, `security.md` row 47: which answers count, and for how long.

use openssl::hash::{MessageDigest, hash};
use pki::crl::{Crl, CrlSet};
use pki::ocsp::{self, OcspResponse, RESPONSE_BYTES_MAX};
use pki::path::{Purpose, Revocation, TrustAnchors};

use crate::kit::*;

const NONCE: &str = "1.3.6.1.5.5.7.48.1.2";
const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";
const SHA1: &str = "1.3.14.3.2.26";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";

struct World {
    root: Party,
    ca: Party,
    leaf: Party,
    other: Party,
}

fn no_check() -> Vec<u8> {
    extension("1.3.6.1.5.5.7.48.1.5", false, &[5, 0])
}

impl World {
    fn new() -> Self {
        let root = Wanted::authority("Root", 1).itself();
        let ca = Wanted::authority("CA", 2).by(&root);
        let (leaf, other) = (Wanted::leaf("Leaf", 3).by(&ca), Wanted::leaf("Other", 4).by(&ca));
        Self { root, ca, leaf, other }
    }

    /// What the responses say of the leaf, beside these lists of its authority.
    fn judge_with(&self, responses: &[Vec<u8>], of_ca: &[Crl]) -> Result<(), &'static str> {
        let responses = responses.iter().map(|der| OcspResponse::from_der(der).unwrap()).collect();
        let lists = [of_ca, &[List::default().by(&self.root)]].concat();
        let data = CrlSet::with_responses(lists, responses);
        let anchors = TrustAnchors::new(vec![self.root.certificate()], vec![self.ca.certificate()]);
        let (leaf, revocation) = (self.leaf.certificate(), Revocation::HardFail(&data));
        let path = anchors.validate(&leaf, &[], revocation, Purpose::MessageSigning, at(NOW));
        let judged = path.map(drop).map_err(|error| error.code());
        println!("verdict: {}", judged.err().unwrap_or("good"));
        judged
    }

    fn judge(&self, responses: &[Vec<u8>]) -> Result<(), &'static str> {
        self.judge_with(responses, &[])
    }

    /// The authority's own answer.
    fn own(&self, said: Said) -> Vec<u8> {
        self.by(&self.ca, &[], said)
    }

    fn by(&self, signer: &Party, certificates: &[&Party], said: Said) -> Vec<u8> {
        said.der(self, signer, certificates)
    }
}

fn time(second: i64) -> Vec<u8> {
    tlv(0x18, &[at(second).strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()])
}

fn good() -> Vec<u8> {
    vec![0x80, 0]
}

fn revoked() -> Vec<u8> {
    tlv(0xa1, &[&time(NOW - DAY), &tlv(0xa0, &[&[0x0a, 1, 1]])])
}

fn unknown() -> Vec<u8> {
    vec![0x82, 0]
}

/// A response, before it is signed.
struct Said {
    status: Vec<u8>,
    /// Also of the other one.
    also: Option<Vec<u8>>,
    this_update: i64,
    next_update: Option<i64>,
    produced_at: i64,
    digest: &'static str,
    /// Whose name and key are hashed; none: the authority's.
    of_root: bool,
    by_key: bool,
    nonce: Option<Vec<u8>>,
    extension: Option<Vec<u8>>,
}

impl Said {
    fn new(status: Vec<u8>) -> Self {
        Self {
            status,
            also: None,
            this_update: NOW - 60,
            next_update: Some(NOW + 3600),
            produced_at: NOW - 60,
            digest: SHA1,
            of_root: false,
            by_key: false,
            nonce: None,
            extension: None,
        }
    }

    fn basic(&self, world: &World, signer: &Party, certificates: &[&Party]) -> Vec<u8> {
        let digest = if self.digest == SHA256 { MessageDigest::sha256() } else { MessageDigest::sha1() };
        let issuer = if self.of_root { &world.root } else { &world.ca };
        let of = |bytes: &[u8]| octets(&hash(digest, bytes).unwrap());
        let algorithm_of_id = seq(&[&oid(self.digest), &[5, 0]]);
        let single = |party: &Party, status: &[u8]| {
            let id = seq(&[&algorithm_of_id, &of(&issuer.name), &of(&key_bits(issuer)), &party.serial]);
            let next = self.next_update.map(|next| tlv(0xa0, &[&time(next)])).unwrap_or_default();
            seq(&[&id, status, &time(self.this_update), &next])
        };
        let mut singles = single(&world.leaf, &self.status);
        if let Some(also) = &self.also {
            singles.extend(single(&world.other, also));
        }
        let responder = if self.by_key {
            tlv(0xa2, &[&octets(&hash(MessageDigest::sha1(), &key_bits(signer)).unwrap())])
        } else {
            tlv(0xa1, &[&signer.name])
        };
        let nonce = self.nonce.as_ref().map(|nonce| extension(NONCE, false, &octets(nonce)));
        let extensions = [nonce, self.extension.clone()].into_iter().flatten().collect::<Vec<_>>().concat();
        let extensions = if extensions.is_empty() { extensions } else { tlv(0xa1, &[&seq(&[&extensions])]) };
        let data = seq(&[&responder, &time(self.produced_at), &seq(&[&singles]), &extensions]);
        let signature = sign(&signer.key, MessageDigest::sha256(), &data);
        let certificates: Vec<u8> = certificates.iter().flat_map(|one| one.der.clone()).collect();
        let certificates =
            if certificates.is_empty() { certificates } else { tlv(0xa0, &[&seq(&[&certificates])]) };
        seq(&[&data, &algorithm(&signer.key, MessageDigest::sha256()), &bits(&signature), &certificates])
    }

    fn der(&self, world: &World, signer: &Party, certificates: &[&Party]) -> Vec<u8> {
        let basic = self.basic(world, signer, certificates);
        let typed = seq(&[&oid("1.3.6.1.5.5.7.48.1.1"), &octets(&basic)]);
        seq(&[&[0x0a, 1, 0], &tlv(0xa0, &[&typed])])
    }
}

/// The bits of a party's key, as OCSP hashes them.
fn key_bits(party: &Party) -> Vec<u8> {
    let certificate = openssl::x509::X509::from_der(&party.der).unwrap();
    let key = certificate.public_key().unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let key = key.ec_key().unwrap();
    let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
    key.public_key().to_bytes(key.group(), form, &mut context).unwrap()
}

#[test]
fn row_47_an_answer_of_the_authority_counts() {
    let world = World::new();
    let said = |status| world.own(Said::new(status));
    let is_revoked = Err("path.revoked");
    assert_eq!(world.judge(&[]), Err("path.crl-missing"), "hard fail");
    assert_eq!(world.judge(&[said(good())]), Ok(()));
    assert_eq!(world.judge(&[said(revoked())]), is_revoked);
    assert_eq!(world.judge(&[said(unknown())]), Err("path.status-unknown"), "unknown is not good");
    assert_eq!(world.judge(&[world.own(Said { by_key: true, ..Said::new(good()) })]), Ok(()));
    assert_eq!(world.judge(&[world.own(Said { digest: SHA256, ..Said::new(good()) })]), Ok(()));
    let both = Said { also: Some(revoked()), ..Said::new(good()) };
    assert_eq!(world.judge(&[world.own(both)]), Ok(()), "the other one is revoked");
    // OpenSSL reads the same of it.
    let theirs = openssl::ocsp::OcspResponse::from_der(&said(good())).unwrap().basic().unwrap();
    let x509 = |party: &Party| openssl::x509::X509::from_der(&party.der).unwrap();
    let (leaf, ca) = (x509(&world.leaf), x509(&world.ca));
    let id = openssl::ocsp::OcspCertId::from_cert(MessageDigest::sha1(), &leaf, &ca).unwrap();
    assert_eq!(theirs.find_status(&id).unwrap().status, openssl::ocsp::OcspCertStatus::GOOD);

    // Beside lists: revoked by either, good by either.
    let lists = [List::default().by(&world.ca)];
    let naming = [List::revoking(&world.leaf).by(&world.ca)];
    assert_eq!(world.judge_with(&[said(revoked())], &lists), is_revoked);
    assert_eq!(world.judge_with(&[said(good())], &naming), is_revoked);
    assert_eq!(world.judge_with(&[said(unknown())], &lists), Err("path.status-unknown"));
    let ended = Said { next_update: Some(NOW - 1), ..Said::new(good()) };
    assert_eq!(world.judge_with(&[world.own(ended)], &lists), Ok(()));
}

#[test]
fn row_47_only_a_fresh_answer_counts_and_the_freshest_wins() {
    let world = World::new();
    let stale = Err("path.crl-stale");
    let one = |change: fn(&mut Said)| {
        let mut said = Said::new(good());
        change(&mut said);
        world.judge(&[world.own(said)])
    };
    assert_eq!(one(|said| said.next_update = Some(NOW)), Ok(()), "to its last second");
    assert_eq!(one(|said| said.next_update = Some(NOW - 1)), stale);
    assert_eq!(one(|said| said.next_update = None), stale, "without end");
    assert_eq!(one(|said| said.this_update = NOW), Ok(()));
    assert_eq!(one(|said| said.this_update = NOW + 1), stale, "to come");
    assert_eq!(one(|said| said.produced_at = NOW + 1), stale, "made in the future");
    let made = |status, this_update| world.own(Said { this_update, ..Said::new(status) });
    let (old, new) = (NOW - 600, NOW - 60);
    assert_eq!(world.judge(&[made(revoked(), old), made(good(), new)]), Ok(()), "no longer on hold");
    assert_eq!(world.judge(&[made(revoked(), new), made(good(), old)]), Err("path.revoked"));
    assert_eq!(
        world.judge(&[made(good(), new), made(revoked(), new)]),
        Err("path.revoked"),
        "of two as fresh"
    );
}

#[test]
fn row_47_nobody_else_answers() {
    let world = World::new();
    let none = Err("path.crl-missing");
    let ask =
        |signer: &Party, carried: &[&Party]| world.judge(&[world.by(signer, carried, Said::new(good()))]);
    let wanted = |extensions: Vec<Vec<u8>>| Wanted::new("Responder", 9, extensions);
    let honest = || wanted(vec![usage(SIGN), eku(false, &[OCSP_SIGNING]), no_check()]);
    let delegate = honest().by(&world.ca);
    assert_eq!(ask(&delegate, &[&delegate]), Ok(()), "whom the authority named for it");
    assert_eq!(ask(&delegate, &[]), none, "its certificate is not there");
    let cases = [
        ("without the usage", wanted(vec![usage(SIGN), no_check()]).by(&world.ca)),
        (
            "for something else",
            wanted(vec![usage(SIGN), eku(false, &[CLIENT_AUTH]), no_check()]).by(&world.ca),
        ),
        (
            "whose revocation would have to be asked",
            wanted(vec![usage(SIGN), eku(false, &[OCSP_SIGNING])]).by(&world.ca),
        ),
        (
            "that may not sign",
            wanted(vec![usage(ENCIPHER), eku(false, &[OCSP_SIGNING]), no_check()]).by(&world.ca),
        ),
        ("that is an authority itself", honest().with(basic(true, None)).by(&world.ca)),
        ("of the authority above", honest().by(&world.root)),
        ("of its own making", honest().itself()),
        ("of the authority's namesake", honest().by(&Wanted::authority("CA", 2).itself())),
        ("that ended", honest().days(-5, -1).by(&world.ca)),
        ("that has not begun", honest().days(1, 5).by(&world.ca)),
        ("with a weak key", honest().issue(rsa(1024), Some(&world.ca))),
        ("issued with SHA-1", Wanted { digest: MessageDigest::sha1(), ..honest() }.by(&world.ca)),
    ];
    for (case, signer) in cases {
        assert_eq!(ask(&signer, &[&signer]), none, "{case}");
    }
    assert_eq!(ask(&world.leaf, &[&world.leaf]), none, "the certificate itself");
    assert_eq!(ask(&Wanted::authority("CA", 2).itself(), &[]), none, "another key under the same name");
    let of_root = Said { of_root: true, ..Said::new(good()) };
    assert_eq!(world.judge(&[world.own(of_root)]), none, "another CertID");
    let mut forged = world.own(Said::new(revoked()));
    let place = forged.windows(2).position(|pair| pair == [0x0a, 1]).unwrap();
    assert_eq!(forged[place + 2], 0);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_ne!(world.judge(&[forged]), Err("path.revoked"), "a signature that is not its");
}

#[test]
fn row_47_what_is_no_answer_is_not_held() {
    let world = World::new();
    let code = |der: &[u8]| {
        let read = OcspResponse::from_der(der).map(drop).map_err(|error| error.code());
        println!("verdict: {}", read.err().unwrap_or("read"));
        read
    };
    for status in [1, 2, 3, 5, 6] {
        assert_eq!(code(&seq(&[&[0x0a, 1, status]])), Err("ocsp.not-successful"), "{status}");
    }
    let honest = world.own(Said::new(good()));
    assert_eq!(code(&honest), Ok(()));
    for length in 0..honest.len() {
        assert_eq!(code(&honest[..length]), Err("ocsp.malformed"), "{length} bytes");
    }
    assert_eq!(code(&[honest.as_slice(), &[0]].concat()), Err("ocsp.malformed"), "a byte after it");
    let critical =
        |value| Said { extension: Some(extension("1.2.3.4", value, &[5, 0])), ..Said::new(good()) };
    assert_eq!(code(&world.own(critical(true))), Err("ocsp.extension"));
    assert_eq!(code(&world.own(critical(false))), Ok(()));
    let twice = World { other: Wanted::leaf("Other", 3).by(&world.ca), ..World::new() };
    let both = Said { also: Some(revoked()), ..Said::new(good()) };
    assert_eq!(code(&twice.own(both)), Err("ocsp.malformed"), "good and revoked together");
    let filled = |bytes: usize| {
        let with = |padding: usize| {
            let filler = extension("1.2.3.4", false, &octets(&vec![7; padding]));
            world.own(Said { extension: Some(filler), ..Said::new(good()) })
        };
        let mut padding = bytes - 600;
        // Made once a round: its signature's length varies.
        loop {
            let made = with(padding);
            match bytes.checked_sub(made.len()) {
                Some(missing) if missing > 0 => padding += missing,
                _ => return made,
            }
        }
    };
    // An ECDSA value varies by a few bytes: some of these are of the wished length.
    let exactly = |bytes: usize| (0..64).map(|_| filled(bytes)).find(|der| der.len() == bytes).unwrap();
    assert_eq!(code(&exactly(RESPONSE_BYTES_MAX - 1)), Ok(()));
    assert_eq!(code(&vec![0x30; RESPONSE_BYTES_MAX]), Err("ocsp.malformed"), "read, at the limit");
    assert_eq!(code(&vec![0x30; RESPONSE_BYTES_MAX + 1]), Err("ocsp.size"));
}

#[test]
fn row_47_the_question_is_one_that_openssl_reads_and_the_nonce_binds_the_answer() {
    let world = World::new();
    let nonce = [7; 32];
    let request = ocsp::request_der(&world.leaf.certificate(), &world.ca.certificate(), &nonce).unwrap();
    let theirs = openssl::ocsp::OcspRequest::from_der(&request).unwrap();
    assert_eq!(theirs.to_der().unwrap(), request);
    let name = hash(MessageDigest::sha1(), &world.ca.name).unwrap();
    for wanted in [&name[..], &hash(MessageDigest::sha1(), &key_bits(&world.ca)).unwrap(), &nonce] {
        assert!(request.windows(wanted.len()).any(|window| window == wanted));
    }
    let answer = |nonce: Option<&[u8]>| {
        let said = Said { nonce: nonce.map(<[u8]>::to_vec), ..Said::new(good()) };
        let response = OcspResponse::from_der(&world.own(said)).unwrap();
        let (leaf, ca) = (world.leaf.certificate(), world.ca.certificate());
        let told = response.check(&leaf, &ca, &[7; 32], at(NOW)).map_err(|error| error.code());
        println!("verdict: {}", told.err().unwrap_or("good"));
        told
    };
    assert_eq!(answer(Some(&nonce)), Ok(()));
    assert_eq!(answer(Some(&[8; 32])), Err("ocsp.nonce"));
    assert_eq!(answer(Some(&nonce[..31])), Err("ocsp.nonce"));
    assert_eq!(answer(None), Ok(()), "made ahead");
}

#[test]
fn a_remembered_path_ends_with_the_answer() {
    let world = World::new();
    let answer = OcspResponse::from_der(&world.own(Said::new(good()))).unwrap();
    let endless = List { next_update: Some(NOW + 100 * DAY), ..List::default() };
    let data = CrlSet::with_responses(vec![endless.by(&world.root)], vec![answer]);
    let anchors = TrustAnchors::new(vec![world.root.certificate()], vec![world.ca.certificate()]);
    let leaf = world.leaf.certificate();
    let judge = |second: i64| {
        let revocation = Revocation::HardFail(&data);
        anchors.validate(&leaf, &[], revocation, Purpose::MessageSigning, at(second)).map_err(|e| e.code())
    };
    let (first, last) = (judge(NOW).unwrap(), judge(NOW + 3600).unwrap());
    assert!(std::ptr::eq(first.chain().as_ptr(), last.chain().as_ptr()));
    assert_eq!(judge(NOW + 3601).map(drop), Err("path.crl-stale"));
}
