//! The requests, read to the schema's letter.

use erds::dispatch::{
    ANNEXES_MAX, DIGEST_BYTES_MAX, FILE_NAME_CHARACTERS_MAX, META_CHARACTERS_MAX, META_MAX, META_VALUES_MAX,
    MIME_TYPES, TITLE_CHARACTERS_MAX, TYPE_CHARACTERS_MAX,
};
use erds::{
    DigestMethod, EboxCheck, EnterpriseNumber, FaultCode, IdentifierError, Language, Meta, Part, QualityCode,
    Recipient, Refusal, Ssin, StatedDigest, Strictness, Submission, Ticket, Token,
};
use jiff::civil::Date;
use xmlsec::Element;

use super::namespace::{MONITORING, TYPES, V1, V2, XSI};
use super::read::{Allowed, Cursor, Text, violation};
use super::{HealthCheckKind, ItemName, ProofForm, ProofKind, Request, v2};
use crate::refuse::refusal;

/// By what identifiers are judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReadRules {
    /// Strict in production.
    pub strictness: Strictness,
    /// No date of birth lies after it.
    pub today: Date,
}

impl Request {
    /// Reads the one element of the Body.
    ///
    /// # Errors
    /// The caller's: SOA-03005 (no such operation), SOA-03006 (schema), EPOST_B01 (identifier), EPOST_B05 (MIME type),
    /// EPOST_B07 (one attachment named twice), FILE_B01 to FILE_B03 (stated digest).
    pub fn parse(operation: Element<'_>, rules: &ReadRules) -> Result<Self, Refusal> {
        match (operation.namespace(), operation.local_name()) {
            (V1, "SendDocumentRequest") => send_document(operation, rules).map(Self::SendDocument),
            (V1, "GetStatusRequest") => get_status(operation),
            (MONITORING, "HealthCheckRequest") => health_check(operation),
            (V2, "GetProofRequest") => get_proof(operation),
            (V2, "SubmitRequest") => v2::submit(operation, rules),
            (V2, "FindItemsRequest") => v2::find_items(operation),
            (V2, "GetDeliveryHistoryRequest") => v2::get_delivery_history(operation),
            (V2, "VerifyProofRequest") => v2::verify_proof(operation),
            (V2, "CheckRecipientRequest") => v2::check_recipient(operation, rules),
            (V2, "CheckConnectionRequest") => v2::check_connection(operation),
            (V2, "CheckAccessRequest") => v2::check_access(operation),
            (namespace, local) => Err(refusal(
                FaultCode::Soa03005,
                "soap.operation.unknown",
                &format!("the element {{{namespace}}}{local} in the Body"),
                "an operation of contract A (sendDocument, getStatus, healthCheck) or of contract B (the WSDL of /RegisteredMail/v2)",
                "Generate the client from the WSDL (GET ?wsdl); mind the namespace.",
            )),
        }
    }
}

fn send_document(operation: Element<'_>, rules: &ReadRules) -> Result<Submission, Refusal> {
    let mut request = Cursor::open(operation, "SendDocumentRequest".to_owned(), Allowed::Nothing)?;
    let (item, path) = request.required(TYPES, "RegisteredMailItem")?;
    let check = request.optional_text(TYPES, "CheckEboxStatus")?;
    request.end()?;
    let check =
        check.map(|text| text.one_of(EboxCheck::from_name, "BYPASS, ACTIVATED or PREFERRED")).transpose()?;

    let mut item = Cursor::open(item, path, Allowed::Nothing)?;
    let token = token(item.text(TYPES, "Token")?)?;
    let recipient = recipient(&mut item, rules)?;
    let (element, path) = item.required(TYPES, "Document")?;
    let document = document(Cursor::open(element, path, Allowed::Nothing)?)?;
    let mut annexes = Vec::new();
    while annexes.len() < ANNEXES_MAX
        && let Some((element, path)) = item.optional(TYPES, "Annex")
    {
        annexes.push(annex(Cursor::open(element, path, Allowed::Nothing)?)?);
    }
    let mut meta = Vec::new();
    while meta.len() < META_MAX
        && let Some((element, path)) = item.optional(TYPES, "Meta")
    {
        meta.push(one_meta(Cursor::open(element, path, Allowed::Nothing)?)?);
    }
    item.end()?;
    let submission = Submission {
        token,
        recipient,
        document,
        annexes,
        meta,
        check: check.unwrap_or_default(),
        beside: Default::default(),
    };
    each_attachment_once(&submission)?;
    Ok(submission)
}

