//! `fixed/evidence` and the corpus of `evidence`: a real one, and changes of it.

use std::path::Path;
use std::sync::Arc;

use ::pki::certificate::Certificate;
use ::pki::path::{Revocation, TrustAnchors};
use ::pki::signer::FileSigner;
use ::pki::tsp::{self, TimeStampToken, TokenChecks};
use epost_fuzz::STAMPED_AT as NOW;
use erds::record::{Accessed, Control};
use erds::{ChannelName, Environment, Record, Ticket};
use evidence::description::{FileDescription, FileDigestMethod, RecipientDescription, SenderDescription};
use evidence::event::{
    Access, Assurance, AuthenticationMethod, DelegateDescription, Event, Evidence, LogEntry,
    RequestDescription,
};
use evidence::seal::Stampable as _;
use jiff::Timestamp;
use journal::{Appended, Entry, Journal, Recorded};

use crate::kit::write;
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

/// The real way: recorded, signed, stamped.
fn made(house: &House) -> Vec<u8> {
    let journal = journal();
    let at = Timestamp::from_second(NOW).unwrap();
    let ticket = Ticket::parse(TICKET).unwrap();
    // In the place of a request's record: the verifier asks only which entry it is.
    let control = Control { at, action: "request".to_owned(), ticket: None, detail: String::new() };
    let request = LogEntry::of(&append(&journal, Record::Control(control)));
    let channel = ChannelName::EboxCitizen;
    let accessed = Accessed { ticket, at, channel, not_before: Some(at) };
    let recorded = append(&journal, Record::Accessed(accessed));
    let evidence = said(at, request, LogEntry::of(&recorded));
    let signer = FileSigner::from_pem(&house.seal.key_pem(), &house.seal_chain_pem()).unwrap();
    let unstamped = evidence::event::seal(&recorded, &evidence, &signer, at).unwrap();
    let imprint = unstamped.signature_digest();
    let token = TimeStampToken::from_der(&house.token(imprint.as_bytes())).unwrap();
    let anchors = TrustAnchors::new(Certificate::from_pem(&house.tsa_root.pem()).unwrap(), Vec::new());
    let checks = TokenChecks {
        imprint: &imprint,
        nonce: None,
        policies: &[],
        anchors: &anchors,
        revocation: Revocation::NotChecked,
        gen_time_window: None,
        at,
    };
    unstamped.stamp(tsp::check(&token, &checks).unwrap()).unwrap().into_xml()
}

fn journal() -> Journal {
    let options = journal::Options {
        origin: "example.org/fuzz".to_owned(),
        on_fatal: Arc::new(|why: &str| panic!("{why}")),
        segment_bytes_max: 1 << 20,
    };
    Journal::open(Arc::new(disk::ForgetfulDisk::new()), Path::new("journal"), options).unwrap().0
}

fn append(journal: &Journal, record: Record) -> Recorded {
    let entry = Entry { record, frames: Vec::new(), unique_keys: Vec::new() };
    match journal.append_blocking(entry).unwrap() {
        Appended::Recorded(recorded) => recorded,
        Appended::Existing(_) => panic!("recorded twice"),
    }
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
