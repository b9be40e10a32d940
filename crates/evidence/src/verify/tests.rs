//! One honest proof, changed in one place each time. A test names the lie and the verdict that it must get.

#[path = "../../tests/support/mod.rs"]
pub(crate) mod support;

#[path = "../../tests/support/sealing.rs"]
pub(crate) mod sealing;

mod command;
mod enveloped;

use erds::Environment;
use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::crl::Crl;
use pki::path::TrustAnchors;
use pki::signer::FileSigner;

use super::{CLOCK_SKEW_SECONDS_MAX, GivenFile, Indication, Inputs, Outcome, Report, SubIndication, verify};
use crate::description::{
    FileDescription, FileDigestMethod, ItemDescription, RecipientDescription, SenderDescription,
};
use crate::dispatch::{DispatchDescription, ProofOfDispatchContent};
use crate::receipt::ReceiptContent;
use crate::seal::form::SealForm;
use support::{DAY, House, SEAL_SERIAL, SEAL_UNITS, TSA_SERIAL, Token, Use, Wanted, issue, p256, rsa_2048};

const NOW: i64 = 1_795_000_000;
const LETTER: &[u8] = b"%PDF-1.7 a letter";

fn item() -> ItemDescription {
    ItemDescription {
        ticket: "ABCDEFGH12345".to_owned(),
        token: "order 66 <&>".to_owned(),
        recipient: RecipientDescription::Citizen {
            inss: "85073003328".to_owned(),
            quality_code: "CITIZEN".to_owned(),
        },
        sender: SenderDescription {
            company_id: "0206731645".to_owned(),
            application_id: "urn:be:test".to_owned(),
        },
        document: FileDescription {
            title: "A letter".to_owned(),
            digest_method: FileDigestMethod::Sha256,
            digest_value: pki::digest::sha256(LETTER).to_vec(),
            download_file_name: "letter.pdf".to_owned(),
            mime: Some("application/pdf".to_owned()),
            document_type: "LETTER".to_owned(),
            language: Some("nl".to_owned()),
        },
        annexes: vec![FileDescription {
            title: "An annex".to_owned(),
            digest_method: FileDigestMethod::Sha512,
            digest_value: vec![5; 64],
            download_file_name: "annex.csv".to_owned(),
            mime: None,
            document_type: "ANNEX".to_owned(),
            language: None,
        }],
    }
}

fn receipt() -> ReceiptContent {
    ReceiptContent { environment: Environment::Tst, item: item() }
}

fn proof_of_dispatch() -> ProofOfDispatchContent {
    ProofOfDispatchContent {
        environment: Environment::Tst,
        item: item(),
        dispatch: DispatchDescription {
            channel: erds::ChannelName::EboxCitizen,
            message_id: "f3b1".to_owned(),
            received_at: at(NOW - 20),
            consigned_at: at(NOW - 10),
            answer_sha256: [7; 32],
        },
    }
}

/// A proof on a table, with all that the judge needs; a test changes one thing.
struct Case {
    house: House,
    xml: Vec<u8>,
    p7s: Vec<u8>,
    crls: Vec<Vec<u8>>,
    documents: Vec<GivenFile>,
    seal_anchor: Vec<u8>,
    tsa_anchor: Vec<u8>,
    now: i64,
}

impl Case {
    fn honest() -> Self {
        Self::of(House::build(NOW), receipt().to_xml())
    }

    fn of(house: House, xml: Vec<u8>) -> Self {
        let form = signed(&house, &xml);
        let token = house.token(&pki::digest::sha256(&form.signature));
        let p7s = SealForm { token: Some(token), ..form }.encode();
        let crls = house.crls(&[]);
        let (seal_anchor, tsa_anchor) = (house.seal_root.pem(), house.tsa_root.pem());
        Self { house, xml, p7s, crls, documents: Vec::new(), seal_anchor, tsa_anchor, now: NOW + 60 }
    }

    /// The same seal with another token.
    fn with_token(mut self, token: impl FnOnce(&House, Token) -> Vec<u8>) -> Self {
        let form = SealForm::decode(&self.p7s).unwrap();
        let imprint = pki::digest::sha256(&form.signature);
        let honest = Token::honest(&self.house.tsa, &[&self.house.tsa_ca], &imprint, NOW);
        let token = token(&self.house, honest);
        self.p7s = SealForm { token: Some(token), ..form }.encode();
        self
    }