/// Two parts over one attachment would leave it open which of the two was meant.
pub(super) fn each_attachment_once(submission: &Submission) -> Result<(), Refusal> {
    let mut ids: Vec<&str> = submission.parts().map(|part| part.content_id.as_str()).collect();
    ids.sort_unstable();
    if ids.windows(2).all(|pair| pair.first() != pair.last()) {
        return Ok(());
    }
    Err(refusal(
        FaultCode::EpostB07,
        "content.repeated",
        "two Content elements that name one attachment",
        "an attachment of its own for the document and for each annex",
        "Attach the bytes once for each Content, each with its own Content-ID.",
    ))
}

pub(super) fn token(text: Text<'_>) -> Result<Token, Refusal> {
    let path = text.path().to_owned();
    let text = text.bounded(0, Token::CHARACTERS_MAX)?;
    Token::parse(&text).map_err(|_| violation("schema.length", &path, "too long", "at most 50 characters"))
}

/// A Token that names an item: an empty one names none.
pub(super) fn naming_token(text: Text<'_>, expected: &str) -> Result<Token, Refusal> {
    let path = text.path().to_owned();
    let token = token(text)?;
    if token.is_empty() {
        return Err(violation("schema.length", &path, "an empty Token", expected));
    }
    Ok(token)
}

pub(super) fn ticket(text: &Text<'_>) -> Result<Ticket, Refusal> {
    Ticket::parse(text.as_str()).map_err(|_| {
        violation("schema.pattern", text.path(), &text.seen(), "13 characters of [0-9A-HJ-NP-Z]")
    })
}

/// `xsi:type` is the one QName in content that is resolved; the children must be that type's, so that a prefix bound
/// otherwise can only cause a refusal.
fn recipient(item: &mut Cursor<'_>, rules: &ReadRules) -> Result<Recipient, Refusal> {
    let (element, path) = item.required(TYPES, "Recipient")?;
    let mut entity = Cursor::open(element, path, Allowed::XsiType)?;
    let expected = "xsi:type with Citizen or Enterprise, a QName in the types' namespace";
    let Some(value) = entity.element().attribute(Some(XSI), "type") else {
        return Err(violation("schema.xsi-type", entity.path(), "no xsi:type", expected));
    };
    let value = value.trim_matches([' ', '\t', '\r', '\n']);
    let (prefix, local) = value.split_once(':').unwrap_or(("", value));
    let recipient = match (entity.element().resolve_prefix(prefix), local) {
        (Some(TYPES), "Citizen") => citizen(&mut entity, rules)?,
        (Some(TYPES), "Enterprise") => enterprise(&mut entity, rules)?,
        _ => return Err(violation("schema.xsi-type", entity.path(), "another type", expected)),
    };
    entity.end()?;
    Ok(recipient)
}

pub(super) fn citizen(entity: &mut Cursor<'_>, rules: &ReadRules) -> Result<Recipient, Refusal> {
    let number = entity.text(TYPES, "INSS")?;
    let (path, given) = (number.path().to_owned(), number.bounded(11, 11)?);
    let inss =
        Ssin::parse(&given, rules.strictness, rules.today).map_err(|error| identifier(&path, &error))?;
    let (path, quality) = quality(entity)?;
    if !quality.is_citizen() {
        return Err(wrong_quality(&path, "CITIZEN for a Citizen"));
    }
    Ok(Recipient::Citizen { inss, quality })
}

pub(super) fn enterprise(entity: &mut Cursor<'_>, rules: &ReadRules) -> Result<Recipient, Refusal> {
    company(entity, rules).map(|(company, quality)| Recipient::Enterprise { company, quality })
}

/// An enterprise in a quality, recipient or not.
pub(super) fn company(
    entity: &mut Cursor<'_>,
    rules: &ReadRules,
) -> Result<(EnterpriseNumber, QualityCode), Refusal> {
    let number = entity.text(TYPES, "CompanyID")?;
    let form =
        matches!(number.as_str().len(), 9 | 10) && number.as_str().bytes().all(|byte| byte.is_ascii_digit());
    if !form {
        return Err(violation("schema.pattern", number.path(), &number.seen(), "[0-9]?[0-9]{9}"));
    }
    let company = EnterpriseNumber::parse(number.as_str(), rules.strictness);
    let company = company.map_err(|error| identifier(number.path(), &error))?;
    let (path, quality) = quality(entity)?;
    if quality.is_citizen() {
        return Err(wrong_quality(&path, "an enterprise's quality, e.g. QUAL_EMP_NOSS, for an Enterprise"));
    }
    Ok((company, quality))
}

