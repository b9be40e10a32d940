//! The answers: no element beyond the schema, or a generated client fails on it.

use std::fmt::Write as _;

use erds::{Environment, Status, Ticket, Token};
use jiff::Timestamp;
use xmlsec::write::Writer;

use super::HealthCheckKind;
use super::namespace::{MONITORING, TYPES, V1, V2};
use crate::envelope::SoapVersion;

/// A sealed file that is attached to an answer of contract A.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedFile {
    /// `Receipt` or `ProofOfDispatch`.
    pub title: String,
    /// `Receipt.xml` or `ProofOfDispatch.xml`.
    pub file_name: String,
    /// `RECEIPT` or `PROOF_OF_DISPATCH`.
    pub document_type: String,
    /// SHA-256 of exactly the attached bytes.
    pub sha256: [u8; 32],
    /// The attachment's Content-ID, without brackets.
    pub content_id: String,
    /// The detached seal, DER.
    pub signature: Vec<u8>,
}

impl SealedFile {
    /// The receipt.
    pub fn receipt(sha256: [u8; 32], content_id: String, signature: Vec<u8>) -> Self {
        Self {
            title: "Receipt".to_owned(),
            file_name: "Receipt.xml".to_owned(),
            document_type: "RECEIPT".to_owned(),
            sha256,
            content_id,
            signature,
        }
    }

    /// The proof of dispatch.
    pub fn proof_of_dispatch(sha256: [u8; 32], content_id: String, signature: Vec<u8>) -> Self {
        Self {
            title: "ProofOfDispatch".to_owned(),
            file_name: "ProofOfDispatch.xml".to_owned(),
            document_type: "PROOF_OF_DISPATCH".to_owned(),
            sha256,
            content_id,
            signature,
        }
    }
}

/// Wraps one element into an Envelope, unsigned: contract A's answers.
pub fn envelope(version: SoapVersion, payload: &str) -> Vec<u8> {
    let mut out = Writer::with_declaration();
    out.start("soapenv:Envelope").namespace("soapenv", version.namespace());
    out.start("soapenv:Body").raw(payload);
    out.finish()
}

pub(super) fn text(writer: Writer) -> String {
    String::from_utf8(writer.finish()).unwrap_or_default()
}

/// The answer to an accepted item.
pub fn write_send_document_response(ticket: &Ticket, token: &Token, receipt: &SealedFile) -> String {
    let mut out = Writer::new();
    out.start("v1:SendDocumentResponse").namespace("v1", V1).namespace("t", TYPES).start("t:Receipt");
    out.element("t:Ticket", ticket.as_str()).element("t:Token", token.as_str());
    signed_file(&mut out, "t:Document", receipt);
    text(out)
}

/// Where an item stands; from SENT on with its proof of dispatch.
pub fn write_get_status_response(
    ticket: &Ticket,
    token: &Token,
    status: Status,
    proof: Option<&SealedFile>,
) -> String {
    let mut out = Writer::new();
    out.start("v1:GetStatusResponse").namespace("v1", V1).namespace("t", TYPES);
    out.element("t:Ticket", ticket.as_str()).element("t:Token", token.as_str());
    out.element("t:Status", status.as_str());
    if let Some(proof) = proof {
        signed_file(&mut out, "t:ProofOfDispatch", proof);
    }
    text(out)
}

fn signed_file(out: &mut Writer, name: &'static str, file: &SealedFile) {
    out.start(name).element("t:Title", &file.title);
    out.start("t:Digest").element("t:DigestMethod", "SHA-256");
    out.start("t:DigestValue").base64(&file.sha256).end().end();
    out.element("t:DownloadFileName", &file.file_name).element("t:MIME", "text/xml");
    out.element("t:Type", &file.document_type).element("t:Language", "en");
    out.element("t:Content", &format!("cid:{}", file.content_id));
    out.start("t:Signature").base64(&file.signature).end().end();
}

/// A proof as contract B gives it: inline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofAnswer {
    /// `Receipt.xml` or `ProofOfDispatch.xml`.
    pub file_name: String,
    /// Exactly the sealed bytes.
    pub content: Vec<u8>,
    /// The detached seal, DER.
    pub signature: Vec<u8>,
}

/// ERDS evidence as contract B gives it: inline, with its signature in itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EvidenceAnswer {
    /// The URI of the event that it attests.
    pub event: String,
    /// The name to save it under: the event's, with `.xml`.
    pub file_name: String,
    /// Exactly the signed bytes.
    pub content: Vec<u8>,
}

/// A package as contract B gives it: inline, with its signature in itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PackageAnswer {
    /// The name to save it under: the proof's, with `.asice`.
    pub file_name: String,
    /// The container, exactly as it was signed.
    pub content: Vec<u8>,
}

/// A proof, with the revocation lists kept at sealing; a package has its own. Without any where the item has none (yet).
pub fn write_get_proof_response(
    ticket: &Ticket,
    token: &Token,
    status: Status,
    proof: Option<&ProofAnswer>,
    evidence: &[EvidenceAnswer],
    package: Option<&PackageAnswer>,
    crls: &[Vec<u8>],
) -> String {
    let mut out = Writer::new();
    out.start("v2:GetProofResponse").namespace("v2", V2);
    out.element("v2:Ticket", ticket.as_str()).element("v2:Token", token.as_str());
    out.element("v2:Status", status.as_str());
    if let Some(proof) = proof {
        inline_proof(&mut out, "v2:Proof", proof);
    }
    for evidence in evidence {
        inline_evidence(&mut out, evidence);
    }
    if let Some(package) = package {
        inline_package(&mut out, package);
    }
    for crl in crls {
        out.start("v2:Crl").base64(crl).end();
    }
    text(out)
}

