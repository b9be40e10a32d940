//! The driver of `delivery` against the stand-in, over real sockets. Method: one house a test, its own port, the driver's own key.

use std::io::Read;
use std::sync::Arc;

use delivery::ebox::{Ambient, Ebox, Setup, SubjectLanguage, TokenSetup};
use delivery::{Channel, ContentSource, InquireError, Item, ItemPart, Outcome, Published};
use erds::{ApplicationId, EboxCheck, EnterpriseNumber, QualityCode, Recipient, Ssin, Strictness, Ticket};
use openssl::asn1::Asn1Time;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::{X509Builder, X509NameBuilder};
use pki::signer::FileSigner;

use super::*;
use crate::transport::{HttpTransport, client};

struct Sandbox {
    address: String,
    ebox: Arc<Ebox>,
    http: reqwest::Client,
}

impl Sandbox {
    async fn open() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut EboxSetup)) -> Self {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let certificate = self_signed(&key);
        let recipient = |identifier: &str, activated, exclusively| EboxRecipient {
            identifier: identifier.into(),
            activated,
            exclusively,
            opened: true,
        };
        let mut setup = EboxSetup {
            clients: vec![("client".into(), certificate.to_der().unwrap())],
            audience: "sandbox".into(),
            scope: "publish profile".into(),
            token_seconds: 300,
            recipients: vec![recipient(SSIN, true, false), recipient("0206731645", true, true)],
            conflict_names_message: false,
        };
        change(&mut setup);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, setup));
        let http = client(&[], None, Duration::from_secs(5)).unwrap();
        let pem = key.private_key_to_pem_pkcs8().unwrap();
        let signer = Arc::new(FileSigner::from_pem(&pem, &certificate.to_pem().unwrap()).unwrap());
        let ambient = Ambient {
            clock: Arc::new(Timestamp::now),
            random: Arc::new(|bytes| openssl::rand::rand_bytes(bytes).is_ok()),
        };
        let transport = Arc::new(HttpTransport::new(http.clone(), Duration::from_secs(2)));
        let ebox = Ebox::new(driver_setup(&address), signer, transport, ambient).unwrap();
        Self { address, ebox, http }
    }

    async fn fault(&self, fault: Value) {
        let answer =
            self.http.put(format!("{}/fault", self.address)).body(fault.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
    }

    async fn received(&self) -> Value {
        let answer = self.http.get(format!("{}/received", self.address)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn consign(&self) -> Outcome {
        self.ebox.citizen().consign(&item("0123456789ABC", 4), &Zeros).await
    }
}

const SSIN: &str = "71022722580";

fn self_signed(key: &PKey<openssl::pkey::Private>) -> openssl::x509::X509 {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "client").unwrap();
    let name = name.build();
    let mut certificate = X509Builder::new().unwrap();
    certificate.set_version(2).unwrap();
    certificate
        .set_serial_number(&openssl::bn::BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap())
        .unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(key).unwrap();
    certificate.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::from_unix(4_000_000_000).unwrap()).unwrap();
    certificate.sign(key, openssl::hash::MessageDigest::sha256()).unwrap();
    certificate.build()
}

fn driver_setup(address: &str) -> Setup {
    Setup {
        registry_url: format!("{address}/REST/ebox/enterprise"),
        profile_url: format!("{address}/REST/ebox/enterprise/federation/v1"),
        token: TokenSetup {
            url: format!("{address}/REST/oauth/v5/token"),
            audience: "sandbox".into(),
            scope: "publish profile".into(),
            client_id: "client".into(),
        },
        message_types: Default::default(),
        default_message_type: "MT".into(),
        default_language: SubjectLanguage::Nl,
        enterprise_qualities: vec!["QUAL_EMP_NOSS".into()],
        attachment_bytes_max: u64::MAX,
    }
}

/// Every part is that many zero bytes: its name says how many.
struct Zeros;

impl ContentSource for Zeros {
    fn open(&self, part: &str) -> io::Result<Box<dyn Read + Send>> {
        let bytes = part.parse().map_err(io::Error::other)?;
        Ok(Box::new(io::repeat(0).take(bytes)))
    }
}

