//! The messages of both contracts: requests read to the schema's letter, answers written without an element beyond it.
//!
//! Reading: [`Request::parse`] takes the one element of the (verified) Body. Writing: every `write_…` gives the element
//! that goes into the Body; [`envelope`] wraps it for contract A's unsigned answers, and `wss::client::sign_request`
//! signs it otherwise. The client's side has `write_…_request` and `parse_…_response`.
//!
//! Source: contract.md; `wsdl/v1`, `wsdl/v2`.

mod answer;
mod client;
mod operation;
mod read;
mod request;
pub mod v2;

#[cfg(test)]
pub(crate) mod tests;

use erds::{ChannelName, Recipient, Submission, Ticket, Token};

pub(crate) use answer::to_millisecond;
pub use answer::{
    CheckOutcome, ComponentHealth, EvidenceAnswer, HealthLevel, HealthReport, PackageAnswer, ProofAnswer,
    ResourceType, SealedFile, ServiceLocation, envelope, write_get_proof_response, write_get_status_response,
    write_health_check_response, write_send_document_response,
};
pub use client::{
    AnswerError, HealthAnswer, ProofReply, ReceiptAnswer, SignedFile, StatusAnswer, parse_get_proof_response,
    parse_get_status_response, parse_health_check_response, parse_send_document_response,
    write_get_proof_request, write_get_status_request, write_health_check_request,
    write_send_document_request,
};
pub use operation::Operation;
pub use request::{ReadRules, normalised_content_id};

/// The namespaces of the messages.
pub mod namespace {
    /// Contract A's messages.
    pub const V1: &str = "http://socialsecurity.be/registeredmail/v1";
    /// Contract A's types.
    pub const TYPES: &str = "http://socialsecurity.be/registeredmail/types/v1";
    /// Health checks.
    pub const MONITORING: &str = "http://services.fgov.be/monitoring/v1";
    /// Contract B.
    pub const V2: &str = "urn:epost:registeredmail:v2";
    /// `xsi:type`.
    pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
}

/// One request of either contract: valid by its schema, its identifiers judged.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one lives at a time")]
pub enum Request {
    /// Contract A: one item to send.
    SendDocument(Submission),
    /// Contract A: where an item stands.
    GetStatus {
        /// Which item.
        ticket: Ticket,
    },
    /// Contract A: how the service is.
    HealthCheck {
        /// How deep to look.
        kind: HealthCheckKind,
    },
    /// Contract B: a proof of an item.
    GetProof {
        /// Which item.
        item: ItemName,
        /// Which proof.
        proof: ProofKind,
        /// In which form; one that proofs of this kind have.
        form: ProofForm,
    },
    /// Contract B: one item to send.
    Submit {
        /// The item.
        submission: Submission,
        /// The contents that stand in the Body; the others are MIME parts, which the submission's parts name.
        inline: Vec<v2::InlineContent>,
        /// By which channels, each once, three at most; none: by the recipient's own.
        channels: Vec<ChannelName>,
    },
    /// Contract B: which of the caller's items.
    FindItems(v2::ItemSearch),
    /// Contract B: what became of an item.
    GetDeliveryHistory {
        /// Which item.
        ticket: Ticket,
        /// The number of the first event wanted: 1 or more.
        first: u64,
    },
    /// Contract B: whether a proof holds.
    VerifyProof(v2::ProofToVerify),
    /// Contract B: whether somebody has an eBox.
    CheckRecipient {
        /// Who.
        recipient: Recipient,
    },
    /// Contract B: who the caller is to the service.
    CheckConnection,
    /// Contract B: whether the caller may.
    CheckAccess {
        /// What.
        operation: Operation,
        /// With documents of which type.
        document_type: Option<String>,
    },
}

/// How a sender names an item of his.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ItemName {
    /// By our name.
    Ticket(Ticket),
    /// By his own; never empty.
    Token(Token),
}

/// Which proof is asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProofKind {
    /// That the item was handed to ePost.
    Receipt,
    /// That it was placed in the box.
    Dispatch,
    /// That it was opened there, or taken out of a partner's folder.
    Consultation,
    /// That it was kept to its date and never opened.
    Expiry,
    /// That it could not be placed.
    NonDelivery,
}

