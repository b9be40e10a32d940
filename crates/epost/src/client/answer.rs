//! What the service answered: a fault, a receipt, a status, a proof, with the attachments they name.

use soap::message::v2::{
    ConnectionAnswer, DeliveryHistory, FoundItem, parse_check_connection_response, parse_find_items_response,
    parse_get_delivery_history_response, parse_submit_response,
};
use soap::message::{
    SignedFile, parse_get_proof_response, parse_get_status_response, parse_send_document_response,
};
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
    /// Where it came along: the ERDS evidence of the same fact, with the name to save it under.
    pub evidence: Option<(String, Vec<u8>)>,
}

/// Evidence as it came: the exact signed bytes, and the CRLs that the service sent with them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EvidenceFiles {
    /// Each with the name to save it under; names that are none are refused when they are saved.
    pub files: Vec<(String, Vec<u8>)>,
    /// CRLs of the seal's and the time-stamps' chains (DER).
    pub crls: Vec<Vec<u8>>,
    /// The item it is about.
    pub ticket: String,
}

/// A package as it came: the exact bytes of the container.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PackageFile {
    /// The name to save it under; one that is none is refused when it is saved.
    pub name: String,
    /// The container.
    pub bytes: Vec<u8>,
    /// The item it is about.
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
    /// Whether the fault lies with the service.
    pub provider: bool,
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
    /// Not what the contract says, in the words of the message's reader.
    #[error(transparent)]
    Message(#[from] soap::message::AnswerError),
    /// An attached proof is not the one that the message names.
    #[error("client.answer.digest: {0} differs from its stated digest; ask again with the same token")]
    Digest(String),
}

