//! An evidence as XML, in the one way in which it is written: without its signature, which goes before the root's end tag.
//!
//! Every namespace is declared where it is used, attributes and declarations stand in canonical order, so that the text of the root is
//! its own exclusive canonical form. Elements that the schema declares by `ref` are in its namespace, local ones in none.
//!
//! Source: EN 319 522-3 V1.2.1 (schema), SAML 2.0 core §2.7.3.1 (Attribute).

use erds::party::CBE_URN;
use jiff::Timestamp;
use pki::certificate::{Certificate, NameAttribute};
use pki::digest::DigestAlgorithm;
use xmlsec::namespace::DS;
use xmlsec::write::Writer;

use super::{ERDS_NAMESPACE, Event, Evidence, LogEntry, PARTICULARS_NAMESPACE, REASON_URN};
use crate::description::{FileDescription, FileDigestMethod, RecipientDescription};
use crate::dispatch::to_the_second;
use crate::xades::ROOT_ID;

/// The value of `version`.
pub(super) const VERSION: &str = "EN319522v1.2.1";
/// How an event's URI begins.
pub(super) const EVENT_URI: &str = "http://uri.etsi.org/19522/Event/";
/// The content type of a part whose sender stated none.
pub(super) const ANY_BYTES: &str = "application/octet-stream";

pub(super) const CBE_SCHEME: &str = "urn:be:fgov:kbo-bce:organization:cbe-number";
pub(super) const SSIN_SCHEME: &str = "urn:be:fgov:person:ssin";
pub(super) const QUALITY: &str = "urn:epost:registeredmail:quality-code";
pub(super) const APPLICATION: &str = "urn:epost:registeredmail:application-id";
const SUBJECT: &str = "urn:epost:registeredmail:certificate-subject";
const ORGANIZATION: &str = "urn:oid:2.5.4.10";
pub(super) const SAML_NAMESPACE: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const NAME_FORMAT: &str = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri";

/// The file up to where the signature goes, and what comes after it.
#[derive(Debug)]
pub(super) struct Unsigned {
    pub(super) before: Vec<u8>,
    pub(super) after: &'static [u8],
}

/// What stands before the root: not covered by the signature, so it is always this.
pub(super) const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const AFTER: &[u8] = b"\n</erds:Evidence>\n";

impl Unsigned {
    /// The canonical form that the signature covers: the root without the signature.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let root = self.before.strip_prefix(DECLARATION).unwrap_or(&self.before);
        [root, self.after.trim_ascii_end()].concat()
    }
}

/// Writes the evidence that this certificate's owner issues.
pub(super) fn write(evidence: &Evidence, issuer: &Certificate) -> Unsigned {
    let mut writer = Writer::with_declaration();
    writer.raw("\n").start("erds:Evidence").namespace("erds", ERDS_NAMESPACE);
    writer.attribute("Id", ROOT_ID).attribute("version", VERSION);
    let mut out = Lines { writer, depth: 0 };
    out.leaf("erds:EvidenceIdentifier", &evidence.identifier());
    out.leaf("erds:ERDSEventId", &format!("{EVENT_URI}{}", evidence.event.name()));
    reasons(&mut out, &evidence.event);
    out.time("EventTime", evidence.event_time);
    out.open("erds:EvidenceIssuerPolicyID");
    for policy in &evidence.policies {
        out.leaf("PolicyID", policy);
    }
    out.close();
    issuer_details(&mut out, issuer);
    request(&mut out, evidence);
    transaction_log(&mut out, evidence);
    out.open("erds:Extensions").open("erds:Extension").attribute("isCritical", "false");
    particulars(&mut out, evidence);
    out.close().close();
    out.writer.raw("\n  ");
    // Left open on purpose: the signature goes before the end tag, which `AFTER` has.
    let Lines { writer, .. } = out;
    let whole = writer.finish();
    let before = whole.strip_suffix(b"</erds:Evidence>").unwrap_or(&whole).to_vec();
    Unsigned { before, after: AFTER }
}

/// One element a line, indented by its depth.
struct Lines {
    writer: Writer,
    depth: usize,
}

impl Lines {
    fn line(&mut self) {
        self.writer.raw("\n  ");
        for _ in 0..self.depth {
            self.writer.raw("  ");
        }
    }

    fn open(&mut self, name: &'static str) -> &mut Self {
        self.line();
        self.writer.start(name);
        self.depth += 1;
        self
    }

    fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.writer.attribute(name, value);
        self
    }

    fn namespace(&mut self, prefix: &'static str, uri: &str) -> &mut Self {
        self.writer.namespace(prefix, uri);
        self
    }

    fn close(&mut self) -> &mut Self {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.writer.end();
        self
    }

    fn leaf(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.line();
        self.writer.element(name, text);
        self
    }

    fn time(&mut self, name: &'static str, at: Timestamp) -> &mut Self {
        self.leaf(name, &to_the_second(at))
    }

    fn bytes(&mut self, name: &'static str, bytes: &[u8]) -> &mut Self {
        self.line();
        self.writer.start(name).base64(bytes).end();
        self
    }

    fn optional(&mut self, name: &'static str, text: Option<&str>) -> &mut Self {
        if let Some(text) = text {
            self.leaf(name, text);
        }
        self
    }

    /// A `saml:Attribute` of one value.
    fn saml(&mut self, name: &str, value: &str) -> &mut Self {
        self.open("saml:Attribute").namespace("saml", SAML_NAMESPACE);
        self.attribute("Name", name).attribute("NameFormat", NAME_FORMAT);
        self.leaf("saml:AttributeValue", value).close()
    }

    fn digest_method(&mut self, algorithm: DigestAlgorithm) -> &mut Self {
        self.line();
        self.writer.start("ds:DigestMethod").namespace("ds", DS);
        self.writer.attribute("Algorithm", algorithm.xmldsig_uri()).end();
        self
    }

    fn digest_value(&mut self, value: &[u8]) -> &mut Self {
        self.line();
        self.writer.start("ds:DigestValue").namespace("ds", DS).base64(value).end();
        self
    }
}

/// Every negative has a reason: its code as a URI, then in words.
fn reasons(out: &mut Lines, event: &Event) {
    let given_up;
    let (code, details) = match event {
        Event::SubmissionRejection(rejection) => {
            (rejection.code.as_str(), [rejection.detail.as_str(), rejection.remedy.as_str()])
        }
        Event::ContentConsignmentFailure(failure) => {
            given_up = format!("Given up after {} attempt(s): {}", failure.attempts.len(), failure.reason);
            (failure.reason.as_str(), [given_up.as_str(), ""])
        }
        Event::ContentHandoverFailure(_) => ("expired-unread", [EXPIRED_UNREAD, ""]),
        _ => return,
    };
    out.open("erds:EventReasons").open("erds:EventReason");
    out.leaf("Code", &format!("{REASON_URN}{}", percent_encoded(code)));
    for text in details.iter().filter(|text| !text.is_empty()) {
        out.leaf("Details", text);
    }
    out.close().close();
}

const EXPIRED_UNREAD: &str = "Kept by the channel to its date, and never reported as opened until then.";

/// RFC 3986 §2.1: whatever is not unreserved as its bytes.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Who issues: what the certificate says, and the certificate.
fn issuer_details(out: &mut Lines, certificate: &Certificate) {
    let subject = certificate.subject();
    out.open("erds:EvidenceIssuerDetails").open("erds:Identity");
    out.saml(SUBJECT, &subject.to_string());
    if let Some(organization) = subject.one(NameAttribute::Organization) {
        out.saml(ORGANIZATION, organization);
    }
    let mut numbers =
        subject.values(NameAttribute::OrganizationalUnit).filter_map(|unit| unit.strip_prefix(CBE_URN));
    if let (Some(number), None) = (numbers.next(), numbers.next()) {
        out.saml(CBE_SCHEME, number);
    }
    out.close().open("erds:CertificateDetails").bytes("X509Certificate", certificate.der());
    out.close().close();
}

fn request(out: &mut Lines, evidence: &Evidence) {
    let request = &evidence.request;
    out.open("erds:SenderDetails").open("erds:Identity").saml(APPLICATION, &request.sender.application_id);
    out.close();
    identifier(out, CBE_SCHEME, &request.sender.company_id);
    out.open("AssuranceLevelsDetails").open("GlobalAssuranceLevel");
    out.leaf("AssuranceLevel", request.assurance.method.level_uri()).close();
    out.open("erds:AuthenticationDetails").time("AuthenticationTime", request.assurance.at);
    out.leaf("AuthenticationMethod", request.assurance.method.uri());
    out.close().close().close();
    out.open("erds:RecipientDetails");
    if let Some(recipient) = &request.recipient {
        let (scheme, number, quality) = match recipient {
            RecipientDescription::Citizen { inss, quality_code } => (SSIN_SCHEME, inss, quality_code),
            RecipientDescription::Enterprise { company_id, quality_code } => {
                (CBE_SCHEME, company_id, quality_code)
            }
        };
        out.open("erds:Identity").saml(QUALITY, quality).close();
        identifier(out, scheme, number);
    }
    out.close();
    if let Some(delegate) = &request.delegate {
        out.open("erds:RecipientsDelegateDetails");
        out.open("erds:Identity").saml(QUALITY, &delegate.quality_code).close();
        identifier(out, CBE_SCHEME, &delegate.company_id);
        // Of the first recipient, and there is one.
        out.leaf("DelegatingRecipients", "1").close();
    }
    out.time("erds:SubmissionTime", request.submitted_at);
    out.leaf("erds:MessageIdentifier", &request.message_identifier);
    content(out, evidence);
    if let Event::ContentConsignment(consignment) = &evidence.event {
        out.leaf("ForwardedToExternalSystem", consignment.channel.as_str());
    }
}

fn identifier(out: &mut Lines, scheme: &str, number: &str) {
    out.line();
    out.writer.start("Identifier").attribute("IdentifierSchemeName", scheme).text(number).end();
}

