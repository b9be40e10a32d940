//! ERDS evidence: one XML file that states one event, with its signature and its time-stamp inside.
//!
//! [`Evidence`] is what it says; [`seal()`] signs it for a record that is durable and gives an [`Unstamped`], which proves
//! nothing; [`crate::seal::Stampable::stamp`] gives the [`Sealed`] evidence. Reading ([`Evidence::parse`]) ends with writing again: bytes that
//! our writer would not have made are refused.
//!
//! Sources: ETSI EN 319 522-1 §6.2 (events), EN 319 522-3 V1.2.1 (the XML), EN 319 132-1 §6.3 (XAdES-BASELINE-T);
//! `evidence.md`, ERDS evidence.

mod read;
mod sealing;
pub(crate) mod signed;
mod words;
mod write;

use erds::{ChannelName, Delegate, Environment, Sender, Submission, Ticket};
use jiff::Timestamp;

use crate::description::{
    ANNEX_TYPE, DigestNotProvable, FileDescription, ItemDescription, RecipientDescription, SenderDescription,
};

pub(crate) use sealing::attests;
pub use sealing::{Sealed, Unstamped, seal};

/// The namespace of the standard's elements.
pub const ERDS_NAMESPACE: &str = "http://uri.etsi.org/19522/v1#";
/// The namespace of what we say beyond the standard's elements.
pub const PARTICULARS_NAMESPACE: &str = "urn:epost:registeredmail:evidence:v1";
/// How the code of a reason begins; what follows is the fault's or the check's own code, percent-encoded. The standard's list of
/// reasons has none as narrow, and a wider one would say less than is known.
pub const REASON_URN: &str = "urn:epost:registeredmail:reason:v1:";

/// Whether the bytes are an evidence or a damaged one: told by two marks, which no one flipped byte takes away.
pub(crate) fn looks_like_evidence(xml: &[u8]) -> bool {
    let holds = |wanted: &str| xml.windows(wanted.len()).any(|window| window == wanted.as_bytes());
    holds(ERDS_NAMESPACE) || holds("<erds:Evidence ")
}

/// What one evidence says. Times are UTC and to the second: what is finer is cut off in writing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// The environment of the instance; every one but production is marked NOT PRODUCTION.
    pub environment: Environment,
    /// Which event, and what there is to say of it alone.
    pub event: Event,
    /// When the act took place: the time in its record, never that of the time-stamp.
    pub event_time: Timestamp,
    /// URIs of the policies under which it was issued, 1 to 8.
    pub policies: Vec<String>,
    /// The request that began it all, and what it was about.
    pub request: RequestDescription,
    /// The name of the log that has the entries.
    pub log_origin: String,
    /// The log's entry of the request: of its Received, or of its Refused.
    pub request_entry: LogEntry,
    /// The log's entry of the event; the request's own where the event is its acceptance or its refusal.
    pub event_entry: LogEntry,
}

/// What an evidence repeats of the sender's request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestDescription {
    /// The item's Ticket; of a refused request, which has none, its id (that of the fault): 1 to 100 characters.
    pub message_identifier: String,
    /// The sender's own name of the item; `None` if a refused request could not be read so far.
    pub token: Option<String>,
    /// Who sent.
    pub sender: SenderDescription,
    /// How and when the sender was authenticated.
    pub assurance: Assurance,
    /// To whom; `None` if a refused request could not be read so far.
    pub recipient: Option<RecipientDescription>,
    /// The mandatary whom the sender named beside the recipient.
    pub delegate: Option<DelegateDescription>,
    /// When the last byte of the request was read.
    pub submitted_at: Timestamp,
    /// The document, then up to 5 annexes; none if a refused request could not be read so far, or states SHA-1.
    pub parts: Vec<FileDescription>,
}

/// How a sender was authenticated. It never claims a level of assurance that somebody else defines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Assurance {
    /// By what.
    pub method: AuthenticationMethod,
    /// When: the signature over the request was verified as of this time.
    pub at: Timestamp,
}

/// By what a sender was authenticated, on the message itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthenticationMethod {
    /// The certificate that signed the message, its path valid and not revoked.
    X509,
    /// A SAML assertion of a trusted issuer, whose holder's key signed the message.
    SamlHolderOfKey,
}

/// A mandatary, as the sender named it; no mandate is inferred or judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DelegateDescription {
    /// The enterprise number, 9 or 10 digits, as given.
    pub company_id: String,
    /// The quality in which it acts.
    pub quality_code: String,
}

/// One entry of the log: with its salt, which the log's owner gives out, it can be proved to be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogEntry {
    /// Its place in the log, from 0.
    pub index: u64,
    /// Its leaf hash (RFC 6962 §2.1).
    pub leaf_hash: [u8; 32],
}