impl AnswerError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Multipart(_) => "client.answer.multipart",
            Self::Xml(_) => "client.answer.xml",
            Self::Form(_) => "client.answer.form",
            Self::Message(error) => error.code(),
            Self::Digest(_) => "client.answer.digest",
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
        let fault = soap::fault::parse_fault(body).ok_or(AnswerError::Form("the Fault"))?;
        let provider = fault.fault_code().is_some_and(|code| code.origin() == erds::FaultOrigin::Provider);
        Ok(Some(Fault {
            message: fault.message(language).unwrap_or_default().to_owned(),
            id: fault.id.clone().unwrap_or_default(),
            provider,
            retry: fault.retry,
            code: fault.code,
        }))
    }

    /// The receipt of `SendDocumentResponse`.
    pub(super) fn receipt(&self) -> Result<ProofFiles, AnswerError> {
        let answer = parse_send_document_response(self.body()?)?;
        self.proof_files(answer.receipt, answer.ticket.as_str())
    }

    /// The receipt of contract B's `SubmitResponse`: in place.
    pub(super) fn submitted(&self) -> Result<ProofFiles, AnswerError> {
        let answer = parse_submit_response(self.body()?)?;
        let (xml, p7s) = (answer.receipt.content, answer.receipt.signature);
        let evidence = Some((answer.evidence.file_name, answer.evidence.content));
        let ticket = answer.ticket.as_str().to_owned();
        Ok(ProofFiles { xml, p7s, crls: Vec::new(), ticket, evidence })
    }

    /// `GetStatusResponse`.
    pub(super) fn status(&self) -> Result<StatusAnswer, AnswerError> {
        let answer = parse_get_status_response(self.body()?)?;
        let proof = answer.proof.map(|file| self.proof_files(file, answer.ticket.as_str())).transpose()?;
        Ok(StatusAnswer {
            ticket: answer.ticket.as_str().to_owned(),
            token: answer.token.as_str().to_owned(),
            status: answer.status.as_str().to_owned(),
            proof,
        })
    }

    /// `GetProofResponse` of contract B: content inline.
    pub(super) fn proof(&self) -> Result<ProofFiles, ClientError> {
        let answer = parse_get_proof_response(self.body()?).map_err(AnswerError::from)?;
        let ticket = answer.ticket.as_str().to_owned();
        let Some(proof) = answer.proof else {
            return Err(ClientError::ProofAbsent { ticket, status: answer.status.as_str().to_owned() });
        };
        let crls = answer.crls;
        Ok(ProofFiles { xml: proof.content, p7s: proof.signature, crls, ticket, evidence: None })
    }

    /// The evidence of `GetProofResponse` of contract B.
    pub(super) fn evidence(&self) -> Result<EvidenceFiles, ClientError> {
        let answer = parse_get_proof_response(self.body()?).map_err(AnswerError::from)?;
        let ticket = answer.ticket.as_str().to_owned();
        if answer.evidence.is_empty() {
            return Err(ClientError::ProofAbsent { ticket, status: answer.status.as_str().to_owned() });
        }
        let files = answer.evidence.into_iter().map(|one| (one.file_name, one.content)).collect();
        Ok(EvidenceFiles { files, crls: answer.crls, ticket })
    }

    /// The package of `GetProofResponse` of contract B.
    pub(super) fn package(&self) -> Result<PackageFile, ClientError> {
        let answer = parse_get_proof_response(self.body()?).map_err(AnswerError::from)?;
        let package = answer.package.ok_or(AnswerError::Form("the Package that was asked for"))?;
        let ticket = answer.ticket.as_str().to_owned();
        Ok(PackageFile { name: package.file_name, bytes: package.content, ticket })
    }

    /// `GetDeliveryHistoryResponse` of contract B.
    pub(super) fn history(&self) -> Result<DeliveryHistory, AnswerError> {
        Ok(parse_get_delivery_history_response(self.body()?)?)
    }

    /// `FindItemsResponse` of contract B.
    pub(super) fn found(&self) -> Result<(Vec<FoundItem>, bool), AnswerError> {
        Ok(parse_find_items_response(self.body()?)?)
    }

    /// `CheckConnectionResponse` of contract B.
    pub(super) fn connection(&self) -> Result<ConnectionAnswer, AnswerError> {
        Ok(parse_check_connection_response(self.body()?)?)
    }

    /// The attachment that `file` names, if it has the digest that `file` states.
    fn proof_files(&self, file: SignedFile, ticket: &str) -> Result<ProofFiles, AnswerError> {
        let attached = self.attachments.iter().find(|(content_id, _)| *content_id == file.content_id);
        let (_, xml) = attached.ok_or(AnswerError::Form("the attachment that Content names"))?;
        let stated = file.digest.to_digest().ok_or(AnswerError::Form("the digest"))?;
        if pki::digest::Digest::of(stated.algorithm(), xml) != stated {
            return Err(AnswerError::Digest(file.file_name));
        }
        let (xml, ticket) = (xml.clone(), ticket.to_owned());
        Ok(ProofFiles { xml, p7s: file.signature, ticket, ..ProofFiles::default() })
    }
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

#[cfg(test)]
mod tests {
    use erds::{Ticket, Token};
    use soap::envelope::SoapVersion;
    use soap::message::{SealedFile, envelope, write_send_document_response};

    use super::*;

    fn answer(payload: &str, attached: &[u8]) -> Answer {
        let root = envelope(SoapVersion::V11, payload);
        let writer = soap::multipart::Writer::new([1; 16]);
        let body = writer.body(root, &[("receipt@epost", "text/xml", attached)]).unwrap();
        Answer::parse(&writer.content_type(), &body).unwrap()
    }

    #[test]
    fn a_receipt_is_found_by_its_content_id_and_held_to_its_digest() {
        let ticket = Ticket::parse("0123456789ABC").unwrap();
        let sha256 = pki::digest::sha256(b"<r/>");
        let file = SealedFile::receipt(sha256, "receipt@epost".to_owned(), vec![1, 2]);
        let payload = write_send_document_response(&ticket, &Token::parse("x").unwrap(), &file);
        let receipt = answer(&payload, b"<r/>").receipt().unwrap();
        assert_eq!((receipt.xml, receipt.p7s), (b"<r/>".to_vec(), vec![1, 2]));
        assert_eq!(answer(&payload, b"<R/>").receipt().unwrap_err().code(), "client.answer.digest");
    }
}
