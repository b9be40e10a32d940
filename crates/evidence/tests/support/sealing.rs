//! The real way to a proof, for tests: recorded in a journal, signed, stamped, published; and one item with all that is proved of it.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use disk::ForgetfulDisk;
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
use evidence::package::{Contents, Policy, SealedFile};
use evidence::seal::Stampable;
use evidence::{ProofOfDispatchContent, ReceiptContent};
use jiff::Timestamp;
use journal::checkpoint::LogKey;
use journal::proof::{Proof, read_salted};
use journal::tiles::Publisher;
use journal::{Appended, Entry, Journal, Recorded};
use pki::certificate::Certificate;
use pki::ed25519::Ed25519Key;
use pki::path::{Revocation, TrustAnchors};
use pki::signer::FileSigner;
use pki::tsp::{TimeStampToken, TokenChecks};

use super::support::House;

pub const TICKET: &str = "ABCDEFGH12345";
pub const REQUEST_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
pub const ORIGIN: &str = "example.org/fixture";
pub const POLICY: &str = "urn:example:evidence-policy:1";
pub const DOCUMENT: &[u8] = b"A letter.\n";
pub const ANNEX: &[u8] = b"period,amount\n2026-11,1\n";
pub const MESSAGE: &[u8] =
    b"<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body></s:Body></s:Envelope>";

/// A journal of its own, in memory, with a log's key and a house whose seal and authority prove what is in it.
pub struct Desk {
    pub house: House,
    pub at: Timestamp,
    pub journal: Journal,
    disk: Arc<ForgetfulDisk>,
    key_pem: Vec<u8>,
}

impl Desk {
    pub fn new(house: House) -> Self {
        let disk = Arc::new(ForgetfulDisk::new());
        let options = journal::Options {
            origin: ORIGIN.to_owned(),
            on_fatal: Arc::new(|why: &str| panic!("{why}")),
            segment_bytes_max: 1 << 20,
        };
        let journal = Journal::open(disk.clone(), Path::new("journal"), options).unwrap().0;
        let at = Timestamp::from_second(house.now).unwrap();
        let key_pem = Ed25519Key::random().unwrap().to_pem().unwrap();
        Self { house, at, journal, disk, key_pem: key_pem.to_vec() }
    }

    pub fn append(&self, record: Record) -> Recorded {
        let entry = Entry { record, frames: Vec::new(), unique_keys: Vec::new() };
        match self.journal.append_blocking(entry).unwrap() {
            Appended::Recorded(recorded) => recorded,
            Appended::Existing(_) => panic!("recorded twice"),
        }
    }

    pub fn signer(&self) -> FileSigner {
        FileSigner::from_pem(&self.house.seal.key_pem(), &self.house.seal_chain_pem()).unwrap()
    }

    pub fn stamp<U: Stampable>(&self, unstamped: U) -> U::Sealed {
        let imprint = unstamped.signature_digest();
        let token = TimeStampToken::from_der(&self.house.token(imprint.as_bytes())).unwrap();
        let anchors =
            TrustAnchors::new(Certificate::from_pem(&self.house.tsa_root.pem()).unwrap(), Vec::new());
        let checks = TokenChecks {
            imprint: &imprint,
            nonce: None,
            policies: &[],
            anchors: &anchors,
            revocation: Revocation::NotChecked,
            gen_time_window: None,
            at: self.at,
        };
        unstamped.stamp(pki::tsp::check(&token, &checks).unwrap()).unwrap()
    }

    pub fn sealed(&self, recorded: &Recorded, xml: &[u8]) -> SealedFile {
        let sealed = self.stamp(evidence::seal(recorded, xml, &self.signer(), self.at).unwrap());
        let (xml, p7s) = sealed.into_parts();
        SealedFile { xml, p7s }
    }

    pub fn evidence(&self, recorded: &Recorded, said: &Evidence) -> Vec<u8> {
        self.stamp(evidence::event::seal(recorded, said, &self.signer(), self.at).unwrap()).into_xml()
    }

    fn log_key(&self) -> LogKey {
        LogKey::from_pem(ORIGIN, &self.key_pem).unwrap()
    }

    /// The proof of each of these records, under one checkpoint of all.
    pub fn log_proofs(&self, places: &[u64]) -> Vec<String> {
        let mut publisher = Publisher::open(self.disk.clone(), Path::new("tlog"), self.log_key()).unwrap();
        publisher.publish(&self.journal).unwrap();
        let published = publisher.published().unwrap().unwrap();
        let one = |place: &u64| {
            let salted = read_salted(&*self.disk, Path::new("journal"), ORIGIN, *place).unwrap();
            Proof::new(&published, *place, salted).unwrap().to_string()
        };
        places.iter().map(one).collect()
    }

