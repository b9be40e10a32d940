//! What fails on our side, and how the sender is told.

use erds::{FaultCode, Refusal};

/// A failure of ours: alarm, and the caller may try again or not.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Failure {
    fault: FaultCode,
    code: &'static str,
    detail: String,
    damage: bool,
}

impl Failure {
    /// The journal failed.
    pub fn journal(detail: &str) -> Self {
        Self { fault: FaultCode::Soa02002, code: "journal.failed", detail: detail.to_owned(), damage: false }
    }

    /// Store, keys or index failed.
    pub fn store(detail: &str) -> Self {
        Self { fault: FaultCode::Soa02002, code: "store.failed", detail: detail.to_owned(), damage: false }
    }

    /// A dependency is away: nothing was accepted, and the same request may come again.
    pub fn away(code: &'static str, detail: &str) -> Self {
        Self { fault: FaultCode::Soa02002, code, detail: detail.to_owned(), damage: false }
    }

    /// Something of ours is broken, and coming again will not help.
    pub fn broken(fault: FaultCode, code: &'static str, detail: &str) -> Self {
        Self { fault, code, detail: detail.to_owned(), damage: false }
    }

    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl From<Failure> for Refusal {
    /// The wire gets the code and a remedy; the detail stays in the log.
    fn from(failure: Failure) -> Self {
        let detail = failure.detail.escape_debug();
        tracing::error!(event = "failure", code = failure.code, %detail);
        if failure.damage {
            tracing::error!(event = "alarm.stored-bytes", what = %detail);
        }
        let remedy = match failure.fault {
            FaultCode::Soa02002 => {
                "Nothing was accepted: send the same request again, later, with the same Token."
            }
            _ => "Tell the platform's helpdesk the Id of this fault.",
        };
        Refusal::new(failure.fault, failure.code, "", "a service in working order", remedy)
    }
}

impl From<journal::AppendError> for Failure {
    fn from(error: journal::AppendError) -> Self {
        Self::journal(&error.to_string())
    }
}

impl From<journal::ReadError> for Failure {
    fn from(error: journal::ReadError) -> Self {
        let damage = matches!(error, journal::ReadError::Damaged(..));
        Self { damage, ..Self::journal(&error.to_string()) }
    }
}

impl From<store::StoreError> for Failure {
    fn from(error: store::StoreError) -> Self {
        let damage = matches!(error, store::StoreError::Damaged { .. });
        Self { damage, ..Self::store(&error.to_string()) }
    }
}
