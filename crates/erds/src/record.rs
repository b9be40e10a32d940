//! The records of the journal: facts and digests, no personal content.
//!
//! From the records in order, index, queue and every status can be rebuilt. Recipients, titles, tokens and the messages
//! themselves lie in erasable frames beside the record; a record names them by digest only. A kind that this program
//! does not know (written by a later one) is an error to the reader, never a guess.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::hex::Hex32;
pub(crate) use crate::hex::{hex_bytes, hex32};

use crate::environment::ChannelName;
use crate::folder::FolderFile;
use crate::identifier::{EnterpriseNumber, Ticket};
use crate::party::Sender;
use crate::refusal::FaultCode;

/// What a record may weigh as JSON. The usual one stays under 4 KiB; the rest is room for long chains of `SignedInfo`.
pub const RECORD_BYTES_MAX: usize = 8192;

/// The most characters of any text that came from outside, once escaped.
pub const SEEN_CHARACTERS_MAX: usize = 500;

/// Who spoke to us, from where, and what was signed: the facts of one authenticated request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RequestFacts {
    /// The request's id (a UUID): the `Id` of its fault, so that helpdesk and sender speak of one line.
    pub request_id: String,
    /// When the last byte of the request was read.
    pub received_at: Timestamp,
    /// The operation's name, e.g. `sendDocument`.
    pub operation: String,
    /// The sender; its `cbe` is the institution that owns the item.
    pub sender: Sender,
    /// SHA-256 of the certificate that signed the message.
    pub message_certificate: Hex32,
    /// SHA-256 of the certificate of the TLS connection.
    pub tls_certificate: Option<Hex32>,
    /// The address that the connection came from.
    pub peer_address: String,
    /// Behind a gateway, the sender's address as the gateway says it: then `peer_address` is the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asserted_address: Option<String>,
    /// SHA-256 of the exact SOAP bytes kept in the frame.
    pub soap_digest: Hex32,
    /// SHA-256 of the sender and the canonical `SignedInfo`: the same signed message twice has the same key.
    pub submission_key: Hex32,
    /// The canonical `SignedInfo`, base64.
    pub signed_info: String,
    /// The signature value, base64.
    pub signature_value: String,
    /// The signature algorithm's URI.
    pub signature_algorithm: String,
    /// The access decision.
    pub decision: DecisionFacts,
}

/// Why the request was allowed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DecisionFacts {
    /// The decision that the grant cites.
    pub grant_reference: String,
    /// SHA-256 of the policy file that granted it.
    pub policy_digest: Hex32,
    /// The grant's id in it; none: a remote decision point granted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// The application's program number, where its grant gives one: with the institution's own log it leads to a person (N4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_number: Option<String>,
    /// Under which name the remote decision point knows its decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
}

/// One check that ran, or that knowingly did not.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CheckFacts {
    /// The check, e.g. `malware`.
    pub name: String,
    /// What came of it, e.g. `not scanned`.
    pub outcome: String,
}

/// One part as it was stored.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PartFacts {
    /// The store's own name of the part, e.g. `document` or `annex-1`; never a sender's text.
    pub name: String,
    /// Its length in plain text.
    pub length_bytes: u64,
    /// SHA-256 of the ciphertext: the plain text's digest would outlive its erasure.
    pub ciphertext_sha256: Hex32,
}

/// A submission was authenticated, allowed and checked, and is durable; not accepted yet.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// The item's name, drawn before this record.
    pub ticket: Ticket,
    /// The request.
    pub request: RequestFacts,
    /// SHA-256 of institution and token; none for an empty token, which is no key.
    pub token_key: Option<Hex32>,
    /// The item with each content stood for by its digest: what "same content" means.
    pub content_digest: Hex32,
    /// The channel it will go by.
    pub channel: ChannelName,
    /// The partner into whose folder it goes too (`BATCH`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<EnterpriseNumber>,
    /// Its proofs go into its sender's folder too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proof_to_mailbox: bool,
    /// The checks that ran.
    pub checks: Vec<CheckFacts>,
    /// The parts stored.
    pub parts: Vec<PartFacts>,
}

