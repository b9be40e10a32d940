//! What a record says of a request, and the keys under which a repeat is known.

use std::net::IpAddr;

use erds::record::bounded;
use erds::record::{DecisionFacts, Hex32, RequestFacts};
use erds::{Sender, Token};
use pki::certificate::Certificate;
use pki::digest::sha256;
use soap::envelope::{Envelope, SoapVersion};
use soap::message::Request;
use soap::wss::Authenticated;
use soap::wss::saml::Person;
use uam::{Permitted, Readable};

use super::Arrived;

/// What is kept of an authenticated and permitted message, once the trees that it was verified on are gone.
///
/// Only a [`Permitted`] makes one: a record cannot be written of a request that nobody was granted.
pub struct SignedMessage {
    /// Who signed.
    pub sender: Sender,
    /// With which certificate.
    pub certificate: Certificate,
    /// The request's SOAP version: the answer's too.
    pub version: SoapVersion,
    /// The person behind the application, where a token service says who (N4).
    pub person: Option<Person>,
    /// The Content-IDs that the envelope itself took in (`xop:Include`): part of the SOAP message.
    pub included: Vec<String>,
    /// The signature is over the `xop:Include` of the documents, which are bound by their digests alone.
    pub contents_as_sent: bool,
    /// Behind a gateway, the sender's address as the gateway says it.
    pub asserted_address: Option<IpAddr>,
    /// Whose items may be read: the sender's institution's own, then those that a mandate or a succession opens.
    pub readable: Vec<Readable>,
    decision: uam::Decision,
    operation: &'static str,
    soap_digest: [u8; 32],
    submission_key: [u8; 32],
    signed_info: Vec<u8>,
    signature_value: Vec<u8>,
    signature_algorithm: &'static str,
}

impl SignedMessage {
    /// Copies what the record needs.
    pub fn new(
        permitted: &Permitted<Authenticated<Request>>,
        envelope: &Envelope,
        asserted_address: Option<IpAddr>,
        readable: Vec<Readable>,
    ) -> Self {
        let authenticated = permitted.request();
        Self {
            asserted_address,
            readable,
            decision: permitted.decision().clone(),
            sender: authenticated.sender().clone(),
            certificate: authenticated.certificate().clone(),
            version: envelope.version(),
            person: authenticated.proof().person.clone(),
            included: envelope.used_content_ids().to_vec(),
            contents_as_sent: authenticated.contents_as_sent(),
            operation: authenticated.request().operation(),
            soap_digest: envelope.root_sha256(),
            submission_key: submission_key(authenticated.sender(), authenticated.signed_info()),
            signed_info: authenticated.signed_info().to_vec(),
            signature_value: authenticated.signature_value().to_vec(),
            signature_algorithm: authenticated.signature_algorithm().xmldsig_uri(),
        }
    }

    /// The key that an assertion for one use claims; none: it may come again.
    pub fn assertion_key(&self) -> Option<[u8; 32]> {
        let person = self.person.as_ref().filter(|person| person.once)?;
        Some(keyed("assertion", &[person.issuer.as_bytes(), person.assertion_id.as_bytes()]))
    }

    /// The key of this signed message.
    pub fn submission_key(&self) -> [u8; 32] {
        self.submission_key
    }

    /// The facts of a request that read another institution's items too: by what right.
    pub fn facts_citing(&self, arrived: &Arrived, citations: &[&str]) -> RequestFacts {
        let mut facts = self.facts(arrived);
        for citation in citations {
            facts.decision.grant_reference.push_str("; ");
            facts.decision.grant_reference.push_str(&bounded(citation));
        }
        facts
    }

    /// The facts of the request, for its record.
    pub fn facts(&self, arrived: &Arrived) -> RequestFacts {
        let base64 = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
        RequestFacts {
            request_id: arrived.spooled.request_id.clone(),
            received_at: arrived.received_at,
            operation: self.operation.to_owned(),
            sender: self.sender.clone(),
            message_certificate: Hex32(self.certificate.fingerprint()),
            tls_certificate: Some(Hex32(arrived.peer.certificate.fingerprint())),
            peer_address: arrived.peer.address.ip().to_string(),
            asserted_address: self.asserted_address.map(|address| address.to_string()),
            soap_digest: Hex32(self.soap_digest),
            submission_key: Hex32(self.submission_key),
            signed_info: base64(&self.signed_info),
            signature_value: base64(&self.signature_value),
            signature_algorithm: self.signature_algorithm.to_owned(),
            decision: DecisionFacts {
                grant_reference: self.decision.grant_reference.clone(),
                policy_digest: Hex32(self.decision.policy_digest),
                grant: self.decision.grant.clone(),
                program_number: self.decision.program_number.clone(),
                decision_id: self.decision.decision_id.clone(),
            },
        }
    }
}

/// The same sender's same SignedInfo: whatever its bytes, signature value or reflowed base64 look like (security row 52).
pub fn submission_key(sender: &Sender, signed_info: &[u8]) -> [u8; 32] {
    keyed(
        "submission",
        &[sender.cbe.digits().as_bytes(), sender.application.as_str().as_bytes(), signed_info],
    )
}

/// The institution's own name of an item; none for an empty token, which is no key.
pub fn token_key(institution: &str, token: &Token) -> Option<[u8; 32]> {
    (!token.is_empty()).then(|| keyed("token", &[institution.as_bytes(), token.as_str().as_bytes()]))
}

/// A key of the journal: a label and its parts, each with its length, so that no two spellings meet.
pub fn keyed(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut bytes = label.as_bytes().to_vec();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    sha256(&bytes)
}
