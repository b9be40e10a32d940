//! Contract B at the front door: what integrators call first, and what contract A lacks.

use erds::Record;
use soap::message::Operation;
use soap::message::v2;

use crate::house::draft::V2;
use crate::house::{Answered, Draft, House};

/// A request to contract B.
fn asking(payload: String) -> Draft {
    Draft { path: V2, ..Draft::asking(payload) }
}

/// The text of the answer's first element of that name; its signature is checked on the way.
#[track_caller]
fn told(answer: &Answered, name: &str) -> Option<String> {
    assert_eq!(answer.status, 200, "{answer}");
    answer.must_be_signed();
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let (_, rest) = text.split_once(&format!("<v2:{name}>"))?;
    rest.split_once('<').map(|(value, _)| value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_told_who_it_is() {
    let house = House::new().await;
    let alice = epost::dev::pki::SENDERS.iter().find(|sender| sender.name == "alice").unwrap();
    let answer = house.ask(&asking(v2::write_check_connection_request())).await;
    for (name, value) in [
        ("CompanyID", alice.cbe),
        ("ApplicationID", alice.application),
        ("Gateway", "false"),
        ("Address", "127.0.0.1"),
        ("Environment", "TST"),
        ("SoapPartBytesMax", "1048576"),
        ("TimestampSecondsMax", "600"),
    ] {
        assert_eq!(told(&answer, name).as_deref(), Some(value), "{name}: {answer}");
    }
    let records = house.records();
    assert!(
        matches!(&records.last().unwrap().record, Record::Consulted(read) if read.ticket.is_none()
            && read.request.operation == "checkConnection"),
        "the journal has it, as a consultation (E7)"
    );
    assert_eq!(records.len(), 1, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_is_told_and_nothing_is_sent() {
    let house = House::new().await;
    let narrow = crate::house::inside::policy()
        .replace("\"sendDocument\", \"getStatus\", \"getProof\"", "\"sendDocument\"")
        .replace(
            "addresses = [\"127.0.0.1/32\"]",
            "message_types = [\"LETTER\"]\naddresses = [\"127.0.0.1/32\"]",
        );
    house.service.set_policy(uam::PolicyFile::parse(&narrow).unwrap());
    for (operation, document_type, code) in [
        (Operation::SendDocument, Some("LETTER"), None),
        (Operation::SendDocument, Some("INVOICE"), Some("EPOST_B08")),
        (Operation::SendDocument, None, Some("EPOST_B08")),
        (Operation::GetStatus, None, Some("SOA-01002")),
        (Operation::CheckConnection, None, None),
    ] {
        let answer = house.ask(&asking(v2::write_check_access_request(operation, document_type))).await;
        let granted = if code.is_none() { "true" } else { "false" };
        assert_eq!(told(&answer, "Granted").as_deref(), Some(granted), "{operation:?} {document_type:?}");
        assert_eq!(told(&answer, "Code").as_deref(), code, "{operation:?} {document_type:?}");
    }
    let all_read = house.records().iter().all(|stored| matches!(stored.record, Record::Consulted(_)));
    assert!(all_read, "nothing is recorded as sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_grant_is_told_nothing() {
    let house = House::new().await;
    house.service.set_policy(uam::PolicyFile::parse("").unwrap());
    for payload in [
        v2::write_check_connection_request(),
        v2::write_check_access_request(Operation::SendDocument, Some("LETTER")),
    ] {
        let answer = house.ask(&asking(payload)).await;
        assert_eq!(house.verdict(&answer), "SOA-01002 uam.sender");
        answer.must_be_signed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_served_on_its_own_address_alone() {
    let house = House::new().await;
    let misplaced = Draft::asking(v2::write_check_connection_request());
    let answer = house.ask(&misplaced).await;
    assert_eq!(house.verdict(&answer), "SOA-03005 soap.operation.other-contract");
    for (payload, check) in [
        (v2::write_check_connection_request().replace("></", "><x/></"), "schema.unexpected"),
        (
            v2::write_check_access_request(Operation::GetProof, None).replace("getProof", "eraseAll"),
            "schema.enumeration",
        ),
        (v2::write_check_access_request(Operation::GetProof, Some(&"é".repeat(81))), "schema.length"),
    ] {
        let answer = house.ask(&asking(payload)).await;
        assert_eq!(house.verdict(&answer), format!("SOA-03006 {check}"));
    }
}
