//! Makes what `tests/judges/run` judges, without the service: two sealed proofs and an ERDS evidence of each event, their anchors and
//! revocation lists, and the same with a revoked seal.
//!
//!     cargo run -p evidence --example judge_fixture -- DIR

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use erds::record::{
    Accessed, CheckFacts, Consigned, ConsignmentFailed, DecisionFacts, ExpiredUnread, HandedOver, Hex32,
    Received, Refused, RequestFacts,
};
use erds::{
    ApplicationId, ChannelName, EnterpriseNumber, Environment, FaultCode, Record, Sender, Strictness, Ticket,
};
use evidence::description::{
    FileDescription, FileDigestMethod, ItemDescription, RecipientDescription, SenderDescription,
};
use evidence::dispatch::DispatchDescription;
use evidence::event::{
    Acceptance, Access, Assurance, Attempt, AuthenticationMethod, CheckDescription, Consignment,
    ConsignmentFailure, DelegateDescription, Event, Evidence, Handover, LogEntry, Rejection,
    RequestDescription, Unopened,
};
use evidence::seal::Stampable;
use evidence::{ProofOfDispatchContent, ReceiptContent};
use jiff::Timestamp;
use journal::{Appended, Entry, Journal, Recorded};
use pki::certificate::Certificate;
use pki::path::{Revocation, TrustAnchors};
use pki::signer::FileSigner;
use pki::tsp::{TimeStampToken, TokenChecks};
use support::{House, SEAL_SERIAL};

const TICKET: &str = "ABCDEFGH12345";
const REQUEST: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const DOCUMENT: &[u8] = b"A letter.\n";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("usage: judge_fixture DIR");
        std::process::exit(3);
    };
    let directory = Path::new(&directory);
    // A little ago, so that no judge meets a time from its future.
    let now = Timestamp::now().as_second() - 5;
    let house = House::build(now);
    lay(directory, &house, &[]).await;
    lay(&directory.join("revoked"), &house, &[(SEAL_SERIAL, now - 3600)]).await;
    println!("{}", directory.display());
}

/// One directory of the layout that `tests/judges/run` documents.
async fn lay(directory: &Path, house: &House, revoked: &[(u32, i64)]) {
    fs::create_dir_all(directory.join("crls")).unwrap();
    for (number, crl) in house.crls(revoked).into_iter().enumerate() {
        fs::write(directory.join(format!("crls/{number}.crl")), crl).unwrap();
    }
    fs::write(directory.join("seal-anchors.pem"), house.seal_root.pem()).unwrap();
    fs::write(directory.join("tsa-anchors.pem"), house.tsa_root.pem()).unwrap();
    fs::write(directory.join("letter.txt"), DOCUMENT).unwrap();
    let at = Timestamp::from_second(house.now).unwrap();
    let receipt = ReceiptContent { environment: Environment::Tst, item: item() }.to_xml();
    write_sealed(directory, "Receipt", house, &receipt, received(at)).await;
    let proof = proof_of_dispatch(at).to_xml();
    write_sealed(directory, "ProofOfDispatch", house, &proof, consigned(at)).await;
    for (event, record) in events(at) {
        write_evidence(directory, house, event, record).await;
    }
}

/// The real way: recorded, sealed, stamped.
async fn write_sealed(directory: &Path, name: &str, house: &House, xml: &[u8], record: Record) {
    let recorded = append(&journal(), record).await;
    let at = Timestamp::from_second(house.now).unwrap();
    let sealed = stamp(house, evidence::seal(&recorded, xml, &signer(house), at).unwrap());
    fs::write(directory.join(format!("{name}.xml")), sealed.xml()).unwrap();
    fs::write(directory.join(format!("{name}.p7s")), sealed.p7s()).unwrap();
}

/// The same for an evidence; what follows on an acceptance is recorded behind it.
async fn write_evidence(directory: &Path, house: &House, event: Event, record: Record) {
    let at = Timestamp::from_second(house.now).unwrap();
    let journal = journal();
    let begins = matches!(record, Record::Received(_) | Record::Refused(_));
    let request = if begins { None } else { Some(append(&journal, received(at)).await) };
    let recorded = append(&journal, record).await;
    let name = event.number();
    let evidence = evidence_of(event, at, LogEntry::of(request.as_ref().unwrap_or(&recorded)), &recorded);
    let sealed = stamp(house, evidence::event::seal(&recorded, &evidence, &signer(house), at).unwrap());
    fs::write(directory.join(format!("Evidence-{name}.xml")), sealed.xml()).unwrap();
}

