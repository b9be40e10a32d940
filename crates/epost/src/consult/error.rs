//! Why a step of a consultation is not taken: code, what was seen, what was expected, what to do.

use erds::{FaultOrigin, Refusal};
use jiff::Timestamp;
use pki::path::PathError;
use serde_json::{Value, json};

use super::State;
use crate::config::Role;
use crate::retention::RetentionError;
use crate::service::Failure;
use crate::trust::TrustError;

/// Why a step is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConsultError {
    /// The certificate is not in force, or leads to no authority of people: the person's to mend.
    #[error("{0}")]
    Certificate(PathError),
    /// The CRLs cannot be read: the operator's to mend.
    #[error("{0}")]
    Trust(TrustError),
    /// A good certificate of somebody who is not listed.
    #[error("certificate {fingerprint}")]
    Stranger {
        /// SHA-256 of the certificate.
        fingerprint: String,
    },
    /// The person does not have that role.
    #[error("{name} without the role `{}`", role.as_str())]
    Role {
        /// Who.
        name: String,
        /// What is missing.
        role: Role,
    },
    /// The request is not the JSON that this step takes.
    #[error("{0}")]
    Json(String),
    /// A field's value.
    #[error("{field}: {seen}")]
    Field {
        /// Which.
        field: &'static str,
        /// What was seen.
        seen: String,
        /// What was expected.
        expected: String,
    },
    /// Nothing is at this path.
    #[error("{method} {path}")]
    Path {
        /// The method.
        method: String,
        /// The path.
        path: String,
    },
    /// No consultation has this number.
    #[error("consultation {number}")]
    Absent {
        /// The number.
        number: u64,
    },
    /// Who asked may not decide.
    #[error("{name} asked for consultation {number}")]
    Own {
        /// The consultation.
        number: u64,
        /// Who.
        name: String,
    },
    /// It was decided before.
    #[error("consultation {number} is {}", state.as_str())]
    Decided {
        /// The consultation.
        number: u64,
        /// How it stands.
        state: State,
    },
    /// Another person asked for it.
    #[error("{name} did not ask for consultation {number}")]
    NotRequester {
        /// The consultation.
        number: u64,
        /// Who tried.
        name: String,
    },
    /// Nobody approved it.
    #[error("consultation {number} is {}", state.as_str())]
    NotApproved {
        /// The consultation.
        number: u64,
        /// How it stands.
        state: State,
    },
    /// It was run before.
    #[error("consultation {number} was run")]
    RunAlready {
        /// The consultation.
        number: u64,
    },
    /// Its time has passed.
    #[error("consultation {number} ended {expires_at}")]
    Expired {
        /// The consultation.
        number: u64,
        /// When.
        expires_at: Timestamp,
    },
    /// Its personal content was erased: who asked for what is not known any more.
    #[error("the content of consultation {number} is absent")]
    Erased {
        /// The consultation.
        number: u64,
    },
    /// Another consultation is being run.
    #[error("another consultation is being run")]
    Busy,
    /// Retention does not do it.
    #[error("{0}")]
    Retention(#[from] RetentionError),
    /// The item has no such package, or none is to be had now: what its sender would be told.
    #[error("{0}")]
    Package(Refusal),
    /// Ours.
    #[error("{0}")]
    Failed(#[from] Failure),
}

impl ConsultError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "consult.certificate",
            Self::Trust(_) => "consult.crls-unreadable",
            Self::Stranger { .. } => "consult.unknown-person",
            Self::Role { .. } => "consult.role",
            Self::Json(_) => "consult.json",
            Self::Field { .. } => "consult.field",
            Self::Path { .. } => "consult.path",
            Self::Absent { .. } => "consult.absent",
            Self::Own { .. } => "consult.approver-is-requester",
            Self::Decided { .. } => "consult.decided-already",
            Self::NotRequester { .. } => "consult.not-requester",
            Self::NotApproved { .. } => "consult.not-approved",
            Self::RunAlready { .. } => "consult.run-already",
            Self::Expired { .. } => "consult.expired",
            Self::Erased { .. } => "consult.erased",
            Self::Busy => "consult.busy",
            Self::Retention(error) => error.code(),
            Self::Package(refusal) => refusal.check,
            Self::Failed(failure) => failure.code(),
        }
    }

    /// What was expected.
    pub fn expected(&self) -> String {
        match self {
            Self::Field { expected, .. } => return expected.clone(),
            Self::Retention(error) => error.expected(),
            Self::Package(refusal) => return refusal.expected.clone(),
            Self::Certificate(_) => "a certificate in force, of an authority in consult.anchors",
            Self::Trust(_) => "readable CRL files in consult.crls",
            Self::Stranger { .. } => "a certificate that a [[consult.person]] lists",
            Self::Role { .. } => "a person whose `roles` name it",
            Self::Json(_) => "one JSON object with this step's fields",
            Self::Path { .. } => {
                "POST /consult, /consult/NUMBER/approve, /refuse or /run, /consult/history; POST /retention/plan, /run, /hold, /holds or /hold/NUMBER/lift"
            }
            Self::Absent { .. } => "the number of a consultation that was asked for",
            Self::Own { .. } => "another person, with another certificate",
            Self::Decided { .. } => "one that nobody has decided",
            Self::NotRequester { .. } => "the person who asked for it",
            Self::NotApproved { .. } => "one that another person approved",
            Self::RunAlready { .. } => "one that was not run: it is run once",
            Self::Expired { .. } => "a step within consult.validity_hours of the request",
            Self::Erased { .. } => "one whose content is kept",
            Self::Busy => "one run at a time",
            Self::Failed(_) => "a service in working order",
        }
        .to_owned()
    }

    /// What the person can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Certificate(_) => {
                "Use a certificate that is neither expired nor revoked; ask its authority for another."
            }
            Self::Trust(_) => {
                "Tell the operators: the CRL files of the people's authorities are to be mended."
            }
            Self::Stranger { .. } | Self::Role { .. } => {
                "Ask the operators for an entry, or have somebody with that role do it."
            }
            Self::Json(_) | Self::Field { .. } | Self::Path { .. } => {
                "Mend the request; `epost consult --help` shows each step."
            }
            Self::Absent { .. } => "`epost consult history` lists the consultations.",
            Self::Own { .. } => "Have another person approve or refuse it.",
            Self::Decided { .. } => "Nothing is left to decide; a new request can be made.",
            Self::NotRequester { .. } => "Ask the requester, or make a request of your own.",
            Self::NotApproved { .. } => {
                "Have another person approve it, or make a new request if it was refused."
            }
            Self::RunAlready { .. } | Self::Expired { .. } | Self::Erased { .. } => "Make a new request.",
            Self::Busy => "Try again in a minute.",
            Self::Retention(error) => error.remedy(),
            Self::Package(_) => "Run it again when the item has it, or make a new request for another proof.",
            Self::Failed(_) => "Try again later; tell the operators if it stays so.",
        }
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Certificate(_) | Self::Stranger { .. } | Self::Role { .. } => 403,
            Self::Own { .. } | Self::NotRequester { .. } => 403,
            Self::Json(_) | Self::Field { .. } => 400,
            Self::Path { .. } | Self::Absent { .. } => 404,
            Self::Decided { .. } | Self::NotApproved { .. } | Self::RunAlready { .. } => 409,
            Self::Expired { .. } | Self::Erased { .. } => 410,
            Self::Retention(error) => error.status(),
            Self::Package(refusal) if refusal.code.origin() == FaultOrigin::Consumer => 409,
            Self::Trust(_) | Self::Busy | Self::Package(_) | Self::Failed(_) => 503,
        }
    }

    /// The answer's body. Details of a failure of ours stay in the log.
    pub fn to_json(&self) -> Value {
        let seen = match self {
            Self::Failed(_) | Self::Trust(_) | Self::Retention(RetentionError::Failed(_)) => String::new(),
            other => erds::record::bounded(&other.to_string()),
        };
        json!({"error": {"code": self.code(), "seen": seen, "expected": self.expected(), "remedy": self.remedy()}})
    }
}
