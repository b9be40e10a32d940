//! What is written is read, and stands in `tests/golden`, where the schema is held against it.

use erds::{
    Beside, ChannelName, Delegate, EboxCheck, EnterpriseNumber, Environment, FaultCode, QualityCode,
    Recipient, Sender, Strictness, Ticket, Token,
};
use jiff::Timestamp;

use super::super::tests::{document, golden, submission};
use super::super::{Operation, ProofAnswer, ReadRules, Request};
use super::*;

fn parse(xml: &str) -> Request {
    let rules = ReadRules { strictness: Strictness::Strict, today: jiff::civil::date(2026, 6, 1) };
    Request::parse(document(xml).root(), &rules).unwrap_or_else(|refusal| panic!("{refusal}: {xml}"))
}

fn refused(xml: &str) -> &'static str {
    let rules = ReadRules { strictness: Strictness::Strict, today: jiff::civil::date(2026, 6, 1) };
    Request::parse(document(xml).root(), &rules).unwrap_err().check
}

#[test]
fn an_item_is_written_and_read_with_its_contents_or_without() {
    let mut item = submission();
    let xml = write_submit_request(&item, &[Some(b"letter"), Some(b""), Some(b"annex 2")], &[]);
    golden("submit-request-citizen.xml", xml.as_bytes());
    let Request::Submit { submission: read, inline, channels } = parse(&xml) else { panic!("{xml}") };
    assert!(read.same_content(&item) && channels.is_empty());
    let ids: Vec<_> = read.parts().map(|part| part.content_id.as_str()).collect();
    assert_eq!(ids, ["inline:1", "inline:2", "inline:3"]);
    let bytes: Vec<_> = inline.iter().map(|content| content.content.bytes.as_slice()).collect();
    assert_eq!(bytes, [b"letter".as_slice(), b"", b"annex 2"]);

    item.recipient = Recipient::Enterprise {
        company: EnterpriseNumber::parse("000000196", Strictness::Strict).unwrap(),
        quality: QualityCode::parse("QUAL_EMP_NOSS").unwrap(),
    };
    item.check = EboxCheck::Activated;
    item.annexes.truncate(1);
    item.annexes[0].content_id = "annex-1@example.org".to_owned();
    let xml = write_submit_request(&item, &[None, Some(b"mixed")], &ChannelName::ALL);
    let Request::Submit { submission: read, inline, channels } = parse(&xml) else { panic!("{xml}") };
    assert_eq!(read.document.content_id, item.document.content_id, "an xop:Include names its part");
    assert_eq!(channels, ChannelName::ALL);
    let in_place = write_submit_request(&item, &[Some(b"letter"), Some(b"annex")], &ChannelName::ALL);
    golden("submit-request-channels.xml", in_place.as_bytes());
    for (to, check) in
        [("EBOX_CITIZEN", "schema.repeated"), ("PAPER", "schema.enumeration"), ("", "schema.enumeration")]
    {
        assert_eq!(refused(&xml.replace(">BATCH<", &format!(">{to}<"))), check, "{to}");
    }
    assert_eq!((read.annexes[0].content_id.as_str(), inline.len()), ("inline:1", 1));
}

#[test]
fn what_is_asked_beside_the_ebox_is_written_and_read() {
    let mut item = submission();
    let company = EnterpriseNumber::parse("000000196", Strictness::Strict).unwrap();
    item.recipient = Recipient::Enterprise {
        company: company.clone(),
        quality: QualityCode::parse("QUAL_EMP_NOSS").unwrap(),
    };
    item.beside = Beside {
        batch: true,
        delegate: Some(Delegate { company, quality: QualityCode::parse("QUAL_SSC").unwrap() }),
        proof_to_mailbox: true,
    };
    let contents = [Some(b"letter".as_slice()), Some(b""), Some(b"annex 2")];
    let channels = [ChannelName::EboxEnterprise, ChannelName::Batch];
    let xml = write_submit_request(&item, &contents, &channels);
    golden("submit-request-beside.xml", xml.as_bytes());
    let beside = |xml: &str| match parse(xml) {
        Request::Submit { submission, .. } => submission.beside,
        other => panic!("{other:?}"),
    };
    assert_eq!(beside(&xml), item.beside);
    for (text, asked) in [("1", true), (" false ", false), ("0", false)] {
        let said = xml.replace(">true</v2:Proof", &format!(">{text}</v2:Proof"));
        assert_eq!(beside(&said).proof_to_mailbox, asked, "{text}");
    }
    for (from, to, check) in [
        (">true</v2:Proof", ">yes</v2:Proof", "schema.enumeration"),
        ("QUAL_SSC", "CITIZEN", "identifier.quality"),
        ("<v2:RecipientsDelegate>", "<v2:RecipientsDelegate/><v2:RecipientsDelegate>", "schema.order"),
    ] {
        let spoilt = xml.replacen(from, to, 1);
        assert_eq!(refused(&spoilt), check, "{to}");
    }
}

