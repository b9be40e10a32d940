//! ERDS evidence: one honest one of each event, changed in one place each time.

use super::*;
use crate::event::tests::{events, sample, with_token};
use crate::event::{Assurance, Event, Evidence};
use crate::verify::command::{Arguments, run};

fn stamped(house: &House, evidence: &Evidence) -> Vec<u8> {
    with_token(house, evidence, |imprint| house.token(imprint.as_bytes()))
}

/// An evidence on the table of the other proofs.
fn case_in(house: House, evidence: &Evidence) -> Case {
    let xml = stamped(&house, evidence);
    let crls = house.crls(&[]);
    let (seal_anchor, tsa_anchor) = (house.seal_root.pem(), house.tsa_root.pem());
    Case { house, xml, p7s: Vec::new(), crls, documents: Vec::new(), seal_anchor, tsa_anchor, now: NOW + 60 }
}

fn case(evidence: &Evidence) -> Case {
    case_in(House::build(NOW), evidence)
}

fn acceptance() -> Evidence {
    sample(events().remove(0))
}

#[test]
fn every_event_passes_and_says_which() {
    for event in events() {
        let name = event.name();
        let case = case(&sample(event));
        case.passes();
        let report = case.judge();
        let facts = report.facts.as_ref().unwrap();
        assert_eq!(facts.kind, name);
        assert_eq!(facts.time.as_deref(), Some("2026-11-18T11:06:40Z"));
        assert_ne!(facts.event_time, facts.time);
        assert!(facts.recipient.contains("delegate: enterprise 0000000196 (QUAL_SSC)"));
        assert!(report.render().contains("\nNOT PRODUCTION (TST)"));
    }
}

#[test]
fn rsa_passes() {
    case_in(House::build_with(NOW, rsa_2048(), rsa_2048()), &acceptance()).passes();
}

/// One bit of every byte, another of the next.
#[test]
fn no_flipped_byte_passes_of_an_evidence() {
    let honest = case(&acceptance());
    let crls: Vec<_> = honest.crls.iter().map(|der| Crl::from_der(der).unwrap()).collect();
    let anchors = |pem: &[u8]| TrustAnchors::new(Certificate::from_pem(pem).unwrap(), Vec::new());
    let (seal_anchors, tsa_anchors) = (&anchors(&honest.seal_anchor), &anchors(&honest.tsa_anchor));
    let passes = |xml: &[u8]| {
        let (documents, crls, now) = (&[], &crls[..], at(honest.now));
        verify(&Inputs { xml, p7s: &[], documents, crls, seal_anchors, tsa_anchors, log_key: None, now })
            .passed()
    };
    assert!(passes(&honest.xml));
    let taken = |&offset: &usize| passes(&flipped(&honest.xml, offset, 1 << (offset % 8)));
    let taken: Vec<usize> = (0..honest.xml.len()).filter(taken).collect();
    assert!(taken.is_empty(), "{taken:?}");
}

#[test]
fn revocation_and_lists_count_as_for_seals() {
    let mut revoked = case(&acceptance());
    revoked.crls = revoked.house.crls(&[(SEAL_SERIAL, NOW - 100)]);
    revoked.fails(SubIndication::Revoked);
    let mut later = case(&acceptance());
    let list = support::crl(&later.house.seal_ca, NOW + 40, NOW + DAY, &[(SEAL_SERIAL, NOW + 30)]);
    later.crls.push(list);
    later.passes();
    let mut none = case(&acceptance());
    none.crls.clear();
    none.is_unclear(SubIndication::TryLater);
    let mut others = case(&acceptance());
    others.seal_anchor = others.tsa_anchor.clone();
    others.is_unclear(SubIndication::NoCertificateChainFound);
}

#[test]
fn a_stamp_over_something_else_fails() {
    let house = House::build(NOW);
    let xml = with_token(&house, &acceptance(), |_| house.token(&[0; 32]));
    let mut case = case_in(house, &acceptance());
    case.xml = xml;
    case.fails(SubIndication::SigConstraintsFailure);
}

/// Well-formed and in our form, but what is said was changed after it was signed.
#[test]
fn other_words_under_the_same_signature_fail() {
    let mut case = case(&acceptance());
    let text = String::from_utf8(case.xml.clone()).unwrap();
    case.xml = text.replace("ABCDEFGH12345", "ABCDEFGH12346").into_bytes();
    case.fails(SubIndication::HashFailure);
}

