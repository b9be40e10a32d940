use super::*;
use crate::environment::Environment;
use crate::identifier::{ApplicationId, EnterpriseNumber, Strictness};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn ticket() -> Ticket {
    Ticket::parse("0123456789ABC").unwrap()
}

fn sender() -> Sender {
    Sender {
        cbe: EnterpriseNumber::parse("0123456749", Strictness::Strict).unwrap(),
        application: ApplicationId::parse("urn:be:example:institution:letters").unwrap(),
        issuing_ca_spki_sha256: [1; 32],
        environment: Environment::Tst,
    }
}

fn request() -> RequestFacts {
    RequestFacts {
        request_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        received_at: at(0),
        operation: "sendDocument".to_owned(),
        sender: sender(),
        message_certificate: Hex32([2; 32]),
        tls_certificate: Some(Hex32([2; 32])),
        peer_address: "127.0.0.1".to_owned(),
        asserted_address: Some("10.0.0.7".to_owned()),
        soap_digest: Hex32([3; 32]),
        submission_key: Hex32([4; 32]),
        signed_info: "a".repeat(1800),
        signature_value: "b".repeat(344),
        signature_algorithm: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256".to_owned(),
        decision: DecisionFacts {
            grant_reference: "deliberation 13/116".to_owned(),
            policy_digest: Hex32([5; 32]),
            grant: Some("letters".to_owned()),
            program_number: Some("P-17".to_owned()),
            decision_id: None,
        },
    }
}

fn one_of_each() -> Vec<Record> {
    let channel = ChannelName::EboxCitizen;
    let part =
        |name: &str| PartFacts { name: name.to_owned(), length_bytes: 1, ciphertext_sha256: Hex32([6; 32]) };
    let digest = Hex32([8; 32]);
    let key = "e2a7b8b0-0000-5000-8000-000000000000".to_owned();
    let tsa = "tsa-1".to_owned();
    vec![
        Record::Received(Received {
            ticket: ticket(),
            request: request(),
            token_key: Some(Hex32([7; 32])),
            content_digest: digest,
            channel,
            folder: Some(EnterpriseNumber::parse("0123456749", Strictness::Strict).unwrap()),
            proof_to_mailbox: true,
            checks: vec![CheckFacts { name: "malware".to_owned(), outcome: "not scanned".to_owned() }],
            parts: vec![part("document"), part("annex-1"), part("soap")],
        }),
        Record::Refused(Refused {
            request_id: "id".to_owned(),
            received_at: at(1),
            code: FaultCode::Soa03006,
            check: "schema.order".to_owned(),
            operation: Some("sendDocument".to_owned()),
            sender: Some(sender()),
            tls_certificate: Some(digest),
            message_certificate: None,
            peer_address: "::1".to_owned(),
            asserted_address: None,
            seen: "x".to_owned(),
            expected: "y".to_owned(),
            remedy: "z".to_owned(),
            soap_digest: Some(digest),
            submission_key: None,
        }),
        Record::Accepted(Accepted {
            ticket: ticket(),
            at: at(2),
            received_position: 0,
            received_at: at(0),
            receipt_xml_sha256: digest,
            receipt_p7s_sha256: digest,
            channel,
            tsa: tsa.clone(),
            gen_time: at(2),
            evidence: Some(evidence()),
        }),
        Record::Withdrawn(Withdrawn {
            ticket: ticket(),
            at: at(3),
            received_position: 0,
            reason: "tsa.unavailable".to_owned(),
        }),
        Record::Attempted(Attempted {
            ticket: ticket(),
            at: at(4),
            channel,
            attempt: 1,
            idempotency_key: key.clone(),
            outcome: "http.503".to_owned(),
            next_at: at(64),
        }),
        Record::Consigned(Consigned {
            ticket: ticket(),
            consigned_at: at(5),
            channel,
            attempt: 2,
            idempotency_key: key,
            message_id: "42".to_owned(),
            answer_digest: digest,
            no_digital_user: true,
            expires_at: None,
        }),
        Record::ConsignmentFailed(ConsignmentFailed {
            ticket: ticket(),
            at: at(6),
            channel,
            attempts: 3,
            reason: "INVALID_INPUT".to_owned(),
        }),
        Record::Dispatched(Dispatched {
            ticket: ticket(),
            at: at(7),
            channel,
            consigned_position: 5,
            proof_xml_sha256: digest,
            proof_p7s_sha256: digest,
            tsa,
            gen_time: at(7),
        }),
        Record::Accessed(Accessed { ticket: ticket(), at: at(8), channel, not_before: Some(at(7)) }),
        Record::ExpiredUnread(ExpiredUnread { ticket: ticket(), at: at(9), channel }),
        Record::HandedOver(HandedOver {
            ticket: ticket(),
            at: at(9),
            channel: ChannelName::Batch,
            certificate: digest,
            content_sha256: digest,
        }),
        Record::Evidenced(Evidenced {
            ticket: ticket(),
            at: at(9),
            event: "ContentConsignmentFailure".to_owned(),
            of_position: 6,
            evidence: evidence(),
        }),
        Record::Packaged(Packaged {
            ticket: ticket(),
            at: at(9),
            proof: "DISPATCH".to_owned(),
            of_positions: vec![0, 5],
            dispatched_position: Some(6),
            with_request: true,
            sha256: digest,
            tsa: "tsa".to_owned(),
            gen_time: at(9),
        }),
        Record::Removed(Removed { ticket: ticket(), at: at(9), file: FolderFile::Go, certificate: digest }),
        Record::Consulted(Consulted {
            request: request(),
            ticket: Some(ticket()),
            answer: "OK".to_owned(),
            proof: Some("RECEIPT".to_owned()),
        }),
        Record::Control(Control {
            at: at(10),
            action: "service.started".to_owned(),
            ticket: None,
            detail: "0.1.0".to_owned(),
        }),
        Record::Erased(erased(1)),
    ]
}

