//! The service without a socket: a disk that forgets, a real time-stamp client, a channel that counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use delivery::Channel;
use disk::ForgetfulDisk;
use epost::admission::spool::Spool;
use epost::admission::{Arrived, Head, PeerFacts};
use epost::config::{Config, Limits};
use epost::courier;
use epost::dev::pki::{CONTROLLER_CBE, Extent, Pki};
use epost::dev::tsa::{self, TsaSetup};
use epost::door::soap::Contract;
use epost::publication::Publication;
use epost::service::{OpenError, Outside, Places, Service, Settings};
use epost::trust::{ProofAnchors, SenderTrust, Stamper, TsaClient};
use erds::record::Refused;
use erds::refusal::is_class_only;
use erds::{ChannelName, Environment, FaultLanguage, FaultOrigin, Record, Strictness, Ticket};
use jiff::Timestamp;
use journal::Stored;
use journal::checkpoint::LogKey;
use journal::tiles::Publisher;
use pki::aead::Key256;
use pki::certificate::Certificate;
use pki::ed25519::Ed25519Key;
use soap::fault::ReceivedFault;
use soap::wss::saml::TokenService;
use tokio::sync::watch;

use super::draft::{Draft, Signed};
use super::mortal::Mortal;
use super::reply::Answered;
use super::scripted::{Boxes, Counting, Gate};
use super::{certificate, certs_test, signer_with};

/// What a house is made of; the disk and the boxes outlive it.
pub struct Plan {
    pub disk: ForgetfulDisk,
    pub boxes: Boxes,
    pub stamper: Arc<dyn Stamper>,
    pub limits: Limits,
    /// Instead of the counting ones into `boxes`.
    pub channels: Option<Vec<Arc<dyn Channel>>>,
    /// Whether the courier runs.
    pub delivers: bool,
    /// Seconds between its questions for what was read; 0: none.
    pub read_poll_seconds: u64,
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// How far it may be from a time-stamp's.
    pub clock_limits: epost::config::Clock,
    /// Certificates that a message may name without carrying them.
    pub registered: Vec<Certificate>,
    /// Whose SAML assertions are taken.
    pub token_services: Vec<TokenService>,
    /// Certificates of TLS peers that forward other senders' messages.
    pub gateways: Vec<Certificate>,
    /// The header in which those say the sender's address.
    pub gateway_address_header: Option<String>,
    /// A decision point that is asked instead of the policy's grants.
    pub remote: Option<Arc<epost::access::RemoteAuthorizer>>,
    /// Parts up to this size lie in the journal.
    pub inline_bytes_max: usize,
    /// Start though content of items on their way is gone.
    pub serve_despite_absent: bool,
    /// Who has a folder of the batch channel.
    pub folders: Vec<String>,
    /// URIs of the policies that evidence names; the built-in one alone has a text.
    pub evidence_policies: Vec<String>,
    /// The log has a key, and is published: without it there are no packages.
    pub publishes: bool,
    /// How many seals may be in the making.
    pub signing: epost::signing::SigningLimits,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            disk: ForgetfulDisk::new(),
            boxes: Boxes::default(),
            stamper: Gate::open(stamper()),
            limits: Limits::default(),
            channels: None,
            delivers: false,
            read_poll_seconds: 0,
            clock: Arc::new(Timestamp::now),
            clock_limits: Default::default(),
            registered: Vec::new(),
            token_services: Vec::new(),
            gateways: Vec::new(),
            gateway_address_header: None,
            remote: None,
            inline_bytes_max: 64 * 1024,
            serve_despite_absent: false,
            folders: Vec::new(),
            evidence_policies: vec![epost::config::EVIDENCE_POLICY.to_owned()],
            publishes: false,
            signing: Default::default(),
        }
    }
}

/// The service, open on a plan; dropping it ends the courier.
pub struct House {
    pub service: Arc<Service>,
    pub disk: ForgetfulDisk,
    pub boxes: Boxes,
    process: Mortal,
    stop: watch::Sender<bool>,
    courier: Option<tokio::task::JoinHandle<()>>,
}

pub const JOURNAL: &str = "data/journal";
const TLOG: &str = "data/tlog";
pub const ORIGIN: &str = "epost.test/journal";

impl House {
    pub async fn new() -> Self {
        Self::open(Plan::default()).await.unwrap()
    }