fn citizen() -> Recipient {
    let inss = Ssin::parse(SSIN, Strictness::Lax, jiff::civil::date(2026, 1, 1)).unwrap();
    Recipient::Citizen { inss, quality: QualityCode::parse("CITIZEN").unwrap() }
}

fn item(ticket: &str, bytes: u64) -> Item {
    Item {
        ticket: Ticket::parse(ticket).unwrap(),
        sender_cbe: EnterpriseNumber::parse("0206731645", Strictness::Lax).unwrap(),
        sender_application: ApplicationId::parse("urn:be:fgov:example").unwrap(),
        recipient: citizen(),
        title: "Title".into(),
        document_type: "LETTER".into(),
        language: None,
        parts: vec![ItemPart {
            name: bytes.to_string(),
            file_name: "é.pdf".into(),
            mime: None,
            bytes,
            sha256: None,
        }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_arrives_once_and_is_read_later() {
    let sandbox = Sandbox::open().await;
    let Outcome::Consigned(consignment) = sandbox.consign().await else { panic!("not consigned") };
    assert!(!consignment.no_digital_user && consignment.expires_at.is_some());
    let received = sandbox.received().await;
    assert_eq!((&received["posts"], &received["items"]), (&json!(1), &json!(1)));
    assert_eq!(received["publications"][0]["files"][0]["fileName"], "é.pdf");
    assert_eq!(received["publications"][0]["registered"], true);

    let asked = [Published { message_id: consignment.message_id.clone(), recipient: citizen() }];
    assert!(!sandbox.ebox.citizen().poll_read(&asked).await.unwrap()[0].read);
    let control = json!({"messageId": consignment.message_id}).to_string();
    sandbox.http.put(format!("{}/read", sandbox.address)).body(control).send().await.unwrap();
    assert!(sandbox.ebox.citizen().poll_read(&asked).await.unwrap()[0].read);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_ends_in_one_item_under_one_key() {
    for names_message in [false, true] {
        let sandbox = Sandbox::with(|setup| setup.conflict_names_message = names_message).await;
        sandbox.fault(json!({"kind": "lost-answer"})).await;
        let first = sandbox.consign().await;
        assert!(matches!(&first, Outcome::Retry(away) if away.maybe_published), "{first:?}");
        let again = sandbox.consign().await;
        let Outcome::AlreadyPublished { message_id, .. } = again else { panic!("{again:?}") };
        let received = sandbox.received().await;
        assert_eq!((&received["posts"], &received["items"]), (&json!(2), &json!(1)));
        assert_eq!(received["keysPerItem"].as_object().unwrap().values().collect::<Vec<_>>(), [&json!(1)]);
        let known =
            received["publications"][0]["messageId"].as_str().map(str::to_owned).filter(|_| names_message);
        assert_eq!(message_id, known);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_has_its_outcome() {
    let sandbox = Sandbox::open().await;
    let check = async |fault: Value, expected: &str| {
        sandbox.fault(fault).await;
        let outcome = sandbox.consign().await;
        let got = match &outcome {
            Outcome::Consigned(_) => "consigned",
            Outcome::AlreadyPublished { .. } => "already",
            Outcome::Failed { code, .. } => code,
            Outcome::Unauthorised(away) | Outcome::Retry(away) | Outcome::Ours(away) => away.code,
        };
        assert_eq!(got, expected);
    };
    check(json!({"kind": "status-503"}), "delivery.ebox.away").await;
    check(json!({"kind": "status-429"}), "delivery.ebox.too-many").await;
    check(json!({"kind": "status-400"}), "ON_PURPOSE").await;
    check(json!({"kind": "unauthorized", "count": 2}), "delivery.ebox.unauthorised").await;
    check(json!({"kind": "conflict"}), "already").await;
    check(json!({"kind": "unauthorized"}), "consigned").await;
    check(json!({"kind": "status-500", "count": 0}), "already").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_too_late_is_a_timeout() {
    let sandbox = Sandbox::open().await;
    sandbox.fault(json!({"kind": "latency", "delay_ms": 4000})).await;
    let outcome = sandbox.consign().await;
    assert!(
        matches!(&outcome, Outcome::Retry(away) if away.code == "transport.timeout" && away.maybe_published),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_endpoint_away_or_unwilling() {
    let sandbox = Sandbox::open().await;
    sandbox.fault(json!({"kind": "token-away"})).await;
    assert!(matches!(sandbox.consign().await, Outcome::Retry(_)));
    sandbox.fault(json!({"kind": "token-refused"})).await;
    assert!(matches!(sandbox.consign().await, Outcome::Unauthorised(_)));
    assert_eq!(sandbox.received().await["posts"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_and_unknown_recipients() {
    let sandbox = Sandbox::with(|setup| setup.recipients.retain(|known| known.identifier != SSIN)).await;
    let enterprise = |number: &str| Recipient::Enterprise {
        company: EnterpriseNumber::parse(number, Strictness::Lax).unwrap(),
        quality: QualityCode::parse("QUAL_EMP_NOSS").unwrap(),
    };
    let channel = sandbox.ebox.enterprise();
    assert!(channel.inquire(&enterprise("0206731645"), EboxCheck::Preferred).await.is_ok());
    let unknown = channel.inquire(&citizen(), EboxCheck::Activated).await;
    assert!(matches!(unknown, Err(InquireError::Refused(_))), "{unknown:?}");
    sandbox.fault(json!({"kind": "profile-away"})).await;
    let away = channel.inquire(&enterprise("0206731645"), EboxCheck::Activated).await;
    assert!(matches!(away, Err(InquireError::Away(_))), "{away:?}");
    let outcome = sandbox.consign().await;
    assert!(
        matches!(&outcome, Outcome::Consigned(consignment) if consignment.no_digital_user),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_and_a_short_part_are_told_apart() {
    let sandbox = Sandbox::open().await;
    let mut wrong = item("0123456789ABC", 4);
    wrong.parts[0].sha256 = Some([1; 32]);
    let outcome = sandbox.ebox.citizen().consign(&wrong, &Zeros).await;
    assert!(matches!(&outcome, Outcome::Failed { code, .. } if code == "DIGEST_DO_NOT_MATCH"), "{outcome:?}");
    let mut short = item("0123456789ABC", 4);
    short.parts[0].bytes = 5;
    let outcome = sandbox.ebox.citizen().consign(&short, &Zeros).await;
    assert!(
        matches!(&outcome, Outcome::Ours(away) if away.code == "transport.content-unreadable"),
        "{outcome:?}"
    );
    assert_eq!(sandbox.received().await["items"], 0);
}

async fn large(bytes: u64) {
    let sandbox = Sandbox::open().await;
    let outcome = sandbox.ebox.citizen().consign(&item("0123456789ABC", bytes), &Zeros).await;
    assert!(matches!(outcome, Outcome::Consigned(_)), "{outcome:?}");
    assert_eq!(sandbox.received().await["publications"][0]["files"][0]["bytes"], bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_through() {
    large(32 * 1024 * 1024).await;
}

/// Run alone (`--ignored`): the peak is the process's, so tests beside it would count.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a gigabyte takes seconds, and memory is measured for the whole process"]
async fn a_gigabyte_goes_through_in_small_memory() {
    let before = resident_bytes_peak();
    large(1 << 30).await;
    let grown = resident_bytes_peak().saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "grew by {grown} bytes");
}

fn resident_bytes_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    peak.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    use delivery::transport::{Body, HttpRequest, Method, Transport};
    let transport =
        HttpTransport::new(client(&[], None, Duration::from_secs(1)).unwrap(), Duration::from_secs(1));
    let request = HttpRequest {
        method: Method::Get,
        url: "http://192.0.2.1/".into(),
        headers: Vec::new(),
        body: Body::Empty,
    };
    let error = transport.send(request).await.unwrap_err();
    assert!(error.detail.contains("plain http"), "{error}");
}