impl LogEntry {
    /// The entry of a record that is durable.
    pub fn of(recorded: &journal::Recorded) -> Self {
        Self { index: recorded.position(), leaf_hash: recorded.leaf_hash() }
    }
}

/// The events, each with what there is to say of it alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A.1: handed to ePost and accepted. Sealed for a Received or its Accepted.
    SubmissionAcceptance(Acceptance),
    /// A.2: refused. Sealed for a Refused.
    SubmissionRejection(Rejection),
    /// D.1: placed in the recipient's box. Sealed for a Consigned.
    ContentConsignment(Consignment),
    /// D.2: given up. Sealed for a `ConsignmentFailed`.
    ContentConsignmentFailure(ConsignmentFailure),
    /// D.6: first opened, as the channel reports. Sealed for an Accessed.
    ContentAccessTracking(Access),
    /// E.1: taken out by the recipient's system. Sealed for a `HandedOver`.
    ContentHandover(Handover),
    /// E.2: kept to its date and never reported as opened. Sealed for an `ExpiredUnread`.
    ///
    /// Of the standard's events it is the one that says no more than is known: the content lay in the box (D.1 stands), and was
    /// not taken out in time. D.2 would deny the placing, C.5 is of recipients who were asked to accept.
    ContentHandoverFailure(Unopened),
}

/// What A.1 says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acceptance {
    /// SHA-256 of the SOAP message as received.
    pub soap_sha256: [u8; 32],
    /// SHA-256 of the certificate that signed the message.
    pub message_certificate_sha256: [u8; 32],
    /// SHA-256 of the certificate of the TLS connection.
    pub tls_certificate_sha256: Option<[u8; 32]>,
    /// The checks that ran or knowingly did not, e.g. `malware`, `not scanned`; up to 32.
    pub checks: Vec<CheckDescription>,
}

/// One check and what came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckDescription {
    /// Its name, 1 to 100 characters.
    pub name: String,
    /// What came of it, 1 to 500 characters.
    pub outcome: String,
}

/// What A.2 says. Of what the sender is told the class alone, nothing more may stand here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// The fault's code, e.g. `EPOST_B04`: the reason.
    pub code: String,
    /// Which check failed, 1 to 100 characters, dotted.
    pub check: String,
    /// Why, for a person, 1 to 2000 characters.
    pub detail: String,
    /// What the sender can do, up to 2000 characters.
    pub remedy: String,
}

/// What D.1 says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consignment {
    /// The channel.
    pub channel: ChannelName,
    /// The channel's own name of the message, 1 to 1000 characters.
    pub message_id: String,
    /// SHA-256 of the channel's answer.
    pub answer_sha256: [u8; 32],
    /// The recipient has never opened his eBox.
    pub no_digital_user: bool,
}

/// What D.2 says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsignmentFailure {
    /// The channel.
    pub channel: ChannelName,
    /// Why, dotted or the channel's own code, 1 to 500 characters.
    pub reason: String,
    /// Every try, in order, up to 1000.
    pub attempts: Vec<Attempt>,
    /// By which channel it is tried next, if by any.
    pub next_channel: Option<ChannelName>,
}

/// One try to consign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// What came of it, 1 to 500 characters.
    pub outcome: String,
}

/// What D.6 says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Access {
    /// The channel.
    pub channel: ChannelName,
    /// When it was last seen unread: the event's time is then the end of a poll window. `None`: the channel gave the event's own.
    pub not_before: Option<Timestamp>,
}

/// What E.1 says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Handover {
    /// The channel.
    pub channel: ChannelName,
    /// SHA-256 of the certificate that took it.
    pub certificate_sha256: [u8; 32],
    /// SHA-256 of the file that was taken.
    pub content_sha256: [u8; 32],
}

/// What E.2 says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unopened {
    /// The channel.
    pub channel: ChannelName,
    /// Until when the channel kept it, if it said so.
    pub kept_until: Option<Timestamp>,
}

