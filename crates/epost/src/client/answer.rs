//! What the service answered: a fault, a receipt, a status, a proof.
//!
//! Read apart from the service's own writers: what these two disagree about shows in tests.

use soap::multipart::{Limits, MultipartError, PartHeaders, PartSink, Reader, SinkError};
use xmlsec::{Document, Element};

use super::ClientError;

/// A proof as it came: the exact sealed bytes, the seal, and CRLs where the service sent them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProofFiles {
    /// Receipt.xml or ProofOfDispatch.xml, the very bytes that the seal covers.
    pub xml: Vec<u8>,
    /// The detached CAdES seal.
    pub p7s: Vec<u8>,
    /// CRLs of the seal's and the time-stamp's chains (DER).
    pub crls: Vec<Vec<u8>>,
    /// The item it proves.
    pub ticket: String,
}

/// The service's fault: what failed and what to do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fault {
    /// The code, for example `FILE_B01`.
    pub code: String,
    /// The text in the language asked for, else in English, else the first.
    pub message: String,
    /// The journal's id of the request: what the helpdesk asks for.
    pub id: String,
    /// Whose fault: `consumer` or `provider`.
    pub origin: String,
    /// Whether the same request may succeed later.
    pub retry: Option<bool>,
}

/// A status answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusAnswer {
    /// The item.
    pub ticket: String,
    /// The sender's own name for it.
    pub token: String,
    /// PENDING, SENT or ERROR.
    pub status: String,
    /// From SENT on.
    pub proof: Option<ProofFiles>,
}

/// Why an answer cannot be used: the service's, or something between.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The MIME form.
    #[error("client.answer.multipart: {0}")]
    Multipart(#[from] MultipartError),
    /// Not XML.
    #[error("client.answer.xml: {0}")]
    Xml(String),
    /// Not what the contract says.
    #[error("client.answer.form: {0} is missing or malformed")]
    Form(&'static str),
}

impl AnswerError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Multipart(_) => "client.answer.multipart",
            Self::Xml(_) => "client.answer.xml",
            Self::Form(_) => "client.answer.form",
        }
    }
}

/// A parsed answer with its attachments.
pub(super) struct Answer {
    document: Document,
    attachments: Vec<(String, Vec<u8>)>,
}

impl Answer {
    /// Takes the MIME parts apart and reads the envelope.
    pub(super) fn parse(content_type: &str, body: &[u8]) -> Result<Self, AnswerError> {
        let mut parts = Parts::default();
        let mut reader = Reader::new(content_type, &limits())?;
        reader.feed(body, &mut parts)?;
        reader.finish(&mut parts)?;
        let document = Document::parse(parts.root, &xmlsec::Limits::default())
            .map_err(|error| AnswerError::Xml(error.to_string()))?;
        Ok(Self { document, attachments: parts.attachments })
    }