#[test]
fn another_certificate_of_the_same_key_fails() {
    let mut case = case(&acceptance());
    let wanted = Wanted {
        common_name: "ePost seal",
        units: &SEAL_UNITS,
        usage: Use::Seal,
        not_before: NOW - DAY,
        not_after: NOW + DAY,
        serial: 1099,
    };
    let twin = issue(&wanted, case.house.seal.key.clone(), Some(&case.house.seal_ca));
    let base64 = |der: &[u8]| xmlsec::base64::encode(der);
    let text = String::from_utf8(case.xml.clone()).unwrap();
    let (from, to) = (base64(&case.house.seal.der()), base64(&twin.der()));
    // In KeyInfo alone, then in the evidence too.
    let at = text.rfind(&from).unwrap();
    case.xml = [&text[..at], &to, &text[at + from.len()..]].concat().into_bytes();
    case.fails(SubIndication::NoSigningCertificateFound);
    case.xml = text.replace(&from, &to).into_bytes();
    case.fails(SubIndication::NoSigningCertificateFound);
}

/// The key's owner leaves out what the core wants: the signature is good, the evidence is not.
#[test]
fn without_its_core_it_fails() {
    let changes: [fn(&mut Evidence); 3] =
        [|e| e.request.recipient = None, |e| e.request.token = None, |e| e.request.parts.clear()];
    for change in changes {
        let mut evidence = acceptance();
        change(&mut evidence);
        case(&evidence).fails(SubIndication::SigConstraintsFailure);
        let mut refused = sample(events().remove(1));
        change(&mut refused);
        case(&refused).passes();
    }
}

#[test]
fn times_out_of_order_fail() {
    let mut evidence = acceptance();
    evidence.event_time = at(NOW + 61);
    case(&evidence).fails(SubIndication::TimestampOrderFailure);
    let submitted = evidence.request.submitted_at.as_second();
    evidence.event_time = at(submitted - 61);
    case(&evidence).fails(SubIndication::TimestampOrderFailure);
    evidence.event_time = at(submitted - 60);
    case(&evidence).passes();
    let mut failed = sample(events().remove(3));
    let tried = |failed: &mut Evidence, seconds: i64| {
        let Event::ContentConsignmentFailure(failure) = &mut failed.event else { panic!("not a failure") };
        failure.attempts[0].at = at(failure.attempts[1].at.as_second() + seconds);
    };
    tried(&mut failed, 60);
    case(&failed).passes();
    tried(&mut failed, 61);
    case(&failed).fails(SubIndication::TimestampOrderFailure);
}

#[test]
fn another_environment_than_the_certificates_fails() {
    for environment in [Environment::Acc, Environment::Prd] {
        let evidence = Evidence { environment, ..acceptance() };
        case(&evidence).fails(SubIndication::SigConstraintsFailure);
    }
}

#[test]
fn documents_are_compared() {
    let mut evidence = acceptance();
    evidence.request.parts[0].digest_value = pki::digest::sha256(LETTER).to_vec();
    let mut case = case(&evidence);
    case.documents = vec![GivenFile::read("letter.pdf", LETTER).unwrap()];
    case.passes();
    case.documents = vec![GivenFile::read("other.pdf", &b"other"[..]).unwrap()];
    case.fails(SubIndication::HashFailure);
}

#[test]
fn saml_is_told_from_x509() {
    let mut evidence = acceptance();
    let method = crate::event::AuthenticationMethod::SamlHolderOfKey;
    evidence.request.assurance = Assurance { method, ..evidence.request.assurance };
    case(&evidence).passes();
}

#[test]
fn on_the_command_line_it_needs_no_signature_beside_it() {
    use clap::Parser;
    let case = case(&acceptance());
    let desk = tempfile::tempdir().unwrap();
    let path = |name: &str| desk.path().join(name).display().to_string();
    let put = |name: &str, bytes: &[u8]| std::fs::write(desk.path().join(name), bytes).unwrap();
    std::fs::create_dir(desk.path().join("crls")).unwrap();
    put("seal.pem", &case.seal_anchor);
    put("tsa.pem", &case.tsa_anchor);
    for (number, crl) in case.crls.iter().enumerate() {
        put(&format!("crls/{number}.crl"), crl);
    }
    let judge = |xml: &[u8]| {
        put("Evidence.xml", xml);
        let words = ["epost-verify", &path("Evidence.xml"), "--json", "--seal-anchors", &path("seal.pem")];
        let rest = ["--tsa-anchors", &path("tsa.pem"), "--crl", &path("crls")];
        let arguments = Arguments::try_parse_from(words.into_iter().chain(rest).map(String::from));
        run(&arguments.unwrap(), at(NOW + 60))
    };
    let answer = judge(&case.xml);
    assert_eq!(answer.exit_code, 0, "{}{}", answer.out, answer.err);
    assert!(answer.out.contains("\"kind\": \"SubmissionAcceptance\""), "{}", answer.out);
    let mut flipped = case.xml.clone();
    flipped[60] ^= 1; // in the root's name
    assert_eq!(judge(&flipped).exit_code, 1);
}
