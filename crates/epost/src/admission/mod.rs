//! Admission: from the bytes that arrived to an answer, one step after the other; each step ends in a [`Refusal`] or goes on.
//!
//! `parse → authenticate → grant → digests → channel → duplicates → preference → Received → seal → Accepted → answer`

pub mod accept;
pub mod answer;
mod channel;
pub mod connection;
pub mod duplicates;
mod evidence;
pub mod facts;
mod find;
mod frames;
pub mod health;
mod history;
mod inline;
mod package;
mod peer;
pub mod read;
mod recipient;
pub mod refuse;
pub mod spool;
mod verify;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use erds::{FaultCode, Refusal, Sender};
use jiff::Timestamp;
use pki::certificate::Certificate;
use pki::path::{PathError, Purpose, Revocation};
use soap::envelope::{Envelope, SoapVersion};
use soap::message::{Operation, Request};
use soap::wss::saml::Person;
use soap::wss::{self, Authenticated};
use uam::Permitted;

use crate::aside::aside;
use crate::door::soap::Contract;
use crate::metrics::Stage;
use crate::service::Service;
use spool::Spooled;

/// What HTTP says of a request.
#[derive(Clone, Debug)]
pub struct Head {
    /// Which address it came to.
    pub contract: Contract,
    /// Its Content-Type header.
    pub content_type: String,
    /// Its SOAPAction header, if any: a hint that may not contradict the Body.
    pub soap_action: Option<String>,
    /// The header in which a gateway says the sender's address (`listen.gateway_address_header`), as it came; whoever sends it.
    pub asserted_address: Option<String>,
}

impl Head {
    /// The SOAP version that a fault is told in where no envelope could be read: the Content-Type names SOAP 1.2's, alone or as what a
    /// multipart's root is, or it is SOAP 1.1.
    pub fn version(&self) -> SoapVersion {
        let names = |text: &str| self.content_type.to_ascii_lowercase().contains(text);
        match self.contract {
            Contract::B if names("application/soap+xml") => SoapVersion::V12,
            _ => SoapVersion::V11,
        }
    }
}

/// Who is at the other end, as admission needs it.
#[derive(Clone)]
pub struct PeerFacts {
    /// Source address and port.
    pub address: SocketAddr,
    /// The TLS client certificate.
    pub certificate: Certificate,
}

impl From<crate::door::Peer> for PeerFacts {
    fn from(peer: crate::door::Peer) -> Self {
        Self { address: peer.address, certificate: peer.certificate }
    }
}

/// A request whose last byte is in: hashed, encrypted, and as durable as a record may name it.
pub struct Arrived {
    /// What HTTP says.
    pub head: Head,
    /// Who sent it.
    pub peer: PeerFacts,
    /// One clock read, when the last byte was in (E9).
    pub received_at: Timestamp,
    /// Its parts.
    pub spooled: Spooled,
}

/// An answer, whole.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The Content-Type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A request that did not go through, and who it was if the signature proved that.
pub struct Stopped {
    /// What the sender hears and the journal keeps.
    pub refusal: Refusal,
    /// The sender, if authenticated.
    pub sender: Option<Sender>,
    /// The key under which the same signed message is known again, if authenticated.
    pub submission_key: Option<[u8; 32]>,
    /// The operation, if authenticated.
    pub operation: Option<&'static str>,
    /// The certificate that signed, if authenticated.
    pub certificate: Option<Certificate>,
    /// The person behind the application, if authenticated and a token service says who (N4).
    pub person: Option<Person>,
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        let (sender, submission_key, operation) = (None, None, None);
        Self { refusal, sender, submission_key, operation, certificate: None, person: None }
    }
}

impl Service {
    /// Decides one request and answers it; whatever happens, the journal has it before the answer leaves (E7).
    pub async fn answer(self: Arc<Self>, arrived: Arrived) -> Reply {
        let _timed = self.metrics().time(Stage::Answer);
        let arrived = Arc::new(arrived);
        let envelope = match aside(arrived.spooled.bytes(), || self.envelope(&arrived)) {
            Ok(envelope) => envelope,
            Err(refusal) => return self.refuse(&arrived, None, refusal.into()).await,
        };
        let version = envelope.version();
        match self.admit(&arrived, envelope).await {
            Ok(reply) => reply,
            Err(stopped) => self.refuse(&arrived, Some(version), stopped).await,
        }
    }