#[test]
fn answers_are_written_and_read() {
    let (ticket, token) = (Ticket::parse("0123456789ABC").unwrap(), Token::parse("2026/<1>").unwrap());
    let receipt =
        ProofAnswer { file_name: "Receipt.xml".to_owned(), content: b"<a/>".to_vec(), signature: vec![4; 9] };
    let evidence = super::super::tests::evidence("SubmissionAcceptance");
    let xml = write_submit_response(&ticket, &token, &receipt, &evidence);
    golden("submit-response.xml", xml.as_bytes());
    let read = parse_submit_response(document(&xml).root()).unwrap();
    assert_eq!(read, SubmitReply { ticket, token, receipt, evidence });
    for (from, to) in [("PGEvPg==", "PGIvPg=="), ("PGIvPg==", "PGEvPg==")] {
        let flipped = xml.replace(from, to);
        assert_eq!(parse_submit_response(document(&flipped).root()).unwrap_err().code(), "answer.digest");
    }
}

#[test]
fn a_search_is_written_and_read() {
    let (ticket, token) = (Ticket::parse("0123456789ABC").unwrap(), Token::parse("2026/<1>").unwrap());
    let at = |second| Timestamp::from_second(second).unwrap();
    let received = SearchBy::Received { from: at(1_700_000_000), to: at(1_800_000_000) };
    for (name, by) in [("received", received), ("token", SearchBy::Token(token.clone()))] {
        let search = ItemSearch { by, status: Some(erds::Status::Sent), after: Some(ticket) };
        let xml = write_find_items_request(&search);
        golden(&format!("find-items-request-{name}.xml"), xml.as_bytes());
        assert_eq!(parse(&xml), Request::FindItems(search));
    }
    let item = FoundItem {
        ticket,
        token: Some(token),
        status: erds::Status::Pending,
        received_at: at(1_700_000_000),
    };
    let erased = FoundItem { token: None, ..item.clone() };
    let xml = write_find_items_response(&[item.clone(), erased.clone()], true);
    golden("find-items-response.xml", xml.as_bytes());
    assert_eq!(parse_find_items_response(document(&xml).root()).unwrap(), (vec![item, erased], true));
    for (from, to, code) in [
        ("PENDING", "LOST", "schema.enumeration"),
        (">true<", ">perhaps<", "schema.enumeration"),
        ("<v2:More>", "<v2:Item/><v2:More>", "schema.order"),
        ("FindItemsResponse", "FoundResponse", "answer.element"),
    ] {
        let error = parse_find_items_response(document(&xml.replace(from, to)).root()).unwrap_err();
        assert_eq!(error.code(), code, "{to}");
    }
}

#[test]
fn a_history_is_written_and_read() {
    let ticket = Ticket::parse("0123456789ABC").unwrap();
    let xml = write_get_delivery_history_request(&ticket, 101);
    golden("get-delivery-history-request.xml", xml.as_bytes());
    assert_eq!(parse(&xml), Request::GetDeliveryHistory { ticket, first: 101 });
    let whole = xml.replace("<v2:First>101</v2:First>", "");
    assert_eq!(parse(&whole), Request::GetDeliveryHistory { ticket, first: 1 });
    for (number, check) in [
        ("0", "schema.pattern"),
        ("-1", "schema.pattern"),
        ("", "schema.pattern"),
        ("9223372036854775808", "schema.pattern"),
        ("1</v2:First><v2:First>2", "schema.unexpected"),
        ("<x/>", "schema.text"),
    ] {
        assert_eq!(refused(&xml.replace("101", number)), check, "{number}");
    }
    let last = xml.replace("101", " 9223372036854775807 ");
    assert_eq!(parse(&last), Request::GetDeliveryHistory { ticket, first: i64::MAX.unsigned_abs() });
    assert_eq!(refused(&xml.replace(ticket.as_str(), "0123456789ABI")), "schema.pattern");
    assert_eq!(refused(&xml.replace("v2:Ticket", "v2:Token")), "schema.order");

    let at = |second| Timestamp::from_second(second).unwrap();
    let event = |number, code| DeliveryEvent {
        number,
        at: at(1_700_000_000),
        code,
        source: EventSource::Own,
        channel: None,
        external_id: None,
        attempt: None,
        not_before: None,
        reason: None,
        proof: None,
        folder: None,
    };
    let full = DeliveryEvent {
        source: EventSource::Channel,
        channel: Some(ChannelName::EboxCitizen),
        external_id: Some("<m>".to_owned()),
        attempt: Some(2),
        not_before: Some(at(1_600_000_000)),
        reason: Some("delivery.retry.deadline".to_owned()),
        proof: Some(super::super::ProofKind::Receipt),
        folder: Some("0000000196".to_owned()),
        ..event(12, EventCode::Consigned)
    };
    let events = (1..).zip(EventCode::ALL).map(|(number, code)| event(number, code)).chain([full]).collect();
    let history = DeliveryHistory { ticket, status: erds::Status::Pending, events, more: true };
    let xml = write_get_delivery_history_response(&history);
    golden("get-delivery-history-response.xml", xml.as_bytes());
    assert_eq!(parse_get_delivery_history_response(document(&xml).root()).unwrap(), history);
    for (from, to, code) in [
        ("RECEIVED", "LOST", "schema.enumeration"),
        ("OWN", "NOBODY", "schema.enumeration"),
        (">true<", ">perhaps<", "schema.enumeration"),
        ("2023-11-14T22:13:20Z", "yesterday", "schema.enumeration"),
        ("<v2:Number>1<", "<v2:Number>0<", "schema.pattern"),
    ] {
        let spoilt = xml.replacen(from, to, 1);
        let error = parse_get_delivery_history_response(document(&spoilt).root()).unwrap_err();
        assert_eq!(error.code(), code, "{to}");
    }
}

