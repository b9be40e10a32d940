//! Makes what `tests/judges/run` judges, without the service: two sealed proofs, their anchors and revocation lists,
//! and the same with a revoked seal.
//!
//!     cargo run -p evidence --example judge_fixture -- DIR

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use erds::record::{CheckFacts, Consigned, DecisionFacts, Hex32, Received, RequestFacts};
use erds::{ApplicationId, ChannelName, EnterpriseNumber, Environment, Record, Sender, Strictness, Ticket};
use evidence::description::{
    FileDescription, FileDigestMethod, ItemDescription, RecipientDescription, SenderDescription,
};
use evidence::dispatch::DispatchDescription;
use evidence::{ProofOfDispatchContent, ReceiptContent};
use jiff::Timestamp;
use journal::{Appended, Entry, Journal};
use pki::certificate::Certificate;
use pki::path::{Revocation, TrustAnchors};
use pki::signer::FileSigner;
use pki::tsp::{TimeStampToken, TokenChecks};
use support::{House, SEAL_SERIAL};

const TICKET: &str = "ABCDEFGH12345";
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
}

/// The real way: recorded, sealed, stamped.
async fn write_sealed(directory: &Path, name: &str, house: &House, xml: &[u8], record: Record) {
    let disk = Arc::new(disk::ForgetfulDisk::new());
    let options = journal::Options {
        origin: "example.org/fixture".to_owned(),
        on_fatal: Arc::new(|why: &str| panic!("{why}")),
        segment_bytes_max: 1 << 20,
    };
    let (journal, _) = Journal::open(disk, Path::new("journal"), options).unwrap();
    let entry = Entry { record, frames: Vec::new(), unique_keys: Vec::new() };
    let Appended::Recorded(recorded) = journal.append(entry).await.unwrap() else { panic!("recorded twice") };
    let signer = FileSigner::from_pem(&house.seal.key_pem(), &house.seal_chain_pem()).unwrap();
    let at = Timestamp::from_second(house.now).unwrap();
    let unstamped = evidence::seal(&recorded, xml, &signer, at).unwrap();
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
    let sealed = unstamped.stamp(pki::tsp::check(&token, &checks).unwrap()).unwrap();
    fs::write(directory.join(format!("{name}.xml")), sealed.xml()).unwrap();
    fs::write(directory.join(format!("{name}.p7s")), sealed.p7s()).unwrap();
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
            request_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
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