fn evidence() -> EvidenceFacts {
    EvidenceFacts { sha256: Hex32([8; 32]), tsa: "tsa-1".to_owned(), gen_time: at(2) }
}

fn erased(tickets: usize) -> Erased {
    Erased {
        at: at(11),
        act: u64::MAX,
        by: Some(Hex32([9; 32])),
        of: "consultation".to_owned(),
        class: "transaction".to_owned(),
        term_days: u32::MAX,
        ended_by: at(10),
        tickets: vec![ticket(); tickets],
    }
}

#[test]
fn an_erasure_of_the_most_tickets_fits_and_concerns_each() {
    let record = Record::Erased(erased(ERASED_TICKETS_MAX));
    assert!(record.to_json().is_ok());
    assert!(record.concerns(ticket()) && !record.concerns(Ticket::parse("0000000000000").unwrap()));
}

#[test]
fn every_kind_is_written_and_read() {
    for record in one_of_each() {
        let json = record.to_json().unwrap();
        assert!(json.len() <= 4096, "{} has {} bytes", record.kind(), json.len());
        assert!(json.starts_with(format!("{{\"kind\":\"{}\"", record.kind()).as_bytes()));
        assert_eq!(Record::from_json(&json).unwrap(), record);
        assert!(record.at() >= at(0));
    }
}

#[test]
fn an_acceptance_without_evidence_is_written_as_before_there_was_any() {
    let accepted = one_of_each().into_iter().find_map(|record| match record {
        Record::Accepted(accepted) => Some(Record::Accepted(Accepted { evidence: None, ..accepted })),
        _ => None,
    });
    let json = String::from_utf8(accepted.unwrap().to_json().unwrap()).unwrap();
    assert!(!json.contains("evidence"), "{json}");
}

#[test]
fn tickets_are_found() {
    for record in one_of_each() {
        let expected = !matches!(record, Record::Refused(_) | Record::Control(_) | Record::Erased(_));
        assert_eq!(record.ticket().is_some(), expected, "{}", record.kind());
    }
}

#[test]
fn what_is_unknown_is_an_error() {
    for json in ["", "{}", "[]", r#"{"kind":"returned","ticket":"0123456789ABC"}"#, r#"{"kind":"control"}"#] {
        assert_eq!(Record::from_json(json.as_bytes()).unwrap_err().code(), "record.unknown", "{json}");
    }
    let large = vec![b' '; RECORD_BYTES_MAX + 1];
    assert_eq!(Record::from_json(&large).unwrap_err().code(), "record.too-large");
}

#[test]
fn what_is_too_large_is_not_written() {
    let record = |length| {
        Record::Control(Control {
            at: at(0),
            action: "a".to_owned(),
            ticket: None,
            detail: "x".repeat(length),
        })
    };
    let spare = RECORD_BYTES_MAX - record(0).to_json().unwrap().len();
    assert_eq!(record(spare).to_json().unwrap().len(), RECORD_BYTES_MAX);
    assert_eq!(record(spare + 1).to_json().unwrap_err().code(), "record.too-large");
}

#[test]
fn outside_text_stays_on_one_line() {
    assert_eq!(bounded("a\r\n\u{1b}[0m\u{202E}b\u{0}\\"), r"a\r\n\u{1b}[0m\u{202e}b\u{0}\\");
    assert_eq!(bounded(&"é".repeat(499)), "é".repeat(499));
    assert_eq!(bounded(&"é".repeat(600)).chars().count(), 500);
}

#[test]
fn hex_is_exact() {
    assert_eq!(Hex32::from_hex(&"0A".repeat(32)), Some(Hex32([10; 32])));
    assert_eq!(Hex32::from_hex(&"0a".repeat(31)), None);
    assert_eq!(Hex32::from_hex(&"+1".repeat(32)), None);
    assert_eq!(Hex32([10; 32]).to_hex(), "0a".repeat(32));
}