impl Event {
    /// The standard's name: the end of the event's URI.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SubmissionAcceptance(_) => "SubmissionAcceptance",
            Self::SubmissionRejection(_) => "SubmissionRejection",
            Self::ContentConsignment(_) => "ContentConsignment",
            Self::ContentConsignmentFailure(_) => "ContentConsignmentFailure",
            Self::ContentAccessTracking(_) => "ContentAccessTracking",
            Self::ContentHandover(_) => "ContentHandover",
            Self::ContentHandoverFailure(_) => "ContentHandoverFailure",
        }
    }

    /// The standard's number, e.g. `A.1`.
    pub fn number(&self) -> &'static str {
        match self {
            Self::SubmissionAcceptance(_) => "A.1",
            Self::SubmissionRejection(_) => "A.2",
            Self::ContentConsignment(_) => "D.1",
            Self::ContentConsignmentFailure(_) => "D.2",
            Self::ContentAccessTracking(_) => "D.6",
            Self::ContentHandover(_) => "E.1",
            Self::ContentHandoverFailure(_) => "E.2",
        }
    }

    /// The channel, if the event is of one.
    pub fn channel(&self) -> Option<ChannelName> {
        match self {
            Self::SubmissionAcceptance(_) | Self::SubmissionRejection(_) => None,
            Self::ContentConsignment(Consignment { channel, .. })
            | Self::ContentConsignmentFailure(ConsignmentFailure { channel, .. })
            | Self::ContentAccessTracking(Access { channel, .. })
            | Self::ContentHandover(Handover { channel, .. })
            | Self::ContentHandoverFailure(Unopened { channel, .. }) => Some(*channel),
        }
    }
}

impl Evidence {
    /// Its name: the item's or the request's, the event's number, and the log's index of the event. No two evidences share one.
    pub fn identifier(&self) -> String {
        format!("{}-{}-{}", self.request.message_identifier, self.event.number(), self.event_entry.index)
    }

    /// What of the core is absent: nothing, in an evidence that may be issued. A refused request need not have been readable.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        if matches!(self.event, Event::SubmissionRejection(_)) {
            return Vec::new();
        }
        let request = &self.request;
        let core = [
            (request.recipient.is_some(), "recipient"),
            (request.token.is_some(), "token"),
            (!request.parts.is_empty(), "digests"),
        ];
        core.into_iter().filter(|(there, _)| !there).map(|(_, name)| name).collect()
    }
}

impl RequestDescription {
    /// Of an accepted item, every text as its sender gave it.
    ///
    /// # Errors
    /// [`DigestNotProvable`]: ours, admission let a SHA-1 digest pass.
    pub fn of_item(
        ticket: &Ticket,
        submission: &Submission,
        sender: &Sender,
        assurance: Assurance,
        submitted_at: Timestamp,
    ) -> Result<Self, DigestNotProvable> {
        let item = ItemDescription::of(ticket, submission, sender)?;
        let parts = std::iter::once(item.document).chain(item.annexes).collect();
        Ok(Self {
            message_identifier: item.ticket,
            token: Some(item.token),
            sender: item.sender,
            assurance,
            recipient: Some(item.recipient),
            delegate: submission.beside.delegate.as_ref().map(DelegateDescription::of),
            submitted_at,
            parts,
        })
    }

    /// Of a refused request; `submission` if it could be read. Parts whose digest is one that no proof repeats are left out.
    pub fn of_refused(
        request_id: &str,
        submission: Option<&Submission>,
        sender: &Sender,
        assurance: Assurance,
        submitted_at: Timestamp,
    ) -> Self {
        let describe = |submission: &Submission| {
            let annexes = submission.annexes.iter().map(|annex| FileDescription::of(annex, Some(ANNEX_TYPE)));
            std::iter::once(FileDescription::of(&submission.document, None)).chain(annexes).collect()
        };
        let parts: Result<Vec<_>, _> = submission.map_or_else(|| Ok(Vec::new()), describe);
        Self {
            message_identifier: request_id.to_owned(),
            token: submission.map(|submission| submission.token.as_str().to_owned()),
            sender: SenderDescription::of(sender),
            assurance,
            recipient: submission.map(|submission| RecipientDescription::of(&submission.recipient)),
            delegate: submission.and_then(|s| s.beside.delegate.as_ref()).map(DelegateDescription::of),
            submitted_at,
            parts: parts.unwrap_or_default(),
        }
    }
}

impl DelegateDescription {
    fn of(delegate: &Delegate) -> Self {
        Self {
            company_id: delegate.company.as_given().to_owned(),
            quality_code: delegate.quality.as_str().to_owned(),
        }
    }
}

impl AuthenticationMethod {
    const ALL: [Self; 2] = [Self::X509, Self::SamlHolderOfKey];

    /// The method's URI, as SAML 2.0 names it.
    pub fn uri(self) -> &'static str {
        match self {
            Self::X509 => "urn:oasis:names:tc:SAML:2.0:ac:classes:X509",
            Self::SamlHolderOfKey => "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key",
        }
    }

    /// What stands where the schema wants a level: what was done, and no level of a framework that nobody assessed us by.
    pub fn level_uri(self) -> &'static str {
        match self {
            Self::X509 => "urn:epost:registeredmail:assurance:x509-path-valid",
            Self::SamlHolderOfKey => "urn:epost:registeredmail:assurance:saml-issuer-trusted",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