/// In which form a proof is given.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProofForm {
    /// A file and the detached seal over it.
    Seal,
    /// ERDS evidence: one file that holds its own signature.
    Evidence,
    /// One ASiC-E container with all that a third party needs.
    Package,
}

impl ProofForm {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seal => "SEAL",
            Self::Evidence => "EVIDENCE",
            Self::Package => "PACKAGE",
        }
    }

    /// The form of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Seal, Self::Evidence, Self::Package].into_iter().find(|form| form.as_str() == name)
    }
}

impl ProofKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Receipt, Self::Dispatch, Self::Consultation, Self::Expiry, Self::NonDelivery];

    /// The form in which it is given where none is asked for; what has no detached seal has [`ProofForm::Evidence`].
    pub fn default_form(self) -> ProofForm {
        match self {
            Self::Receipt | Self::Dispatch => ProofForm::Seal,
            Self::Consultation | Self::Expiry | Self::NonDelivery => ProofForm::Evidence,
        }
    }

    /// The name of its files, without their extension.
    pub fn file_stem(self) -> &'static str {
        match self {
            Self::Receipt => "Receipt",
            Self::Dispatch => "ProofOfDispatch",
            Self::Consultation => "Consultation",
            Self::Expiry => "Expiry",
            Self::NonDelivery => "NonDelivery",
        }
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "RECEIPT",
            Self::Dispatch => "DISPATCH",
            Self::Consultation => "CONSULTATION",
            Self::Expiry => "EXPIRY",
            Self::NonDelivery => "NON_DELIVERY",
        }
    }

    /// The kind of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How deep a health check looks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum HealthCheckKind {
    /// Nothing is checked.
    Ping,
    /// The local parts.
    #[default]
    Default,
    /// The outside services too.
    Deep,
}

impl HealthCheckKind {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "PING",
            Self::Default => "DEFAULT",
            Self::Deep => "DEEP",
        }
    }

    /// The kind of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ping, Self::Default, Self::Deep].into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Request {
    /// What it asks for.
    pub fn asks(&self) -> Operation {
        match self {
            Self::SendDocument(_) => Operation::SendDocument,
            Self::GetStatus { .. } => Operation::GetStatus,
            Self::HealthCheck { .. } => Operation::HealthCheck,
            Self::GetProof { .. } => Operation::GetProof,
            Self::Submit { .. } => Operation::Submit,
            Self::FindItems(_) => Operation::FindItems,
            Self::GetDeliveryHistory { .. } => Operation::GetDeliveryHistory,
            Self::VerifyProof(_) => Operation::VerifyProof,
            Self::CheckRecipient { .. } => Operation::CheckRecipient,
            Self::CheckConnection => Operation::CheckConnection,
            Self::CheckAccess { .. } => Operation::CheckAccess,
        }
    }

    /// The operation's name, as the WSDL and the journal have it.
    pub fn operation(&self) -> &'static str {
        self.asks().as_str()
    }
}

/// The operation that a Body's element asks for, by its expanded name.
pub fn operation_name(namespace: &str, local_name: &str) -> Option<&'static str> {
    match (namespace, local_name) {
        (namespace::V1, "SendDocumentRequest") => Some("sendDocument"),
        (namespace::V1, "GetStatusRequest") => Some("getStatus"),
        (namespace::MONITORING, "HealthCheckRequest") => Some("healthCheck"),
        (namespace::V2, "GetProofRequest") => Some("getProof"),
        (namespace::V2, "SubmitRequest") => Some("submit"),
        (namespace::V2, "FindItemsRequest") => Some("findItems"),
        (namespace::V2, "GetDeliveryHistoryRequest") => Some("getDeliveryHistory"),
        (namespace::V2, "VerifyProofRequest") => Some("verifyProof"),
        (namespace::V2, "CheckRecipientRequest") => Some("checkRecipient"),
        (namespace::V2, "CheckConnectionRequest") => Some("checkConnection"),
        (namespace::V2, "CheckAccessRequest") => Some("checkAccess"),
        _ => None,
    }
}
