//! A whole sandbox, running: the service by its own configuration file, the TSA and the e-Box stand-ins beside it.

use std::net::SocketAddr;
use std::path::Path;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::ebox::{self, EboxRecipient, EboxSetup};
use super::partners;
use super::pki::{CONTROLLER_CBE, ENVIRONMENT, Extent};
use super::sandbox::{self, Addresses, CITIZEN, ENTERPRISE, MANDATARY, SandboxLayout};
use super::sts;
use super::tsa::{self, TsaSetup};
use crate::config::Config;
use crate::run::{self, Running};

/// A sandbox that runs.
pub struct Sandbox {
    /// Where everything lies.
    pub layout: SandboxLayout,
    /// The service.
    pub service: Running,
    stand_ins: JoinSet<()>,
}

impl Sandbox {
    /// Ends the service, then the stand-ins.
    pub async fn stop(mut self) {
        self.service.stop().await;
        self.stand_ins.shutdown().await;
    }
}

/// Makes or reuses the folder and starts everything.
///
/// # Errors
/// For a person to read: a port in use, a folder that cannot be written, a damaged journal.
pub async fn start(directory: &Path, listen: SocketAddr, extent: Extent) -> Result<Sandbox, String> {
    start_tuned(directory, listen, extent, |_| ()).await
}

/// As [`start`], with a configuration that differs from the file's by what `tune` does.
///
/// # Errors
/// As [`start`].
pub async fn start_tuned(
    directory: &Path,
    listen: SocketAddr,
    extent: Extent,
    tune: impl FnOnce(&mut Config),
) -> Result<Sandbox, String> {
    let door = bind(listen).await?;
    let tsa_listener = bind(LOOPBACK).await?;
    let ebox_listener = bind(LOOPBACK).await?;
    let local = |listener: &TcpListener| listener.local_addr().map_err(|error| error.to_string());
    let addresses =
        Addresses { door: local(&door)?, tsa: local(&tsa_listener)?, ebox: local(&ebox_listener)? };
    let layout = sandbox::prepare(directory, addresses, extent, Timestamp::now())
        .map_err(|error| error.to_string())?;
    partners::open_or_create(&layout.pki, Timestamp::now()).map_err(|error| error.to_string())?;
    let batch = partners::config_text(&layout.pki).map_err(|error| error.to_string())?;
    write_config(&layout, &batch)
        .map_err(|error| format!("dev.sandbox.file: {}: {error}", layout.config.display()))?;

    sts::TokenServiceStandIn::open_or_create(layout.pki.directory(), Timestamp::now())
        .map_err(|error| error.to_string())?;

    let mut stand_ins = JoinSet::new();
    let tsa_setup = TsaSetup::from_pki(&layout.pki, Timestamp::now).map_err(|error| error.to_string())?;
    stand_ins.spawn(tsa::serve(tsa_listener, tsa_setup));
    let ebox_setup = ebox_setup(&layout)?;
    stand_ins.spawn(async move {
        if let Err(error) = ebox::serve(ebox_listener, ebox_setup).await {
            tracing::error!(event = "dev.ebox-ended", %error);
        }
    });
    let mut config = Config::read(&layout.config).map_err(|error| error.to_string())?;
    tune(&mut config);
    let service = run::start(&config, Some(door)).await.map_err(|error| error.to_string())?;
    layout.write_json(extent, service.batch_address).map_err(|error| error.to_string())?;
    Ok(Sandbox { layout, service, stand_ins })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("listen.address: {address}: {error}; choose another with --listen"))
}

/// Written at each start, because the ports differ; the keys are made once.
fn write_config(layout: &SandboxLayout, batch: &str) -> std::io::Result<()> {
    std::fs::write(&layout.config, config_text(layout) + batch)?;
    if !layout.master_key.exists() {
        let mut key = [0; 32];
        pki::random::fill(&mut key).map_err(std::io::Error::other)?;
        write_secret(&layout.master_key, &key)?;
    }
    let log_key = layout.directory.join("secrets/log.key");
    if !log_key.exists() {
        let key = pki::ed25519::Ed25519Key::random().and_then(|key| key.to_pem());
        write_secret(&log_key, &key.map_err(std::io::Error::other)?)?;
    }
    Ok(())
}

fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

fn config_text(layout: &SandboxLayout) -> String {
    let (door, ebox) = (layout.addresses.door, layout.ebox_url());
    format!(
        r#"# Made by `epost sandbox` at each start; deploy/epost.toml explains every option.
environment = "{ENVIRONMENT}"

[listen]
address = "{door}"
public_url = "{public_url}"
certificate = "pki/server.crt"
key = "pki/server.key"
operator_address = "127.0.0.1:0"

[senders]
anchors = ["pki/senders-root.crt"]
intermediates = ["pki/senders-ca.crt"]
crls = ["pki/crls"]

[[saml]]
issuer = "{sts_issuer}"
certificates = ["pki/sts.crt"]
audience = "{sts_audience}"

[uam]
policy = "policy.toml"

[data]
directory = "data"
master_key = "secrets/master.key"
log_key = "secrets/log.key"
checkpoint_seconds = 1
stamp_hours = 0
origin = "{ORIGIN}"
free_bytes_min = 67108864

[seal]
certificate = "pki/seal-chain.crt"
key = "pki/seal.key"
anchors = ["pki/seal-root.crt"]
crls = ["pki/crls/seal-root.crl", "pki/crls/seal-ca.crl"]
controller_cbe = "{CONTROLLER_CBE}"

[[tsa]]
name = "sandbox"
url = "{tsa_url}"
anchors = ["pki/tsa-root.crt"]
crls = ["pki/crls/tsa-root.crl", "pki/crls/tsa-ca.crl"]
policies = ["{policy}"]
stand_in = true

[ebox]
url = "{ebox}/REST/ebox/enterprise"
profile_url = "{ebox}/REST/ebox/profile"
token_url = "{ebox}/REST/oauth/v5/token"
audience = "{ebox}/REST/oauth/v5/token"
scope = "{SCOPE}"
client_id = "{CLIENT_ID}"
certificate = "pki/ebox-client.crt"
key = "pki/ebox-client.key"
default_message_type = "REGISTERED_MAIL"
stand_in = true

[delivery]
retry_first_seconds = 1

"#,
        public_url = layout.door_url(),
        tsa_url = layout.tsa_url(),
        policy = tsa::POLICIES[0],
        sts_issuer = sts::ISSUER,
        sts_audience = sts::AUDIENCE,
    )
}

fn ebox_setup(layout: &SandboxLayout) -> Result<EboxSetup, String> {
    let path = layout.pki.certificate("ebox-client");
    let certificates =
        crate::trust::read_certificates(std::slice::from_ref(&path)).map_err(|error| error.to_string())?;
    let client = certificates.first().map(|certificate| certificate.der().to_vec()).unwrap_or_default();
    let known = |identifier: &str, exclusively| EboxRecipient {
        identifier: identifier.to_owned(),
        activated: true,
        exclusively,
        opened: true,
    };
    Ok(EboxSetup {
        clients: vec![(CLIENT_ID.to_owned(), client)],
        audience: format!("{}/REST/oauth/v5/token", layout.ebox_url()),
        scope: SCOPE.to_owned(),
        token_seconds: 300,
        recipients: vec![known(CITIZEN, true), known(ENTERPRISE, false), known(MANDATARY, false)],
        conflict_names_message: true,
    })
}

/// Loopback, a free port.
pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const CLIENT_ID: &str = "epost-sandbox";
/// The log's name of every sandbox.
pub const ORIGIN: &str = "epost.sandbox/journal";
const SCOPE: &str = "scope:document:management:consult:ws-eboxrestentreprise:publicationsender";