    fn envelope(&self, arrived: &Arrived) -> Result<Envelope, Refusal> {
        let spooled = &arrived.spooled;
        let mut rules = soap::envelope::Rules {
            media: spooled.root_media,
            root_digest: true,
            ..soap::envelope::Rules::default()
        };
        if arrived.head.contract == Contract::B {
            // Documents too may come as MTOM parts, and are read where a signature over them needs it.
            let most = usize::try_from(self.limits().included_bytes_max).unwrap_or(usize::MAX);
            rules.xml.document_bytes_max = most;
            rules.xml.text_bytes_max = most;
            rules.include_bytes_max = most;
        }
        let failed = std::cell::RefCell::new(None);
        let part = |content_id: &str| {
            let part = spooled.part(content_id)?;
            if arrived.head.contract == Contract::A {
                return part.small.clone();
            }
            // One more than may be, so that it is seen.
            let bytes = self.spooled_bytes(spooled, part, rules.include_bytes_max as u64 + 1);
            bytes.map_err(|failure| failed.replace(Some(failure))).ok()
        };
        let parsed = Envelope::parse(spooled.root.clone(), &part, &rules);
        if let Some(failure) = failed.into_inner() {
            return Err(failure.into());
        }
        let envelope = parsed?;
        envelope.check_action(arrived.head.soap_action.as_deref())?;
        if arrived.head.contract == Contract::A && envelope.version() != SoapVersion::V11 {
            return Err(Refusal::new(
                FaultCode::Soa03002,
                "soap.version",
                "a SOAP 1.2 envelope",
                "SOAP 1.1, which is all that contract A's binding knows",
                "Send SOAP 1.1 to /RegisteredMail/v1; contract B on /RegisteredMail/v2 takes both.",
            ));
        }
        Ok(envelope)
    }

    async fn admit(self: &Arc<Self>, arrived: &Arc<Arrived>, envelope: Envelope) -> Result<Reply, Stopped> {
        let authenticated = aside(arrived.spooled.bytes(), || {
            let _timed = self.metrics().time(Stage::Authenticate);
            self.authenticate(arrived, &envelope)
        })?;
        let known = (
            authenticated.sender().clone(),
            facts::submission_key(authenticated.sender(), authenticated.signed_info()),
            authenticated.request().operation(),
        );
        let (certificate, person) =
            (authenticated.certificate().clone(), authenticated.proof().person.clone());
        let stopped = |refusal: Refusal| {
            let (sender, submission_key, operation) = known.clone();
            let (sender, submission_key) = (Some(sender), Some(submission_key));
            let (certificate, person) = (Some(certificate.clone()), person.clone());
            Stopped { refusal, sender, submission_key, operation: Some(operation), certificate, person }
        };
        let asserted = self.asserted_address(arrived);
        let address =
            asserted.unwrap_or(Some(arrived.peer.address.ip())).ok_or_else(no_address).map_err(stopped)?;
        let permitted = self.permit(arrived, address, authenticated).await.map_err(stopped)?;
        let readable = self.readable(permitted.request(), arrived.received_at);
        let message = facts::SignedMessage::new(&permitted, &envelope, asserted.flatten(), readable);
        let request = permitted.into_parts().0.into_request();
        if !matches!(request, Request::SendDocument(_) | Request::Submit { .. }) {
            refuse_attachments(arrived, &message).map_err(stopped)?;
        }
        let answered = match (arrived.head.contract, request) {
            (Contract::A, Request::SendDocument(submission)) => {
                self.submit(arrived, message, submission, Vec::new(), &[]).await
            }
            (Contract::A, Request::GetStatus { ticket }) => self.get_status(arrived, message, ticket).await,
            (Contract::A, Request::HealthCheck { kind }) => self.health_check(arrived, message, kind).await,
            (Contract::B, Request::GetProof { item, proof, form }) => {
                self.get_proof(arrived, message, item, (proof, form)).await
            }
            (Contract::B, Request::Submit { submission, inline, channels }) => {
                self.submit(arrived, message, submission, inline, &channels).await
            }
            (Contract::B, Request::FindItems(search)) => self.find_items(arrived, message, search).await,
            (Contract::B, Request::GetDeliveryHistory { ticket, first }) => {
                self.get_delivery_history(arrived, message, ticket, first).await
            }
            (Contract::B, Request::VerifyProof(proof)) => self.verify_proof(arrived, message, proof).await,
            (Contract::B, Request::CheckRecipient { recipient }) => {
                self.check_recipient(arrived, message, recipient).await
            }
            (Contract::B, Request::CheckConnection) => self.check_connection(arrived, message).await,
            (Contract::B, Request::CheckAccess { operation, document_type }) => {
                self.check_access(arrived, message, operation, document_type).await
            }
            (contract, _) => Err(Refusal::new(
                FaultCode::Soa03005,
                "soap.operation.other-contract",
                "an operation of the other contract",
                &format!("an operation that {} serves", contract.path()),
                "Contract A (sendDocument, getStatus, healthCheck) is served on /RegisteredMail/v1, contract B (everything else) on /RegisteredMail/v2.",
            )),
        };
        let reply = answered.map_err(stopped)?;
        self.metrics().answered(Some(known.2), "OK");
        Ok(reply)
    }