    pub async fn open(plan: Plan) -> Result<Self, OpenError> {
        let config = config();
        let process = Mortal::new(plan.disk.clone());
        let fatal = process.clone();
        let crls = super::reply::committed_crls();
        let channel = |name| Arc::new(Counting { name, boxes: plan.boxes.clone() }) as Arc<dyn Channel>;
        let counting = || vec![channel(ChannelName::EboxCitizen), channel(ChannelName::EboxEnterprise)];
        let mut senders = SenderTrust::read(config, crate::house::no_responder()).unwrap();
        senders.registered = plan.registered;
        senders.token_services = plan.token_services;
        let log = plan.publishes.then(|| {
            let publisher = Publisher::open(Arc::new(process.clone()), Path::new(TLOG), log_key()).unwrap();
            Arc::new(Publication::new(publisher))
        });
        let outside = Outside {
            log,
            disk: Arc::new(process.clone()),
            clock: plan.clock,
            stamper: plan.stamper,
            channels: plan.channels.unwrap_or_else(counting),
            channel_probe: None,
            signer: Arc::new(signer_with("seal", "seal-chain.crt")),
            answer_signer: Arc::new(signer_with("server", "server.crt")),
            senders,
            policy: uam::PolicyFile::parse(&policy()).unwrap(),
            proof_anchors: ProofAnchors::read(config).unwrap(),
            remote: plan.remote,
            proof_crls: Arc::new(move |_| crls.clone()),
            on_fatal: Arc::new(move |_| fatal.die()),
        };
        let places = Places {
            directory: PathBuf::from("data"),
            index: None,
            master_key: Key256::new([7; 32]),
            origin: ORIGIN.to_owned(),
            signed: outside.log.as_ref().and_then(|log| log.checkpoint()),
            segment_bytes_max: 1 << 20,
            inline_bytes_max: plan.inline_bytes_max,
        };
        let settings = Settings {
            trusted_gateways: plan.gateways.iter().map(Certificate::fingerprint).collect(),
            gateway_address_header: plan.gateway_address_header,
            clock: plan.clock_limits,
            serve_despite_absent: plan.serve_despite_absent,
            folders: plan.folders.into_iter().collect(),
            signing: plan.signing,
            evidence_policies: plan.evidence_policies,
            ..settings(plan.limits, plan.read_poll_seconds)
        };
        let (service, _) = Service::open(settings, places, outside).await?;
        let (stop, stopped) = watch::channel(false);
        let courier = plan.delivers.then(|| tokio::spawn(courier::run(service.clone(), stopped)));
        Ok(Self { service, disk: plan.disk, boxes: plan.boxes, process, stop, courier })
    }

    /// The process ends: whatever is still under way in it reaches the disk no more.
    pub async fn stop(self) {
        self.process.die();
        let _ = self.stop.send(true);
        if let Some(courier) = self.courier {
            courier.await.unwrap();
        }
    }

    /// A request through the spool and admission, as the door would hand it over.
    pub async fn send(&self, signed: &Signed) -> Answered {
        let (content_type, body) = signed.http();
        self.send_body(signed, &content_type, &body).await
    }

    pub async fn send_body(&self, signed: &Signed, content_type: &str, body: &[u8]) -> Answered {
        take(&self.service, signed, content_type, body).await
    }

    pub async fn ask(&self, draft: &Draft) -> Answered {
        self.send(&draft.sign()).await
    }

    /// The journal, from its first record.
    pub fn records(&self) -> Vec<Stored> {
        self.service.journal().iter(0).map(Result::unwrap).collect()
    }

    /// In a few words: accepted, or the fault's code and the check that the journal names.
    pub fn verdict(&self, answered: &Answered) -> String {
        verdict(&self.records(), answered)
    }

    /// Tickets of the journal's Accepted and Withdrawn records.
    pub fn accepted_and_withdrawn(&self) -> (Vec<Ticket>, Vec<Ticket>) {
        let (mut accepted, mut withdrawn) = (Vec::new(), Vec::new());
        for stored in self.records() {
            match stored.record {
                Record::Accepted(record) => accepted.push(record.ticket),
                Record::Withdrawn(record) => withdrawn.push(record.ticket),
                _ => {}
            }
        }
        (accepted, withdrawn)
    }
}

/// The door's own steps, without its socket.
pub async fn take(service: &Arc<Service>, signed: &Signed, content_type: &str, body: &[u8]) -> Answered {
    let head = Head {
        contract: Contract::of_path(signed.path).unwrap(),
        content_type: content_type.to_owned(),
        soap_action: signed.soap_action.clone(),
        asserted_address: None,
    };
    let peer =
        PeerFacts { address: "127.0.0.1:50000".parse().unwrap(), certificate: certificate(&signed.tls) };
    let reply = match spool(service, &head, body).await {
        Ok(spooled) => {
            let arrived = Arrived { head, peer, received_at: service.now(), spooled };
            service.clone().answer(arrived).await
        }
        Err((spool, error)) => service.refuse_unread(head, peer, spool, error).await,
    };
    Answered { status: reply.status, content_type: reply.content_type, body: reply.body }
}

