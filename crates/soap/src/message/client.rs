//! The client's side: requests written, answers read.

use erds::{DigestMethod, Part, Recipient, Refusal, StatedDigest, Status, Submission, Ticket, Token};
use xmlsec::Element;
use xmlsec::write::Writer;

use super::answer::{EvidenceAnswer, HealthLevel, PackageAnswer, ProofAnswer, text};
use super::namespace::{MONITORING, TYPES, V1, V2, XSI};
use super::read::{Allowed, Cursor, Text, violation};
use super::request::normalised_content_id;
use super::{HealthCheckKind, ItemName, ProofForm, ProofKind};

/// The answer is not what the contract says: the service's fault, or another contract.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the answer does not follow the contract: {}; expected {}", .0.seen, .0.expected)]
pub struct AnswerError(pub Refusal);

impl AnswerError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        self.0.check
    }
}

impl From<Refusal> for AnswerError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

/// One item to send; digests stand inline, so that they are under the signature.
pub fn write_send_document_request(submission: &Submission) -> String {
    let mut out = Writer::new();
    out.start("v1:SendDocumentRequest").namespace("v1", V1).namespace("t", TYPES).namespace("xsi", XSI);
    out.start("t:RegisteredMailItem").element("t:Token", submission.token.as_str());
    recipient(&mut out, &submission.recipient);
    let document = &submission.document;
    out.start("t:Document");
    described(&mut out, document);
    out.element("t:Type", document.document_type.as_deref().unwrap_or_default());
    if let Some(language) = document.language {
        out.element("t:Language", language.as_str());
    }
    content(&mut out, document);
    out.end();
    for annex in &submission.annexes {
        out.start("t:Annex");
        content(&mut out, annex);
        described(&mut out, annex);
        out.end();
    }
    for meta in &submission.meta {
        out.start("t:Meta").element("t:Type", &meta.name);
        for value in &meta.values {
            out.element("t:Value", value);
        }
        out.end();
    }
    out.end().element("t:CheckEboxStatus", submission.check.as_str());
    text(out)
}

fn recipient(out: &mut Writer, recipient: &Recipient) {
    let number = match recipient {
        Recipient::Citizen { .. } => "t:INSS",
        Recipient::Enterprise { .. } => "t:CompanyID",
    };
    out.start("t:Recipient").attribute("xsi:type", &format!("t:{}", recipient.type_name()));
    out.element(number, recipient.number_as_given())
        .element("t:QualityCode", recipient.quality().as_str())
        .end();
}

fn described(out: &mut Writer, part: &Part) {
    out.element("t:Title", &part.title);
    out.start("t:Digest").element("t:DigestMethod", part.digest.method.as_str());
    out.start("t:DigestValue").base64(&part.digest.value).end().end();
    out.element("t:DownloadFileName", &part.download_file_name);
    if let Some(mime) = &part.mime {
        out.element("t:MIME", mime);
    }
}

fn content(out: &mut Writer, part: &Part) {
    // RFC 2392: what a URL cannot carry is percent-encoded after `cid:`.
    let id = percent_encoding::utf8_percent_encode(&part.content_id, CONTENT_ID_ESCAPES);
    out.element("t:Content", &format!("cid:{id}"));
}

const CONTENT_ID_ESCAPES: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'#')
    .add(b'?')
    .add(b'`');

/// Where does this item stand?
pub fn write_get_status_request(ticket: &Ticket) -> String {
    let mut out = Writer::new();
    out.start("v1:GetStatusRequest")
        .namespace("v1", V1)
        .namespace("t", TYPES)
        .element("t:Ticket", ticket.as_str());
    text(out)
}

/// How is the service?
pub fn write_health_check_request(kind: HealthCheckKind) -> String {
    let mut out = Writer::new();
    out.start("m:HealthCheckRequest").namespace("m", MONITORING).attribute("type", kind.as_str());
    text(out)
}

/// A proof of this item, in this form.
pub fn write_get_proof_request(item: &ItemName, proof: ProofKind, form: ProofForm) -> String {
    let mut out = Writer::new();
    out.start("v2:GetProofRequest").namespace("v2", V2);
    match item {
        ItemName::Ticket(ticket) => out.element("v2:Ticket", ticket.as_str()),
        ItemName::Token(token) => out.element("v2:Token", token.as_str()),
    };
    out.element("v2:ProofType", proof.as_str());
    if form != proof.default_form() {
        out.element("v2:Form", form.as_str());
    }
    text(out)
}

/// A sealed file as contract A's answer names it; its bytes are attached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedFile {
    /// The name to save it under, as stated.
    pub file_name: String,
    /// Its stated digest.
    pub digest: StatedDigest,
    /// The attachment, normalised (see [`normalised_content_id`]).
    pub content_id: String,
    /// The detached seal, DER.
    pub signature: Vec<u8>,
}