    /// Who signed, judged now: path, revocation, freshness, and that the TLS peer is the same sender.
    fn authenticate(
        &self,
        arrived: &Arrived,
        envelope: &Envelope,
    ) -> Result<Authenticated<Request>, Stopped> {
        let crls = self.senders().crls();
        let tls = &arrived.peer.certificate;
        let candidates = self.senders().candidates(tls, self.is_gateway(tls));
        let policy = wss::Policy {
            anchors: &self.senders().anchors,
            age_seconds_max: self.settings().timestamp_lifetime_seconds_max,
            lifetime_seconds_max: self.settings().timestamp_lifetime_seconds_max,
            skew_seconds: self.settings().clock_skew_seconds_max,
            environment: Some(self.settings().environment),
            candidates: &candidates,
            addresses: &self.settings().addresses,
            saml: self.saml_rules(arrived),
            contents_as_sent: arrived.head.contract == Contract::B,
            strictness: self.settings().strictness,
            today: crate::service::today(arrived.received_at),
            ..wss::Policy::new(&self.senders().anchors, Revocation::HardFail(&crls), arrived.received_at)
        };
        let stopped = |refusal, sender: &Sender, operation| Stopped {
            sender: Some(sender.clone()),
            operation,
            ..Stopped::from(refusal)
        };
        let authenticated = wss::authenticate(envelope, &policy).map_err(|refused| {
            let Some(signatory) = refused.signatory else { return Stopped::from(*refused.refusal) };
            // Before anything is kept under the message's key: whoever replays it over another connection decides nothing of what its
            // sender hears.
            match self.same_party(arrived, &signatory.sender, &crls) {
                Err(refusal) => stopped(refusal, &signatory.sender, None),
                Ok(()) => Stopped {
                    submission_key: Some(facts::submission_key(&signatory.sender, &signatory.signed_info)),
                    ..stopped(*refused.refusal, &signatory.sender, None)
                },
            }
        })?;
        let sender = authenticated.sender();
        self.same_party(arrived, sender, &crls)
            .map_err(|refusal| stopped(refusal, sender, Some(authenticated.request().operation())))?;
        Ok(authenticated)
    }

    /// Contract A knows X.509 tokens alone; contract B takes assertions of the configured token services too.
    fn saml_rules<'a>(&'a self, arrived: &'a Arrived) -> Option<wss::saml::Rules<'a>> {
        let services = self.senders().token_services.as_slice();
        (arrived.head.contract == Contract::B && !services.is_empty())
            .then_some(wss::saml::Rules { services, tls: &arrived.peer.certificate })
    }

    /// Whose items the sender may read in this transaction.
    fn readable(&self, authenticated: &Authenticated<Request>, at: Timestamp) -> Vec<uam::Readable> {
        let transaction = transaction(authenticated.request().asks());
        self.policy().readable(authenticated.sender().cbe.digits(), transaction, at)
    }

    /// Whether this TLS peer forwards other senders' messages.
    pub(crate) fn is_gateway(&self, tls: &Certificate) -> bool {
        self.settings().trusted_gateways.contains(&tls.fingerprint())
    }

    /// The sender's address as a gateway says it, none if it says no address; nothing where no gateway is to say it. The header
    /// of anybody else is never looked at.
    fn asserted_address(&self, arrived: &Arrived) -> Option<Option<IpAddr>> {
        let says =
            self.settings().gateway_address_header.is_some() && self.is_gateway(&arrived.peer.certificate);
        says.then(|| arrived.head.asserted_address.as_deref().and_then(stated_address))
    }

    /// The TLS certificate is in force and names the institution and application that signed, or is a configured gateway's.
    fn same_party(
        &self,
        arrived: &Arrived,
        signed_by: &Sender,
        crls: &pki::crl::CrlSet,
    ) -> Result<(), Refusal> {
        let tls = &arrived.peer.certificate;
        let judged = self.senders().anchors.validate(
            tls,
            &[],
            Revocation::HardFail(crls),
            Purpose::TlsClient,
            arrived.received_at,
        );
        let path = judged.map_err(|error| tls_refusal(&error))?;
        if self.is_gateway(tls) {
            return Ok(());
        }
        let peer = Sender::from_path(&path).map_err(|_| other_sender())?;
        if !peer.same_party(signed_by) {
            return Err(other_sender());
        }
        self.of_this_environment(&peer)
    }