#[test]
fn a_proof_to_judge_is_written_and_read_within_bounds() {
    let proof = ProofToVerify {
        content: b"<a/>".to_vec(),
        signature: vec![0x30; 9],
        crls: vec![vec![0x30, 0], vec![0x30, 1, 0]],
    };
    let xml = write_verify_proof_request(&proof);
    golden("verify-proof-request.xml", xml.as_bytes());
    assert_eq!(parse(&xml), Request::VerifyProof(proof.clone()));

    let full =
        ProofToVerify { content: vec![1; 1 << 20], signature: vec![2; 1 << 20], crls: vec![vec![3]; 16] };
    assert_eq!(parse(&write_verify_proof_request(&full)), Request::VerifyProof(full.clone()), "the limits");
    for over in [
        ProofToVerify { content: vec![1; (1 << 20) + 1], ..proof.clone() },
        ProofToVerify { signature: vec![1; (1 << 20) + 1], ..proof.clone() },
        ProofToVerify { content: Vec::new(), ..proof.clone() },
        ProofToVerify { crls: vec![Vec::new()], ..proof.clone() },
    ] {
        assert_eq!(refused(&write_verify_proof_request(&over)), "schema.length");
    }
    let evidence = ProofToVerify { signature: Vec::new(), ..proof.clone() };
    let alone = write_verify_proof_request(&evidence);
    golden("verify-proof-request-evidence.xml", alone.as_bytes());
    assert_eq!(parse(&alone), Request::VerifyProof(evidence));
    let empty = alone.replacen("<v2:Crl>", "<v2:Signature></v2:Signature><v2:Crl>", 1);
    assert_eq!(refused(&empty), "schema.length", "left out, or there");
    let over = ProofToVerify { crls: vec![vec![3]; 17], ..proof };
    assert_eq!(refused(&write_verify_proof_request(&over)), "schema.unexpected");
    for (from, to, check) in [
        ("PGEvPg==", "PGEvPg", "schema.base64"),
        ("PGEvPg==", "<x/>", "schema.text"),
        ("v2:Signature>", "v2:Seal>", "schema.unexpected"),
    ] {
        assert_eq!(refused(&xml.replace(from, to)), check, "{to}");
    }
}

#[test]
fn a_verdict_is_written() {
    let check = ProofCheck {
        name: "digest of the proof",
        clause: "EN 319 102-1 5.2.7",
        outcome: "FAILED",
        expected: "SHA-256 00".to_owned(),
        found: "<01>".to_owned(),
        sub_indication: Some("HASH_FAILURE"),
    };
    let plain =
        ProofCheck { outcome: "PASSED", expected: String::new(), sub_indication: None, ..check.clone() };
    let anchor = |purpose| ProofAnchor { purpose, subject: "CN=Root".to_owned(), sha256: [0xCD; 32] };
    let verdict = ProofVerdict {
        indication: "TOTAL-FAILED",
        sub_indication: Some("HASH_FAILURE"),
        checks: vec![check, plain],
        statement: Some("It was handed to ePost.".to_owned()),
        environment: Some("TST"),
        anchors: vec![anchor(AnchorUse::Seal), anchor(AnchorUse::Tsa)],
        judged_at: Timestamp::from_second(1_800_000_000).unwrap(),
    };
    golden("verify-proof-response.xml", write_verify_proof_response(&verdict).as_bytes());
    let unread = ProofVerdict { statement: None, environment: None, checks: Vec::new(), ..verdict };
    golden("verify-proof-response-unread.xml", write_verify_proof_response(&unread).as_bytes());
}