    fn with_form(mut self, change: impl FnOnce(&mut SealForm)) -> Self {
        let mut form = SealForm::decode(&self.p7s).unwrap();
        change(&mut form);
        self.p7s = form.encode();
        self
    }

    fn judge(&self) -> Report {
        let crls: Vec<_> = self.crls.iter().map(|der| Crl::from_der(der).unwrap()).collect();
        let anchors = |pem: &[u8]| TrustAnchors::new(Certificate::from_pem(pem).unwrap(), Vec::new());
        verify(&Inputs {
            xml: &self.xml,
            p7s: &self.p7s,
            documents: &self.documents,
            crls: &crls,
            seal_anchors: &anchors(&self.seal_anchor),
            tsa_anchors: &anchors(&self.tsa_anchor),
            log_key: None,
            now: at(self.now),
        })
    }

    #[track_caller]
    fn is(&self, indication: Indication, sub_indication: Option<SubIndication>) {
        let report = self.judge();
        let verdict = (report.indication, report.sub_indication);
        assert_eq!(verdict, (indication, sub_indication), "{}", report.render());
    }

    #[track_caller]
    fn passes(&self) {
        self.is(Indication::TotalPassed, None);
    }

    #[track_caller]
    fn fails(&self, why: SubIndication) {
        self.is(Indication::TotalFailed, Some(why));
    }

