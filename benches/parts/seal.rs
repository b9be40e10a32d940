//! The seal of a receipt: CAdES-BASELINE-B, and T around a token that is there already; and a whole request in the core.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use benches::{beside, beside_with, line_beyond, section};
use erds::record::{DecisionFacts, Hex32, Received, RequestFacts};
use erds::{ApplicationId, ChannelName, EnterpriseNumber, Environment, Record, Sender, Strictness, Ticket};
use evidence::ReceiptContent;
use evidence::description::{
    FileDescription, FileDigestMethod, ItemDescription, RecipientDescription, SenderDescription,
};
use evidence::seal::Stampable as _;
use jiff::Timestamp;
use journal::{Appended, Entry, Journal, Options, Recorded};
use pki::algorithm::SignatureAlgorithm;
use pki::certificate::Certificate;
use pki::signer::{FileSigner, SignError, Signer};
use pki::tsp::{CheckedToken, TimeStampToken};
use xmlsec::base64::Content;

use crate::floor::{self, BareSign, BareVerify};
use crate::stamp::Authority;
use crate::verify::{self, House};

pub(crate) fn run() {
    section("Seal a receipt: detached CAdES", "one bare signature by the same key");
    let authority = Authority::p256();
    for (name, key, certificates) in
        [("P-256", "seal.key", "seal-chain.crt"), ("RSA-2048", "alice.key", "alice-chain.crt")]
    {
        let receipt = Receipt::new(key, certificates);
        let token = receipt.token(&authority);
        let mut bare = BareSign::new(&floor::file(key));
        let baseline_b = || drop(std::hint::black_box(receipt.seal()));
        line_beyond(&format!("B, {name}"), beside(baseline_b, || bare.call()));
        let figure = beside_with(|| token.clone(), |token| receipt.seal_and_stamp(token), || bare.call());
        line_beyond(&format!("B, then T around a given token, {name}"), figure);
    }
    whole(&authority);
}

/// Verify, hash the document, seal: a whole request without disk, network and the token's making.
fn whole(authority: &Authority) {
    section(
        "A whole request in the core: verify, decode and hash the document, seal (P-256, T around a given token)",
        "SHA-256 of the covered bytes and of the document + bare RSA-2048 verification + bare P-256 signature",
    );
    let house = House::new();
    let receipt = Receipt::new("seal.key", "seal-chain.crt");
    let token = receipt.token(authority);
    let mut verification = BareVerify::new(&floor::file("alice.key"));
    let mut signature = BareSign::new(&floor::file("seal.key"));
    for (name, bytes) in [("4 KB", 4 << 10), ("1 MB", 1 << 20)] {
        let request = house.submission(bytes);
        let covered = verify::covered(&request);
        let document = vec![0x25; bytes];
        let figure = beside_with(
            || (request.clone(), token.clone()),
            |(request, token)| {
                let hashed = house.verify(request, |operation| {
                    operation.base64_content().unwrap_or_else(|| {
                        let text = operation.text().unwrap();
                        Content::of(xmlsec::base64::decode_text(&text).unwrap())
                    })
                });
                std::hint::black_box(hashed.into_request());
                receipt.seal_and_stamp(token);
            },
            || {
                covered.iter().for_each(|bytes| floor::hash(bytes));
                floor::hash(&document);
                verification.call();
                signature.call();
            },
        );
        line_beyond(&format!("document of {name}"), figure);
    }
}

/// A receipt, the durable record that allows its seal, and the seal's key.
struct Receipt {
    xml: Vec<u8>,
    recorded: Recorded,
    signer: SameValue,
    at: Timestamp,
}

impl Receipt {
    fn new(key: &str, certificates: &str) -> Self {
        let at = Timestamp::now();
        let signer = FileSigner::from_pem(&floor::file(key), &floor::file(certificates)).unwrap();
        Self {
            xml: ReceiptContent { environment: Environment::Tst, item: item() }.to_xml(),
            recorded: recorded(at),
            signer: SameValue { signer, first: OnceLock::new() },
            at,
        }
    }

