//! Time-stamp tokens, certificates, revocation lists, proofs and their seals.

use std::collections::HashSet;
use std::sync::LazyLock;

use evidence::verify::{Inputs, verify};
use evidence::{ProofOfDispatchContent, ReceiptContent};
use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::crl::{Crl, CrlSet};
use pki::digest::Digest;
use pki::ocsp::OcspResponse;
use pki::path::{Purpose, Revocation, TrustAnchors};
use pki::tsp::{self, TimeStampToken, TokenChecks};

use crate::Codes;
use crate::files::{anchors, certificate, known, read};
use crate::xml::split_line;

/// When the proof was stamped, seconds since 1970.
pub const STAMPED_AT: i64 = 1_800_000_000;
/// The nonce that was sent.
pub const NONCE: [u8; 8] = [0x41, 2, 3, 4, 5, 6, 7, 8];
/// The nonce that an OCSP responder was sent.
pub const OCSP_NONCE: [u8; 32] = [9; 32];
/// The authority's policy.
pub const POLICY: &str = "1.3.6.1.4.1.99999.1";
const DAY: i64 = 86_400;

struct Proof {
    xml: Vec<u8>,
    p7s: Vec<u8>,
    imprint: Digest,
    current: Vec<Crl>,
    /// Lists that revoke seal and authority from before the stamp, and from after it.
    revoking: Vec<Crl>,
    revoking_later: Vec<Crl>,
    seal_anchors: TrustAnchors,
    tsa_anchors: TrustAnchors,
    /// The seal's certificate, of the second list's authority.
    seal: Certificate,
    seal_ca: Certificate,
    /// What the authority stated, certificates and lists that were issued: nothing else may pass.
    stated: HashSet<String>,
}

fn lists(name: &str) -> Vec<Crl> {
    (0..4).map(|n| Crl::from_der(&read(&format!("proof/{name}-{n}.crl"))).expect("a list")).collect()
}

static PROOF: LazyLock<Proof> = LazyLock::new(|| {
    let token = TimeStampToken::from_der(&read("proof/token.der")).expect("the token");
    Proof {
        xml: read("proof/proof.xml"),
        p7s: read("proof/proof.p7s"),
        imprint: token.tst_info().imprint.clone(),
        current: lists("current"),
        revoking: lists("revoking"),
        revoking_later: lists("later"),
        seal_anchors: anchors("proof/seal-root.der", &["proof/seal-ca.der"]),
        tsa_anchors: anchors("proof/tsa-root.der", &[]),
        seal: certificate("proof/seal.der"),
        seal_ca: certificate("proof/seal-ca.der"),
        stated: known("proof/stated.txt"),
    }
});

/// How something is judged: one letter a change.
struct Setting<'a> {
    letters: &'a [u8],
    lists: Vec<Crl>,
    at: Timestamp,
}

impl<'a> Setting<'a> {
    fn new(proof: &Proof, letters: &'a [u8]) -> Self {
        let has = |letter: &u8| letters.contains(letter);
        let mut lists = match () {
            () if has(&b'0') => Vec::new(),
            () if has(&b'R') => proof.revoking.clone(),
            () => proof.current.clone(),
        };
        if has(&b'A') {
            lists.extend(proof.revoking_later.iter().cloned());
        }
        let after = match () {
            () if has(&b'e') => -200 * DAY,
            () if has(&b'b') => -120,
            () if has(&b'l') => 40 * DAY,
            () if has(&b'L') => 1001 * DAY,
            () => 60,
        };
        Self { letters, lists, at: Timestamp::from_second(STAMPED_AT + after).expect("an instant") }
    }

    fn has(&self, letter: u8) -> bool {
        self.letters.contains(&letter)
    }

    /// `o`: the anchors of the other hierarchy.
    fn anchors(&self, proof: &'a Proof) -> (&'a TrustAnchors, &'a TrustAnchors) {
        let (seal, tsa) = (&proof.seal_anchors, &proof.tsa_anchors);
        if self.has(b'o') { (tsa, seal) } else { (seal, tsa) }
    }
}

/// Letters, a line's end, bytes. The first letter says what the bytes are: a response (`r`), a token (`t`), a seal of the
/// proof (`s`), a proof under the seal (`x`), a certificate (`c`), the same in PEM (`p`), a revocation list (`l`), an OCSP response
/// (`o`); the others how it is judged. No token passes but with what the authority stated, and no seal or proof but the very one.
pub fn cms_tsp(data: &[u8]) -> Codes {
    let (letters, bytes) = split_line(data);
    let Some((kind, letters)) = letters.split_first() else { return Codes::new() };
    let proof = &*PROOF;
    let setting = Setting::new(proof, letters);
    match kind {
        b'r' => match tsp::parse_response(bytes) {
            Ok(token) => judge(proof, &setting, &token),
            Err(error) => vec![error.code()],
        },
        b't' => match TimeStampToken::from_der(bytes) {
            Ok(token) => judge(proof, &setting, &token),
            Err(error) => vec![error.code()],
        },
        b's' => seal(proof, &setting, &proof.xml, bytes),
        b'x' => seal(proof, &setting, bytes, &proof.p7s),
        b'c' => match Certificate::from_der(bytes) {
            Ok(certificate) => path(proof, &setting, &certificate),
            Err(error) => vec![error.code()],
        },
        b'p' => match Certificate::from_pem(bytes) {
            Ok(certificates) => certificates.iter().flat_map(|one| path(proof, &setting, one)).collect(),
            Err(error) => vec![error.code()],
        },
        b'l' => list(proof, bytes),
        b'o' => answer(proof, &setting, bytes),
        _ => Codes::new(),
    }
}