pub(super) fn inline_proof(out: &mut Writer, name: &'static str, proof: &ProofAnswer) {
    out.start(name).element("v2:FileName", &proof.file_name).element("v2:MIME", "text/xml");
    out.start("v2:Content").base64(&proof.content).end();
    out.start("v2:Signature").base64(&proof.signature).end();
    out.element("v2:Digest", &upper_hex(&pki::digest::sha256(&proof.content))).end();
}

pub(super) fn inline_evidence(out: &mut Writer, evidence: &EvidenceAnswer) {
    out.start("v2:Evidence").element("v2:Event", &evidence.event);
    out.element("v2:FileName", &evidence.file_name).element("v2:MIME", "text/xml");
    out.start("v2:Content").base64(&evidence.content).end();
    out.element("v2:Digest", &upper_hex(&pki::digest::sha256(&evidence.content))).end();
}

fn inline_package(out: &mut Writer, package: &PackageAnswer) {
    out.start("v2:Package").element("v2:FileName", &package.file_name).element("v2:MIME", ASIC_E);
    out.start("v2:Content").base64(&package.content).end();
    out.element("v2:Digest", &upper_hex(&pki::digest::sha256(&package.content))).end();
}

/// ETSI EN 319 162-1 §4.3.3.1.
const ASIC_E: &str = "application/vnd.etsi.asic-e+zip";

/// `xs:hexBinary` in its canonical, upper-case form.
pub(super) fn upper_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02X}");
        out
    })
}

/// How a part, or the whole, is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum HealthLevel {
    /// Well.
    Ok,
    /// Unusual, without effect on users.
    Warning,
    /// Users feel it.
    Critical,
    /// Nothing works; of the whole only, never of one check.
    Fatal,
}

impl HealthLevel {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Fatal => "FATAL",
        }
    }

    /// The level of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ok, Self::Warning, Self::Critical, Self::Fatal]
            .into_iter()
            .find(|level| level.as_str() == name)
    }
}

/// What runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ComponentHealth {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Where it runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceLocation {
    /// The environment.
    pub environment: Environment,
    /// The host's name.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
    /// The service's address.
    pub url: Option<String>,
}

/// One check of a health report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckOutcome {
    /// Its stable name.
    pub id: String,
    /// How the part is.
    pub level: HealthLevel,
    /// What to know about it; no stack trace, no address of a secret.
    pub message: Option<String>,
    /// The part's name.
    pub resource_name: String,
    /// The part's kind: a value of the schema's ResourceType.
    pub resource_type: ResourceType,
    /// The check belongs to this depth.
    pub kind: HealthCheckKind,
    /// How long it took.
    pub time_ms: u32,
}

/// The kinds of parts that the service depends on (of the monitoring schema's list, those that occur here).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResourceType {
    /// Index and queue.
    Db,
    /// Journal, content, disk.
    Filesystem,
    /// Signing keys, revocation lists.
    Certificate,
    /// The delivery queue.
    Queue,
    /// An HTTP service.
    Ws,
    /// A socket.
    Socket,
    /// Anything else, such as the clock.
    Other,
}

impl ResourceType {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Db => "DB",
            Self::Filesystem => "FILESYSTEM",
            Self::Certificate => "CERTIFICATE",
            Self::Queue => "QUEUE",
            Self::Ws => "WS",
            Self::Socket => "SOCKET",
            Self::Other => "OTHER",
        }
    }
}

/// How the service is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthReport {
    /// When it was judged.
    pub at: Timestamp,
    /// The whole.
    pub level: HealthLevel,
    /// What to know about the whole.
    pub message: Option<String>,
    /// What runs.
    pub component: ComponentHealth,
    /// Where.
    pub location: ServiceLocation,
    /// The checks that ran; none for PING.
    pub checks: Vec<CheckOutcome>,
}

/// How the service is.
pub fn write_health_check_response(report: &HealthReport) -> String {
    let mut out = Writer::new();
    out.start("m:HealthCheckResponse")
        .namespace("m", MONITORING)
        .attribute("timestamp", &to_millisecond(report.at));
    health_status(&mut out, report.level, report.message.as_deref());
    out.start("m:Component").element("m:Name", &report.component.name);
    out.element("m:Version", &report.component.version).end();
    let location = &report.location;
    out.start("m:Location")
        .element("m:Environment", location.environment.as_str())
        .element("m:Host", &location.host);
    if let Some(port) = location.port {
        out.element("m:Port", &port.to_string());
    }
    if let Some(url) = &location.url {
        out.element("m:URL", url);
    }
    out.end();
    for check in &report.checks {
        out.start("m:SanityCheck").attribute("id", &check.id).attribute("type", check.kind.as_str());
        // The schema keeps FATAL for the whole.
        health_status(&mut out, check.level.min(HealthLevel::Critical), check.message.as_deref());
        out.start("m:Resource").attribute("name", &check.resource_name);
        out.attribute("type", check.resource_type.as_str()).end();
        out.element("m:TimeInMillis", &check.time_ms.min(i32::MAX.unsigned_abs()).to_string()).end();
    }
    text(out)
}

fn health_status(out: &mut Writer, level: HealthLevel, message: Option<&str>) {
    out.start("m:Status").element("m:Level", level.as_str());
    if let Some(message) = message {
        out.element("m:Message", message);
    }
    out.end();
}

/// `xs:dateTime` in UTC to the second; what is beyond it is left out.
pub(super) fn to_second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `xs:dateTime` in UTC with three fraction digits: more break WSS4J.
pub(crate) fn to_millisecond(at: Timestamp) -> String {
    format!("{at:.3}")
}
