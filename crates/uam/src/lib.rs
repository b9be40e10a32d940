//! Is this sender, from this address, granted this transaction? Deny by default.
//!
//! The policy is one TOML file, signed at its end: zones of the network, grants that each cite the decision they rest on, mandates and
//! successions between institutions. A decision repeats that citation and the file's digest, so that a record shows by what right a
//! request was taken. Sending and consulting are granted apart (N1). Application to application over the internet is forbidden
//! unless the grant cites a written derogation that has not ended.

pub mod authzen;
mod cidr;
mod grant;
mod policy;
mod signed;
mod tie;

use std::net::IpAddr;

use erds::{FaultCode, Refusal, Sender};
use jiff::Timestamp;

pub use cidr::{Cidr, CidrError};
pub use grant::Grant;
pub use policy::{Difference, ID_BYTES_MAX, PolicyError, PolicyFile, TEXT_CHARACTERS_MAX};
pub use signed::{SIGNATURE_LINE, with_signature};
pub use tie::{Mandate, Readable, Succession};

/// What can be granted: always by name, never "everything".
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Deserialize)]
pub enum Transaction {
    /// Sending.
    #[serde(rename = "sendDocument")]
    SendDocument,
    /// Reading the status, and the proof of dispatch with it.
    #[serde(rename = "getStatus")]
    GetStatus,
    /// Fetching proofs again.
    #[serde(rename = "getProof")]
    GetProof,
    /// Listing one's own items.
    #[serde(rename = "findItems")]
    FindItems,
    /// Reading what became of one's own item, event by event.
    #[serde(rename = "getDeliveryHistory")]
    GetDeliveryHistory,
    /// Having a proof judged.
    #[serde(rename = "verifyProof")]
    VerifyProof,
    /// Asking whether somebody has an eBox: a consultation about a person, so that no other right brings it along.
    #[serde(rename = "checkRecipient")]
    CheckRecipient,
    /// Asking for the service's health.
    #[serde(rename = "healthCheck")]
    HealthCheck,
    /// Asking who one is to the service and what one may: every grant in force has it, and none names it.
    #[serde(skip)]
    Check,
}

impl Transaction {
    /// Those that a grant names.
    pub const ALL: [Self; 8] = [
        Self::SendDocument,
        Self::GetStatus,
        Self::GetProof,
        Self::FindItems,
        Self::GetDeliveryHistory,
        Self::VerifyProof,
        Self::CheckRecipient,
        Self::HealthCheck,
    ];

    /// The name in the policy file: the operation's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendDocument => "sendDocument",
            Self::GetStatus => "getStatus",
            Self::GetProof => "getProof",
            Self::FindItems => "findItems",
            Self::GetDeliveryHistory => "getDeliveryHistory",
            Self::VerifyProof => "verifyProof",
            Self::CheckRecipient => "checkRecipient",
            Self::HealthCheck => "healthCheck",
            Self::Check => "check",
        }
    }

    /// Whether it is sending.
    pub fn sends(self) -> bool {
        self == Self::SendDocument
    }

    /// Whether it looks into what was sent, or at a recipient; asking for one's own health or rights is neither.
    pub fn consults(self) -> bool {
        matches!(
            self,
            Self::GetStatus
                | Self::GetProof
                | Self::FindItems
                | Self::GetDeliveryHistory
                | Self::CheckRecipient
        )
    }

    /// The transaction of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transaction| transaction.as_str() == name)
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who: from the certificate that signed the message.
    pub sender: &'a Sender,
    /// What.
    pub transaction: Transaction,
    /// The document's type, where one is sent.
    pub message_type: Option<&'a str>,
    /// From which address the connection came.
    pub address: IpAddr,
    /// When.
    pub at: Timestamp,
}

/// A grant fits: by which decision, and by which text of the policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// The decision that the grant cites; with its derogation and its mandate, if it rests on one.
    pub grant_reference: String,
    /// SHA-256 of the policy file.
    pub policy_digest: [u8; 32],
    /// The grant's id.
    pub grant: Option<String>,
    /// The program number of the application, where its grant gives one (N4).
    pub program_number: Option<String>,
    /// Under which name a remote decision point knows the decision.
    pub decision_id: Option<String>,
}

/// No grant fits. The caller is told the class alone; the check is for the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code} [{check}]")]
pub struct Denied {
    /// The contract's code: EPOST_B08 for a document type, else SOA-01002.
    pub code: FaultCode,
    /// The check that failed, of the grant that came closest: stable, dotted.
    pub check: &'static str,
}

impl Denied {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        self.check
    }

    /// The refusal to record and to answer.
    pub fn to_refusal(&self) -> Refusal {
        let (seen, expected) = match self.check {
            "uam.expired" => ("a grant whose last day is past", "a grant in force"),
            "uam.transaction" => {
                ("a transaction that no grant of this sender names", "a granted transaction")
            }
            "uam.address" => {
                ("an address outside the sender's official ones", "an official address of the sender")
            }
            "uam.zone" => ("an address outside the grant's zone", "an address in the zone"),
            "uam.internet" => {
                ("application to application from an internet zone", "a grant that cites a derogation")
            }
            "uam.derogation" => ("a derogation whose last day is past", "a derogation in force"),
            "uam.mandate" => {
                ("a mandate that has ended or does not name the transaction", "a mandate in force for it")
            }
            "uam.message-type" => ("a document type that is not granted", "a document type of the grant"),
            "uam.remote" => {
                ("a transaction that the decision point does not permit", "a permitted transaction")
            }
            _ => ("a sender without grant", "a granted sender"),
        };
        let remedy = "Ask the platform's access management which applications, transactions, document types and \
                      addresses your institution's grant names.";
        Refusal::new(self.code, self.check, seen, expected, remedy)
    }
}

/// What a grant says to a question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explained {
    /// Which grant of the file, from 1.
    pub number: usize,
    /// The grant.
    pub grant: Grant,
    /// The first check at which it does not fit; none: it fits.
    pub denied: Option<Denied>,
}

/// Holding it proves that a grant or a remote decision permits this request: only [`PolicyFile::permit`] and
/// [`authzen::Verdict::permit`] make one.
///
/// Nobody else puts one together (`security.md` rule 4):
/// ```
/// use uam::Permitted;
/// fn made(of: Permitted<()>) -> Permitted<()> {
///     of
/// }
/// ```
/// ```compile_fail,E0451
/// use uam::Permitted;
/// fn made(of: Permitted<()>) -> Permitted<()> {
///     Permitted { ..of }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Permitted<T> {
    request: T,
    decision: Decision,
}

impl<T> Permitted<T> {
    /// The request permitted.
    pub fn request(&self) -> &T {
        &self.request
    }

    /// By what right.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Gives up the witness.
    pub fn into_parts(self) -> (T, Decision) {
        (self.request, self.decision)
    }
}

impl PolicyFile {
    /// Decides, and binds the request to the decision. `question` must be about that request's own sender.
    ///
    /// # Errors
    /// [`Denied`]: no grant fits; the request is dropped with it.
    pub fn permit<T>(&self, request: T, question: &Question<'_>) -> Result<Permitted<T>, Denied> {
        let decision = self.decide(question)?;
        Ok(Permitted { request, decision })
    }
}