    fn seal(&self) -> evidence::Unstamped {
        evidence::seal(&self.recorded, &self.xml, &self.signer, self.at).unwrap()
    }

    fn seal_and_stamp(&self, token: CheckedToken) {
        std::hint::black_box(self.seal().stamp(token).unwrap());
    }

    fn token(&self, authority: &Authority) -> CheckedToken {
        let imprint = self.seal().signature_digest();
        let token = TimeStampToken::from_der(&authority.token(imprint.as_bytes())).unwrap();
        authority.check(&token, &imprint)
    }
}

/// Signs each time, and gives the first value each time: an ECDSA value is another one at each call, and the token that
/// is given here is over one of them. The message is always the same, so the value is a signature of it.
struct SameValue {
    signer: FileSigner,
    first: OnceLock<Vec<u8>>,
}

impl Signer for SameValue {
    fn certificate(&self) -> &Certificate {
        self.signer.certificate()
    }
    fn chain(&self) -> &[Certificate] {
        self.signer.chain()
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        self.signer.algorithm()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let value = self.signer.sign(message)?;
        Ok(self.first.get_or_init(|| value).clone())
    }
}

/// Only a record that the journal holds can be sealed: this one lies in a journal in memory.
fn recorded(at: Timestamp) -> Recorded {
    let options = Options {
        origin: "bench".into(),
        segment_bytes_max: 1 << 20,
        on_fatal: Arc::new(|reason| panic!("{reason}")),
    };
    let disk = Arc::new(disk::ForgetfulDisk::new());
    let (journal, _) = Journal::open(disk, Path::new("journal"), options).unwrap();
    let entry = Entry { record: received(at), frames: Vec::new(), unique_keys: Vec::new() };
    match journal.append_blocking(entry).unwrap() {
        Appended::Recorded(recorded) => recorded,
        Appended::Existing(position) => panic!("recorded before, at {position}"),
    }
}

fn received(at: Timestamp) -> Record {
    let none = Hex32([0; 32]);
    Record::Received(Received {
        ticket: Ticket::parse(TICKET).unwrap(),
        request: RequestFacts {
            request_id: "01890a5d-ac96-774b-bcce-b302099a8057".into(),
            received_at: at,
            operation: "sendDocument".into(),
            sender: Sender {
                cbe: EnterpriseNumber::parse("0123456749", Strictness::Strict).unwrap(),
                application: ApplicationId::parse("urn:be:example:institution:letters").unwrap(),
                issuing_ca_spki_sha256: [1; 32],
                environment: Environment::Tst,
            },
            message_certificate: none,
            tls_certificate: None,
            peer_address: "127.0.0.1".into(),
            asserted_address: None,
            soap_digest: none,
            submission_key: none,
            signed_info: String::new(),
            signature_value: String::new(),
            signature_algorithm: String::new(),
            decision: DecisionFacts {
                grant_reference: "bench".into(),
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
        checks: Vec::new(),
        parts: Vec::new(),
    })
}

fn item() -> ItemDescription {
    ItemDescription {
        ticket: TICKET.into(),
        token: "letter-1".into(),
        recipient: RecipientDescription::Enterprise {
            company_id: "0206731645".into(),
            quality_code: "QUAL_EMP_NOSS".into(),
        },
        sender: SenderDescription {
            company_id: "0123456749".into(),
            application_id: "urn:be:example:institution:letters".into(),
        },
        document: FileDescription {
            title: "A letter".into(),
            digest_method: FileDigestMethod::Sha256,
            digest_value: vec![7; 32],
            download_file_name: "letter.pdf".into(),
            mime: Some("application/pdf".into()),
            document_type: "LETTER".into(),
            language: Some("en".into()),
        },
        annexes: Vec::new(),
    }
}

const TICKET: &str = "ABCDEFGH12345";