/// The answer to an accepted item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceiptAnswer {
    /// The item's name.
    pub ticket: Ticket,
    /// The sender's own.
    pub token: Token,
    /// The receipt.
    pub receipt: SignedFile,
}

/// Where an item stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusAnswer {
    /// The item's name.
    pub ticket: Ticket,
    /// The sender's own.
    pub token: Token,
    /// Where it stands.
    pub status: Status,
    /// The proof of dispatch, from SENT on.
    pub proof: Option<SignedFile>,
}

/// Contract B's answer with a proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofReply {
    /// The item's name.
    pub ticket: Ticket,
    /// The sender's own.
    pub token: Token,
    /// Where it stands.
    pub status: Status,
    /// The proof, if the item has it and it was asked for with its detached seal; its stated digest fits its bytes.
    pub proof: Option<ProofAnswer>,
    /// The evidence where that was asked for, one for each act that it attests; their stated digests fit their bytes.
    pub evidence: Vec<EvidenceAnswer>,
    /// The package where that was asked for; its stated digest fits its bytes.
    pub package: Option<PackageAnswer>,
    /// The revocation lists kept at sealing, DER; a package has its own.
    pub crls: Vec<Vec<u8>>,
}

/// How the service is, in short.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthAnswer {
    /// The whole.
    pub level: HealthLevel,
    /// What to know about it.
    pub message: Option<String>,
}

/// Reads the answer to sendDocument.
///
/// # Errors
/// [`AnswerError`]: the service's fault.
pub fn parse_send_document_response(element: Element<'_>) -> Result<ReceiptAnswer, AnswerError> {
    named(element, V1, "SendDocumentResponse")?;
    let mut response = Cursor::open(element, "SendDocumentResponse".to_owned(), Allowed::Nothing)?;
    let (inner, path) = response.required(TYPES, "Receipt")?;
    response.end()?;
    let mut inner = Cursor::open(inner, path, Allowed::Nothing)?;
    let (ticket, token) = names(&mut inner, TYPES)?;
    let (file, path) = inner.required(TYPES, "Document")?;
    inner.end()?;
    Ok(ReceiptAnswer { ticket, token, receipt: signed_file(file, path)? })
}

/// Reads the answer to getStatus.
///
/// # Errors
/// [`AnswerError`]: the service's fault.
pub fn parse_get_status_response(element: Element<'_>) -> Result<StatusAnswer, AnswerError> {
    named(element, V1, "GetStatusResponse")?;
    let mut response = Cursor::open(element, "GetStatusResponse".to_owned(), Allowed::Nothing)?;
    let (ticket, token) = names(&mut response, TYPES)?;
    let status = response.text(TYPES, "Status")?.one_of(Status::from_name, "PENDING, SENT or ERROR")?;
    let proof = response
        .optional(TYPES, "ProofOfDispatch")
        .map(|(file, path)| signed_file(file, path))
        .transpose()?;
    response.end()?;
    Ok(StatusAnswer { ticket, token, status, proof })
}

/// Reads the answer to getProof, whose signature was verified before.
///
/// # Errors
/// [`AnswerError`]: the service's fault.
pub fn parse_get_proof_response(element: Element<'_>) -> Result<ProofReply, AnswerError> {
    named(element, V2, "GetProofResponse")?;
    let mut response = Cursor::open(element, "GetProofResponse".to_owned(), Allowed::Nothing)?;
    let (ticket, token) = names(&mut response, V2)?;
    let status = response.text(V2, "Status")?.one_of(Status::from_name, "PENDING, SENT or ERROR")?;
    let proof = response.optional(V2, "Proof").map(|(proof, path)| inline_proof(proof, path)).transpose()?;
    let mut evidence = Vec::new();
    while let Some((element, path)) = response.optional(V2, "Evidence") {
        evidence.push(inline_evidence(element, path)?);
    }
    let package = response.optional(V2, "Package").map(|(package, path)| inline_package(package, path));
    let package = package.transpose()?;
    let mut crls = Vec::new();
    while let Some(crl) = response.optional_text(V2, "Crl")? {
        crls.push(crl.base64(1, usize::MAX)?);
    }
    response.end()?;
    Ok(ProofReply { ticket, token, status, proof, evidence, package, crls })
}

/// Reads the answer to healthCheck: the whole's status; the parts are for monitors.
///
/// # Errors
/// [`AnswerError`]: the service's fault.
pub fn parse_health_check_response(element: Element<'_>) -> Result<HealthAnswer, AnswerError> {
    named(element, MONITORING, "HealthCheckResponse")?;
    let mut response = Cursor::open(element, "HealthCheckResponse".to_owned(), Allowed::Plain("timestamp"))?;
    let (status, path) = response.required(MONITORING, "Status")?;
    let mut status = Cursor::open(status, path, Allowed::Nothing)?;
    let level =
        status.text(MONITORING, "Level")?.one_of(HealthLevel::from_name, "OK, WARNING, CRITICAL or FATAL")?;
    status.optional_text(MONITORING, "Code")?;
    let message = status.optional_text(MONITORING, "Message")?.map(|text| text.as_str().to_owned());
    Ok(HealthAnswer { level, message })
}