async fn spool(
    service: &Arc<Service>,
    head: &Head,
    body: &[u8],
) -> Result<epost::admission::spool::Spooled, (Option<Spool>, epost::admission::spool::SpoolError)> {
    let mut spool = Spool::begin(service, head).map_err(|error| (None, error))?;
    for chunk in body.chunks(777) {
        if let Err(error) = spool.feed(chunk) {
            return Err((Some(spool), error));
        }
    }
    spool.finish().await.map_err(|(spool, error)| (Some(spool), error))
}

/// In a few words: accepted, or the fault's code and the check that the journal names (E7: refused or not, it is there).
#[track_caller]
pub fn verdict(records: &[Stored], answered: &Answered) -> String {
    let told = judged(records, answered);
    // What tests/attacks/run prints.
    println!("verdict: {told}");
    told
}

#[track_caller]
fn judged(records: &[Stored], answered: &Answered) -> String {
    let last = records.last().expect("an empty journal");
    match (answered.fault(), &last.record) {
        (None, Record::Accepted(_)) if answered.status == 200 => "accepted".to_owned(),
        (None, record) => format!("HTTP {} {}", answered.status, record.kind()),
        (Some(fault), Record::Refused(refused)) => {
            assert_eq!(refused.code.as_str(), fault.code, "journal and fault speak of one thing");
            assert_eq!(Some(&refused.request_id), fault.id.as_ref(), "helpdesk and sender speak of one line");
            tells_all_that_it_may(&fault, refused);
            format!("{} {}", fault.code, refused.check)
        }
        (Some(fault), record) => format!("{} but the journal ends in {}", fault.code, record.kind()),
    }
}

/// Whatever fault a test meets: in each language its class and what to do, and check, seen and expected unless that were an oracle or ours.
#[track_caller]
fn tells_all_that_it_may(fault: &ReceivedFault, refused: &Refused) {
    let (code, check) = (refused.code, format!("[{}]", refused.check));
    let class_only = is_class_only(code, &refused.check) || code.origin() == FaultOrigin::Provider;
    assert_eq!(fault.messages.len(), FaultLanguage::ALL.len(), "{fault:?}");
    for language in FaultLanguage::ALL {
        let text = fault.message(language.as_str()).unwrap();
        let own = !class_only && language == FaultLanguage::En;
        let remedy = if own { refused.remedy.as_str() } else { code.remedy(language) };
        assert!(text.starts_with(code.text(language)) && text.contains(remedy), "{language:?}: {text}");
        for (name, told) in [("check", &check), ("seen", &refused.seen), ("expected", &refused.expected)] {
            assert!(class_only || !told.is_empty(), "no {name}: {refused:?}");
            let there = !told.is_empty() && text.contains(told.as_str());
            assert!(there != class_only, "{language:?}, {name} {told:?}: {text}");
        }
    }
}

/// The key of the log: one a process, as its houses have one name.
pub fn log_key() -> LogKey {
    static PEM: OnceLock<Vec<u8>> = OnceLock::new();
    let pem = PEM.get_or_init(|| Ed25519Key::random().and_then(|key| key.to_pem()).unwrap().to_vec());
    LogKey::from_pem(ORIGIN, pem).unwrap()
}

fn settings(limits: Limits, read_poll_seconds: u64) -> Settings {
    Settings {
        environment: Environment::Tst,
        strictness: Strictness::Strict,
        timestamp_lifetime_seconds_max: 600,
        clock_skew_seconds_max: 60,
        seal_lag_seconds_max: 60,
        evidence_policies: Vec::new(),
        evidence_policy_texts: BTreeMap::from([(
            epost::config::EVIDENCE_POLICY.to_owned(),
            epost::config::EVIDENCE_POLICY_TEXT.to_owned(),
        )]),
        breach: Default::default(),
        clock: Default::default(),
        signing: Default::default(),
        trusted_gateways: Vec::new(),
        gateway_address_header: None,
        consumer_fault_addresses: Vec::new(),
        limits,
        free_bytes_min: 1,
        serve_despite_absent: false,
        delivery: epost::config::Delivery { retry_first_seconds: 1, read_poll_seconds, ..Default::default() },
        folders: Default::default(),
        public_url: "https://localhost:8443".to_owned(),
        addresses: vec!["https://localhost:8443/RegisteredMail/v1".to_owned()],
    }
}

