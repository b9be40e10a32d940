//! submit: contract A's item in contract B's form: the content in the Body itself, digests that no stack moves out of it.

use erds::dispatch::{
    ANNEXES_MAX, FILE_NAME_CHARACTERS_MAX, META_MAX, TITLE_CHARACTERS_MAX, TYPE_CHARACTERS_MAX,
};
use erds::{
    Beside, ChannelName, Delegate, DigestMethod, EboxCheck, Language, Part, Refusal, StatedDigest,
    Submission, Ticket, Token,
};
use xmlsec::Element;
use xmlsec::base64::Content;
use xmlsec::write::Writer;

use super::super::Request;
use super::super::answer::{EvidenceAnswer, ProofAnswer, text, upper_hex};
use super::super::client::{AnswerError, inline_evidence, inline_proof, named, names};
use super::super::namespace::{TYPES, V2};
use super::super::read::{Allowed, Cursor, Text, violation};
use super::super::request::{
    ReadRules, company, each_attachment_once, mime, normalised_content_id, one_meta, token,
};
use super::recipient::{recipient, write_recipient};
use crate::wss::namespace::XOP;

/// What stands in a Content of the verified Body, in the order of the item's parts; the part's Content-ID names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InlineContent {
    /// The Content-ID that the part has for it: no MIME part's.
    pub content_id: String,
    /// Its bytes and their digest.
    pub content: Content,
}

pub(in super::super) fn submit(operation: Element<'_>, rules: &ReadRules) -> Result<Request, Refusal> {
    let mut request = Cursor::open(operation, "SubmitRequest".to_owned(), Allowed::Nothing)?;
    let token = token(request.text(V2, "Token")?)?;
    let recipient = recipient(&mut request, rules)?;
    let mut inline = Vec::new();
    let (element, path) = request.required(V2, "Document")?;
    let document = part(Cursor::open(element, path, Allowed::Nothing)?, true, &mut inline)?;
    let mut annexes = Vec::new();
    while annexes.len() < ANNEXES_MAX
        && let Some((element, path)) = request.optional(V2, "Annex")
    {
        annexes.push(part(Cursor::open(element, path, Allowed::Nothing)?, false, &mut inline)?);
    }
    let mut meta = Vec::new();
    while meta.len() < META_MAX
        && let Some((element, path)) = request.optional(V2, "Meta")
    {
        meta.push(one_meta(Cursor::open(element, path, Allowed::Nothing)?)?);
    }
    let check = request.optional_text(V2, "CheckEboxStatus")?;
    let check =
        check.map(|text| text.one_of(EboxCheck::from_name, "BYPASS, ACTIVATED or PREFERRED")).transpose()?;
    let mut channels = Vec::new();
    while let Some(text) = request.optional_text(V2, "Channel")? {
        let channel = text.one_of(ChannelName::from_name, "EBOX_CITIZEN, EBOX_ENTERPRISE or BATCH")?;
        if channels.contains(&channel) {
            let seen = "a channel that was named before";
            return Err(violation("schema.repeated", text.path(), seen, "each channel once"));
        }
        channels.push(channel);
    }
    let delegate = request.optional(V2, "RecipientsDelegate");
    let delegate = delegate.map(|(element, path)| one_delegate(element, path, rules)).transpose()?;
    let to_mailbox = request.optional_text(V2, "ProofToSenderMailbox")?;
    let to_mailbox = to_mailbox.map(|text| boolean(&text)).transpose()?;
    request.end()?;
    let beside = Beside {
        batch: channels.contains(&ChannelName::Batch),
        delegate,
        proof_to_mailbox: to_mailbox.unwrap_or_default(),
    };
    let check = check.unwrap_or_default();
    let submission = Submission { token, recipient, document, annexes, meta, check, beside };
    each_attachment_once(&submission)?;
    Ok(Request::Submit { submission, inline, channels })
}

/// A mandatary is named as an enterprise is: by number and quality.
fn one_delegate(element: Element<'_>, path: String, rules: &ReadRules) -> Result<Delegate, Refusal> {
    let mut entity = Cursor::open(element, path, Allowed::Nothing)?;
    let (company, quality) = company(&mut entity, rules)?;
    entity.end()?;
    Ok(Delegate { company, quality })
}

/// `xs:boolean`.
fn boolean(text: &Text<'_>) -> Result<bool, Refusal> {
    match text.collapsed() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(violation("schema.enumeration", text.path(), &text.seen(), "true or false")),
    }
}

/// The document has a type and perhaps a language; an annex has neither.
fn part(mut file: Cursor<'_>, is_document: bool, inline: &mut Vec<InlineContent>) -> Result<Part, Refusal> {
    let title = file.text(V2, "Title")?.bounded(1, TITLE_CHARACTERS_MAX)?;
    let digest = StatedDigest { method: DigestMethod::Sha256, value: sha256(&file.text(V2, "Digest")?)? };
    let download_file_name = file.text(V2, "DownloadFileName")?.bounded(1, FILE_NAME_CHARACTERS_MAX)?;
    let mime = file.optional_text(V2, "MIME")?.map(|text| mime(&text)).transpose()?;
    let (mut document_type, mut language) = (None, None);
    if is_document {
        document_type = Some(file.text(V2, "Type")?.bounded(1, TYPE_CHARACTERS_MAX)?);
        if let Some(text) = file.optional_text(V2, "Language")? {
            language = Some(text.one_of(Language::from_name, "fr, nl, de, en or bi")?);
        }
    }
    let (element, path) = file.required(V2, "Content")?;
    let content_id = content(element, path, inline)?;
    file.end()?;
    Ok(Part { title, digest, download_file_name, mime, document_type, language, content_id })
}