fn journal() -> Journal {
    let disk = Arc::new(disk::ForgetfulDisk::new());
    let options = journal::Options {
        origin: "example.org/fixture".to_owned(),
        on_fatal: Arc::new(|why: &str| panic!("{why}")),
        segment_bytes_max: 1 << 20,
    };
    Journal::open(disk, Path::new("journal"), options).unwrap().0
}

async fn append(journal: &Journal, record: Record) -> Recorded {
    let entry = Entry { record, frames: Vec::new(), unique_keys: Vec::new() };
    match journal.append(entry).await.unwrap() {
        Appended::Recorded(recorded) => recorded,
        Appended::Existing(_) => panic!("recorded twice"),
    }
}

fn signer(house: &House) -> FileSigner {
    FileSigner::from_pem(&house.seal.key_pem(), &house.seal_chain_pem()).unwrap()
}

fn stamp<U: Stampable>(house: &House, unstamped: U) -> U::Sealed {
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
        at: Timestamp::from_second(house.now).unwrap(),
    };
    unstamped.stamp(pki::tsp::check(&token, &checks).unwrap()).unwrap()
}

fn evidence_of(event: Event, at: Timestamp, request_entry: LogEntry, recorded: &Recorded) -> Evidence {
    let item = item();
    let refused = matches!(event, Event::SubmissionRejection(_));
    Evidence {
        environment: Environment::Tst,
        event_time: at,
        event,
        policies: vec!["urn:example:evidence-policy:1".to_owned()],
        request: RequestDescription {
            message_identifier: if refused { REQUEST.to_owned() } else { item.ticket },
            token: Some(item.token),
            sender: item.sender,
            assurance: Assurance { method: AuthenticationMethod::X509, at },
            recipient: Some(item.recipient),
            delegate: Some(DelegateDescription {
                company_id: "0000000196".to_owned(),
                quality_code: "QUAL_SSC".to_owned(),
            }),
            submitted_at: at,
            parts: vec![item.document],
        },
        log_origin: "example.org/fixture".to_owned(),
        request_entry,
        event_entry: LogEntry::of(recorded),
    }
}

/// One of each event, with its record.
fn events(at: Timestamp) -> Vec<(Event, Record)> {
    let channel = ChannelName::EboxEnterprise;
    let ticket = Ticket::parse(TICKET).unwrap();
    let acceptance = Acceptance {
        soap_sha256: [0; 32],
        message_certificate_sha256: [0; 32],
        tls_certificate_sha256: Some([3; 32]),
        checks: vec![CheckDescription { name: "malware".to_owned(), outcome: "not scanned".to_owned() }],
    };
    let rejection = Rejection {
        code: FaultCode::EpostB04.as_str().to_owned(),
        check: "token.reused".to_owned(),
        detail: "The Token was used before, with other content.".to_owned(),
        remedy: "Choose another Token.".to_owned(),
    };
    let consignment = Consignment {
        channel,
        message_id: "5f0c".to_owned(),
        answer_sha256: pki::digest::sha256(b"{}"),
        no_digital_user: false,
    };
    let failure = ConsignmentFailure {
        channel,
        reason: "INVALID_INPUT".to_owned(),
        attempts: vec![Attempt { at, outcome: "INVALID_INPUT".to_owned() }],
        next_channel: None,
    };
    let failed = ConsignmentFailed { ticket, at, channel, attempts: 1, reason: "INVALID_INPUT".to_owned() };
    let handover =
        Handover { channel: ChannelName::Batch, certificate_sha256: [4; 32], content_sha256: [5; 32] };
    let handed_over = HandedOver {
        ticket,
        at,
        channel: ChannelName::Batch,
        certificate: Hex32([4; 32]),
        content_sha256: Hex32([5; 32]),
    };
    let accessed = Accessed { ticket, at, channel, not_before: Some(at) };
    vec![
        (Event::SubmissionAcceptance(acceptance), received(at)),
        (Event::SubmissionRejection(rejection), refused(at)),
        (Event::ContentConsignment(consignment), consigned(at)),
        (Event::ContentConsignmentFailure(failure), Record::ConsignmentFailed(failed)),
        (Event::ContentAccessTracking(Access { channel, not_before: Some(at) }), Record::Accessed(accessed)),
        (Event::ContentHandover(handover), Record::HandedOver(handed_over)),
        (
            Event::ContentHandoverFailure(Unopened { channel, kept_until: Some(at) }),
            Record::ExpiredUnread(ExpiredUnread { ticket, at, channel }),
        ),
    ]
}

