//! The answers' bytes: contract A unsigned with its attachment, contract B signed with everything inline.

use erds::{Refusal, Status, Ticket, Token};
use pki::digest::sha256;
use soap::envelope::SoapVersion;
use soap::fault::{self, Namespace};
use soap::message::{self, EvidenceAnswer, HealthReport, PackageAnswer, ProofAnswer, SealedFile};
use soap::multipart::Writer;
use soap::wss::SIGNATURE_SHA1;
use soap::wss::client::{SignOptions, sign_request, timestamp_only};

use super::evidence::Given;
use super::{PeerFacts, Reply};
use crate::door::soap::Contract;
use crate::service::{Failure, Service};

/// What getProof gives: nothing where the item has no such seal (yet).
#[derive(Default)]
pub(super) struct GivenProofs {
    pub(super) proof: Option<ProofAnswer>,
    pub(super) evidence: Vec<EvidenceAnswer>,
    pub(super) package: Option<PackageAnswer>,
    /// The revocation lists that go with them, each once; a package has its own.
    pub(super) crls: Vec<Vec<u8>>,
}

impl GivenProofs {
    pub(super) fn holds_any(&self) -> bool {
        self.proof.is_some() || !self.evidence.is_empty() || self.package.is_some()
    }
}

impl Service {
    /// SendDocumentResponse with Receipt.xml attached; with evidence, which contract B's has, SubmitResponse with both in place, signed.
    pub(super) fn receipt_reply(
        &self,
        version: SoapVersion,
        ticket: Ticket,
        token: &Token,
        (xml, p7s): (&[u8], &[u8]),
        evidence: Option<&Given>,
    ) -> Result<Reply, Failure> {
        if let Some(evidence) = evidence {
            let receipt = ProofAnswer {
                file_name: "Receipt.xml".to_owned(),
                content: xml.to_vec(),
                signature: p7s.to_vec(),
            };
            let payload = message::v2::write_submit_response(&ticket, token, &receipt, &evidence.answer());
            return self.signed(version, 200, &payload);
        }
        let file = SealedFile::receipt(sha256(xml), content_id(ticket, "receipt"), p7s.to_vec());
        let payload = message::write_send_document_response(&ticket, token, &file);
        self.with_attachment(version, &payload, &file.content_id, xml)
    }

    /// GetStatusResponse, from SENT on with ProofOfDispatch.xml attached.
    pub(super) fn status_reply(
        &self,
        version: SoapVersion,
        ticket: Ticket,
        token: &Token,
        status: Status,
        proof: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Reply, Failure> {
        let Some((xml, p7s)) = proof else {
            let payload = message::write_get_status_response(&ticket, token, status, None);
            return Ok(plain(version, message::envelope(version, &payload)));
        };
        let file = SealedFile::proof_of_dispatch(sha256(&xml), content_id(ticket, "dispatch"), p7s);
        let payload = message::write_get_status_response(&ticket, token, status, Some(&file));
        self.with_attachment(version, &payload, &file.content_id, &xml)
    }

    /// GetProofResponse, signed.
    pub(super) fn proof_reply(
        &self,
        version: SoapVersion,
        ticket: Ticket,
        token: &Token,
        status: Status,
        given: GivenProofs,
    ) -> Result<Reply, Failure> {
        let GivenProofs { proof, evidence, package, crls } = &given;
        let (proof, package) = (proof.as_ref(), package.as_ref());
        let payload =
            message::write_get_proof_response(&ticket, token, status, proof, evidence, package, crls);
        // A package may be of many megabytes, and stands in the payload now.
        drop(given);
        self.signed(version, 200, &payload)
    }

    /// HealthCheckResponse.
    pub(super) fn health_reply(&self, version: SoapVersion, report: &HealthReport) -> Reply {
        plain(version, message::envelope(version, &message::write_health_check_response(report)))
    }

    /// The fault as it goes out: 500, in the request's SOAP version, in the form that the caller's side of the bus reads; contract B's
    /// is signed, but to a signature by SHA-1 (`clients.md` 12).
    pub(crate) fn fault_reply(
        &self,
        refusal: &Refusal,
        id: &str,
        peer: &PeerFacts,
        contract: Contract,
        version: SoapVersion,
    ) -> Reply {
        let behind_bus = self.settings().consumer_fault_addresses.contains(&peer.address.ip());
        let namespace = if behind_bus { Namespace::Consumer } else { Namespace::ServiceProvider };
        let (now, environment) = (self.now(), self.settings().environment);
        if contract == Contract::B {
            let payload = fault::write_fault_body(refusal, id, namespace, version, now, environment);
            let made = if refusal.check == SIGNATURE_SHA1 {
                // Its stack's policy knows RSA-SHA1 alone: it would refuse our signature, and hide the remedy.
                timestamp_only(&payload, now, &answer_options(version)).ok().map(|body| plain(version, body))
            } else {
                self.signed(version, 500, &payload).ok()
            };
            if let Some(reply) = made {
                return Reply { status: 500, ..reply };
            }
            // A key that cannot sign is no reason to say nothing.
        }
        let body = fault::write_fault(refusal, id, namespace, version, now, environment);
        Reply { status: 500, ..plain(version, body) }
    }

    pub(super) fn signed(&self, version: SoapVersion, status: u16, payload: &str) -> Result<Reply, Failure> {
        let signed = sign_request(payload, self.answer_signer(), self.now(), &answer_options(version));
        let body = signed
            .map_err(|error| Failure::broken(erds::FaultCode::Soa02001, error.code(), &error.to_string()))?;
        Ok(Reply { status, ..plain(version, body) })
    }

    fn with_attachment(
        &self,
        version: SoapVersion,
        payload: &str,
        content_id: &str,
        xml: &[u8],
    ) -> Result<Reply, Failure> {
        let mut random = [0; 16];
        let failed = |detail: &dyn std::fmt::Display| {
            Failure::broken(erds::FaultCode::Soa02001, "answer.failed", &detail.to_string())
        };
        pki::random::fill(&mut random).map_err(|error| failed(&error))?;
        let writer = Writer::new(random);
        let root = message::envelope(version, payload);
        let body = writer.body(root, &[(content_id, "text/xml", xml)]).map_err(|error| failed(&error))?;
        Ok(Reply { status: 200, content_type: writer.content_type(), body })
    }
}

fn answer_options(version: SoapVersion) -> SignOptions {
    SignOptions { id_suffix: uuid::Uuid::new_v4().simple().to_string(), ..SignOptions::answer(version) }
}

fn plain(version: SoapVersion, body: Vec<u8>) -> Reply {
    Reply { status: 200, content_type: version.content_type().to_owned(), body }
}

fn content_id(ticket: Ticket, what: &str) -> String {
    format!("{what}-{}@epost", ticket.as_str())
}