    fn body(&self) -> Result<Element<'_>, AnswerError> {
        let envelope = self.document.root();
        let body = envelope
            .children()
            .find(|child| child.local_name() == "Body" && child.namespace() == envelope.namespace());
        body.and_then(|body| body.children().next()).ok_or(AnswerError::Form("the SOAP Body"))
    }

    /// The fault, if it is one; its message in `language` where there is one.
    pub(super) fn fault(&self, language: &str) -> Result<Option<Fault>, AnswerError> {
        let body = self.body()?;
        if body.local_name() != "Fault" {
            return Ok(None);
        }
        let detail = body
            .descendants_and_self()
            .find(|one| matches!(one.local_name(), "BusinessError" | "SystemError"));
        let Some(detail) = detail else {
            let text = |names: [&str; 2]| {
                let found = body
                    .descendants_and_self()
                    .find(|one| names.contains(&one.local_name()) && !one.children().any(|_| true));
                found.and_then(|one| one.text().ok()).map(|text| text.trim().to_owned()).unwrap_or_default()
            };
            return Ok(Some(Fault {
                code: text(["faultcode", "Value"]),
                message: text(["faultstring", "Text"]),
                ..Fault::default()
            }));
        };
        Ok(Some(Fault {
            code: child_text(detail, "Code").unwrap_or_default(),
            message: message(detail, language),
            id: detail.attribute(None, "Id").map(|id| id.into_owned()).unwrap_or_default(),
            origin: child_text(detail, "Origin").unwrap_or_default(),
            retry: child_text(detail, "Retry").map(|retry| matches!(retry.as_str(), "true" | "1")),
        }))
    }

    /// The receipt of `SendDocumentResponse`.
    pub(super) fn receipt(&self) -> Result<ProofFiles, AnswerError> {
        let body = self.expect("SendDocumentResponse")?;
        let receipt = child(body, "Receipt").ok_or(AnswerError::Form("Receipt"))?;
        let ticket = child_text(receipt, "Ticket").ok_or(AnswerError::Form("Ticket"))?;
        let file = child(receipt, "Document").ok_or(AnswerError::Form("the receipt's Document"))?;
        self.signed_file(file, ticket)
    }

    /// `GetStatusResponse`.
    pub(super) fn status(&self) -> Result<StatusAnswer, AnswerError> {
        let body = self.expect("GetStatusResponse")?;
        let text = |name| child_text(body, name).ok_or(AnswerError::Form(name));
        let ticket = text("Ticket")?;
        let proof =
            child(body, "ProofOfDispatch").map(|file| self.signed_file(file, ticket.clone())).transpose()?;
        Ok(StatusAnswer { ticket, token: text("Token")?, status: text("Status")?, proof })
    }

    /// `GetProofResponse` of contract B: content inline.
    pub(super) fn proof(&self) -> Result<ProofFiles, ClientError> {
        let body = self.expect("GetProofResponse")?;
        let ticket = child_text(body, "Ticket").ok_or(AnswerError::Form("Ticket"))?;
        let Some(proof) = child(body, "Proof") else {
            return Err(ClientError::ProofAbsent {
                ticket,
                status: child_text(body, "Status").unwrap_or_default(),
            });
        };
        let content = |name| child(proof, name).ok_or(AnswerError::Form(name)).and_then(bytes);
        Ok(ProofFiles {
            xml: content("Content")?,
            p7s: content("Signature")?,
            crls: body
                .children()
                .filter(|one| one.local_name() == "Crl")
                .map(bytes)
                .collect::<Result<_, _>>()?,
            ticket,
        })
    }

    fn expect(&self, name: &'static str) -> Result<Element<'_>, AnswerError> {
        Some(self.body()?).filter(|body| body.local_name() == name).ok_or(AnswerError::Form(name))
    }

    fn signed_file(&self, file: Element<'_>, ticket: String) -> Result<ProofFiles, AnswerError> {
        let reference = child_text(file, "Content").ok_or(AnswerError::Form("Content"))?;
        let id = reference.strip_prefix("cid:").unwrap_or(&reference);
        let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
        let attached = self.attachments.iter().find(|(content_id, _)| *content_id == id);
        let (_, xml) = attached.ok_or(AnswerError::Form("the attachment that Content names"))?;
        let p7s = child(file, "Signature").ok_or(AnswerError::Form("Signature"))?;
        Ok(ProofFiles { xml: xml.clone(), p7s: bytes(p7s)?, crls: Vec::new(), ticket })
    }
}

fn message(detail: Element<'_>, language: &str) -> String {
    let messages: Vec<(String, String)> = detail
        .children()
        .filter(|one| one.local_name() == "Message")
        .filter_map(|one| {
            let spoken = one.attribute(Some(XML), "lang").map(|lang| lang.into_owned()).unwrap_or_default();
            Some((spoken, one.text().ok()?.trim().to_owned()))
        })
        .collect();
    let of = |wanted: &str| messages.iter().find(|(spoken, _)| spoken == wanted);
    of(language).or_else(|| of("en")).or(messages.first()).map(|(_, text)| text.clone()).unwrap_or_default()
}

