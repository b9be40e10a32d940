//! Requests as the contract's schema writes them: one element for the Body, every namespace declared on it.

use erds::{Part, Recipient, Submission, Ticket, Token};
use xmlsec::write::Writer;

use super::{ProofKind, ProofOf};

/// `SendDocumentRequest` of contract A.
pub(super) fn send_document(submission: &Submission) -> String {
    let mut xml = Writer::new();
    xml.start("m:SendDocumentRequest").namespace("m", MESSAGES).namespace("t", TYPES).namespace("xsi", XSI);
    xml.start("t:RegisteredMailItem");
    xml.element("t:Token", submission.token.as_str());
    recipient(&mut xml, &submission.recipient);
    document(&mut xml, &submission.document);
    for part in &submission.annexes {
        annex(&mut xml, part);
    }
    for meta in &submission.meta {
        xml.start("t:Meta").element("t:Type", &meta.name);
        for value in &meta.values {
            xml.element("t:Value", value);
        }
        xml.end();
    }
    xml.end();
    xml.element("t:CheckEboxStatus", submission.check.as_str());
    text(xml)
}

fn recipient(xml: &mut Writer, recipient: &Recipient) {
    // The one QName in content: its prefix is declared on the same payload.
    let (kind, number) = match recipient {
        Recipient::Citizen { .. } => ("t:Citizen", "t:INSS"),
        Recipient::Enterprise { .. } => ("t:Enterprise", "t:CompanyID"),
    };
    xml.start("t:Recipient").attribute("xsi:type", kind);
    xml.element(number, recipient.number_as_given())
        .element("t:QualityCode", recipient.quality().as_str())
        .end();
}

fn document(xml: &mut Writer, part: &Part) {
    xml.start("t:Document").element("t:Title", &part.title);
    digest(xml, part);
    xml.element("t:DownloadFileName", &part.download_file_name);
    optional(xml, "t:MIME", part.mime.as_deref());
    optional(xml, "t:Type", part.document_type.as_deref());
    optional(xml, "t:Language", part.language.map(|language| language.as_str()));
    xml.element("t:Content", &format!("cid:{}", part.content_id)).end();
}

/// An annex has another order than the document, and no type or language.
fn annex(xml: &mut Writer, part: &Part) {
    xml.start("t:Annex")
        .element("t:Content", &format!("cid:{}", part.content_id))
        .element("t:Title", &part.title);
    digest(xml, part);
    xml.element("t:DownloadFileName", &part.download_file_name);
    optional(xml, "t:MIME", part.mime.as_deref());
    xml.end();
}

fn digest(xml: &mut Writer, part: &Part) {
    xml.start("t:Digest").element("t:DigestMethod", part.digest.method.as_str());
    xml.start("t:DigestValue").base64(&part.digest.value).end().end();
}

fn optional(xml: &mut Writer, name: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        xml.element(name, value);
    }
}

/// `GetStatusRequest` of contract A.
pub(super) fn get_status(ticket: &Ticket) -> String {
    let mut xml = Writer::new();
    xml.start("m:GetStatusRequest")
        .namespace("m", MESSAGES)
        .namespace("t", TYPES)
        .element("t:Ticket", ticket.as_str());
    text(xml)
}

/// `GetProofRequest` of contract B.
pub(super) fn get_proof(of: &ProofOf, kind: ProofKind) -> String {
    let mut xml = Writer::new();
    xml.start("m:GetProofRequest").namespace("m", MESSAGES_V2);
    match of {
        ProofOf::Ticket(ticket) => xml.element("m:Ticket", Ticket::as_str(ticket)),
        ProofOf::Token(token) => xml.element("m:Token", Token::as_str(token)),
    };
    xml.element("m:ProofType", kind.as_str());
    text(xml)
}

fn text(xml: Writer) -> String {
    // The writer takes text and gives text.
    String::from_utf8(xml.finish()).unwrap_or_default()
}

const MESSAGES: &str = "http://socialsecurity.be/registeredmail/v1";
const TYPES: &str = "http://socialsecurity.be/registeredmail/types/v1";
const MESSAGES_V2: &str = "urn:epost:registeredmail:v2";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
