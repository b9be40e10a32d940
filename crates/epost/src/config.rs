//! The configuration: one TOML file. Every option is explained in `deploy/epost.toml`, which is also what
//! `epost init` writes; an unknown key refuses to start.

mod delivery;
mod files;
mod keeping;
mod keys;
mod uam;
mod watching;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use delivery::{Batch, BatchPartner, Delivery};
pub(crate) use files::Held;
pub use keeping::{Class, Classes, Drill, Retention, Scrub};
pub use keys::{EVIDENCE_POLICY, EVIDENCE_POLICY_TEXT, KeyPlace, MasterToken, Pkcs11, Seal, SealToken};
pub use uam::{PolicySigner, PolicySigners, RemoteDecisions, Uam};
pub use watching::{Breach, Clock, Report, Witness};

/// The commented configuration that `epost init` writes; a test keeps it equal to the defaults here.
pub const TEMPLATE: &str = include_str!("../../../deploy/epost.toml");

/// The example policy file that `epost init` writes beside the configuration.
pub const POLICY_TEMPLATE: &str = include_str!("../../../deploy/policy.toml");

/// A configuration that was read whole: every path in it is absolute or relative to the file's own folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which environment this instance is: PRD, ACC, INT, TST, DEV, SIM.
    pub environment: String,
    /// `strict` (production) or `lax` (check digits of INSS and CBE are not judged).
    #[serde(default = "strict")]
    pub identifiers: Identifiers,
    /// The doors.
    pub listen: Listen,
    /// Who may prove to be a sender.
    pub senders: Senders,
    /// Token services whose SAML assertions contract B takes.
    #[serde(default)]
    pub saml: Vec<Saml>,
    /// Who is granted what.
    pub uam: Uam,
    /// Where the ground state lies.
    pub data: Data,
    /// The platform's seal.
    pub seal: Seal,
    /// Time-stamping authorities, in order of preference.
    pub tsa: Vec<Tsa>,
    /// Witnesses of the log, who cosign its checkpoints.
    #[serde(default)]
    pub witness: Vec<Witness>,
    /// The e-Box MessageRegistry.
    pub ebox: Ebox,
    /// Retries of delivery.
    #[serde(default)]
    pub delivery: Delivery,
    /// Limits on what a request may hold.
    #[serde(default)]
    pub limits: Limits,
    /// How alarms reach a person.
    #[serde(default)]
    pub alarm: Alarm,
    /// How the clock is judged.
    #[serde(default)]
    pub clock: Clock,
    /// When security events are an alarm.
    #[serde(default)]
    pub breach: Breach,
    /// The daily report on the log.
    #[serde(default)]
    pub report: Report,
    /// Who consults the log; none: nobody does.
    pub consult: Option<Consult>,
    /// Partners with a folder; none: there is no batch channel.
    pub batch: Option<Batch>,
    /// How long what is stored is kept.
    #[serde(default)]
    pub retention: Retention,
    /// When a drill of the backup is overdue.
    #[serde(default)]
    pub drill: Drill,
    /// How what is stored is read again.
    #[serde(default)]
    pub scrub: Scrub,
    #[serde(skip)]
    sha256: [u8; 32],
}

/// How strictly Belgian identifiers are judged.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Identifiers {
    /// Check digits, dates and ranges.
    Strict,
    /// Form only: for test environments, whose official examples fail the check digits.
    Lax,
}

fn strict() -> Identifiers {
    Identifiers::Strict
}