    pub fn log_key_text(&self) -> String {
        self.log_key().verifier().to_string()
    }

    /// An item that was received and placed, as a package of it holds it; and its request's record.
    pub fn item(&self) -> (Recorded, Contents) {
        let received = self.append(received(self.at));
        let consigned = self.append(consigned(self.at));
        let (mut begun, mut placed) = (None, None);
        for (event, _) in events(self.at) {
            match event {
                Event::SubmissionAcceptance(_) => begun = Some(event),
                Event::ContentConsignment(_) => placed = Some(event),
                _ => {}
            }
        }
        let request = LogEntry::of(&received);
        let begun = evidence_of(begun.unwrap(), self.at, request, &received);
        let placed = evidence_of(placed.unwrap(), self.at, request, &consigned);
        let receipt = ReceiptContent { environment: Environment::Tst, item: item() }.to_xml();
        let contents = Contents {
            evidence: vec![self.evidence(&received, &begun), self.evidence(&consigned, &placed)],
            receipt: self.sealed(&received, &receipt),
            dispatch: Some(self.sealed(&consigned, &proof_of_dispatch(self.at).to_xml())),
            request: Some(MESSAGE.to_vec()),
            log_proofs: self.log_proofs(&[received.position(), consigned.position()]),
            log_key: self.log_key_text(),
            policies: vec![Policy { uri: POLICY.to_owned(), text: "How this log is kept.\n".to_owned() }],
            crls: self.house.crls(&[]),
        };
        (received, contents)
    }

    /// The package of these contents.
    pub fn package(&self, recorded: &Recorded, contents: &Contents) -> Vec<u8> {
        let unstamped = evidence::package::seal(recorded, contents, &self.signer(), self.at).unwrap();
        evidence::package::assemble(contents, self.stamp(unstamped).signatures_xml()).unwrap()
    }
}

pub fn evidence_of(event: Event, at: Timestamp, request_entry: LogEntry, recorded: &Recorded) -> Evidence {
    let item = item();
    let refused = matches!(event, Event::SubmissionRejection(_));
    Evidence {
        environment: Environment::Tst,
        event_time: at,
        event,
        policies: vec![POLICY.to_owned()],
        request: RequestDescription {
            message_identifier: if refused { REQUEST_ID.to_owned() } else { item.ticket },
            token: Some(item.token),
            sender: item.sender,
            assurance: Assurance { method: AuthenticationMethod::X509, at },
            recipient: Some(item.recipient),
            delegate: Some(DelegateDescription {
                company_id: "0000000196".to_owned(),
                quality_code: "QUAL_SSC".to_owned(),
            }),
            submitted_at: at,
            parts: std::iter::once(item.document).chain(item.annexes).collect(),
        },
        log_origin: ORIGIN.to_owned(),
        request_entry,
        event_entry: LogEntry::of(recorded),
    }
}

/// One of each event, with its record.
pub fn events(at: Timestamp) -> Vec<(Event, Record)> {
    let channel = ChannelName::EboxEnterprise;
    let ticket = Ticket::parse(TICKET).unwrap();
    let acceptance = Acceptance {
        soap_sha256: pki::digest::sha256(MESSAGE),
        message_certificate_sha256: [2; 32],
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

pub fn refused(at: Timestamp) -> Record {
    Record::Refused(Refused {
        request_id: REQUEST_ID.to_owned(),
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

pub fn item() -> ItemDescription {
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
        annexes: vec![FileDescription {
            title: "An annex".to_owned(),
            digest_method: FileDigestMethod::Sha512,
            digest_value: pki::digest::Digest::of(pki::digest::DigestAlgorithm::Sha512, ANNEX)
                .as_bytes()
                .to_vec(),
            download_file_name: "table.csv".to_owned(),
            mime: None,
            document_type: "ANNEX".to_owned(),
            language: None,
        }],
    }
}

pub fn proof_of_dispatch(at: Timestamp) -> ProofOfDispatchContent {
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

pub fn received(at: Timestamp) -> Record {
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
            request_id: REQUEST_ID.to_owned(),
            received_at: at,
            operation: "sendDocument".to_owned(),
            sender,
            message_certificate: Hex32([2; 32]),
            tls_certificate: None,
            peer_address: "127.0.0.1".to_owned(),
            asserted_address: None,
            soap_digest: Hex32(pki::digest::sha256(MESSAGE)),
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

pub fn consigned(at: Timestamp) -> Record {
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
