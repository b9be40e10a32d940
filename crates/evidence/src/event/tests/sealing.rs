//! An evidence is sealed for the record of its own event, item and time, and for no other.

use erds::Record;
use erds::record::{Accepted, Accessed, Consigned, ConsignmentFailed, ExpiredUnread, HandedOver, Hex32};
use journal::Recorded;

use super::*;
use crate::verify::tests::sealing::{self, Desk, TICKET};

fn ticket() -> Ticket {
    Ticket::parse(TICKET).unwrap()
}

/// The record of each event, at the time and with the facts of the samples.
fn record_of(event: &Event) -> Record {
    let (ticket, at) = (ticket(), at(NOW - 10));
    match event {
        Event::SubmissionAcceptance(_) => received(),
        Event::SubmissionRejection(_) => refused(),
        Event::ContentConsignment(said) => Record::Consigned(Consigned {
            ticket,
            consigned_at: at,
            channel: said.channel,
            attempt: 1,
            idempotency_key: String::new(),
            message_id: said.message_id.clone(),
            answer_digest: Hex32(said.answer_sha256),
            no_digital_user: said.no_digital_user,
            expires_at: None,
        }),
        Event::ContentConsignmentFailure(said) => Record::ConsignmentFailed(ConsignmentFailed {
            ticket,
            at,
            channel: said.channel,
            attempts: 2,
            reason: said.reason.clone(),
        }),
        Event::ContentAccessTracking(said) => {
            Record::Accessed(Accessed { ticket, at, channel: said.channel, not_before: said.not_before })
        }
        Event::ContentHandover(said) => Record::HandedOver(HandedOver {
            ticket,
            at,
            channel: said.channel,
            certificate: Hex32(said.certificate_sha256),
            content_sha256: Hex32(said.content_sha256),
        }),
        Event::ContentHandoverFailure(said) => {
            Record::ExpiredUnread(ExpiredUnread { ticket, at, channel: said.channel })
        }
    }
}

fn received() -> Record {
    let mut record = sealing::received(at(NOW - 30));
    if let Record::Received(received) = &mut record {
        received.request.soap_digest = Hex32([1; 32]); // as the samples say
    }
    record
}

fn refused() -> Record {
    let mut record = sealing::refused(at(NOW - 30));
    if let Record::Refused(refused) = &mut record {
        refused.request_id = TICKET.to_owned(); // the samples' message identifier
    }
    record
}

/// The sample of that event with the entries that the log gave.
fn entered(event: Event, recorded: &Recorded) -> Evidence {
    let mut evidence = sample(event);
    evidence.event_entry = LogEntry::of(recorded);
    if matches!(evidence.event, Event::SubmissionAcceptance(_) | Event::SubmissionRejection(_)) {
        evidence.request_entry = evidence.event_entry;
    }
    evidence
}

fn sealed(recorded: &Recorded, evidence: &Evidence) -> Result<(), SealError> {
    seal(recorded, evidence, &signer(&House::build(NOW)), at(NOW)).map(drop)
}

#[track_caller]
fn is_of_another(recorded: &Recorded, evidence: &Evidence) {
    assert!(matches!(sealed(recorded, evidence), Err(SealError::OtherItem)));
}

#[test]
fn each_event_is_sealed_for_its_own_record_alone() {
    let desk = Desk::new(House::build(NOW));
    let records: Vec<_> = events().iter().map(|event| desk.append(record_of(event))).collect();
    for (own, event) in events().into_iter().enumerate() {
        for (index, recorded) in records.iter().enumerate() {
            let evidence = entered(event.clone(), recorded);
            if index == own {
                sealed(recorded, &evidence).unwrap();
            } else {
                is_of_another(recorded, &evidence);
            }
        }
    }
}

#[test]
fn another_item_time_or_entry_is_refused() {
    let desk = Desk::new(House::build(NOW));
    for event in events() {
        let recorded = desk.append(record_of(&event));
        let honest = entered(event, &recorded);
        let changes: [fn(&mut Evidence); 4] = [
            |e| e.request.message_identifier = "ABCDEFGH12346".to_owned(),
            |e| e.event_time = at(NOW - 29),
            |e| e.event_entry.index += 1,
            |e| e.event_entry.leaf_hash[0] ^= 1,
        ];
        for change in changes {
            let mut evidence = honest.clone();
            change(&mut evidence);
            is_of_another(&recorded, &evidence);
        }
    }
}

#[test]
fn an_acceptance_is_sealed_for_its_accepted_too() {
    let desk = Desk::new(House::build(NOW));
    let request = LogEntry::of(&desk.append(received()));
    let none = Hex32([0; 32]);
    let accepted = desk.append(Record::Accepted(Accepted {
        ticket: ticket(),
        at: at(NOW - 29),
        received_position: request.index,
        received_at: at(NOW - 30),
        receipt_xml_sha256: none,
        receipt_p7s_sha256: none,
        channel: ChannelName::EboxEnterprise,
        tsa: String::new(),
        gen_time: at(NOW - 29),
        evidence: None,
    }));
    let mut evidence = entered(events().remove(0), &accepted);
    is_of_another(&accepted, &evidence);
    evidence.request_entry = request;
    sealed(&accepted, &evidence).unwrap();
}

#[test]
fn without_its_core_nothing_is_sealed() {
    let desk = Desk::new(House::build(NOW));
    let recorded = desk.append(received());
    let mut evidence = entered(events().remove(0), &recorded);
    evidence.request.parts.clear();
    is_of_another(&recorded, &evidence);
}