    /// What a message's certificate is held to, a connection's is too.
    fn of_this_environment(&self, peer: &Sender) -> Result<(), Refusal> {
        let ours = self.settings().environment;
        if peer.environment == ours {
            return Ok(());
        }
        Err(Refusal::new(
            FaultCode::Soa01002,
            "wss.sender.environment",
            &format!("{}, in the TLS client certificate", peer.environment.as_str()),
            ours.as_str(),
            "Connect with the certificate of this environment, or to the address of yours.",
        ))
    }

    /// The policy, or the decision point in its place, grants this sender this transaction, from this address, now (E6).
    async fn permit(
        &self,
        arrived: &Arrived,
        address: IpAddr,
        authenticated: Authenticated<Request>,
    ) -> Result<Permitted<Authenticated<Request>>, Refusal> {
        let sender = authenticated.sender().clone();
        let request = authenticated.request();
        let message_type = match request {
            Request::SendDocument(submission) | Request::Submit { submission, .. } => {
                submission.document.document_type.clone()
            }
            _ => None,
        };
        let question = question(arrived, address, &sender, request.asks(), message_type.as_deref());
        let permitted = match self.remote() {
            None => self.policy().permit(authenticated, &question),
            Some(remote) => remote.ask(&question, self.policy().digest()).await?.permit(authenticated),
        };
        permitted.map_err(|denied| denied.to_refusal())
    }

    /// As [`Self::permit`], for a question that nobody's request hangs on.
    async fn decide(
        &self,
        question: &uam::Question<'_>,
    ) -> Result<Result<uam::Decision, uam::Denied>, Refusal> {
        Ok(match self.remote() {
            None => self.policy().decide(question),
            Some(remote) => remote.ask(question, self.policy().digest()).await?.into_decision(),
        })
    }
}

/// What the policy is asked.
fn question<'a>(
    arrived: &Arrived,
    address: IpAddr,
    sender: &'a Sender,
    operation: Operation,
    message_type: Option<&'a str>,
) -> uam::Question<'a> {
    let at = arrived.received_at;
    uam::Question { sender, transaction: transaction(operation), message_type, address, at }
}

/// What a grant must name for this operation.
fn transaction(operation: Operation) -> uam::Transaction {
    match operation {
        // One right to send, whatever the contract.
        Operation::SendDocument | Operation::Submit => uam::Transaction::SendDocument,
        Operation::GetStatus => uam::Transaction::GetStatus,
        Operation::GetProof => uam::Transaction::GetProof,
        Operation::FindItems => uam::Transaction::FindItems,
        Operation::GetDeliveryHistory => uam::Transaction::GetDeliveryHistory,
        Operation::VerifyProof => uam::Transaction::VerifyProof,
        Operation::CheckRecipient => uam::Transaction::CheckRecipient,
        Operation::HealthCheck => uam::Transaction::HealthCheck,
        Operation::CheckConnection | Operation::CheckAccess => uam::Transaction::Check,
    }
}

/// The address in a gateway's header: what stands before the last comma came to the gateway, from whomever.
pub(crate) fn stated_address(said: &str) -> Option<IpAddr> {
    said.rsplit(',').next()?.trim().parse().ok()
}

/// A gateway that is to say whose request it forwards does not: nobody's official address can be judged.
fn no_address() -> Refusal {
    Refusal::new(
        FaultCode::Soa01002,
        "uam.gateway-address",
        "a gateway's request without the sender's address",
        "the sender's address in the configured header, last in its list",
        "Have the gateway say the sender's address in every request.",
    )
}

/// A read has no documents: what arrived beside the envelope is nothing that anybody signed.
fn refuse_attachments(arrived: &Arrived, message: &facts::SignedMessage) -> Result<(), Refusal> {
    let stray = |part: &&spool::SpooledPart| !message.included.contains(&part.content_id);
    if arrived.spooled.parts.iter().filter(stray).count() == 0 {
        return Ok(());
    }
    Err(Refusal::new(
        FaultCode::Soa03004,
        "content.part-undeclared",
        "an attachment to a request that has none",
        "the SOAP part alone",
        "Attach files to sendDocument and submit only.",
    ))
}

fn other_sender() -> Refusal {
    Refusal::new(
        FaultCode::Soa01001,
        "tls.peer.other-sender",
        "a TLS client certificate of another institution or application than the one that signed",
        "the same institution and application in both certificates",
        "Connect with the certificate that signs, or have the platform name your gateway.",
    )
}

fn tls_refusal(error: &PathError) -> Refusal {
    Refusal::new(
        FaultCode::Soa01001,
        error.code(),
        "a TLS client certificate that is not in force",
        "a certificate that is valid, not revoked, and for client authentication",
        "Renew the certificate that the connection is made with.",
    )
}
