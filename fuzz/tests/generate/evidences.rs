//! `fixed/evidence` and the corpus of `evidence`: a real one, and changes of it.

use epost_fuzz::STAMPED_AT as NOW;
use erds::record::{Accessed, Control};
use erds::{ChannelName, Environment, Record, Ticket};
use evidence::description::{FileDescription, FileDigestMethod, RecipientDescription, SenderDescription};
use evidence::event::{
    Access, Assurance, AuthenticationMethod, DelegateDescription, Event, Evidence, LogEntry,
    RequestDescription,
};
use jiff::Timestamp;

use crate::kit::write;
use crate::packages::sealing::Desk;
use crate::proofs::support::House;
use crate::seeds::{Keeper, tags};

const TICKET: &str = "ABCDEFGH12345";

#[test]
fn evidences() {
    let house = House::build(NOW);
    let xml = made(&house);
    write("fixed/evidence/evidence.xml", &xml);
    write("fixed/evidence/seal-root.der", &house.seal_root.der());
    write("fixed/evidence/tsa-root.der", &house.tsa_root.der());
    for (number, list) in house.crls(&[]).iter().enumerate() {
        write(&format!("fixed/evidence/{number}.crl"), list);
    }
    let mut keeper = Keeper::new("evidence", epost_fuzz::evidence);
    keeper.seed("evidence", &xml);
    assert_eq!(epost_fuzz::evidence(&xml), epost_fuzz::Codes::new(), "the honest one counts");
    let text = String::from_utf8(xml).unwrap();
    // Said otherwise, written otherwise, with another element, without one.
    keeper.change(text.replace(TICKET, "ABCDEFGH12346").as_bytes());
    keeper.change(text.replacen("<EventTime>", "<EventTime >", 1).as_bytes());
    for tag in tags(&text) {
        let (before, whole, after) = (&text[..tag.start], &text[tag.clone()], &text[tag.end..]);
        keeper.change(format!("{before}{after}").as_bytes());
        keeper.change(format!("{before}{whole}0{after}").as_bytes());
        keeper.change(format!("{before}<x/>{whole}{after}").as_bytes());
    }
}

fn made(house: &House) -> Vec<u8> {
    let desk = Desk::new(house.clone());
    let ticket = Ticket::parse(TICKET).unwrap();
    // In the place of a request's record: the verifier asks only which entry it is.
    let control = Control { at: desk.at, action: "request".to_owned(), ticket: None, detail: String::new() };
    let request = LogEntry::of(&desk.append(Record::Control(control)));
    let channel = ChannelName::EboxCitizen;
    let accessed = Accessed { ticket, at: desk.at, channel, not_before: Some(desk.at) };
    let recorded = desk.append(Record::Accessed(accessed));
    desk.evidence(&recorded, &said(desk.at, request, LogEntry::of(&recorded)))
}

fn said(at: Timestamp, request_entry: LogEntry, event_entry: LogEntry) -> Evidence {
    Evidence {
        environment: Environment::Tst,
        event: Event::ContentAccessTracking(Access {
            channel: ChannelName::EboxCitizen,
            not_before: Some(at),
        }),
        event_time: at,
        policies: vec!["urn:example:policy".to_owned()],
        request: RequestDescription {
            message_identifier: TICKET.to_owned(),
            token: Some("t-1".to_owned()),
            sender: SenderDescription {
                company_id: "0206731645".to_owned(),
                application_id: "urn:be:test".to_owned(),
            },
            assurance: Assurance { method: AuthenticationMethod::X509, at },
            recipient: Some(RecipientDescription::Citizen {
                inss: "00010100173".to_owned(),
                quality_code: "CITIZEN".to_owned(),
            }),
            delegate: Some(DelegateDescription {
                company_id: "0000000196".to_owned(),
                quality_code: "QUAL_SSC".to_owned(),
            }),
            submitted_at: at,
            parts: vec![FileDescription {
                title: "A letter".to_owned(),
                digest_method: FileDigestMethod::Sha256,
                digest_value: vec![7; 32],
                download_file_name: "letter.pdf".to_owned(),
                mime: Some("application/pdf".to_owned()),
                document_type: "LETTER".to_owned(),
                language: Some("nl".to_owned()),
            }],
        },
        log_origin: "example.org/fuzz".to_owned(),
        request_entry,
        event_entry,
    }
}