fn child<'d>(of: Element<'d>, name: &str) -> Option<Element<'d>> {
    of.children().find(|child| child.local_name() == name)
}

fn child_text(of: Element<'_>, name: &str) -> Option<String> {
    Some(child(of, name)?.text().ok()?.trim().to_owned())
}

fn bytes(of: Element<'_>) -> Result<Vec<u8>, AnswerError> {
    let text = of.text().map_err(|_| AnswerError::Form("a base64 value"))?;
    xmlsec::base64::decode_text(&text).map_err(|_| AnswerError::Form("a base64 value"))
}

fn limits() -> Limits {
    Limits { root_part_bytes_max: ANSWER_BYTES_MAX, part_bytes_max: ANSWER_BYTES_MAX, ..Limits::default() }
}

#[derive(Default)]
struct Parts {
    root: Vec<u8>,
    attachments: Vec<(String, Vec<u8>)>,
    in_root: bool,
}

impl PartSink for Parts {
    fn begin(&mut self, headers: &PartHeaders) -> Result<(), SinkError> {
        self.in_root = headers.is_root();
        if !self.in_root {
            self.attachments.push((headers.content_id().unwrap_or_default().to_owned(), Vec::new()));
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if self.in_root {
            self.root.extend_from_slice(bytes);
        } else if let Some((_, attachment)) = self.attachments.last_mut() {
            attachment.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// No answer of either contract comes near it.
pub(super) const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

const XML: &str = "http://www.w3.org/XML/1998/namespace";

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: &str = "http://socialsecurity.be/registeredmail/types/v1";

    fn envelope(body: &str) -> String {
        format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>{body}\
             </soapenv:Body></soapenv:Envelope>"
        )
    }

    #[test]
    fn a_fault_tells_code_text_and_id() {
        let detail = "<e:BusinessError xmlns:e=\"http://socialsecurity.be/errors/serviceprovider/v1\" Id=\"j-7\">\
            <e:Origin>consumer</e:Origin><e:Code>FILE_B01</e:Code><e:Message xml:lang=\"en\">digest differs</e:Message>\
            <e:Message xml:lang=\"nl\">hash verschilt</e:Message><e:Retry>false</e:Retry></e:BusinessError>";
        let fault = envelope(&format!(
            "<soapenv:Fault><faultcode>soapenv:Client</faultcode><faultstring>FILE_B01</faultstring><detail>{detail}</detail></soapenv:Fault>"
        ));
        let answer = Answer::parse("text/xml; charset=utf-8", fault.as_bytes()).unwrap();
        let read = answer.fault("nl").unwrap().unwrap();
        assert_eq!(
            (read.code.as_str(), read.message.as_str(), read.id.as_str()),
            ("FILE_B01", "hash verschilt", "j-7")
        );
        assert_eq!(answer.fault("fr").unwrap().unwrap().message, "digest differs");
        assert_eq!(read.retry, Some(false));
    }

    #[test]
    fn a_receipt_is_found_by_its_content_id() {
        let root = envelope(&format!(
            "<m:SendDocumentResponse xmlns:m=\"urn:m\" xmlns:t=\"{TYPES}\"><t:Receipt><t:Ticket>0000000000000</t:Ticket>\
             <t:Token>x</t:Token><t:Document><t:Content>cid:receipt%40epost</t:Content><t:Signature>AQI=</t:Signature>\
             </t:Document></t:Receipt></m:SendDocumentResponse>"
        ));
        let writer = soap::multipart::Writer::new([1; 16]);
        let body = writer.body(root.into_bytes(), &[("receipt@epost", "text/xml", b"<r/>")]).unwrap();
        let answer = Answer::parse(&writer.content_type(), &body).unwrap();
        assert!(answer.fault("en").unwrap().is_none());
        let receipt = answer.receipt().unwrap();
        assert_eq!((receipt.xml, receipt.p7s), (b"<r/>".to_vec(), vec![1, 2]));
    }
}