pub(super) fn named(element: Element<'_>, namespace: &str, local: &'static str) -> Result<(), Refusal> {
    if element.is(namespace, local) {
        return Ok(());
    }
    let seen = format!("the element {{{}}}{}", element.namespace(), element.local_name());
    Err(violation("answer.element", "Body", &seen, &format!("{{{namespace}}}{local}")))
}

pub(super) fn names(cursor: &mut Cursor<'_>, namespace: &str) -> Result<(Ticket, Token), Refusal> {
    let ticket = cursor.text(namespace, "Ticket")?;
    let token = cursor.text(namespace, "Token")?;
    let wrong =
        |text: &Text<'_>| violation("answer.identifier", text.path(), &text.seen(), "a Ticket and a Token");
    Ok((
        Ticket::parse(ticket.as_str()).map_err(|_| wrong(&ticket))?,
        Token::parse(token.as_str()).map_err(|_| wrong(&token))?,
    ))
}

fn signed_file(element: Element<'_>, path: String) -> Result<SignedFile, Refusal> {
    let mut file = Cursor::open(element, path, Allowed::Nothing)?;
    file.text(TYPES, "Title")?;
    let (digest, path) = file.required(TYPES, "Digest")?;
    let mut digest = Cursor::open(digest, path, Allowed::Nothing)?;
    let method = digest.text(TYPES, "DigestMethod")?.one_of(DigestMethod::from_name, "SHA-256 or SHA-512")?;
    let value = digest.text(TYPES, "DigestValue")?.base64(1, erds::dispatch::DIGEST_BYTES_MAX)?;
    digest.end()?;
    let file_name =
        file.text(TYPES, "DownloadFileName")?.bounded(1, erds::dispatch::FILE_NAME_CHARACTERS_MAX)?;
    file.optional_text(TYPES, "MIME")?;
    file.text(TYPES, "Type")?;
    file.optional_text(TYPES, "Language")?;
    let content = file.text(TYPES, "Content")?;
    let content_id = normalised_content_id(content.as_str());
    let content_id = content_id.ok_or_else(|| {
        violation("answer.content", content.path(), &content.seen(), "cid: and a Content-ID")
    })?;
    let signature = file.text(TYPES, "Signature")?.base64(1, usize::MAX)?;
    file.end()?;
    Ok(SignedFile { file_name, digest: StatedDigest { method, value }, content_id, signature })
}

pub(super) fn inline_proof(element: Element<'_>, path: String) -> Result<ProofAnswer, Refusal> {
    let mut proof = Cursor::open(element, path, Allowed::Nothing)?;
    let file_name = proof.text(V2, "FileName")?.bounded(1, erds::dispatch::FILE_NAME_CHARACTERS_MAX)?;
    proof.text(V2, "MIME")?;
    let content = proof.text(V2, "Content")?.base64(1, usize::MAX)?;
    let signature = proof.text(V2, "Signature")?.base64(1, usize::MAX)?;
    must_digest(&proof.text(V2, "Digest")?, &content)?;
    proof.end()?;
    Ok(ProofAnswer { file_name, content, signature })
}

pub(super) fn inline_evidence(element: Element<'_>, path: String) -> Result<EvidenceAnswer, Refusal> {
    let mut evidence = Cursor::open(element, path, Allowed::Nothing)?;
    let event = evidence.text(V2, "Event")?.as_str().to_owned();
    let file_name = evidence.text(V2, "FileName")?.bounded(1, erds::dispatch::FILE_NAME_CHARACTERS_MAX)?;
    evidence.text(V2, "MIME")?;
    let content = evidence.text(V2, "Content")?.base64(1, usize::MAX)?;
    must_digest(&evidence.text(V2, "Digest")?, &content)?;
    evidence.end()?;
    Ok(EvidenceAnswer { event, file_name, content })
}

fn inline_package(element: Element<'_>, path: String) -> Result<PackageAnswer, Refusal> {
    let mut package = Cursor::open(element, path, Allowed::Nothing)?;
    let file_name = package.text(V2, "FileName")?.bounded(1, erds::dispatch::FILE_NAME_CHARACTERS_MAX)?;
    package.text(V2, "MIME")?;
    let content = package.text(V2, "Content")?.base64(1, usize::MAX)?;
    must_digest(&package.text(V2, "Digest")?, &content)?;
    package.end()?;
    Ok(PackageAnswer { file_name, content })
}

fn must_digest(stated: &Text<'_>, content: &[u8]) -> Result<(), Refusal> {
    let digest = erds::record::Hex32::from_hex(stated.collapsed());
    match digest.map(|hex| hex.0) == Some(pki::digest::sha256(content)) {
        true => Ok(()),
        false => Err(violation("answer.digest", stated.path(), "another digest", "the SHA-256 of Content")),
    }
}