    #[track_caller]
    fn is_unclear(&self, why: SubIndication) {
        self.is(Indication::Indeterminate, Some(why));
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What `seal` makes before the stamp.
fn signed(house: &House, xml: &[u8]) -> SealForm {
    let signer = FileSigner::from_pem(&house.seal.key_pem(), &house.seal_chain_pem()).unwrap();
    crate::seal::sign(xml, &signer, at(house.now)).unwrap().into_form()
}

#[test]
fn honest_receipt_passes() {
    let case = Case::honest();
    case.passes();
    let facts = case.judge().facts.unwrap();
    assert_eq!(facts.kind, "RECEIPT");
    assert_eq!(facts.environment, "TST");
    assert_eq!(facts.time.as_deref(), Some("2026-11-18T11:06:40Z"));
    let text = case.judge().render();
    assert!(text.contains("\nNOT PRODUCTION (TST)"), "{text}");
    assert!(text.contains("HANDED TO ePost"), "{text}");
}

#[test]
fn honest_proof_of_dispatch_passes() {
    let case = Case::of(House::build(NOW), proof_of_dispatch().to_xml());
    case.passes();
    assert_eq!(case.judge().facts.unwrap().kind, "PROOF_OF_DISPATCH");
    assert!(case.judge().render().contains("IN THE BOX"));
}

#[test]
fn rsa_seal_and_rsa_stamp_pass() {
    Case::of(House::build_with(NOW, rsa_2048(), rsa_2048()), receipt().to_xml()).passes();
}

#[test]
fn content_is_read_back_as_written() {
    assert_eq!(ReceiptContent::parse(&receipt().to_xml()).unwrap(), receipt());
    assert_eq!(ProofOfDispatchContent::parse(&proof_of_dispatch().to_xml()).unwrap(), proof_of_dispatch());
    let production = ReceiptContent { environment: Environment::Prd, item: item() };
    assert_eq!(ReceiptContent::parse(&production.to_xml()).unwrap(), production);
    assert!(!String::from_utf8(production.to_xml()).unwrap().contains("NOT PRODUCTION"));
}

#[test]
fn no_flipped_bit_passes_of_a_receipt() {
    refuses_every_flip(&Case::honest());
}

#[test]
fn no_flipped_bit_passes_of_a_proof_of_dispatch() {
    refuses_every_flip(&Case::of(
        House::build_with(NOW, rsa_2048(), rsa_2048()),
        proof_of_dispatch().to_xml(),
    ));
}

/// Bits 0 and 7 of every byte of both files: none of these thousands of pairs may pass.
#[track_caller]
fn refuses_every_flip(case: &Case) {
    let crls: Vec<_> = case.crls.iter().map(|der| Crl::from_der(der).unwrap()).collect();
    let anchors = |pem: &[u8]| TrustAnchors::new(Certificate::from_pem(pem).unwrap(), Vec::new());
    let (seal_anchors, tsa_anchors) = (anchors(&case.seal_anchor), anchors(&case.tsa_anchor));
    let passes = |xml: &[u8], p7s: &[u8]| {
        let (documents, crls, now) = (&[], &crls[..], at(case.now));
        let (seal_anchors, tsa_anchors) = (&seal_anchors, &tsa_anchors);
        verify(&Inputs { xml, p7s, documents, crls, seal_anchors, tsa_anchors, log_key: None, now }).passed()
    };
    assert!(passes(&case.xml, &case.p7s));
    let mut taken = Vec::new();
    for mask in [0x01, 0x80] {
        let in_xml = |&offset: &usize| passes(&flipped(&case.xml, offset, mask), &case.p7s);
        taken.extend((0..case.xml.len()).filter(in_xml).map(|offset| ("xml", offset, mask)));
        let in_p7s = |&offset: &usize| passes(&case.xml, &flipped(&case.p7s, offset, mask));
        taken.extend((0..case.p7s.len()).filter(in_p7s).map(|offset| ("p7s", offset, mask)));
    }
    assert_eq!(taken, [], "{}", super::hex(&case.p7s));
}

fn flipped(bytes: &[u8], offset: usize, mask: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[offset] ^= mask;
    changed
}

#[test]
fn cut_or_lengthened_files_fail() {
    let mut case = Case::honest();
    case.p7s.push(0);
    case.fails(SubIndication::FormatFailure);
    let mut case = Case::honest();
    case.p7s.truncate(100);
    case.fails(SubIndication::FormatFailure);
    let mut case = Case::honest();
    case.p7s.clear();
    case.fails(SubIndication::FormatFailure);
    let mut case = Case::honest();
    case.xml.push(b'\n');
    case.fails(SubIndication::HashFailure);
}

#[test]
fn without_revocation_lists_it_is_unclear() {
    let mut case = Case::honest();
    case.crls.clear();
    case.is_unclear(SubIndication::TryLater);
}

#[test]
fn stale_revocation_lists_are_unclear() {
    let mut case = Case::honest();
    let house = &case.house;
    case.crls = [&house.seal_root, &house.seal_ca, &house.tsa_root, &house.tsa_ca]
        .map(|issuer| support::crl(issuer, NOW - 20 * DAY, NOW - 10 * DAY, &[]))
        .to_vec();
    case.is_unclear(SubIndication::TryLater);
}

#[test]
fn lists_of_the_day_of_the_seal_serve_for_years() {
    let mut case = Case::honest();
    case.now = NOW + 900 * DAY;
    case.passes();
}

#[test]
fn revoked_seal_fails() {
    let mut case = Case::honest();
    case.crls = case.house.crls(&[(SEAL_SERIAL, NOW - 100)]);
    case.fails(SubIndication::Revoked);
}

#[test]
fn seal_revoked_after_its_stamp_still_passes() {
    let mut case = Case::honest();
    let house = &case.house;
    case.crls.push(support::crl(&house.seal_ca, NOW + 40, NOW + DAY, &[(SEAL_SERIAL, NOW + 30)]));
    case.passes();
}

#[test]
fn a_later_list_that_knows_an_earlier_revocation_counts() {
    let mut case = Case::honest();
    let house = &case.house;
    case.crls.push(support::crl(&house.seal_ca, NOW + 40, NOW + DAY, &[(SEAL_SERIAL, NOW - 100)]));
    case.fails(SubIndication::Revoked);
}

#[test]
fn revoked_intermediate_fails() {
    let mut case = Case::honest();
    case.crls = case.house.crls(&[(1002, NOW - 100)]);
    case.fails(SubIndication::Revoked);
}

#[test]
fn revoked_authority_fails_and_later_revoked_is_unclear() {
    let mut case = Case::honest();
    case.crls = case.house.crls(&[(TSA_SERIAL, NOW - 100)]);
    case.fails(SubIndication::Revoked);
    let mut case = Case::honest();
    case.crls.push(support::crl(&case.house.tsa_ca, NOW + 40, NOW + DAY, &[(TSA_SERIAL, NOW + 30)]));
    case.is_unclear(SubIndication::RevokedNoPoe);
}

#[test]
fn expired_authority_is_unclear() {
    let mut case = Case::honest();
    case.now = NOW + 1001 * DAY;
    case.is_unclear(SubIndication::OutOfBoundsNoPoe);
}

#[test]
fn other_anchors_are_unclear() {
    let mut case = Case::honest();
    case.seal_anchor = case.house.tsa_root.pem();
    case.is_unclear(SubIndication::NoCertificateChainFound);
    let mut case = Case::honest();
    case.tsa_anchor = case.house.seal_root.pem();
    case.is_unclear(SubIndication::NoCertificateChainFound);
}

#[test]
fn seal_with_its_root_inside_fails() {
    let case = Case::honest();
    let root = case.house.seal_root.der();
    let case = case.with_form(|form| {
        form.certificates.push(root);
        form.certificates.sort();
    });
    case.fails(SubIndication::FormatFailure);
}

#[test]
fn seal_with_a_strange_certificate_inside_fails() {
    let case = Case::honest();
    let stranger = case.house.tsa.der();
    let case = case.with_form(|form| {
        form.certificates.push(stranger);
        form.certificates.sort();
    });
    case.fails(SubIndication::FormatFailure);
}

#[test]
fn another_certificate_named_by_the_signed_attributes_fails() {
    Case::honest()
        .with_form(|form| form.certificate_sha256 = [9; 32])
        .fails(SubIndication::NoSigningCertificateFound);
}

#[test]
fn changed_signing_time_fails() {
    Case::honest().with_form(|form| form.signing_time = at(NOW - 5)).fails(SubIndication::SigCryptoFailure);
}

#[test]
fn signed_after_its_stamp_fails() {
    let house = House::build(NOW);
    let xml = receipt().to_xml();
    let mut case = Case::of(house, xml);
    case = case.with_token(|house, honest| Token { gen_time: NOW - 3600, ..honest }.sign(&house.tsa));
    case.fails(SubIndication::TimestampOrderFailure);
}

#[test]
fn stamp_from_the_future_fails() {
    let mut case = Case::honest()
        .with_token(|house, honest| Token { gen_time: NOW + 2 * 3600, ..honest }.sign(&house.tsa));
    case.now = NOW;
    case.fails(SubIndication::TimestampOrderFailure);
}

#[test]
fn stamp_over_something_else_fails() {
    Case::honest()
        .with_token(|house, honest| Token { imprint: vec![1; 32], ..honest }.sign(&house.tsa))
        .fails(SubIndication::SigConstraintsFailure);
}

#[test]
fn stamp_by_a_certificate_for_something_else_fails() {
    let case = Case::honest().with_token(|house, honest| {
        let wanted = Wanted {
            common_name: "Not a TSA",
            units: &[],
            usage: Use::TlsServer,
            not_before: NOW - DAY,
            not_after: NOW + DAY,
            serial: 2009,
        };
        let other = issue(&wanted, p256(), Some(&house.tsa_ca));
        Token::honest(&other, &[&house.tsa_ca], &honest.imprint, NOW).sign(&other)
    });
    assert_eq!(case.judge().indication, Indication::TotalFailed, "{}", case.judge().render());
}

#[test]
fn stamp_that_names_another_certificate_fails() {
    Case::honest()
        .with_token(|house, honest| {
            Token { named_certificate: house.tsa_ca.der(), ..honest }.sign(&house.tsa)
        })
        .fails(SubIndication::SigConstraintsFailure);
}

#[test]
fn stamp_with_unsigned_attributes_fails() {
    let case = Case::honest().with_token(|house, honest| {
        let attribute = support::attribute(&support::oid(&[1, 2, 3, 4]), &support::integer(1));
        let unsigned_attributes = support::encode(0xa1, &[&attribute]);
        Token { unsigned_attributes, ..honest }.sign(&house.tsa)
    });
    assert_eq!(case.judge().indication, Indication::TotalFailed, "{}", case.judge().render());
}

#[test]
fn stamp_with_a_strange_certificate_inside_fails() {
    let case = Case::honest().with_token(|house, mut honest| {
        honest.certificates.push(house.seal.der());
        honest.sign(&house.tsa)
    });
    assert_eq!(case.judge().indication, Indication::TotalFailed, "{}", case.judge().render());
}

#[test]
fn seal_by_a_certificate_for_something_else_fails() {
    let mut house = House::build(NOW);
    let wanted = Wanted {
        common_name: "A server",
        units: &SEAL_UNITS,
        usage: Use::TlsServer,
        not_before: NOW - DAY,
        not_after: NOW + DAY,
        serial: 1009,
    };
    house.seal = issue(&wanted, p256(), Some(&house.seal_ca));
    Case::of(house, receipt().to_xml()).fails(SubIndication::ChainConstraintsFailure);
}

#[test]
fn seal_made_after_its_certificate_expired_fails() {
    let mut house = House::build(NOW);
    let wanted = Wanted {
        common_name: "Old seal",
        units: &SEAL_UNITS,
        usage: Use::Seal,
        not_before: NOW - 50 * DAY,
        not_after: NOW - DAY,
        serial: 1010,
    };
    house.seal = issue(&wanted, p256(), Some(&house.seal_ca));
    Case::of(house, receipt().to_xml()).fails(SubIndication::Expired);
}

#[test]
fn a_proof_that_hides_its_environment_fails() {
    let hidden = ReceiptContent { environment: Environment::Prd, item: item() };
    Case::of(House::build(NOW), hidden.to_xml()).fails(SubIndication::SigConstraintsFailure);
}

#[test]
fn sealed_bytes_that_are_no_proof_fail() {
    for xml in [
        &b"<a/>"[..],
        b"not XML",
        b"<ReceiptContent xmlns=\"http://socialsecurity.be/registeredmail/types/v1\"/>",
    ] {
        Case::of(House::build(NOW), xml.to_vec()).fails(SubIndication::SigConstraintsFailure);
    }
}

#[test]
fn dispatch_before_reception_fails() {
    let mut proof = proof_of_dispatch();
    // A clock that was set right meanwhile contradicts nothing.
    proof.dispatch.received_at = at(proof.dispatch.consigned_at.as_second() + CLOCK_SKEW_SECONDS_MAX);
    Case::of(House::build(NOW), proof.to_xml()).passes();
    proof.dispatch.received_at = at(proof.dispatch.consigned_at.as_second() + CLOCK_SKEW_SECONDS_MAX + 1);
    Case::of(House::build(NOW), proof.to_xml()).fails(SubIndication::TimestampOrderFailure);
}

#[test]
fn the_document_sent_passes_and_another_fails() {
    let mut case = Case::honest();
    case.documents = vec![GivenFile::read("letter.pdf", LETTER).unwrap()];
    case.passes();
    let files = case.judge().facts.unwrap().files;
    assert_eq!(files.iter().map(|file| file.given).collect::<Vec<_>>(), [Some(true), Some(false)]);
    case.documents = vec![GivenFile::read("letter.pdf", &b"%PDF-1.7 another letter"[..]).unwrap()];
    case.fails(SubIndication::HashFailure);
}

#[test]
fn a_file_not_given_is_said_to_be_absent() {
    let absent = Case::honest().judge().checks.iter().filter(|check| check.outcome == Outcome::Noted).count();
    assert_eq!(absent, 2);
}

/// For the interop script, which has the schemas: writes the two proofs where `EPOST_PROOFS_DIR` says.
#[test]
fn proofs_for_the_schema_judge() {
    let Some(directory) = std::env::var_os("EPOST_PROOFS_DIR").map(std::path::PathBuf::from) else { return };
    std::fs::write(directory.join("Receipt.xml"), receipt().to_xml()).unwrap();
    std::fs::write(directory.join("ProofOfDispatch.xml"), proof_of_dispatch().to_xml()).unwrap();
}

/// A token by an authority that nobody here wrote; where there is no `openssl` command, the interop script still asks.
#[test]
fn stamp_by_openssl_passes() {
    let desk = tempfile::tempdir().unwrap();
    let file = |name: &str| desk.path().join(name).display().to_string();
    let openssl = |words: &[&str]| {
        std::process::Command::new("openssl")
            .current_dir(desk.path())
            .args(words)
            .output()
            .is_ok_and(|o| o.status.success())
    };
    let now = Timestamp::now().as_second();
    let case = Case::of(House::build(now - 60), receipt().to_xml());
    let write = |name: &str, bytes: &[u8]| std::fs::write(file(name), bytes).unwrap();
    write("tsa.key", &case.house.tsa.key_pem());
    write("tsa.pem", &case.house.tsa.pem());
    write("chain.pem", &case.house.tsa_ca.pem());
    write("serial", b"01");
    write(
        "tsa.cnf",
        b"[tsa]\ndefault_tsa=t\n[t]\nserial=serial\ncrypto_device=builtin\nsigner_cert=tsa.pem\ncerts=chain.pem\n\
          signer_key=tsa.key\nsigner_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256\naccuracy=secs:1\n\
          ordering=yes\ntsa_name=yes\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n",
    );
    let signature = SealForm::decode(&case.p7s).unwrap().signature;
    write("data", &signature);
    let query = ["ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query"];
    let reply = ["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-token_out", "-out", "token"];
    if !openssl(&query) || !openssl(&reply) {
        eprintln!("skipped: no openssl command that makes time-stamps");
        return;
    }
    let token = std::fs::read(file("token")).unwrap();
    let mut case = case.with_token(|_, _| token);
    case.now = now + 5;
    case.passes();
}