#[test]
fn a_question_about_a_recipient_is_written_and_read() {
    let enterprise = Recipient::Enterprise {
        company: EnterpriseNumber::parse("000000196", Strictness::Strict).unwrap(),
        quality: QualityCode::parse("QUAL_EMP_NOSS").unwrap(),
    };
    for (name, recipient) in [("citizen", submission().recipient), ("enterprise", enterprise)] {
        let xml = write_check_recipient_request(&recipient);
        golden(&format!("check-recipient-request-{name}.xml"), xml.as_bytes());
        assert_eq!(parse(&xml), Request::CheckRecipient { recipient });
    }
    let xml = write_check_recipient_request(&submission().recipient);
    for (from, to, check) in [
        ("00010100173", "00010100174", "identifier.check-digits"),
        ("00010100173", "0001010017", "schema.length"),
        (">CITIZEN<", ">QUAL_EMP_NOSS<", "identifier.quality"),
        ("v2:Citizen>", "v2:Person>", "schema.order"),
        ("</v2:Recipient>", "</v2:Recipient><v2:Recipient/>", "schema.unexpected"),
    ] {
        assert_eq!(refused(&xml.replace(from, to)), check, "{to}");
    }
    let facts = RecipientFacts {
        channel: ChannelName::EboxEnterprise,
        exists: Some(true),
        activated: true,
        preferred: false,
        asked_at: Timestamp::from_second(1_800_000_000).unwrap(),
    };
    golden("check-recipient-response.xml", write_check_recipient_response(&facts).as_bytes());
    let untold = RecipientFacts { exists: None, ..facts };
    golden("check-recipient-response-untold.xml", write_check_recipient_response(&untold).as_bytes());
}

#[test]
fn what_an_integrator_calls_first_is_written_and_read() {
    let xml = write_check_connection_request();
    golden("check-connection-request.xml", xml.as_bytes());
    assert_eq!(parse(&xml), Request::CheckConnection);
    for operation in Operation::ALL {
        let xml = write_check_access_request(operation, Some("LETTER"));
        let document_type = Some("LETTER".to_owned());
        assert_eq!(parse(&xml), Request::CheckAccess { operation, document_type });
    }
    golden("check-access-request.xml", write_check_access_request(Operation::Submit, None).as_bytes());
    let denied = write_check_access_response(Operation::Submit, Some("LETTER"), Some(FaultCode::EpostB08));
    golden("check-access-response.xml", denied.as_bytes());
    let sender = Sender {
        cbe: EnterpriseNumber::parse("0123456749", Strictness::Strict).unwrap(),
        application: erds::ApplicationId::parse("urn:be:example:letters").unwrap(),
        issuing_ca_spki_sha256: [1; 32],
        environment: Environment::Tst,
    };
    let at = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
    let certificate = CertificateFacts { sha256: [0xAB; 32], not_after: at };
    let report = ConnectionReport {
        sender: &sender,
        message_certificate: certificate,
        tls_certificate: certificate,
        through_gateway: true,
        address: [127, 0, 0, 1].into(),
        environment: Environment::Tst,
        received_at: at,
        limits: RequestLimits {
            body_bytes_max: 1,
            root_part_bytes_max: 2,
            part_bytes_max: 3,
            included_bytes_max: 7,
            parts_max: 4,
            timestamp_lifetime_seconds_max: 5,
            clock_skew_seconds_max: 6,
        },
    };
    let xml = write_check_connection_response(&report);
    golden("check-connection-response.xml", xml.as_bytes());
    let answer = ConnectionAnswer {
        company_id: "0123456749".to_owned(),
        application_id: "urn:be:example:letters".to_owned(),
        message_certificate_not_after: at,
        tls_certificate_not_after: at,
        through_gateway: true,
        address: "127.0.0.1".to_owned(),
        environment: "TST".to_owned(),
        received_at: at,
    };
    assert_eq!(parse_check_connection_response(document(&xml).root()).unwrap(), answer);
    for (from, to, code) in [
        (">true<", ">perhaps<", "schema.enumeration"),
        ("Limits>", "Bounds>", "schema.order"),
        ("<v2:Gateway>", "<v2:More/><v2:Gateway>", "schema.order"),
    ] {
        let error = parse_check_connection_response(document(&xml.replace(from, to)).root()).unwrap_err();
        assert_eq!(error.code(), code, "{to}");
    }
}
