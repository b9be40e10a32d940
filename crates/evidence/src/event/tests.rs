//! What is written is read back, and is its own canonical form.

mod sealing;

use pki::certificate::Certificate;
use pki::signer::FileSigner;

use super::*;
use crate::description::FileDigestMethod;
use crate::schema::ProofReadError;
use crate::seal::{SealError, Stampable as _};
use crate::verify::tests::support::House;

pub(crate) const NOW: i64 = 1_795_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn part(title: &str, digest_method: FileDigestMethod, document_type: &str) -> FileDescription {
    FileDescription {
        title: title.to_owned(),
        digest_method,
        digest_value: vec![9; digest_method.length_bytes()],
        download_file_name: "letter.pdf".to_owned(),
        mime: (document_type != ANNEX_TYPE).then(|| "application/pdf".to_owned()),
        document_type: document_type.to_owned(),
        language: (document_type != ANNEX_TYPE).then(|| "nl".to_owned()),
    }
}

/// An honest evidence of that event.
pub(crate) fn sample(event: Event) -> Evidence {
    let submitted = matches!(event, Event::SubmissionAcceptance(_) | Event::SubmissionRejection(_));
    let request_entry = LogEntry { index: 17, leaf_hash: [3; 32] };
    Evidence {
        environment: Environment::Tst,
        event_time: at(if submitted { NOW - 30 } else { NOW - 10 }),
        event,
        policies: vec!["urn:example:policy".to_owned()],
        request: RequestDescription {
            message_identifier: "ABCDEFGH12345".to_owned(),
            token: Some("order 66 <&>\"'\r\n\t".to_owned()),
            sender: SenderDescription {
                company_id: "0206731645".to_owned(),
                application_id: "urn:be:test".to_owned(),
            },
            assurance: Assurance { method: AuthenticationMethod::X509, at: at(NOW - 30) },
            recipient: Some(RecipientDescription::Enterprise {
                company_id: "0123456749".to_owned(),
                quality_code: "QUAL_EMP_NOSS".to_owned(),
            }),
            delegate: Some(DelegateDescription {
                company_id: "0000000196".to_owned(),
                quality_code: "QUAL_SSC".to_owned(),
            }),
            submitted_at: at(NOW - 30),
            parts: vec![
                part("A letter", FileDigestMethod::Sha256, "LETTER"),
                part("An annex", FileDigestMethod::Sha512, ANNEX_TYPE),
            ],
        },
        log_origin: "example.org/log".to_owned(),
        request_entry,
        event_entry: if submitted { request_entry } else { LogEntry { index: 18, leaf_hash: [4; 32] } },
    }
}

/// One of each event.
pub(crate) fn events() -> Vec<Event> {
    let channel = ChannelName::EboxEnterprise;
    vec![
        Event::SubmissionAcceptance(Acceptance {
            soap_sha256: [1; 32],
            message_certificate_sha256: [2; 32],
            tls_certificate_sha256: Some([5; 32]),
            checks: vec![CheckDescription { name: "malware".to_owned(), outcome: "not scanned".to_owned() }],
        }),
        Event::SubmissionRejection(Rejection {
            code: "EPOST_B04".to_owned(),
            check: "token.reused".to_owned(),
            detail: "The Token was used for other content.".to_owned(),
            remedy: "Choose another Token.".to_owned(),
        }),
        Event::ContentConsignment(Consignment {
            channel,
            message_id: "f3b1".to_owned(),
            answer_sha256: [6; 32],
            no_digital_user: true,
        }),
        Event::ContentConsignmentFailure(ConsignmentFailure {
            channel,
            reason: "INVALID INPUT é".to_owned(),
            attempts: vec![
                Attempt { at: at(NOW - 25), outcome: "http.503".to_owned() },
                Attempt { at: at(NOW - 10), outcome: "INVALID INPUT é".to_owned() },
            ],
            next_channel: Some(ChannelName::Batch),
        }),
        Event::ContentAccessTracking(Access { channel, not_before: Some(at(NOW - 20)) }),
        Event::ContentHandover(Handover {
            channel: ChannelName::Batch,
            certificate_sha256: [7; 32],
            content_sha256: [8; 32],
        }),
        Event::ContentHandoverFailure(Unopened { channel, kept_until: Some(at(NOW - 20)) }),
    ]
}

fn signer(house: &House) -> FileSigner {
    FileSigner::from_pem(&house.seal.key_pem(), &house.seal_chain_pem()).unwrap()
}

fn issuer(house: &House) -> Certificate {
    Certificate::from_der(&house.seal.der()).unwrap()
}

/// The file with the token that is given, whatever it is.
pub(crate) fn with_token(
    house: &House,
    evidence: &Evidence,
    token: impl FnOnce(&pki::digest::Digest) -> Vec<u8>,
) -> Vec<u8> {
    let signed = crate::event::sealing::sign(evidence, &signer(house), at(NOW)).unwrap();
    let token = token(&signed.signature_digest());
    signed.into_xml_with(token)
}

