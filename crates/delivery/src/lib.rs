//! Delivery channels: each a driver of the field's own protocol, over a [`transport::Transport`] that the caller gives.
//!
//! A driver judges answers and holds no queue: retry ([`retry`]), circuit breaker ([`breaker`]) and recording are the courier's. Nothing
//! here opens a socket or reads a clock: both come in.

pub mod batch;
pub mod breaker;
pub mod ebox;
pub mod multipart;
pub mod retry;
pub mod transport;

use std::io::{self, Read};

use async_trait::async_trait;
use erds::{
    ApplicationId, ChannelName, EboxCheck, EnterpriseNumber, Language, Recipient, Refusal, Submission, Ticket,
};
use jiff::Timestamp;
use pki::digest::Digest;

/// One way to a recipient. Every method may be called again with the same values: a driver keeps no item's state.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Which channel; also part of the idempotency key.
    fn name(&self) -> ChannelName;

    /// Asks whether the recipient has the box that the sender demands. `EboxCheck::Bypass` asks nobody.
    ///
    /// # Errors
    /// `Refused` (EPOST_B02, EPOST_B03): the sender's to know. `Away`: nothing may be accepted (SOA-02002).
    async fn inquire(&self, recipient: &Recipient, check: EboxCheck) -> Result<Facts, InquireError>;

    /// Whether the channel has a field for everything asked. `part_bytes` are the document's size, then the annexes' in order.
    ///
    /// # Errors
    /// EPOST_B09, before the ticket: the channel would have to leave something out.
    fn can_carry(&self, submission: &Submission, part_bytes: &[u64]) -> Result<(), Refusal>;

    /// Hands the item over once, under its own idempotency key, and says what became of it. Never retries but for one refresh of
    /// the access token.
    async fn consign(&self, item: &Item, content: &dyn ContentSource) -> Outcome;

    /// Asks which of these were read. Answers hold only what the channel knows; a missing item is unknown to it.
    ///
    /// # Errors
    /// `PollError`: nothing was learnt; ask again later.
    async fn poll_read(&self, asked: &[Published]) -> Result<Vec<ReadStatus>, PollError>;
}

/// What a profile inquiry found: a fact for the record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// When it was asked; `None` when nothing was (`BYPASS`).
    pub asked_at: Option<Timestamp>,
    /// The recipient has the box, or consented to it.
    pub activated: Option<bool>,
    /// The recipient chose the box as the only way.
    pub exclusively: Option<bool>,
}

/// Why an inquiry did not end in [`Facts`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum InquireError {
    /// The recipient's profile does not meet the sender's demand.
    #[error("delivery.profile.refused")]
    Refused(Box<Refusal>),
    /// The profile service gave no usable answer.
    #[error("delivery.profile.away: {0}")]
    Away(Away),
}

impl InquireError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "delivery.profile.refused",
            Self::Away(_) => "delivery.profile.away",
        }
    }
}

/// What is to be handed over: already accepted, so every value is valid.
#[derive(Clone)]
pub struct Item {
    /// The ticket; with the channel it makes the idempotency key.
    pub ticket: Ticket,
    /// The sending institution.
    pub sender_cbe: EnterpriseNumber,
    /// The sending application.
    pub sender_application: ApplicationId,
    /// Whose box.
    pub recipient: Recipient,
    /// The document's title: the subject.
    pub title: String,
    /// The document's type, mapped to a message type by the configuration.
    pub document_type: String,
    /// The subject's language.
    pub language: Option<Language>,
    /// The document, then its annexes: the first is the main content.
    pub parts: Vec<ItemPart>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The ticket alone: title, names and recipient are personal, and logs are not erasable.
        formatter.debug_struct("Item").field("ticket", &self.ticket.as_str()).finish_non_exhaustive()
    }
}

/// One file of an item.
#[derive(Clone)]
pub struct ItemPart {
    /// Its name in the [`ContentSource`].
    pub name: String,
    /// The file's name as the sender gave it.
    pub file_name: String,
    /// Its media type, where the sender named one.
    pub mime: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 where known; otherwise the content is read once more to compute it.
    pub sha256: Option<[u8; 32]>,
}

/// Where an item's files are read from, decrypted; a part may be opened more than once.
pub trait ContentSource: Send + Sync {
    /// Opens a part at its first byte. Reading may block.
    ///
    /// # Errors
    /// The part cannot be opened: ours, the channel is not to blame.
    fn open(&self, part: &str) -> io::Result<Box<dyn Read + Send>>;
}

/// What became of one attempt (`spec/delivery.md`, the outcome table).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The channel took it: D.1.
    Consigned(Consignment),
    /// Our own key was used before: the first publication stands and its answer was lost. There is never a second one.
    ///
    /// With an id the proof can be sealed for it; without, the item stays PENDING with an operator flag (the public API has no
    /// look-up by key).
    AlreadyPublished {
        /// The first publication's id, where the channel tells it.
        message_id: Option<String>,
        /// Digest of the answer.
        answer_digest: Digest,
        /// When it was learnt.
        at: Timestamp,
    },
    /// The channel refused the item for good: D.2 with the code, no retry.
    Failed {
        /// The channel's own code.
        code: String,
        /// The channel's own words, bounded; for operators.
        message: String,
        /// Digest of the answer.
        answer_digest: Digest,
    },
    /// Our credentials were refused, also after a refresh: PENDING, and an alarm for our operators.
    Unauthorised(Away),
    /// The channel is away: PENDING, same key, later.
    Retry(Away),
    /// Our own content or keys could not be read: PENDING, an alarm, and the channel's breaker is left alone.
    Ours(Away),
}

impl Outcome {
    /// Whether the channel answered at all, for the breaker; `None` when the attempt says nothing about it.
    pub fn channel_answered(&self) -> Option<bool> {
        match self {
            Self::Consigned(_)
            | Self::AlreadyPublished { .. }
            | Self::Failed { .. }
            | Self::Unauthorised(_) => Some(true),
            Self::Retry(_) => Some(false),
            Self::Ours(_) => None,
        }
    }
}

/// The channel's word that the item lies in the recipient's box.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consignment {
    /// The channel's own id.
    pub message_id: String,
    /// Our clock when the answer was read (the answer holds no time of its own).
    pub consigned_at: Timestamp,
    /// When the message leaves the box, where the channel says so.
    pub expires_at: Option<Timestamp>,
    /// The recipient never opened his box (NO_DIGITAL_USER): delivered all the same, and the sender is told.
    pub no_digital_user: bool,
    /// Digest of the answer.
    pub answer_digest: Digest,
}

/// Why an attempt ended without a verdict on the item; for journal, outage register and alarms.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Away {
    /// Stable dotted code.
    pub code: &'static str,
    /// What was seen: bounded, one line, without personal data.
    pub detail: String,
    /// Seconds the channel asked us to wait.
    pub retry_after_seconds: Option<u64>,
    /// The attempt may have published the item all the same; the key keeps a repeat harmless.
    pub maybe_published: bool,
}

/// A publication whose fate is asked for.
#[derive(Clone, Debug)]
pub struct Published {
    /// The channel's id.
    pub message_id: String,
    /// Whose box.
    pub recipient: Recipient,
}

/// What the channel knows of a publication now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReadStatus {
    /// The channel's id.
    pub message_id: String,
    /// The main content was opened.
    pub read: bool,
    /// When it leaves the box, where told.
    pub expires_at: Option<Timestamp>,
    /// Our clock when the answer was read: the end of the poll window.
    pub asked_at: Timestamp,
}

/// A poll taught nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("delivery.poll: {0}")]
pub struct PollError(pub Away);

impl PollError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }
}