fn quality(entity: &mut Cursor<'_>) -> Result<(String, QualityCode), Refusal> {
    let text = entity.text(TYPES, "QualityCode")?;
    let path = text.path().to_owned();
    let text = text.bounded(1, QualityCode::CHARACTERS_MAX)?;
    let quality = QualityCode::parse(&text);
    quality.map(|quality| (path.clone(), quality)).map_err(|error| identifier(&path, &error))
}

fn wrong_quality(path: &str, expected: &str) -> Refusal {
    let remedy = "Name the recipient's quality that fits its type.";
    refusal(FaultCode::EpostB01, "identifier.quality", &format!("{path}: another quality"), expected, remedy)
}

fn identifier(path: &str, error: &IdentifierError) -> Refusal {
    refusal(
        FaultCode::EpostB01,
        error.code(),
        &format!("{path}: {error}"),
        "an identifier with right check digits, issued to a person (INSS) or an enterprise (CompanyID)",
        "Check the number at its source; send it as given there.",
    )
}

fn document(mut file: Cursor<'_>) -> Result<Part, Refusal> {
    let mut part = described(&mut file)?;
    part.document_type = Some(file.text(TYPES, "Type")?.bounded(1, TYPE_CHARACTERS_MAX)?);
    if let Some(text) = file.optional_text(TYPES, "Language")? {
        part.language = Some(text.one_of(Language::from_name, "fr, nl, de, en or bi")?);
    }
    part.content_id = content(&file.text(TYPES, "Content")?)?;
    file.end()?;
    Ok(part)
}

fn annex(mut file: Cursor<'_>) -> Result<Part, Refusal> {
    let content_id = content(&file.text(TYPES, "Content")?)?;
    let part = described(&mut file)?;
    file.end()?;
    Ok(Part { content_id, ..part })
}

/// Title, Digest, DownloadFileName, MIME?: what document and annex have alike.
fn described(file: &mut Cursor<'_>) -> Result<Part, Refusal> {
    let title = file.text(TYPES, "Title")?.bounded(1, TITLE_CHARACTERS_MAX)?;
    let (element, path) = file.required(TYPES, "Digest")?;
    let digest = stated_digest(Cursor::open(element, path, Allowed::Nothing)?)?;
    let download_file_name = file.text(TYPES, "DownloadFileName")?.bounded(1, FILE_NAME_CHARACTERS_MAX)?;
    let mime = file.optional_text(TYPES, "MIME")?.map(|text| mime(&text)).transpose()?;
    Ok(Part {
        title,
        digest,
        download_file_name,
        mime,
        document_type: None,
        language: None,
        content_id: String::new(),
    })
}

pub(super) fn mime(text: &Text<'_>) -> Result<String, Refusal> {
    if MIME_TYPES.contains(&text.as_str()) {
        return Ok(text.as_str().to_owned());
    }
    Err(refusal(
        FaultCode::EpostB05,
        "content.mime",
        &format!("{}: a type that is not listed, of {}", text.path(), text.seen()),
        &format!("one of {}", MIME_TYPES.join(", ")),
        "Leave MIME out for any other type: there is no limit on content.",
    ))
}

fn stated_digest(mut digest: Cursor<'_>) -> Result<StatedDigest, Refusal> {
    let method = digest.text(TYPES, "DigestMethod")?;
    let value = digest.text(TYPES, "DigestValue")?;
    digest.end()?;
    let remedy = "State DigestMethod SHA-256 (or SHA-512) and the base64 of that digest over exactly the attached bytes.";
    let bytes = value.base64(1, DIGEST_BYTES_MAX)?;
    let method_seen = |what: &str| format!("{}: {what}", method.path());
    let Some(known) = DigestMethod::from_name(method.as_str()) else {
        let seen = method_seen(&format!("another method, of {}", method.seen()));
        return Err(refusal(
            FaultCode::FileB02,
            "digest.method.unknown",
            &seen,
            "SHA-256 or SHA-512",
            remedy,
        ));
    };
    let Some(algorithm) = known.algorithm() else {
        return Err(refusal(
            FaultCode::FileB03,
            "digest.method.sha1",
            &method_seen("SHA-1"),
            "SHA-256 or SHA-512",
            remedy,
        ));
    };
    if bytes.len() != algorithm.length_bytes() {
        let seen = format!("{}: {} bytes", value.path(), bytes.len());
        let expected = format!("{} bytes for {}", algorithm.length_bytes(), known.as_str());
        return Err(refusal(FaultCode::FileB01, "digest.length", &seen, &expected, remedy));
    }
    Ok(StatedDigest { method: known, value: bytes })
}

