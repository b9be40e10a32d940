//! From a configuration to a running service: reads every file, opens the ground state, then opens the door.

mod policies;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use delivery::Channel;
use delivery::ebox::{Ambient, Ebox, Setup, SubjectLanguage, TokenSetup};
use disk::{Disk, RealDisk};
use erds::{Environment, Strictness};
use jiff::Timestamp;
use journal::Journal;
use journal::checkpoint::{Checkpoint, LogKey};
use journal::tiles::Publisher;
use pki::certificate::{Certificate, NameAttribute};
use pki::crl::CrlSet;
use pki::der::encode_oid;
use pki::path::{Purpose, Revocation, TrustAnchors};
use pki::signer::{FileSigner, Signer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::config::{Config, Identifiers};
use crate::consult::{self, Desk, People};
use crate::crls::CrlArchive;
use crate::door::operator::Watched;
use crate::door::soap::Contract;
use crate::folder::partners::{Partners, PartnersError};
use crate::publication::{self, Publication};
use crate::retention::Retention;
use crate::service::{self, Outside, Places, Service, Settings, StartReport};
use crate::signing::SigningLimits;
use crate::stamp::Stamps;
use crate::trust::{self, SenderTrust, TrustError, TsaClient};
use crate::witness::Witnesses;
use crate::{access, backup, courier, door, drill, keys, report, retention, scrub, transport};

/// Why the service does not start; every one is the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Files of certificates, keys, CRLs.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The ground state.
    #[error(transparent)]
    Open(#[from] service::OpenError),
    /// The journal's published files.
    #[error(transparent)]
    Tiles(#[from] journal::tiles::TilesError),
    /// Who consults the log.
    #[error(transparent)]
    People(#[from] consult::PeopleError),
    /// Who has a folder.
    #[error(transparent)]
    Partners(#[from] PartnersError),
    /// Who signs policies.
    #[error(transparent)]
    Signers(#[from] access::SignersError),
    /// The remote decision point.
    #[error(transparent)]
    Remote(#[from] access::RemoteError),
    /// The policy may not come into force.
    #[error("uam.policy: {}: {_0}", _0.code())]
    Policy(#[from] access::PolicyUnread),
    /// The door's TLS.
    #[error(transparent)]
    Tls(#[from] door::tls::TlsError),
    /// A key in a token.
    #[error("{option}: {cause}")]
    Token {
        /// Which option names it.
        option: &'static str,
        /// What the token, or who found it, said.
        cause: pki::token::TokenError,
    },
    /// A value of the configuration that cannot be.
    #[error("config.value: {option}: {seen}; expected {expected}")]
    Value {
        /// Which option.
        option: &'static str,
        /// What was found.
        seen: String,
        /// What was expected.
        expected: String,
    },
    /// A door's address cannot be had.
    #[error("{option}: {address}: {cause}")]
    Address {
        /// Which option names it.
        option: &'static str,
        /// Which.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
}

pub(crate) fn value(
    option: &'static str,
    seen: impl std::fmt::Display,
    expected: impl Into<String>,
) -> StartError {
    StartError::Value { option, seen: seen.to_string(), expected: expected.into() }
}

/// A service that runs.
pub struct Running {
    /// The service.
    pub service: Arc<Service>,
    /// Where the door is.
    pub address: SocketAddr,
    /// Where the operators' door is, if there is one.
    pub operator_address: Option<SocketAddr>,
    /// Where consultations of the log are asked for, if anywhere.
    pub consult_address: Option<SocketAddr>,
    /// Where partners' folders are, if anywhere.
    pub batch_address: Option<SocketAddr>,
    /// What looks at the policy file.
    pub access: Arc<access::Access>,
    /// What the start found.
    pub report: StartReport,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Lets requests under way end, then ends.
    pub async fn stop(mut self) {
        if let Err(error) = self.service.record_act("service.stop", "").await {
            tracing::error!(event = "service.stop-unrecorded", %error);
        }
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Everything that the configuration names, read and judged; nothing is opened or written yet.
pub struct Prepared {
    settings: Settings,
    places: Places,
    outside: Outside,
    tls: Arc<rustls::ServerConfig>,
    tsas: Arc<TsaClient>,
    crls: Arc<CrlArchive>,
    crl_paths: Vec<PathBuf>,
    consult: Option<(People, Arc<rustls::ServerConfig>)>,
    batch: Option<(Partners, Arc<rustls::ServerConfig>)>,
    access: access::Access,
}

/// Reads and judges everything that the configuration names.
///
/// # Errors
/// [`StartError`].
pub fn prepare(
    config: &Config,
    disk: Arc<dyn Disk>,
    on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
) -> Result<Prepared, StartError> {
    let mut settings = settings(config)?;
    let (listen, body) = (&config.listen, config.limits.body_bytes_max);
    let shares = [
        ("listen.spool_bytes_per_sender_max", listen.spool_bytes_per_sender_max),
        ("listen.spool_bytes_max", listen.spool_bytes_max),
    ];
    if let Some((option, bytes)) = shares.into_iter().find(|(_, bytes)| *bytes < body) {
        let least = format!("{body} at least, as limits.body_bytes_max: else such a body never gets in");
        return Err(value(option, bytes, least));
    }
    if let Some(bad) = config.senders.certificate_policies.iter().find(|dotted| encode_oid(dotted).is_err()) {
        return Err(value("senders.certificate_policies", bad, "dotted identifiers, as 1.2.3.4"));
    }
    if let Some(bad) = config.retention.without_a_day() {
        return Err(value("retention", bad, "terms of a day or more"));
    }
    let http = transport::client(&[], None, Duration::from_secs(5))
        .map_err(|error| value("tsa", error, "a TLS setup"))?;
    let senders = SenderTrust::read(config, http.clone())?;
    let policy = access::read(&config.uam.policy)
        .map_err(|error| value("uam.policy", error, "a policy file like deploy/policy.toml"))?;
    let signers = config.uam.signers.as_ref().map(access::Signers::read).transpose()?;
    if signers.is_none() && settings.environment == Environment::Prd {
        return Err(value(
            "uam.signers",
            "nobody",
            "the people of whom two sign each policy: PRD demands it",
        ));
    }
    let remote = config.uam.remote.as_ref().map(access::RemoteAuthorizer::read).transpose()?.map(Arc::new);
    let signer = seal_signer(config, settings.environment)?;
    let certificate_pem = trust::read(&config.listen.certificate)?;
    let key_pem = Zeroizing::new(trust::read(&config.listen.key)?);
    let tls =
        door::tls::server_config(&certificate_pem, &key_pem, senders.anchors.clone(), &senders.authorities)?;
    let consult = config.consult.as_ref().map(|setup| {
        let people = People::read(setup)?;
        let authorities = people.authorities();
        let (anchors, named) = (authorities.anchors().clone(), authorities.named());
        let tls = door::tls::server_config(&certificate_pem, &key_pem, anchors, named)?;
        Ok::<_, StartError>((people, tls))
    });
    let batch = config.batch.as_ref().map(|setup| {
        let partners = Partners::read(setup)?;
        let authorities = partners.authorities();
        let (anchors, named) = (authorities.anchors().clone(), authorities.named());
        let tls = door::tls::server_config(&certificate_pem, &key_pem, anchors, named)?;
        Ok::<_, StartError>((partners, tls))
    });
    let batch = batch.transpose()?;
    settings.folders = batch.iter().flat_map(|(partners, _)| partners.numbers()).map(str::to_owned).collect();
    let answer_signer = FileSigner::from_pem(&key_pem, &certificate_pem)
        .map_err(|error| value("listen.key", error, "the key of listen.certificate"))?;
    let tsas = Arc::new(TsaClient::read(config, http, Timestamp::now)?);
    let ebox = ebox(config)?;
    let channels: Vec<Arc<dyn Channel>> = vec![Arc::new(ebox.citizen()), Arc::new(ebox.enterprise())];
    let crl_paths: Vec<PathBuf> =
        config.seal.crls.iter().chain(config.tsa.iter().flat_map(|tsa| &tsa.crls)).cloned().collect();
    let crls = Arc::new(CrlArchive::new(disk.clone(), config.data.directory.join("crls")));
    let for_proofs = crls.clone();
    let log = publisher(config, disk.clone())?.map(Publication::new).map(Arc::new);
    let outside = Outside {
        disk,
        clock: Arc::new(Timestamp::now),
        stamper: tsas.clone(),
        channels,
        channel_probe: Some(ebox),
        signer,
        answer_signer: Arc::new(answer_signer),
        senders,
        policy,
        proof_anchors: trust::ProofAnchors::read(config)?,
        remote,
        proof_crls: Arc::new(move |at| for_proofs.current_at(at)),
        log,
        on_fatal,
    };
    let places = Places {
        signed: outside.log.as_ref().and_then(|log| log.checkpoint()),
        directory: config.data.directory.clone(),
        index: Some(config.data.directory.join(service::INDEX)),
        master_key: keys::master_key(config)?,
        origin: config.data.origin.clone(),
        segment_bytes_max: config.data.segment_bytes_max,
        inline_bytes_max: config.data.inline_bytes_max,
    };
    Ok(Prepared {
        settings,
        places,
        outside,
        tls,
        tsas,
        crls,
        crl_paths,
        consult: consult.transpose()?,
        batch,
        access: access::Access::new(config.uam.clone(), signers),
    })
}

/// Starts the service on an address that is bound already, or on the configured one.
///
/// # Errors
/// [`StartError`].
pub async fn start(config: &Config, listener: Option<TcpListener>) -> Result<Running, StartError> {
    let on_fatal: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(|reason| {
        tracing::error!(event = "service.fatal", reason);
        eprintln!(
            "epost: {reason}: ending at once, so that nothing unrecorded is answered; start again to recover"
        );
        std::process::exit(70);
    });
    let prepared = prepare(config, Arc::new(RealDisk), on_fatal)?;
    let (tls, tsas, crls, crl_paths) = (prepared.tls, prepared.tsas, prepared.crls, prepared.crl_paths);
    let (listener, address) = match listener {
        Some(listener) => {
            let address = listener.local_addr().map_err(|cause| StartError::Address {
                option: "listen.address",
                address: config.listen.address,
                cause,
            })?;
            (listener, address)
        }
        None => bind("listen.address", config.listen.address).await?,
    };
    let (operator, operator_address) = match config.listen.operator_address {
        Some(address) => {
            bind("listen.operator_address", address).await.map(|(door, at)| (Some(door), Some(at)))?
        }
        None => (None, None),
    };
    let (consult_door, consult_address) = match config.consult.as_ref() {
        Some(setup) => {
            let (door, at) = bind("consult.address", setup.address).await?;
            (Some(door), Some(at))
        }
        None => (None, None),
    };
    let (batch_door, batch_address) = match config.batch.as_ref() {
        Some(setup) => {
            let (door, at) = bind("batch.address", setup.address).await?;
            (Some(door), Some(at))
        }
        None => (None, None),
    };
    crls.add(trust::read_crls(&crl_paths)?)?;
    let log = prepared.outside.log.clone();
    let (service, report) = Service::open(prepared.settings, prepared.places, prepared.outside).await?;
    let configuration = erds::record::Hex32(config.sha256());
    let (version, program, withdrawn) = (env!("CARGO_PKG_VERSION"), program(), report.withdrawn);
    let act =
        format!("version {version}; program {program}; configuration {configuration}; {withdrawn} withdrawn");
    service.record_act("service.start", &act).await.map_err(service::OpenError::from)?;
    prepared.access.adopt(&service).await?;
    let access = Arc::new(prepared.access);

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let ours = certificates(config)?;
    let clock: service::Clock = Arc::new(Timestamp::now);
    tasks.spawn(crate::watch::certificates(ours.clone(), clock, stopped.clone()));
    if let Some(listener) = operator {
        let watched = Watched { service: service.clone(), certificates: ours };
        tasks.spawn(door::operator::serve(listener, Arc::new(watched), stopped.clone()));
    }
    let retention = Arc::new(Retention::new(service.clone(), config.retention.clone()));
    if let (Some(listener), Some((people, tls)), Some(setup)) =
        (consult_door, prepared.consult, &config.consult)
    {
        let desk = Desk::new(service.clone(), people, setup).with_retention(retention.clone());
        tasks.spawn(door::consult::serve(listener, tls, Arc::new(desk), stopped.clone()));
    }
    if let (Some(listener), Some((partners, tls)), Some(setup)) = (batch_door, prepared.batch, &config.batch)
    {
        let folders = door::webdav::Folders::new(service.clone(), partners, setup.connections_max);
        tasks.spawn(door::webdav::serve(listener, tls, Arc::new(folders), stopped.clone()));
    }
    if let Some(log) = log {
        let every = Duration::from_secs(config.data.checkpoint_seconds.max(1));
        let stamp_every = jiff::SignedDuration::from_hours(i64::from(config.data.stamp_hours));
        let stamps = (config.data.stamp_hours > 0)
            .then(|| Stamps::open(Arc::new(RealDisk), &tlog_directory(config), stamp_every));
        let witnesses = Witnesses::read(&config.witness)?;
        tasks.spawn(publication::run(service.clone(), log, stamps, witnesses, every, stopped.clone()));
    }
    tasks.spawn(crate::clock::watch(service.clone(), config.clock.clone(), stopped.clone()));
    tasks.spawn(report::schedule::run(service.clone(), config.report.clone(), stopped.clone()));
    tasks.spawn(drill::acts::watch(service.clone(), config.drill.days_max, stopped.clone()));
    tasks.spawn(scrub::run(service.clone(), config.scrub.clone(), stopped.clone()));
    tasks.spawn(retention::watch(retention, stopped.clone()));
    tasks.spawn(access::watch(service.clone(), access.clone(), stopped.clone()));
    tasks.spawn(courier::run(service.clone(), stopped.clone()));
    tasks.spawn(door::serve(listener, tls, config.listen.clone(), service.clone(), stopped.clone()));
    tasks.spawn(reload(service.clone(), tsas, crls, crl_paths, config.clone(), stopped));
    Ok(Running {
        service,
        address,
        operator_address,
        consult_address,
        batch_address,
        access,
        report,
        stop,
        tasks,
    })
}

/// The digest of this program's own file, as its act in the journal has it; a backup keeps the file under the same name.
fn program() -> String {
    match std::env::current_exe().and_then(|path| backup::digest_of(&path)) {
        Ok(program) => program.sha256.to_hex(),
        // Replaced since it was started: nothing tells any more what runs.
        Err(error) => format!("unknown ({error})"),
    }
}

async fn bind(option: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let unbound = |cause| StartError::Address { option, address, cause };
    let listener = TcpListener::bind(address).await.map_err(unbound)?;
    let address = listener.local_addr().map_err(unbound)?;
    Ok((listener, address))
}

/// Reads the CRL files again and again; an unreadable one leaves the old one in force, until its nextUpdate. The seal is judged by
/// them each time: with one that is revoked or expired nothing is sealed any more.
async fn reload(
    service: Arc<Service>,
    tsas: Arc<TsaClient>,
    crls: Arc<CrlArchive>,
    paths: Vec<PathBuf>,
    config: Config,
    mut stop: watch::Receiver<bool>,
) {
    let every = Duration::from_secs(config.senders.crl_reload_seconds.max(1));
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(every) => {}
        }
        service.senders().refresh().await;
        let seal = tokio::task::block_in_place(|| judge_seal(&config, service.signer()));
        if let Err(error) = &seal {
            tracing::error!(event = "alarm.seal-not-in-force", %error);
        }
        service.set_seal_in_force(seal.is_ok());
        let read = tokio::task::block_in_place(|| {
            service.senders().reload()?;
            tsas.reload();
            crls.add(trust::read_crls(&paths)?)
        });
        if let Err(error) = read {
            tracing::error!(event = "alarm.crls-unreadable", %error);
        }
    }
}

fn settings(config: &Config) -> Result<Settings, StartError> {
    let environment = Environment::from_name(&config.environment)
        .ok_or_else(|| value("environment", &config.environment, "PRD, ACC, INT, TST, DEV or SIM"))?;
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    let gateway = |text: &String| {
        erds::record::Hex32::from_hex(text)
            .map(|hex| hex.0)
            .ok_or_else(|| value("listen.trusted_gateways", text, "SHA-256 fingerprints in hex"))
    };
    let header = |name: &str| {
        let parsed = name.parse::<http::HeaderName>();
        parsed
            .map(|name| name.as_str().to_owned())
            .map_err(|_| value("listen.gateway_address_header", name, "a header's name, as X-Forwarded-For"))
    };
    Ok(Settings {
        environment,
        strictness: match config.identifiers {
            Identifiers::Strict => Strictness::Strict,
            Identifiers::Lax => Strictness::Lax,
        },
        timestamp_lifetime_seconds_max: config.senders.timestamp_lifetime_seconds_max,
        clock_skew_seconds_max: config.senders.clock_skew_seconds_max,
        seal_lag_seconds_max: seconds(config.seal.lag_seconds_max),
        evidence_policies: config
            .seal
            .policies()
            .ok_or_else(|| value("seal.evidence_policies", "", "1 to 8 URIs of at most 500 characters"))?,
        evidence_policy_texts: policies::texts(&config.seal)?,
        breach: config.breach.clone(),
        clock: config.clock.clone(),
        signing: SigningLimits {
            at_once_max: config.seal.signatures_at_once_max,
            stamps_at_once_max: config.tsa.iter().map(|tsa| tsa.concurrency_max).max().unwrap_or(1),
            waiting_max: config.seal.signatures_waiting_max,
            wait_max: Duration::from_secs(config.seal.lag_seconds_max),
        },
        trusted_gateways: config.listen.trusted_gateways.iter().map(gateway).collect::<Result<_, _>>()?,
        gateway_address_header: config.listen.gateway_address_header.as_deref().map(header).transpose()?,
        consumer_fault_addresses: config.listen.consumer_fault_addresses.clone(),
        limits: config.limits.clone(),
        free_bytes_min: config.data.free_bytes_min,
        serve_despite_absent: config.data.serve_despite_absent,
        delivery: config.delivery.clone(),
        folders: Default::default(),
        public_url: config.listen.public_url.clone(),
        addresses: addresses(&config.listen),
    })
}

/// Each address of the service, with each contract's path.
fn addresses(listen: &crate::config::Listen) -> Vec<String> {
    let paths = [Contract::A, Contract::B].map(Contract::path);
    let base = |url: &str| -> String {
        let url = url.trim_end_matches('/');
        paths.iter().find_map(|path| url.strip_suffix(path)).unwrap_or(url).to_owned()
    };
    std::iter::once(&listen.public_url)
        .chain(&listen.other_urls)
        .flat_map(|url| paths.map(|path| format!("{}{path}", base(url))))
        .collect()
}

/// The seal: its key, and a certificate of the configured controller, for this environment, for sealing, not revoked.
fn seal_signer(config: &Config, environment: Environment) -> Result<Arc<dyn Signer>, StartError> {
    let signer = keys::seal_signer(config)?;
    let subject = signer.certificate().subject();
    let cbe = subject
        .values(NameAttribute::OrganizationalUnit)
        .find_map(|unit| unit.strip_prefix(erds::party::CBE_URN));
    if cbe != Some(config.seal.controller_cbe.as_str()) {
        let seen = cbe.unwrap_or("no enterprise number").to_owned();
        return Err(value(
            "seal.certificate",
            seen,
            format!("the controller's, {}", config.seal.controller_cbe),
        ));
    }
    if !subject.values(NameAttribute::OrganizationalUnit).any(|unit| unit == environment.as_str()) {
        return Err(value(
            "seal.certificate",
            subject,
            format!("a certificate for environment {}", environment.as_str()),
        ));
    }
    judge_seal(config, signer.as_ref())?;
    Ok(signer)
}

/// The seal's certificate is in force now, for sealing, by current CRLs.
fn judge_seal(config: &Config, signer: &dyn Signer) -> Result<(), StartError> {
    let anchors = TrustAnchors::new(trust::read_certificates(&config.seal.anchors)?, Vec::new());
    let crls = CrlSet::new(trust::read_crls(&config.seal.crls)?);
    let (certificate, chain) = (signer.certificate(), signer.chain());
    let judged =
        anchors.validate(certificate, chain, Revocation::HardFail(&crls), Purpose::Sealing, Timestamp::now());
    judged.map(|_| ()).map_err(|error| {
        value("seal.certificate", error, "a certificate in force that leads to seal.anchors")
    })
}

fn ebox(config: &Config) -> Result<Arc<Ebox>, StartError> {
    let setup = &config.ebox;
    let key_pem = Zeroizing::new(trust::read(&setup.key)?);
    let signer = FileSigner::from_pem(&key_pem, &trust::read(&setup.certificate)?)
        .map_err(|error| value("ebox.key", error, "the key of ebox.certificate"))?;
    let anchors = setup.tls_anchors.iter().map(|path| trust::read(path)).collect::<Result<Vec<_>, _>>()?;
    let http = transport::client(&anchors, None, Duration::from_secs(10))
        .map_err(|error| value("ebox.tls_anchors", error, "PEM certificates"))?;
    let default_language = SubjectLanguage::from_name(&setup.default_language)
        .ok_or_else(|| value("ebox.default_language", &setup.default_language, "nl, fr or de"))?;
    let ebox = Setup {
        registry_url: setup.url.clone(),
        profile_url: setup.profile_url.clone(),
        token: TokenSetup {
            url: setup.token_url.clone(),
            audience: setup.audience.clone(),
            scope: setup.scope.clone(),
            client_id: setup.client_id.clone(),
        },
        message_types: setup.message_types.clone(),
        default_message_type: setup.default_message_type.clone(),
        default_language,
        enterprise_qualities: setup.enterprise_qualities.clone(),
        attachment_bytes_max: setup.attachment_bytes_max,
    };
    let transport = Arc::new(transport::HttpTransport::new(http, Duration::from_secs(setup.timeout_seconds)));
    let ambient = Ambient {
        clock: Arc::new(Timestamp::now),
        random: Arc::new(|bytes| pki::random::fill(bytes).is_ok()),
    };
    Ebox::new(ebox, Arc::new(signer), transport, ambient)
        .map_err(|error| value("ebox.key", error, "an RSA key"))
}

/// The key of the journal's checkpoints, if there is one.
pub(crate) fn log_key(config: &Config) -> Result<Option<LogKey>, StartError> {
    let Some(path) = &config.data.log_key else { return Ok(None) };
    let pem = Zeroizing::new(trust::read(path)?);
    let key = LogKey::from_pem(&config.data.origin, &pem)
        .map_err(|error| value("data.log_key", error, "an Ed25519 key in PEM; `epost init` makes one"))?;
    Ok(Some(key))
}

/// Where the journal's static files lie.
pub(crate) fn tlog_directory(config: &Config) -> PathBuf {
    config.data.directory.join("tlog")
}

/// What signs and publishes the journal, if it has a key; it knows the newest checkpoint.
pub(crate) fn publisher(config: &Config, disk: Arc<dyn Disk>) -> Result<Option<Publisher>, StartError> {
    let Some(key) = log_key(config)? else { return Ok(None) };
    Ok(Some(Publisher::open(disk, &tlog_directory(config), key)?))
}

/// The journal in a data folder, for who serves nobody with it.
pub(crate) fn journal_at_rest(
    data: &Path,
    origin: &str,
    segment_bytes_max: u64,
    signed: Option<&Checkpoint>,
) -> Result<Journal, StartError> {
    let options =
        journal::Options { origin: origin.to_owned(), segment_bytes_max, on_fatal: Arc::new(|_| ()) };
    let opened = Journal::open_signed(Arc::new(RealDisk), &data.join("journal"), options, signed);
    Ok(opened.map_err(service::OpenError::from)?.0)
}

/// The certificates that auditors and health checks ask about: name and end of validity.
pub fn certificates(config: &Config) -> Result<Vec<(&'static str, Certificate)>, TrustError> {
    let first = |option, path: &PathBuf| {
        trust::read_certificates(std::slice::from_ref(path))
            .map(|found| found.into_iter().next().map(|certificate| (option, certificate)))
    };
    let found = [
        first("listen.certificate", &config.listen.certificate)?,
        first("seal.certificate", &config.seal.certificate)?,
        first("ebox.certificate", &config.ebox.certificate)?,
    ];
    Ok(found.into_iter().flatten().collect())
}