/// `xs:hexBinary` of 32 bytes, either case.
fn sha256(text: &Text<'_>) -> Result<Vec<u8>, Refusal> {
    let bytes = erds::record::Hex32::from_hex(&text.collapsed().to_ascii_lowercase());
    bytes.map(|hex| hex.0.to_vec()).ok_or_else(|| {
        violation("schema.pattern", text.path(), &text.seen(), "64 hexadecimal digits: a SHA-256")
    })
}

/// Base64 in place; or, where the signature is over `xop:Include` as it stands, the part that it names.
fn content(element: Element<'_>, path: String, inline: &mut Vec<InlineContent>) -> Result<String, Refusal> {
    if let Some(include) = element.children().find(|child| child.is(XOP, "Include")) {
        // The envelope has judged its form: alone, empty, `cid:`.
        let href = include.attribute(None, "href").unwrap_or_default();
        return normalised_content_id(&href).ok_or_else(|| {
            violation("schema.content", &path, "an xop:Include of nothing", "cid: and a Content-ID")
        });
    }
    let content = Text::base64_of(element, path)?;
    let content_id = format!("inline:{}", inline.len() + 1);
    inline.push(InlineContent { content_id: content_id.clone(), content });
    Ok(content_id)
}

/// One item to send. `contents` are those of its parts, in order: written in place, or as the `xop:Include` of the part's own
/// Content-ID where there is none. `channels`: by which; none: by the recipient's own.
pub fn write_submit_request(
    submission: &Submission,
    contents: &[Option<&[u8]>],
    channels: &[ChannelName],
) -> String {
    let mut out = Writer::new();
    out.start("v2:SubmitRequest").namespace("v2", V2).namespace("t", TYPES);
    out.element("v2:Token", submission.token.as_str());
    write_recipient(&mut out, &submission.recipient);
    for (place, part) in submission.parts().enumerate() {
        out.start(if place == 0 { "v2:Document" } else { "v2:Annex" });
        out.element("v2:Title", &part.title).element("v2:Digest", &upper_hex(&part.digest.value));
        out.element("v2:DownloadFileName", &part.download_file_name);
        let optional = [
            ("v2:MIME", part.mime.as_deref()),
            ("v2:Type", part.document_type.as_deref()),
            ("v2:Language", part.language.map(Language::as_str)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                out.element(name, value);
            }
        }
        out.start("v2:Content");
        match contents.get(place).copied().flatten() {
            Some(bytes) => out.base64(bytes),
            None => out
                .start("xop:Include")
                .namespace("xop", XOP)
                .attribute("href", &format!("cid:{}", part.content_id))
                .end(),
        };
        out.end().end();
    }
    for meta in &submission.meta {
        out.start("v2:Meta").element("t:Type", &meta.name);
        for value in &meta.values {
            out.element("t:Value", value);
        }
        out.end();
    }
    out.element("v2:CheckEboxStatus", submission.check.as_str());
    for channel in channels {
        out.element("v2:Channel", channel.as_str());
    }
    if let Some(delegate) = &submission.beside.delegate {
        out.start("v2:RecipientsDelegate").element("t:CompanyID", delegate.company.as_given());
        out.element("t:QualityCode", delegate.quality.as_str()).end();
    }
    if submission.beside.proof_to_mailbox {
        out.element("v2:ProofToSenderMailbox", "true");
    }
    text(out)
}

/// The answer to an accepted item, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubmitReply {
    /// The item's name.
    pub ticket: Ticket,
    /// The sender's own.
    pub token: Token,
    /// The receipt; its stated digest fits its bytes.
    pub receipt: ProofAnswer,
    /// The evidence of the submission (A.1); its stated digest fits its bytes.
    pub evidence: EvidenceAnswer,
}

/// Reads the answer to submit, whose signature was verified before.
///
/// # Errors
/// [`AnswerError`]: the service's fault.
pub fn parse_submit_response(element: Element<'_>) -> Result<SubmitReply, AnswerError> {
    named(element, V2, "SubmitResponse")?;
    let mut response = Cursor::open(element, "SubmitResponse".to_owned(), Allowed::Nothing)?;
    let (ticket, token) = names(&mut response, V2)?;
    let (receipt, path) = response.required(V2, "Receipt")?;
    let receipt = inline_proof(receipt, path)?;
    let (evidence, path) = response.required(V2, "Evidence")?;
    let evidence = inline_evidence(evidence, path)?;
    response.end()?;
    Ok(SubmitReply { ticket, token, receipt, evidence })
}

/// The answer to an accepted item: its receipt and its evidence, in place.
pub fn write_submit_response(
    ticket: &Ticket,
    token: &Token,
    receipt: &ProofAnswer,
    evidence: &EvidenceAnswer,
) -> String {
    let mut out = Writer::new();
    out.start("v2:SubmitResponse").namespace("v2", V2);
    out.element("v2:Ticket", ticket.as_str()).element("v2:Token", token.as_str());
    super::super::answer::inline_proof(&mut out, "v2:Receipt", receipt);
    super::super::answer::inline_evidence(&mut out, evidence);
    text(out)
}