/// A request was refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The request's id: the fault's `Id`.
    pub request_id: String,
    /// When the last byte was read.
    pub received_at: Timestamp,
    /// The fault's code.
    pub code: FaultCode,
    /// The check that failed, dotted.
    pub check: String,
    /// The operation, if it was known.
    pub operation: Option<String>,
    /// The sender, if the signature was verified.
    pub sender: Option<Sender>,
    /// SHA-256 of the TLS certificate.
    pub tls_certificate: Option<Hex32>,
    /// SHA-256 of the message certificate, verified or not.
    pub message_certificate: Option<Hex32>,
    /// The address that the connection came from.
    pub peer_address: String,
    /// As in [`RequestFacts`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asserted_address: Option<String>,
    /// What was seen: bounded, escaped, without personal data (see [`bounded`]).
    pub seen: String,
    /// What was expected.
    pub expected: String,
    /// What the sender can do.
    pub remedy: String,
    /// SHA-256 of the bytes kept in the frame.
    pub soap_digest: Option<Hex32>,
    /// As in [`RequestFacts`], if the signature was verified: the same message again gets the same fault.
    pub submission_key: Option<Hex32>,
}

/// The item is accepted and its receipt sealed: from here on it will be delivered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// The item.
    pub ticket: Ticket,
    /// When the receipt was sealed.
    pub at: Timestamp,
    /// The journal position of its `Received`.
    pub received_position: u64,
    /// When the request was received.
    pub received_at: Timestamp,
    /// SHA-256 of Receipt.xml.
    pub receipt_xml_sha256: Hex32,
    /// SHA-256 of its seal.
    pub receipt_p7s_sha256: Hex32,
    /// The channel it will go by.
    pub channel: ChannelName,
    /// The time-stamp authority that stamped the seal.
    pub tsa: String,
    /// The stamp's time.
    pub gen_time: Timestamp,
    /// The evidence of the submission (A.1), where it was answered beside the receipt: by contract B.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceFacts>,
}

/// One sealed ERDS evidence; its bytes lie in the frame beside the record that names it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct EvidenceFacts {
    /// SHA-256 of its bytes.
    pub sha256: Hex32,
    /// The time-stamp authority that stamped it.
    pub tsa: String,
    /// The stamp's time: never the time of the act.
    pub gen_time: Timestamp,
}

/// A received item was not accepted, by our fault: nothing is delivered, and the sender may come again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The item.
    pub ticket: Ticket,
    /// When.
    pub at: Timestamp,
    /// The journal position of its `Received`.
    pub received_position: u64,
    /// Why, dotted, e.g. `tsa.unavailable`.
    pub reason: String,
}

/// A try to consign failed and another will follow.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Attempted {
    /// The item.
    pub ticket: Ticket,
    /// When.
    pub at: Timestamp,
    /// By which channel.
    pub channel: ChannelName,
    /// Which try, from 1.
    pub attempt: u32,
    /// The key by which the channel knows a repeat.
    pub idempotency_key: String,
    /// What came of it, dotted or the channel's own code.
    pub outcome: String,
    /// When the next try is due.
    pub next_at: Timestamp,
}

/// The channel confirmed that the item is in the box.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Consigned {
    /// The item.
    pub ticket: Ticket,
    /// When the confirmation was recorded as received by us: the channel gives no time of its own.
    pub consigned_at: Timestamp,
    /// By which channel.
    pub channel: ChannelName,
    /// Which try, from 1.
    pub attempt: u32,
    /// The key by which the channel knows a repeat.
    pub idempotency_key: String,
    /// The channel's own id of the message.
    pub message_id: String,
    /// SHA-256 of the channel's answer, which lies in the frame.
    pub answer_digest: Hex32,
    /// The recipient has never opened his eBox.
    pub no_digital_user: bool,
    /// Until when the channel keeps the item, if it said so.
    pub expires_at: Option<Timestamp>,
}

