use erds::record::{Consulted, Control, DecisionFacts, Hex32, Refused, RequestFacts};
use erds::{FaultCode, Sender};

use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

fn day() -> Period {
    Period::of_day("2026-11-20".parse().unwrap()).unwrap()
}

fn sender(application: &str) -> Sender {
    Sender::from_names(
        &["urn:be:fgov:kbo-bce:organization:cbe-number:0123456749", "TST"],
        &[application],
        [0; 32],
    )
    .unwrap()
}

fn act(at: Timestamp, action: &str) -> Record {
    Record::Control(Control { at, action: action.to_owned(), ticket: None, detail: "detail".to_owned() })
}

fn refused(at: Timestamp, by: Option<&str>) -> Record {
    Record::Refused(Refused {
        request_id: "request".to_owned(),
        received_at: at,
        code: FaultCode::FileB01,
        check: "content.digest-mismatch".to_owned(),
        operation: None,
        sender: by.map(sender),
        tls_certificate: None,
        message_certificate: None,
        peer_address: "10.1.2.3".to_owned(),
        asserted_address: None,
        seen: "Jan Peeters".to_owned(),
        expected: String::new(),
        remedy: String::new(),
        soap_digest: None,
        submission_key: None,
    })
}

fn read(at: Timestamp, by: &str) -> Record {
    let request = RequestFacts {
        request_id: "request".to_owned(),
        received_at: at,
        operation: "getStatus".to_owned(),
        sender: sender(by),
        message_certificate: Hex32([0; 32]),
        tls_certificate: None,
        peer_address: "10.1.2.3".to_owned(),
        asserted_address: None,
        soap_digest: Hex32([0; 32]),
        submission_key: Hex32([0; 32]),
        signed_info: String::new(),
        signature_value: String::new(),
        signature_algorithm: String::new(),
        decision: DecisionFacts {
            grant_reference: String::new(),
            policy_digest: Hex32([0; 32]),
            grant: None,
            program_number: Some("00000000196".to_owned()),
            decision_id: None,
        },
    };
    Record::Consulted(Consulted { request, ticket: None, answer: "OK".to_owned(), proof: None })
}

fn report(records: &[Record]) -> Report {
    let mut report = Report::new(day(), SignedDuration::from_hours(6));
    records.iter().for_each(|record| report.take(record));
    report.finish()
}

#[test]
fn it_counts_what_is_in_the_period_and_names_nobody() {
    let records = [
        read(at("19T23:59:59"), "a"),
        read(at("20T00:00:00"), "a"),
        refused(at("20T05:00:00"), Some("a")),
        refused(at("20T10:00:00"), None),
        act(at("20T15:00:00"), "report.made"),
        read(at("20T20:59:59"), "b"),
        read(at("21T00:00:00"), "a"),
    ];
    let report = report(&records);
    assert_eq!((report.records, report.refused_unproven, report.days.len()), (5, 1, 1));
    let day = report.days.values().next().unwrap();
    assert_eq!(day.read["getStatus"], 2);
    assert_eq!(day.refused["FILE_B01 content.digest-mismatch"], 2);
    assert_eq!(day.acts["report.made"], 1);
    let tally = |taken, refused| Tally { taken, refused, out_of_line: false };
    assert_eq!((report.senders["0123456749 a"], report.senders["0123456749 b"]), (tally(1, 1), tally(1, 0)));
    assert_eq!((report.findings.len(), report.gaps.len()), (0, 0), "{:?}", report.findings);
    let told = format!("{report}{}", serde_json::to_string(&report).unwrap());
    for personal in ["Jan Peeters", "00000000196", "10.1.2.3", "\"request\""] {
        assert!(!told.contains(personal), "{personal}: {told}");
    }
    assert!(told.contains("Personal data: none"));
}

#[test]
fn who_is_refused_out_of_line() {
    let out_of_line = |mine: (u64, u64), others: (u64, u64)| {
        let mut records = Vec::new();
        for (by, (taken, refusals)) in [("a", mine), ("b", others)] {
            records.extend((0..taken).map(|_| read(at("20T12:00:00"), by)));
            records.extend((0..refusals).map(|_| refused(at("20T12:00:00"), Some(by))));
        }
        let report = report(&records);
        let told = report.findings.iter().any(|finding| finding.starts_with("0123456749 a: "));
        assert_eq!(told, report.senders["0123456749 a"].out_of_line);
        told
    };
    assert!(out_of_line((20, 10), (100, 1)));
    assert!(!out_of_line((20, 9), (100, 1)), "too few");
    assert!(out_of_line((90, 10), (100, 0)) && !out_of_line((91, 10), (100, 0)), "one in ten, at least");
    assert!(!out_of_line((70, 30), (90, 10)) && out_of_line((69, 31), (90, 10)), "three times the others'");
    assert!(out_of_line((0, 10), (0, 0)), "there are no others");
}

#[test]
fn times_without_records_are_told_by_their_reason() {
    let records = [
        act(at("19T18:00:01"), "service.start"),
        act(at("20T00:00:00"), "a"),
        act(at("20T05:59:59"), "a"),
        act(at("20T11:59:59"), "a"),
        act(at("20T12:00:00"), "service.stop"),
        act(at("20T12:30:00"), "service.restored"),
        act(at("20T13:00:00"), "service.start"),
        act(at("20T14:00:00"), "service.start"),
    ];
    let gap = |from, to, kind| Gap { from: at(from), to: at(to), kind };
    let report = report(&records);
    assert_eq!(
        report.gaps,
        [
            gap("20T05:59:59", "20T11:59:59", GapKind::Quiet),
            gap("20T12:00:00", "20T12:30:00", GapKind::Stopped),
            gap("20T12:30:00", "20T13:00:00", GapKind::Stopped),
            gap("20T13:00:00", "20T14:00:00", GapKind::Crashed),
            gap("20T14:00:00", "21T00:00:00", GapKind::Quiet),
        ]
    );
    assert_eq!(report.findings.len(), 3, "a stop is nothing to look at: {:?}", report.findings);
}

#[test]
fn what_the_clock_did() {
    let records = [
        act(at("20T12:00:00"), "clock.skew"),
        read(at("20T11:58:00"), "a"),
        act(at("20T12:00:00"), "a"),
        read(at("20T11:57:59"), "a"),
        act(at("21T12:00:00"), "clock.set"),
    ];
    let told: Vec<_> = report(&records).clock.into_iter().map(|event| event.what).collect();
    assert_eq!(
        told,
        ["clock.skew", "back"],
        "two minutes are a request's own; the day after is another report's"
    );
}