fn content(text: &Text<'_>) -> Result<String, Refusal> {
    match normalised_content_id(text.as_str()) {
        Some(id) => Ok(id),
        None => Err(violation(
            "schema.content",
            text.path(),
            &text.seen(),
            "cid: and the Content-ID of an attachment",
        )),
    }
}

/// The Content-ID that a `Content` or a `Content-ID` header names: without white space, angle brackets, `cid:` and
/// percent-encoding. Apply it to both sides and compare exactly. None if nothing, or no text, is left.
///
/// Source: RFC 2392; contract.md (bare ids, as CXF 3.6 and 4.0 write them).
pub fn normalised_content_id(text: &str) -> Option<String> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let text = text.strip_prefix('<').and_then(|inner| inner.strip_suffix('>')).unwrap_or(text);
    let bare = match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("cid:") => text.get(4..).unwrap_or_default(),
        _ => text,
    };
    let decoded = percent_encoding::percent_decode_str(bare).decode_utf8().ok()?;
    let usable = !decoded.is_empty() && !decoded.chars().any(char::is_control);
    usable.then(|| decoded.into_owned())
}

pub(super) fn one_meta(mut meta: Cursor<'_>) -> Result<Meta, Refusal> {
    let name = meta.text(TYPES, "Type")?.bounded(1, META_CHARACTERS_MAX)?;
    let mut values = vec![meta.text(TYPES, "Value")?.bounded(1, META_CHARACTERS_MAX)?];
    while values.len() < META_VALUES_MAX
        && let Some(value) = meta.optional_text(TYPES, "Value")?
    {
        values.push(value.bounded(1, META_CHARACTERS_MAX)?);
    }
    meta.end()?;
    Ok(Meta { name, values })
}

fn get_status(operation: Element<'_>) -> Result<Request, Refusal> {
    let mut request = Cursor::open(operation, "GetStatusRequest".to_owned(), Allowed::Nothing)?;
    let ticket = ticket(&request.text(TYPES, "Ticket")?)?;
    request.end()?;
    Ok(Request::GetStatus { ticket })
}

fn health_check(operation: Element<'_>) -> Result<Request, Refusal> {
    let request = Cursor::open(operation, "HealthCheckRequest".to_owned(), Allowed::Plain("type"))?;
    request.end()?;
    let kind = match operation.attribute(None, "type") {
        None => HealthCheckKind::default(),
        Some(name) => HealthCheckKind::from_name(&name).ok_or_else(|| {
            violation(
                "schema.enumeration",
                "HealthCheckRequest/@type",
                "another value",
                "PING, DEFAULT or DEEP",
            )
        })?,
    };
    Ok(Request::HealthCheck { kind })
}

fn get_proof(operation: Element<'_>) -> Result<Request, Refusal> {
    let mut request = Cursor::open(operation, "GetProofRequest".to_owned(), Allowed::Nothing)?;
    let item = match request.optional_text(V2, "Token")? {
        Some(text) => ItemName::Token(naming_token(text, "a Token that names an item, or the Ticket")?),
        None => ItemName::Ticket(ticket(&request.text(V2, "Ticket")?)?),
    };
    let proof = request.text(V2, "ProofType")?.one_of(ProofKind::from_name, PROOF_KINDS)?;
    let form = match request.optional_text(V2, "Form")? {
        None => proof.default_form(),
        Some(text) => {
            let sealed = proof.default_form() == ProofForm::Seal;
            let expected = if sealed {
                "SEAL, EVIDENCE or PACKAGE"
            } else {
                "EVIDENCE or PACKAGE, the forms of such a proof, or no Form"
            };
            text.one_of(
                |name| ProofForm::from_name(name).filter(|form| sealed || *form != ProofForm::Seal),
                expected,
            )?
        }
    };
    request.end()?;
    Ok(Request::GetProof { item, proof, form })
}

pub(super) const PROOF_KINDS: &str = "RECEIPT, DISPATCH, CONSULTATION, EXPIRY or NON_DELIVERY";