/// Delivery was given up.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ConsignmentFailed {
    /// The item.
    pub ticket: Ticket,
    /// When.
    pub at: Timestamp,
    /// By which channel.
    pub channel: ChannelName,
    /// How many tries there were.
    pub attempts: u32,
    /// Why, dotted or the channel's own code.
    pub reason: String,
}

/// The proof of dispatch is sealed: from here on the status is SENT.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Dispatched {
    /// The item.
    pub ticket: Ticket,
    /// When it was sealed.
    pub at: Timestamp,
    /// The channel whose placing it proves.
    pub channel: ChannelName,
    /// The journal position of its `Consigned`.
    pub consigned_position: u64,
    /// SHA-256 of ProofOfDispatch.xml.
    pub proof_xml_sha256: Hex32,
    /// SHA-256 of its seal.
    pub proof_p7s_sha256: Hex32,
    /// The time-stamp authority that stamped the seal.
    pub tsa: String,
    /// The stamp's time.
    pub gen_time: Timestamp,
}

/// The channel reported the first opening.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Accessed {
    /// The item.
    pub ticket: Ticket,
    /// When we learnt it: the end of the poll window.
    pub at: Timestamp,
    /// By which channel.
    pub channel: ChannelName,
    /// When it was last seen unread: the window's begin. None if the channel gave the event's own time as `at`.
    pub not_before: Option<Timestamp>,
}

/// The item was kept to its date and never opened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ExpiredUnread {
    /// The item.
    pub ticket: Ticket,
    /// When we recorded it.
    pub at: Timestamp,
    /// By which channel.
    pub channel: ChannelName,
}

/// The item was taken out of a partner's folder, whole (E.1).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct HandedOver {
    /// The item.
    pub ticket: Ticket,
    /// When we learnt it: the taker closed the connection by which it went out, or removed the file behind it.
    pub at: Timestamp,
    /// By which channel.
    pub channel: ChannelName,
    /// SHA-256 of the certificate that took it.
    pub certificate: Hex32,
    /// SHA-256 of the file that was taken.
    pub content_sha256: Hex32,
}

/// The evidence of a recorded act was sealed, when it was first asked for; from then on everybody gets these bytes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Evidenced {
    /// The item.
    pub ticket: Ticket,
    /// When it was sealed: never the time of the act.
    pub at: Timestamp,
    /// The event's name in EN 319 522-1, e.g. `ContentConsignment`, or our own for what it has none for.
    pub event: String,
    /// The journal position of the act's record.
    pub of_position: u64,
    /// The evidence.
    pub evidence: EvidenceFacts,
}

/// A package of an item's proofs was sealed, when it was first asked for; from then on whoever asks for the same gets these bytes.
///
/// In its frames lies what of the package is found nowhere else: its signature, the log's proofs, revocation lists and policy.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Packaged {
    /// The item.
    pub ticket: Ticket,
    /// When it was sealed.
    pub at: Timestamp,
    /// The proof that it is a package of, e.g. `RECEIPT`.
    pub proof: String,
    /// The journal positions of the acts whose evidence it holds, the acceptance's `Received` first.
    pub of_positions: Vec<u64>,
    /// The position of the `Dispatched` whose proof it holds, if it holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_position: Option<u64>,
    /// It holds the sender's signed message.
    pub with_request: bool,
    /// SHA-256 of the package, whole.
    pub sha256: Hex32,
    /// The time-stamp authority that stamped it.
    pub tsa: String,
    /// The stamp's time.
    pub gen_time: Timestamp,
}

/// A partner removed a file from his folder.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Removed {
    /// The item.
    pub ticket: Ticket,
    /// When.
    pub at: Timestamp,
    /// Which file.
    pub file: FolderFile,
    /// SHA-256 of the certificate that removed it.
    pub certificate: Hex32,
}