/// The doors of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address and port of the mutual-TLS door.
    pub address: SocketAddr,
    /// The address that the WSDL names, for example `https://epost.example.be`.
    pub public_url: String,
    /// Further addresses that senders know this service by, for example a gateway's: a signed wsa:To may name any of them.
    #[serde(default)]
    pub other_urls: Vec<String>,
    /// PEM: the server's certificate, then its intermediates.
    pub certificate: PathBuf,
    /// PEM: the server's private key.
    pub key: PathBuf,
    /// Certificate fingerprints (SHA-256, hex) of TLS peers that forward other senders' messages.
    #[serde(default)]
    pub trusted_gateways: Vec<String>,
    /// The header in which those say the sender's address; none: they say none, and their own is judged.
    #[serde(default)]
    pub gateway_address_header: Option<String>,
    /// Connections at once; the next one is closed.
    #[serde(default = "default_connections")]
    pub connections_max: usize,
    /// Of those, from one address (an IPv6 /64).
    #[serde(default = "default_connections_per_address")]
    pub connections_per_address_max: usize,
    /// Of those, of one sender.
    #[serde(default = "default_connections_per_sender")]
    pub connections_per_sender_max: usize,
    /// Requests being read or answered at once; the next one gets SOA-02002.
    #[serde(default = "default_requests")]
    pub requests_max: usize,
    /// Of those, of one sender.
    #[serde(default = "default_requests_per_sender")]
    pub requests_per_sender_max: usize,
    /// Bytes of the bodies being read or answered at once, as their Content-Length states them or as they come.
    #[serde(default = "default_spool")]
    pub spool_bytes_max: u64,
    /// Of those, of one sender.
    #[serde(default = "default_spool_per_sender")]
    pub spool_bytes_per_sender_max: u64,
    /// Header fields of one request.
    #[serde(default = "default_headers")]
    pub headers_max: usize,
    /// Bytes of one request's head.
    #[serde(default = "default_head_bytes")]
    pub head_bytes_max: usize,
    /// Seconds a TLS handshake may take.
    #[serde(default = "default_handshake")]
    pub handshake_seconds_max: u64,
    /// Seconds the head of a request may take.
    #[serde(default = "default_header")]
    pub header_seconds_max: u64,
    /// Seconds without a byte before a request's body is given up.
    #[serde(default = "default_idle")]
    pub body_idle_seconds_max: u64,
    /// Bytes a second that a body arrives with at least, on the whole, once it has taken `body_idle_seconds_max`.
    #[serde(default = "default_rate")]
    pub body_bytes_per_second_min: u64,
    /// Address and port of the operators' door (`/metrics`, `/health`; plain http); none: no such door.
    #[serde(default)]
    pub operator_address: Option<SocketAddr>,
    /// Fault details in `errors/v1` instead of `errors/serviceprovider/v1` for callers from these addresses (the sector's bus).
    #[serde(default)]
    pub consumer_fault_addresses: Vec<IpAddr>,
}

fn default_connections() -> usize {
    1024
}
fn default_connections_per_address() -> usize {
    768
}
fn default_connections_per_sender() -> usize {
    256
}
fn default_requests() -> usize {
    256
}
fn default_requests_per_sender() -> usize {
    64
}
fn default_spool() -> u64 {
    16 * 1024 * 1024 * 1024
}
fn default_spool_per_sender() -> u64 {
    4 * 1024 * 1024 * 1024
}
fn default_headers() -> usize {
    64
}
fn default_head_bytes() -> usize {
    128 * 1024
}
fn default_handshake() -> u64 {
    10
}
fn default_header() -> u64 {
    15
}
fn default_idle() -> u64 {
    60
}
fn default_rate() -> u64 {
    1024
}

/// Who may prove to be a sender.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Senders {
    /// PEM files: the roots that senders' certificates must lead to.
    pub anchors: Vec<PathBuf>,
    /// PEM files: intermediates (clients send the leaf alone).
    #[serde(default)]
    pub intermediates: Vec<PathBuf>,
    /// PEM files: certificates of senders, which a message may name without carrying them.
    #[serde(default)]
    pub certificates: Vec<PathBuf>,
    /// CRL files (DER or PEM), or folders of them, of every CA in those paths.
    pub crls: Vec<PathBuf>,
    /// OCSP responders of CAs in those paths.
    #[serde(default)]
    pub ocsp: Vec<Ocsp>,
    /// Certificate policies, dotted, one of which every sender's path must be under. Empty: any or none.
    #[serde(default)]
    pub certificate_policies: Vec<String>,
    /// Seconds between two readings of the CRL files.
    #[serde(default = "default_crl_reload")]
    pub crl_reload_seconds: u64,
    /// Longest life of a WS-Security Timestamp, and oldest age of its Created.
    #[serde(default = "default_lifetime")]
    pub timestamp_lifetime_seconds_max: u64,
    /// Clock difference granted to senders.
    #[serde(default = "default_skew")]
    pub clock_skew_seconds_max: u64,
}

/// One OCSP responder (RFC 6960 over HTTP POST).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ocsp {
    /// PEM: the authority that it answers for.
    pub issuer: PathBuf,
    /// Where questions are posted.
    pub url: String,
    /// Age of an answer at which it is asked again.
    #[serde(default = "default_ocsp_refresh")]
    pub refresh_seconds: u64,
    /// Seconds to wait for an answer.
    #[serde(default = "default_ocsp_timeout")]
    pub timeout_seconds: u64,
}

fn default_ocsp_refresh() -> u64 {
    600
}
fn default_ocsp_timeout() -> u64 {
    5
}
fn default_crl_reload() -> u64 {
    60
}
fn default_lifetime() -> u64 {
    600
}
fn default_skew() -> u64 {
    60
}