/// The parts with one digest each. Without a part there is no such element: the token then stands among the particulars.
fn content(out: &mut Lines, evidence: &Evidence) {
    let request = &evidence.request;
    if request.parts.is_empty() {
        return;
    }
    out.open("erds:UserContentInfo").optional("AppLayerIdentifier", request.token.as_deref());
    out.leaf("ComposingParts", &request.parts.len().to_string()).open("erds:PartsInfo");
    for (index, part) in request.parts.iter().enumerate() {
        out.open("erds:PartInfo").leaf("Identifier", &part_name(index));
        out.leaf("ContentType", part.mime.as_deref().unwrap_or(ANY_BYTES));
        out.digest_method(algorithm(part)).digest_value(&part.digest_value).close();
    }
    out.close().close();
}

/// The store's own name of the part, as the journal has it.
pub(super) fn part_name(index: usize) -> String {
    if index == 0 { "document".to_owned() } else { format!("annex-{index}") }
}

fn algorithm(part: &FileDescription) -> DigestAlgorithm {
    match part.digest_method {
        FileDigestMethod::Sha256 => DigestAlgorithm::Sha256,
        FileDigestMethod::Sha512 => DigestAlgorithm::Sha512,
    }
}

fn transaction_log(out: &mut Lines, evidence: &Evidence) {
    out.open("erds:TransactionLogInformation");
    log_entry(out, "Request", &evidence.log_origin, &evidence.request_entry);
    if evidence.event_entry != evidence.request_entry {
        log_entry(out, "Event", &evidence.log_origin, &evidence.event_entry);
    }
    out.close();
}

fn log_entry(out: &mut Lines, name: &'static str, origin: &str, entry: &LogEntry) {
    out.open("erds:TransactionLog").open(name).namespace("", PARTICULARS_NAMESPACE);
    out.leaf("Origin", origin).leaf("Index", &entry.index.to_string()).bytes("LeafHash", &entry.leaf_hash);
    out.close().close();
}

fn particulars(out: &mut Lines, evidence: &Evidence) {
    out.open("Particulars").namespace("", PARTICULARS_NAMESPACE);
    out.leaf("Environment", evidence.environment.as_str());
    if !evidence.environment.is_production() {
        out.leaf("NotProduction", NOT_PRODUCTION);
    }
    out.leaf("Statement", &evidence.statement());
    if evidence.request.parts.is_empty() {
        out.optional("Token", evidence.request.token.as_deref());
    }
    for part in &evidence.request.parts {
        out.open("File").leaf("Title", &part.title).leaf("DownloadFileName", &part.download_file_name);
        out.leaf("Type", &part.document_type).optional("Language", part.language.as_deref()).close();
    }
    if let Some(channel) = evidence.event.channel() {
        out.leaf("Channel", channel.as_str());
    }
    of_event(out, &evidence.event);
    out.close();
}

fn of_event(out: &mut Lines, event: &Event) {
    match event {
        Event::SubmissionAcceptance(acceptance) => {
            out.bytes("MessageSha256", &acceptance.soap_sha256);
            out.bytes("MessageCertificateSha256", &acceptance.message_certificate_sha256);
            if let Some(tls) = &acceptance.tls_certificate_sha256 {
                out.bytes("TlsCertificateSha256", tls);
            }
            for check in &acceptance.checks {
                out.open("Check").leaf("Name", &check.name).leaf("Outcome", &check.outcome).close();
            }
        }
        Event::SubmissionRejection(rejection) => {
            out.leaf("FaultCode", &rejection.code).leaf("Check", &rejection.check);
            out.leaf("Detail", &rejection.detail).leaf("Remedy", &rejection.remedy);
        }
        Event::ContentConsignment(consignment) => {
            out.leaf("ChannelMessageId", &consignment.message_id);
            out.bytes("AnswerSha256", &consignment.answer_sha256);
            if consignment.no_digital_user {
                out.leaf("NoDigitalUser", "true");
            }
        }
        Event::ContentConsignmentFailure(failure) => {
            out.leaf("Reason", &failure.reason);
            for attempt in &failure.attempts {
                out.open("Attempt").time("At", attempt.at).leaf("Outcome", &attempt.outcome).close();
            }
            out.optional("NextChannel", failure.next_channel.map(erds::ChannelName::as_str));
        }
        Event::ContentAccessTracking(access) => match access.not_before {
            Some(from) => {
                out.leaf("TimeIs", END_OF_WINDOW).time("WindowBegin", from);
            }
            None => {
                out.leaf("TimeIs", OF_EVENT);
            }
        },
        Event::ContentHandover(handover) => {
            out.bytes("TakerCertificateSha256", &handover.certificate_sha256);
            out.bytes("HandedOverSha256", &handover.content_sha256);
        }
        Event::ContentHandoverFailure(unopened) => {
            if let Some(until) = unopened.kept_until {
                out.time("KeptUntil", until);
            }
        }
    }
}

const NOT_PRODUCTION: &str = "NOT PRODUCTION: made for testing, without legal effect.";
/// What the event's time is, where a channel was polled.
pub(super) const END_OF_WINDOW: &str = "the end of a poll window";
/// What the event's time is, where the channel gave it.
pub(super) const OF_EVENT: &str = "the event's own, as the channel gave it";