#[test]
fn what_is_written_is_read_back() {
    let house = House::build(NOW);
    let mut kinds = events();
    kinds.push(Event::ContentAccessTracking(Access { channel: ChannelName::EboxCitizen, not_before: None }));
    kinds.push(Event::ContentHandoverFailure(Unopened {
        channel: ChannelName::EboxCitizen,
        kept_until: None,
    }));
    for event in kinds {
        let evidence = sample(event);
        let xml = with_token(&house, &evidence, |_| vec![0x30, 0]);
        assert_eq!(Evidence::parse(&xml).unwrap(), evidence);
    }
    let mut bare = sample(events().remove(1));
    bare.request.recipient = None;
    bare.request.delegate = None;
    bare.request.parts.clear();
    let xml = with_token(&house, &bare, |_| vec![0x30, 0]);
    assert_eq!(Evidence::parse(&xml).unwrap(), bare);
    bare.request.token = None;
    bare.environment = Environment::Prd;
    let xml = with_token(&house, &bare, |_| vec![0x30, 0]);
    assert_eq!(Evidence::parse(&xml).unwrap(), bare);
    assert!(!String::from_utf8(xml).unwrap().contains("NOT PRODUCTION"));
}

/// What the signature is over is what the general canonicaliser makes of the file.
#[test]
fn what_is_written_is_canonical() {
    use xmlsec::c14n::{Method, canonicalize, canonicalize_without};
    let house = House::build(NOW);
    for event in events() {
        let evidence = sample(event);
        let unsigned = write::write(&evidence, &issuer(&house));
        let xml = with_token(&house, &evidence, |_| vec![0x30, 0]);
        let document = xmlsec::Document::parse(xml, &xmlsec::Limits::default()).unwrap();
        let signature = document.root().child(xmlsec::namespace::DS, "Signature").unwrap();
        let mut canonical = Vec::new();
        canonicalize_without(document.root(), signature, &Method::exclusive(), &mut canonical).unwrap();
        assert_eq!(String::from_utf8(canonical), String::from_utf8(unsigned.canonical()));
        let value = signature.child(xmlsec::namespace::DS, "SignatureValue").unwrap();
        let mut canonical = Vec::new();
        canonicalize(value, &Method::exclusive(), &mut canonical).unwrap();
        let signed = signed::Signed::read(&document).unwrap();
        assert_eq!(
            pki::digest::Digest::of(pki::digest::DigestAlgorithm::Sha256, &canonical),
            signed.form.imprint()
        );
    }
}

#[test]
fn another_way_of_writing_is_refused() {
    let house = House::build(NOW);
    let xml = with_token(&house, &sample(events().remove(0)), |_| vec![0x30, 0]);
    let text = String::from_utf8(xml).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        assert!(Evidence::parse(changed.as_bytes()).is_err(), "{to}");
    };
    for (from, to) in [
        ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- -->"),
        ("Id=\"evidence\" version=\"EN319522v1.2.1\"", "version=\"EN319522v1.2.1\" Id=\"evidence\""),
        ("\n  <EventTime>", "\n   <EventTime>"),
        ("<EventTime>", "<EventTime >"),
        ("NOT PRODUCTION", "PRODUCTION"),
        ("HANDED TO ePost", "READ BY ITS RECIPIENT"),
        ("<erds:ERDSEventId>", "<erds:ERDSEventId x=\"\">"),
        ("</ds:X509Data>", "</ds:X509Data><ds:X509Data></ds:X509Data>"),
        ("</ds:Object>", "</ds:Object><ds:Object></ds:Object>"),
        (
            "</erds:Evidence>",
            "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/></erds:Evidence>",
        ),
        ("-A.1-17<", "-A.1-18<"),
    ] {
        refused(from, to);
    }
    assert!(matches!(
        Evidence::parse(text.replace("-A.1-17<", "-A.1-18<").as_bytes()),
        Err(ProofReadError::Form)
    ));
}

#[test]
fn texts_beyond_their_lengths_are_never_signed() {
    let house = House::build(NOW);
    let long = |at_most: usize| "x".repeat(at_most);
    let with = |name: String| {
        let mut evidence = sample(events().remove(0));
        evidence.request.message_identifier = name;
        crate::event::sealing::sign(&evidence, &signer(&house), at(NOW)).map(drop)
    };
    assert!(with(long(100)).is_ok());
    assert!(matches!(with(long(101)), Err(SealError::Evidence(ProofReadError::Value { .. }))));
}

#[test]
fn policies_and_attempts_are_bounded() {
    let house = House::build(NOW);
    let policies = |count: usize| {
        let mut evidence = sample(events().remove(0));
        evidence.policies = vec!["urn:example:policy".to_owned(); count];
        crate::event::sealing::sign(&evidence, &signer(&house), at(NOW)).is_ok()
    };
    assert_eq!([0, 1, 8, 9].map(policies), [false, true, true, false]);
    let attempts = |count: usize| {
        let attempts = vec![Attempt { at: at(NOW - 20), outcome: "http.503".to_owned() }; count];
        let failure = ConsignmentFailure {
            channel: ChannelName::EboxCitizen,
            reason: "deadline".to_owned(),
            attempts,
            next_channel: None,
        };
        let evidence = sample(Event::ContentConsignmentFailure(failure));
        crate::event::sealing::sign(&evidence, &signer(&house), at(NOW)).is_ok()
    };
    assert_eq!([1000, 1001].map(attempts), [true, false]);
}

#[test]
fn every_statement_says_its_own_fact() {
    let words = [
        "HANDED TO",
        "REFUSED",
        "IN THE BOX",
        "did NOT place",
        "OPENED",
        "TAKEN OUT",
        "NOT REPORTED AS OPENED",
    ];
    for (event, said) in events().into_iter().zip(words) {
        let statement = sample(event).statement();
        assert!(statement.contains(said), "{statement}");
    }
}