/// A token service whose SAML assertions contract B takes beside a certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saml {
    /// What its assertions say as Issuer.
    pub issuer: String,
    /// PEM files: the certificates of the keys that it signs with, trusted themselves.
    pub certificates: Vec<PathBuf>,
    /// What its AudienceRestriction must name.
    pub audience: String,
}

/// Where the ground state lies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The folder of journal, content, item keys and index.
    pub directory: PathBuf,
    /// The key that wraps the item keys: a file of 32 bytes, or wrapped by a token. Never under `directory`, never in its backup.
    pub master_key: KeyPlace<MasterToken>,
    /// PEM (PKCS#8): the Ed25519 key that signs the journal's checkpoints. Never under `directory`, and of no other use.
    pub log_key: Option<PathBuf>,
    /// Seconds between two checkpoints, while there is something new.
    #[serde(default = "default_checkpoint")]
    pub checkpoint_seconds: u64,
    /// Hours between two time-stamps on a checkpoint; 0: none is stamped.
    #[serde(default = "default_stamp")]
    pub stamp_hours: u32,
    /// The log's name, in its segments and checkpoints.
    pub origin: String,
    /// Size at which a journal segment is closed.
    #[serde(default = "default_segment")]
    pub segment_bytes_max: u64,
    /// Parts up to this size lie in the journal's erasable frames, larger ones in files of their own.
    #[serde(default = "default_inline")]
    pub inline_bytes_max: usize,
    /// Below this many free bytes the service answers SOA-02002 and accepts nothing.
    #[serde(default = "default_free")]
    pub free_bytes_min: u64,
    /// Start though content of items on their way is gone.
    #[serde(default)]
    pub serve_despite_absent: bool,
}

fn default_checkpoint() -> u64 {
    10
}
fn default_stamp() -> u32 {
    24
}
fn default_segment() -> u64 {
    64 * 1024 * 1024
}
fn default_inline() -> usize {
    64 * 1024
}
fn default_free() -> u64 {
    256 * 1024 * 1024
}

/// One time-stamping authority (RFC 3161 over HTTP).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tsa {
    /// Its name in records and logs.
    pub name: String,
    /// Where requests are posted.
    pub url: String,
    /// PEM files: the roots that its certificate leads to.
    pub anchors: Vec<PathBuf>,
    /// PEM files: intermediates its tokens may leave out.
    #[serde(default)]
    pub intermediates: Vec<PathBuf>,
    /// CRL files or folders of its chain.
    pub crls: Vec<PathBuf>,
    /// Accepted policy identifiers, dotted; the first is asked for. Empty: any.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Seconds to wait for a token before the next authority is asked.
    #[serde(default = "default_tsa_timeout")]
    pub timeout_seconds: u64,
    /// Requests to it at once.
    #[serde(default = "default_tsa_concurrency")]
    pub concurrency_max: usize,
    /// A stand-in of `epost dev`: refused by `epost check --production`.
    #[serde(default)]
    pub stand_in: bool,
}

fn default_tsa_timeout() -> u64 {
    5
}
fn default_tsa_concurrency() -> usize {
    32
}

/// The e-Box MessageRegistry (REST v3) and its OAuth2 server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ebox {
    /// Base address of the MessageRegistry, up to and without `/messageRegistry/…`.
    pub url: String,
    /// Base address of preferences and consents.
    pub profile_url: String,
    /// OAuth2 token endpoint.
    pub token_url: String,
    /// Audience of the client assertion.
    pub audience: String,
    /// Scope asked for.
    pub scope: String,
    /// The registered client id (issuer and subject of the assertion).
    pub client_id: String,
    /// PEM: the registered certificate.
    pub certificate: PathBuf,
    /// PEM: its private key (RSA: assertions are RS256).
    pub key: PathBuf,
    /// PEM files: the roots of its TLS certificates; empty for plain http on loopback.
    #[serde(default)]
    pub tls_anchors: Vec<PathBuf>,
    /// Document type (contract A) to e-Box message type.
    #[serde(default)]
    pub message_types: std::collections::BTreeMap<String, String>,
    /// The e-Box message type of a document type that the table does not name.
    pub default_message_type: String,
    /// Quality codes under which an enterprise's own box is meant; every other one is a mandatary's, for which REST has no field.
    #[serde(default = "default_enterprise_qualities")]
    pub enterprise_qualities: Vec<String>,
    /// Largest file that the registry takes.
    #[serde(default = "default_attachment")]
    pub attachment_bytes_max: u64,
    /// Language of the subject where the sender names none (or `en`, `bi`).
    #[serde(default = "default_language")]
    pub default_language: String,
    /// Seconds to wait for an answer.
    #[serde(default = "default_ebox_timeout")]
    pub timeout_seconds: u64,
    /// A stand-in of `epost dev`: refused by `epost check --production`.
    #[serde(default)]
    pub stand_in: bool,
}