fn refused(at: Timestamp) -> Record {
    Record::Refused(Refused {
        request_id: REQUEST.to_owned(),
        received_at: at,
        code: FaultCode::EpostB04,
        check: "token.reused".to_owned(),
        operation: Some("sendDocument".to_owned()),
        sender: None,
        tls_certificate: None,
        message_certificate: None,
        peer_address: "127.0.0.1".to_owned(),
        asserted_address: None,
        seen: String::new(),
        expected: String::new(),
        remedy: String::new(),
        soap_digest: None,
        submission_key: None,
    })
}

fn item() -> ItemDescription {
    ItemDescription {
        ticket: TICKET.to_owned(),
        token: "letter-1".to_owned(),
        recipient: RecipientDescription::Enterprise {
            company_id: "0206731645".to_owned(),
            quality_code: "QUAL_EMP_NOSS".to_owned(),
        },
        sender: SenderDescription {
            company_id: "0123456749".to_owned(),
            application_id: "urn:be:example:institution:letters".to_owned(),
        },
        document: FileDescription {
            title: "A letter".to_owned(),
            digest_method: FileDigestMethod::Sha256,
            digest_value: pki::digest::sha256(DOCUMENT).to_vec(),
            download_file_name: "letter.txt".to_owned(),
            mime: Some("text/plain".to_owned()),
            document_type: "LETTER".to_owned(),
            language: Some("en".to_owned()),
        },
        annexes: Vec::new(),
    }
}

fn proof_of_dispatch(at: Timestamp) -> ProofOfDispatchContent {
    ProofOfDispatchContent {
        environment: Environment::Tst,
        item: item(),
        dispatch: DispatchDescription {
            channel: ChannelName::EboxEnterprise,
            message_id: "5f0c".to_owned(),
            received_at: at,
            consigned_at: at,
            answer_sha256: pki::digest::sha256(b"{}"),
        },
    }
}

fn received(at: Timestamp) -> Record {
    let sender = Sender {
        cbe: EnterpriseNumber::parse("0123456749", Strictness::Strict).unwrap(),
        application: ApplicationId::parse("urn:be:example:institution:letters").unwrap(),
        issuing_ca_spki_sha256: [1; 32],
        environment: Environment::Tst,
    };
    let none = Hex32([0; 32]);
    Record::Received(Received {
        ticket: Ticket::parse(TICKET).unwrap(),
        request: RequestFacts {
            request_id: REQUEST.to_owned(),
            received_at: at,
            operation: "sendDocument".to_owned(),
            sender,
            message_certificate: none,
            tls_certificate: None,
            peer_address: "127.0.0.1".to_owned(),
            asserted_address: None,
            soap_digest: none,
            submission_key: none,
            signed_info: String::new(),
            signature_value: String::new(),
            signature_algorithm: String::new(),
            decision: DecisionFacts {
                grant_reference: "fixture".to_owned(),
                policy_digest: none,
                grant: None,
                program_number: None,
                decision_id: None,
            },
        },
        token_key: None,
        content_digest: none,
        channel: ChannelName::EboxEnterprise,
        folder: None,
        proof_to_mailbox: false,
        checks: vec![CheckFacts { name: "malware".to_owned(), outcome: "not scanned".to_owned() }],
        parts: Vec::new(),
    })
}

fn consigned(at: Timestamp) -> Record {
    Record::Consigned(Consigned {
        ticket: Ticket::parse(TICKET).unwrap(),
        consigned_at: at,
        channel: ChannelName::EboxEnterprise,
        attempt: 1,
        idempotency_key: "5f0c".to_owned(),
        message_id: "5f0c".to_owned(),
        answer_digest: Hex32(pki::digest::sha256(b"{}")),
        no_digital_user: false,
        expires_at: None,
    })
}
