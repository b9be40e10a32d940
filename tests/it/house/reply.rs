//! An answer as a sender's stack reads it.

use evidence::verify::{GivenFile, Inputs, Report};
use pki::certificate::Certificate;
use pki::crl::Crl;
use pki::path::TrustAnchors;
use soap::envelope::{Envelope, Rules};
use soap::fault::{ReceivedFault, parse_fault};
use soap::message::{self, ProofReply, ReceiptAnswer, SignedFile, StatusAnswer};
use soap::multipart::{Limits, PartHeaders, PartSink, Reader, SinkError};
use xmlsec::signature::{Profile, Signature, verify};

use super::certs_test;

/// Status, Content-Type and body of any answer.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// A proof as a sender keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    pub ticket: erds::Ticket,
    pub xml: Vec<u8>,
    pub p7s: Vec<u8>,
}

#[derive(Default)]
struct Parts(Vec<(String, Vec<u8>)>);

impl PartSink for Parts {
    fn begin(&mut self, headers: &PartHeaders) -> Result<(), SinkError> {
        self.0.push((headers.content_id().unwrap_or_default().to_owned(), Vec::new()));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.0.last_mut().unwrap().1.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl Answered {
    fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let mut parts = Parts::default();
        let mut reader = Reader::new(&self.content_type, &Limits::default()).unwrap();
        reader.feed(&self.body, &mut parts).unwrap();
        reader.finish(&mut parts).unwrap();
        parts.0
    }

    fn envelope(&self) -> Envelope {
        Envelope::parse(self.parts().remove(0).1, &|_| None, &Rules::answer()).unwrap()
    }

    fn attached(&self, file: &SignedFile) -> Vec<u8> {
        let parts = self.parts();
        let found = parts.into_iter().find(|(content_id, _)| *content_id == file.content_id);
        found.unwrap_or_else(|| panic!("no part {}", file.content_id)).1
    }

    /// Contract B's answers and faults are signed by the server's own key; anything else fails the test.
    #[track_caller]
    pub fn must_be_signed(&self) {
        let envelope = self.envelope();
        let elements = || envelope.document().root().descendants_and_self();
        let signature = elements().find(|element| element.is(xmlsec::namespace::DS, "Signature"));
        let signature = Signature::parse(signature.expect("a signature")).unwrap();
        let server = super::certificate("server");
        let profile = Profile::service();
        let verified = verify(envelope.document(), &signature, server.public_key(), &profile);
        assert!(verified.unwrap().covers(envelope.body()), "{self}");
    }

    /// The fault, if it is one.
    pub fn fault(&self) -> Option<ReceivedFault> {
        if !matches!(self.status, 200 | 500) {
            return None;
        }
        let fault = parse_fault(self.envelope().operation());
        assert_eq!(fault.is_some(), self.status == 500, "a fault goes out with 500: {self}");
        fault
    }

    /// The fault's code, or what it was instead.
    pub fn code(&self) -> String {
        match self.fault() {
            Some(fault) => fault.code,
            None => format!("HTTP {}", self.status),
        }
    }

    /// The receipt; anything else fails the test.
    #[track_caller]
    pub fn receipt(&self) -> Proof {
        assert_eq!(self.status, 200, "{self}");
        let envelope = self.envelope();
        let ReceiptAnswer { ticket, receipt, .. } =
            message::parse_send_document_response(envelope.operation()).unwrap();
        let xml = self.attached(&receipt);
        assert!(
            receipt
                .digest
                .to_digest()
                .unwrap()
                .matches(&pki::digest::Digest::of(pki::digest::DigestAlgorithm::Sha256, &xml))
        );
        Proof { ticket, xml, p7s: receipt.signature }
    }

    /// Contract B's receipt, signed; anything else fails the test.
    #[track_caller]
    pub fn submitted(&self) -> Proof {
        assert_eq!(self.status, 200, "{self}");
        self.must_be_signed();
        let reply = message::v2::parse_submit_response(self.envelope().operation()).unwrap();
        Proof { ticket: reply.ticket, xml: reply.receipt.content, p7s: reply.receipt.signature }
    }

    /// The evidence beside contract B's receipt; anything else fails the test.
    #[track_caller]
    pub fn evidence(&self) -> message::EvidenceAnswer {
        assert_eq!(self.status, 200, "{self}");
        message::v2::parse_submit_response(self.envelope().operation()).unwrap().evidence
    }

    #[track_caller]
    pub fn status_answer(&self) -> (StatusAnswer, Option<Proof>) {
        assert_eq!(self.status, 200, "{self}");
        let envelope = self.envelope();
        let answer = message::parse_get_status_response(envelope.operation()).unwrap();
        let proof = answer.proof.as_ref().map(|file| Proof {
            ticket: answer.ticket,
            xml: self.attached(file),
            p7s: file.signature.clone(),
        });
        (answer, proof)
    }

    #[track_caller]
    pub fn proof_reply(&self) -> ProofReply {
        assert_eq!(self.status, 200, "{self}");
        message::parse_get_proof_response(self.envelope().operation()).unwrap()
    }

    /// Contract B's history of an item, signed; anything else fails the test.
    #[track_caller]
    pub fn history(&self) -> message::v2::DeliveryHistory {
        assert_eq!(self.status, 200, "{self}");
        self.must_be_signed();
        message::v2::parse_get_delivery_history_response(self.envelope().operation()).unwrap()
    }

    #[track_caller]
    pub fn health(&self) -> message::HealthAnswer {
        assert_eq!(self.status, 200, "{self}");
        message::parse_health_check_response(self.envelope().operation()).unwrap()
    }
}

impl std::fmt::Display for Answered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut body = String::from_utf8_lossy(&self.body).into_owned();
        body.truncate(body.floor_char_boundary(2000));
        write!(formatter, "{} {}\n{body}", self.status, self.content_type)
    }
}