fn default_enterprise_qualities() -> Vec<String> {
    vec!["QUAL_EMP_NOSS".into()]
}
fn default_attachment() -> u64 {
    2 * 1024 * 1024 * 1024
}
fn default_language() -> String {
    "nl".into()
}
fn default_ebox_timeout() -> u64 {
    30
}

/// How alarms reach a person.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alarm {
    /// Program and arguments that get one JSON line an alarm on standard input; empty: alarms stand in the log alone.
    pub command: Vec<String>,
    /// Seconds between two runs for the same alarm.
    pub pause_seconds: u64,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { command: Vec::new(), pause_seconds: 900 }
    }
}

/// Consultations of the log by people.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consult {
    /// Address and port of its door: mutual TLS with personal certificates.
    pub address: SocketAddr,
    /// PEM files: the roots of the people's certificates.
    pub anchors: Vec<PathBuf>,
    /// PEM files: intermediates.
    #[serde(default)]
    pub intermediates: Vec<PathBuf>,
    /// CRL files or folders of every authority in those paths.
    pub crls: Vec<PathBuf>,
    /// Hours from a request within which it is to be approved and run.
    #[serde(default = "default_validity")]
    pub validity_hours: u64,
    /// Records that one run shows at most.
    #[serde(default = "default_results")]
    pub results_max: usize,
    /// The people.
    pub person: Vec<ConsultPerson>,
}

/// One person, known by certificates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsultPerson {
    /// The name in the history; one entry a person.
    pub name: String,
    /// SHA-256 fingerprints (hex) of the person's certificates.
    pub certificates: Vec<String>,
    /// What the person may do.
    pub roles: Vec<Role>,
}

/// What a person may do with consultations.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask for one, and run it once another person approved.
    Request,
    /// Approve or refuse those of others.
    Approve,
    /// Read the history of all.
    Audit,
    /// Set and lift legal holds, plan and run what retention erases.
    Retain,
}

impl Role {
    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Approve => "approve",
            Self::Audit => "audit",
            Self::Retain => "retain",
        }
    }
}

fn default_validity() -> u64 {
    24
}
fn default_results() -> usize {
    100
}

/// Limits on what a request may hold; each is named in the fault that it causes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The whole HTTP body.
    pub body_bytes_max: u64,
    /// The SOAP part.
    pub root_part_bytes_max: u64,
    /// One attachment.
    pub part_bytes_max: u64,
    /// Contract B: the SOAP part with what it includes by MTOM in its place, as base64; it is held in memory.
    pub included_bytes_max: u64,
    /// MIME parts, the root included.
    pub parts_max: usize,
    /// The headers of one MIME part.
    pub part_header_bytes_max: usize,
    /// What is read of a body that was refused early, so that the sender hears the fault.
    pub drain_bytes_max: u64,
    /// A package holds its sender's SOAP part up to this size, beyond it the digest alone. It is held in memory, some times over.
    pub package_request_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 2 * 1024 * 1024 * 1024,
            root_part_bytes_max: 1024 * 1024,
            part_bytes_max: 2 * 1024 * 1024 * 1024 - 2 * 1024 * 1024,
            included_bytes_max: 32 * 1024 * 1024,
            parts_max: 16,
            part_header_bytes_max: 8 * 1024,
            drain_bytes_max: 4 * 1024 * 1024,
            package_request_bytes_max: 8 * 1024 * 1024,
        }
    }
}

/// Why a configuration cannot be used; the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "config.unreadable: {path}: {cause}; give an existing file with --config, or make one with `epost init DIR`"
    )]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is not the TOML this program knows.
    #[error("config.invalid: {path}: {cause}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Line and reason.
        cause: toml::de::Error,
    },
}

impl Config {
    /// Reads the file and makes its paths relative to the file's folder.
    ///
    /// # Errors
    /// `Unreadable`, `Invalid` (unknown key, missing key, wrong type): the operator's to mend.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ConfigError::Unreadable { path: path.into(), cause })?;
        let mut config: Self =
            toml::from_str(&text).map_err(|cause| ConfigError::Invalid { path: path.into(), cause })?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        config.sha256 = pki::digest::sha256(text.as_bytes());
        for (_, _, path) in config.files() {
            *path = folder.join(&*path);
        }
        Ok(config)
    }

    /// SHA-256 of the file that it was read from: the journal has it of every start.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}