/// alice and bob are granted everything.
pub fn policy() -> String {
    let issuer = certificate("senders-ca")
        .spki_sha256()
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let zone = "[[zone]]\nname = \"local\"\nkind = \"private\"\naddresses = [\"127.0.0.0/8\"]\n".to_owned();
    let rights = [
        ("sending", "[\"sendDocument\", \"healthCheck\", \"verifyProof\"]"),
        (
            "consulting",
            "[\"getStatus\", \"getProof\", \"findItems\", \"getDeliveryHistory\", \"checkRecipient\"]",
        ),
    ];
    let all = epost::dev::pki::SENDERS.iter().flat_map(|sender| rights.map(|right| (sender, right)));
    all.fold(zone, |text, (sender, (right, transactions))| {
        format!(
            "{text}[[grant]]\nid = \"{}-{right}\"\nissuer = \"{issuer}\"\ncbe = \"{}\"\napplication = \"{}\"\n\
             transactions = {transactions}\npurpose = \"testing\"\nmanager = \"the tests\"\nprogram_number = \"P-17\"\naddresses = [\"127.0.0.1/32\"]\nzone = \"local\"\n\
             until = \"2045-12-31\"\nreference = \"a test\"\n",
            sender.name, sender.cbe, sender.application
        )
    })
}

/// One time-stamping authority and one configuration a process, on loopback.
pub fn config() -> &'static Config {
    static CONFIG: OnceLock<(tempfile::TempDir, Config)> = OnceLock::new();
    &CONFIG
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let address = tsa_stand_in(folder.path(), Timestamp::now);
            let path = folder.path().join("epost.toml");
            std::fs::write(&path, config_text(&format!("http://{address}/"))).unwrap();
            let config = Config::read(&path).unwrap();
            (folder, config)
        })
        .1
}

/// A client of the process's own stand-in.
pub fn stamper() -> Arc<dyn Stamper> {
    stamper_by(Timestamp::now)
}

/// One whose service has another clock than the stand-in.
pub fn stamper_by(clock: fn() -> Timestamp) -> Arc<dyn Stamper> {
    let http = epost::transport::client(&[], None, std::time::Duration::from_secs(5)).unwrap();
    Arc::new(TsaClient::read(config(), http, clock).unwrap())
}

/// A client, and a stand-in of its own, of this one clock: another day for both.
pub fn stamper_of(clock: fn() -> Timestamp) -> Arc<dyn Stamper> {
    let folder = tempfile::tempdir().unwrap();
    let address = tsa_stand_in(folder.path(), clock);
    let path = folder.path().join("epost.toml");
    std::fs::write(&path, config_text(&format!("http://{address}/"))).unwrap();
    let http = epost::transport::client(&[], None, std::time::Duration::from_secs(5)).unwrap();
    Arc::new(TsaClient::read(&Config::read(&path).unwrap(), http, clock).unwrap())
}

/// In a thread of its own: each test has its own runtime, which ends with it.
fn tsa_stand_in(folder: &Path, clock: fn() -> Timestamp) -> std::net::SocketAddr {
    let pki = copy_of_certs_test(&folder.join("pki"));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            tsa::serve(listener, TsaSetup::from_pki(&pki, clock).unwrap()).await;
        });
    });
    told.recv().unwrap()
}

/// The committed PKI, where CRLs may be issued again; no RSA key has to be made.
pub fn copy_of_certs_test(folder: &Path) -> Pki {
    std::fs::create_dir_all(folder.join("crls")).unwrap();
    for entry in std::fs::read_dir(certs_test("")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
    Pki::open_or_create(folder, Extent::WithStrangers, Timestamp::now(), 30, 30).unwrap()
}

fn config_text(tsa_url: &str) -> String {
    let certs = certs_test("").canonicalize().unwrap();
    let certs = certs.display();
    format!(
        r#"
environment = "TST"
[listen]
address = "127.0.0.1:0"
public_url = "https://localhost:8443"
certificate = "{certs}/server.crt"
key = "{certs}/server.key"
[senders]
anchors = ["{certs}/senders-root.crt"]
intermediates = ["{certs}/senders-ca.crt"]
crls = ["{certs}/crls"]
[uam]
policy = "unused"
[data]
directory = "unused"
master_key = "unused"
origin = "{ORIGIN}"
[seal]
certificate = "{certs}/seal-chain.crt"
key = "{certs}/seal.key"
anchors = ["{certs}/seal-root.crt"]
crls = ["{certs}/crls"]
controller_cbe = "{CONTROLLER_CBE}"
[[tsa]]
name = "stand-in"
url = "{tsa_url}"
anchors = ["{certs}/tsa-root.crt"]
crls = ["{certs}/crls/tsa-root.crl", "{certs}/crls/tsa-ca.crl"]
policies = ["{policy}"]
stand_in = true
[ebox]
url = "http://unused"
profile_url = "http://unused"
token_url = "http://unused"
audience = "unused"
scope = "unused"
client_id = "unused"
certificate = "{certs}/ebox-client.crt"
key = "{certs}/ebox-client.key"
default_message_type = "unused"
"#,
        policy = tsa::POLICIES[0],
    )
}