impl Proof {
    /// What the offline verifier says of it, with the test PKI's roots and the given CRLs.
    pub fn judge(&self, documents: &[Vec<u8>], crls: &[Vec<u8>]) -> Report {
        let root = |name: &str| {
            let pem = std::fs::read(certs_test(name)).unwrap();
            TrustAnchors::new(Certificate::from_pem(&pem).unwrap(), Vec::new())
        };
        let given: Vec<_> =
            documents.iter().map(|bytes| GivenFile::read("document", bytes.as_slice()).unwrap()).collect();
        let crls: Vec<_> = crls.iter().map(|der| Crl::from_der(der).unwrap()).collect();
        evidence::verify::verify(&Inputs {
            xml: &self.xml,
            p7s: &self.p7s,
            documents: &given,
            crls: &crls,
            seal_anchors: &root("seal-root.crt"),
            tsa_anchors: &root("tsa-root.crt"),
            log_key: None,
            now: jiff::Timestamp::now(),
        })
    }

    /// Passes with these documents, and fails with any one byte of the seal's or the file's flipped.
    #[track_caller]
    pub fn must_pass(&self, documents: &[Vec<u8>], crls: &[Vec<u8>]) {
        let report = self.judge(documents, crls);
        assert!(report.passed(), "{}", report.render());
        let mut flipped = self.clone();
        let middle = flipped.xml.len() / 2;
        flipped.xml[middle] ^= 1;
        assert!(!flipped.judge(documents, crls).passed());
        let mut flipped = self.clone();
        let middle = flipped.p7s.len() / 2;
        flipped.p7s[middle] ^= 1;
        assert!(!flipped.judge(documents, crls).passed());
    }
}

/// ERDS evidence passes the offline verifier with these documents, and does not with a byte of it flipped.
#[track_caller]
pub fn evidence_must_pass(xml: &[u8], documents: &[Vec<u8>], crls: &[Vec<u8>]) {
    let ticket = erds::Ticket::parse("0000000000000").unwrap();
    let judged = |xml: Vec<u8>| Proof { ticket, xml, p7s: Vec::new() }.judge(documents, crls);
    let report = judged(xml.to_vec());
    assert!(report.passed(), "{}", report.render());
    let mut flipped = xml.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    assert!(!judged(flipped).passed());
}

/// The CRLs of the seal's and the TSA's chains, of the committed PKI.
pub fn committed_crls() -> Vec<Vec<u8>> {
    ["seal-root", "seal-ca", "tsa-root", "tsa-ca"]
        .map(|name| std::fs::read(certs_test(&format!("crls/{name}.crl"))).unwrap())
        .to_vec()
}