/// A request that reads: its answer changes nothing, its record shows who read what (E7).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Consulted {
    /// The request.
    pub request: RequestFacts,
    /// The item that was read, if any.
    pub ticket: Option<Ticket>,
    /// What was answered: `OK`, or a fault's code.
    pub answer: String,
    /// The proof that the answer held, e.g. `RECEIPT`. Records before it was kept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// The service's own acts: start, stop, re-queue, erasure, a clock that jumped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// When.
    pub at: Timestamp,
    /// The act, dotted, e.g. `item.requeued`.
    pub action: String,
    /// The item, if it is about one.
    pub ticket: Option<Ticket>,
    /// What else is to be known; no personal data.
    pub detail: String,
}

/// Item keys were destroyed because their retention ended: content, messages and stored proofs are gone; records and chain stay.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Erased {
    /// When it was recorded; the keys are destroyed right after.
    pub at: Timestamp,
    /// Its number among these acts, from 1.
    pub act: u64,
    /// By whom: SHA-256 of the personal certificate; none: the service's own schedule.
    pub by: Option<Hex32>,
    /// What the keys opened, as the retention table names it, e.g. `item`.
    pub of: String,
    /// Its class in that table, e.g. `transaction`.
    pub class: String,
    /// The term of it.
    pub term_days: u32,
    /// Every one of them had ended by then.
    pub ended_by: Timestamp,
    /// Whose keys: of items, or of single requests; at most [`ERASED_TICKETS_MAX`].
    pub tickets: Vec<Ticket>,
}

/// Tickets of one [`Erased`]: so many fit a record with room to spare.
pub const ERASED_TICKETS_MAX: usize = 400;

/// One record of the journal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "records live one at a time")]
pub enum Record {
    /// See [`Received`].
    Received(Received),
    /// See [`Refused`].
    Refused(Refused),
    /// See [`Accepted`].
    Accepted(Accepted),
    /// See [`Withdrawn`].
    Withdrawn(Withdrawn),
    /// See [`Attempted`].
    Attempted(Attempted),
    /// See [`Consigned`].
    Consigned(Consigned),
    /// See [`ConsignmentFailed`].
    ConsignmentFailed(ConsignmentFailed),
    /// See [`Dispatched`].
    Dispatched(Dispatched),
    /// See [`Accessed`].
    Accessed(Accessed),
    /// See [`ExpiredUnread`].
    ExpiredUnread(ExpiredUnread),
    /// See [`HandedOver`].
    HandedOver(HandedOver),
    /// See [`Evidenced`].
    Evidenced(Evidenced),
    /// See [`Packaged`].
    Packaged(Packaged),
    /// See [`Removed`].
    Removed(Removed),
    /// See [`Consulted`].
    Consulted(Consulted),
    /// See [`Control`].
    Control(Control),
    /// See [`Erased`].
    Erased(Erased),
}

/// A record cannot be written or read: ours, or the disk's fault.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Over [`RECORD_BYTES_MAX`].
    #[error("a record of {bytes} bytes; at most {RECORD_BYTES_MAX}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not a record that this program knows: damaged, or written by a later version.
    #[error("not a known record: {0}")]
    Unknown(serde_json::Error),
}

impl RecordError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "record.too-large",
            Self::Unknown(_) => "record.unknown",
        }
    }
}