/// What a token says, as one line: the list of what was stated is made of these.
pub fn statement(token: &TimeStampToken) -> String {
    let said = token.tst_info();
    format!("{} {} {:?} {} {:?}", said.policy, said.imprint.to_hex(), said.serial, said.gen_time, said.nonce)
}

fn judge(proof: &Proof, setting: &Setting<'_>, token: &TimeStampToken) -> Codes {
    let lists = CrlSet::new(setting.lists.clone());
    let window = [-60, 60].map(|s| Timestamp::from_second(STAMPED_AT + s).expect("an instant"));
    let checks = TokenChecks {
        imprint: &proof.imprint,
        nonce: (!setting.has(b'n')).then_some(&NONCE),
        policies: &[POLICY.to_owned()],
        anchors: setting.anchors(proof).1,
        revocation: if setting.has(b'N') { Revocation::NotChecked } else { Revocation::HardFail(&lists) },
        gen_time_window: (!setting.has(b'w')).then_some((window[0], window[1])),
        at: setting.at,
    };
    match tsp::check(token, &checks) {
        Ok(checked) => {
            let line = statement(checked.token());
            assert!(proof.stated.contains(&line), "passed, and never stated: {line}");
            Codes::new()
        }
        Err(error) => vec![error.code()],
    }
}

/// A certificate's path: none but those that were issued lead to the anchor.
fn path(proof: &Proof, setting: &Setting<'_>, certificate: &Certificate) -> Codes {
    let lists = CrlSet::new(setting.lists.clone());
    let revocation = if setting.has(b'N') { Revocation::NotChecked } else { Revocation::HardFail(&lists) };
    let anchors = setting.anchors(proof).0;
    match anchors.validate(certificate, &[], revocation, Purpose::Sealing, setting.at) {
        Ok(_) => {
            let line = crate::files::sha256_hex(certificate.der());
            assert!(proof.stated.contains(&line), "a path for a certificate that was never issued: {line}");
            Codes::new()
        }
        Err(error) => vec![error.code()],
    }
}

/// A list that is read, in the place of the authority's current ones: the token passes with the honest lists alone.
fn list(proof: &Proof, bytes: &[u8]) -> Codes {
    let list = match Crl::from_der(bytes) {
        Ok(list) => list,
        Err(error) => return vec![error.code()],
    };
    let known = proof.stated.contains(&crate::files::sha256_hex(list.der()));
    let mut setting = Setting::new(proof, b"");
    setting.lists.pop(); // the issuing authority's
    setting.lists.push(list);
    let codes =
        judge(proof, &setting, &TimeStampToken::from_der(&read("proof/token.der")).expect("the token"));
    assert!(
        known || !codes.is_empty(),
        "a list that was never issued answered for the authority's certificate"
    );
    codes
}

/// An OCSP response in the place of the list for the seal's certificate.
fn answer(proof: &Proof, setting: &Setting<'_>, bytes: &[u8]) -> Codes {
    let response = match OcspResponse::from_der(bytes) {
        Ok(response) => response,
        Err(error) => return vec![error.code()],
    };
    if let Err(error) = response.check(&proof.seal, &proof.seal_ca, &OCSP_NONCE, setting.at) {
        return vec![error.code()];
    }
    let known = proof.stated.contains(&crate::files::sha256_hex(response.der()));
    let mut lists = setting.lists.clone();
    lists.drain(1..2.min(lists.len())); // the seal's authority's
    let data = CrlSet::with_responses(lists, vec![response]);
    let revocation = Revocation::HardFail(&data);
    match proof.seal_anchors.validate(&proof.seal, &[], revocation, Purpose::Sealing, setting.at) {
        Ok(_) => {
            assert!(known, "an answer that was never given answered for the seal's certificate");
            Codes::new()
        }
        Err(error) => vec![error.code()],
    }
}

fn seal(proof: &Proof, setting: &Setting<'_>, xml: &[u8], p7s: &[u8]) -> Codes {
    let (seal_anchors, tsa_anchors) = setting.anchors(proof);
    let (documents, crls) = (&[], &setting.lists);
    let report = verify(&Inputs {
        xml,
        p7s,
        documents,
        crls,
        seal_anchors,
        tsa_anchors,
        log_key: None,
        now: setting.at,
    });
    assert!(!report.render().is_empty());
    let same = xml == proof.xml && p7s == proof.p7s;
    assert!(same || !report.passed(), "a proof that was never made:\n{}", report.render());
    let mut codes: Codes =
        report.checks.iter().filter_map(|check| check.sub_indication).map(|sub| sub.as_str()).collect();
    codes.extend(ReceiptContent::parse(xml).err().map(|error| error.code()));
    codes.extend(ProofOfDispatchContent::parse(xml).err().map(|error| error.code()));
    if let Ok(receipt) = ReceiptContent::parse(xml) {
        assert_eq!(ReceiptContent::parse(&receipt.to_xml()).ok().as_ref(), Some(&receipt), "read again");
    }
    if let Ok(proof) = ProofOfDispatchContent::parse(xml) {
        assert_eq!(ProofOfDispatchContent::parse(&proof.to_xml()).ok().as_ref(), Some(&proof), "read again");
    }
    codes
}