impl Record {
    /// The item that it is about. `Refused` has none, and `Erased` has many.
    pub fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Received(r) => Some(r.ticket),
            Self::Refused(_) | Self::Erased(_) => None,
            Self::Accepted(r) => Some(r.ticket),
            Self::Withdrawn(r) => Some(r.ticket),
            Self::Attempted(r) => Some(r.ticket),
            Self::Consigned(r) => Some(r.ticket),
            Self::ConsignmentFailed(r) => Some(r.ticket),
            Self::Dispatched(r) => Some(r.ticket),
            Self::Accessed(r) => Some(r.ticket),
            Self::ExpiredUnread(r) => Some(r.ticket),
            Self::HandedOver(r) => Some(r.ticket),
            Self::Evidenced(r) => Some(r.ticket),
            Self::Packaged(r) => Some(r.ticket),
            Self::Removed(r) => Some(r.ticket),
            Self::Consulted(r) => r.ticket,
            Self::Control(r) => r.ticket,
        }
    }

    /// Whether it is about that item, alone or among others.
    pub fn concerns(&self, ticket: Ticket) -> bool {
        match self {
            Self::Erased(erased) => erased.tickets.contains(&ticket),
            record => record.ticket() == Some(ticket),
        }
    }

    /// When what it says happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Received(r) => r.request.received_at,
            Self::Refused(r) => r.received_at,
            Self::Accepted(r) => r.at,
            Self::Withdrawn(r) => r.at,
            Self::Attempted(r) => r.at,
            Self::Consigned(r) => r.consigned_at,
            Self::ConsignmentFailed(r) => r.at,
            Self::Dispatched(r) => r.at,
            Self::Accessed(r) => r.at,
            Self::ExpiredUnread(r) => r.at,
            Self::HandedOver(r) => r.at,
            Self::Evidenced(r) => r.at,
            Self::Packaged(r) => r.at,
            Self::Removed(r) => r.at,
            Self::Consulted(r) => r.request.received_at,
            Self::Control(r) => r.at,
            Self::Erased(r) => r.at,
        }
    }

    /// The name of its kind, as in the JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Received(_) => "received",
            Self::Refused(_) => "refused",
            Self::Accepted(_) => "accepted",
            Self::Withdrawn(_) => "withdrawn",
            Self::Attempted(_) => "attempted",
            Self::Consigned(_) => "consigned",
            Self::ConsignmentFailed(_) => "consignment_failed",
            Self::Dispatched(_) => "dispatched",
            Self::Accessed(_) => "accessed",
            Self::ExpiredUnread(_) => "expired_unread",
            Self::HandedOver(_) => "handed_over",
            Self::Evidenced(_) => "evidenced",
            Self::Packaged(_) => "packaged",
            Self::Removed(_) => "removed",
            Self::Consulted(_) => "consulted",
            Self::Control(_) => "control",
            Self::Erased(_) => "erased",
        }
    }

    /// The record as its leaf's bytes.
    ///
    /// # Errors
    /// [`RecordError::TooLarge`]: our fault; texts from outside are to be [`bounded`] before.
    pub fn to_json(&self) -> Result<Vec<u8>, RecordError> {
        let mut json = Vec::new();
        self.push_json(&mut json)?;
        Ok(json)
    }

    /// Appends the record as its leaf's bytes.
    ///
    /// # Errors
    /// As [`Record::to_json`]; what was appended then is of no use.
    pub fn push_json(&self, json: &mut Vec<u8>) -> Result<(), RecordError> {
        let begin = json.len();
        serde_json::to_writer(&mut *json, self).map_err(RecordError::Unknown)?;
        let bytes = json.len() - begin;
        if bytes > RECORD_BYTES_MAX { Err(RecordError::TooLarge { bytes }) } else { Ok(()) }
    }

    /// Reads a leaf's bytes.
    ///
    /// # Errors
    /// [`RecordError`]: damaged, or of a kind that this program does not know.
    pub fn from_json(json: &[u8]) -> Result<Self, RecordError> {
        if json.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLarge { bytes: json.len() });
        }
        serde_json::from_slice(json).map_err(RecordError::Unknown)
    }
}

/// Text from outside, fit for a record, a log line or a fault: control characters and everything that can turn or
/// hide text are escaped, and it ends at [`SEEN_CHARACTERS_MAX`] characters with `…`.
pub fn bounded(text: &str) -> String {
    let mut out = String::new();
    let mut left = SEEN_CHARACTERS_MAX;
    for c in text.chars() {
        let piece = match c {
            '\\' => "\\\\".to_owned(),
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' => {
                c.escape_unicode().to_string()
            }
            c if c.is_control() => c.escape_default().to_string(),
            c => c.to_string(),
        };
        let Some(rest) = left.checked_sub(piece.chars().count()).filter(|rest| *rest > 0) else {
            out.push('…');
            break;
        };
        left = rest;
        out.push_str(&piece);
    }
    out
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
