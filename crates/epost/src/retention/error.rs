//! Why retention does not do what it was asked: code, what was seen, what was expected, what to do.

use erds::record::Hex32;
use jiff::Timestamp;

use crate::service::Failure;

/// Why a step of retention is not taken; nothing was erased or changed by it.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// Our clock is before the newest record: it was set back, or the record's was ahead.
    #[error("the clock says {now}, the newest record {last}")]
    ClockBehind {
        /// Our clock.
        now: Timestamp,
        /// The record.
        last: Timestamp,
    },
    /// Our clock and an authority's differ by more than is granted.
    #[error("the clock says {now}, a time-stamping authority {gen_time}")]
    ClockApart {
        /// Our clock.
        now: Timestamp,
        /// The token's time.
        gen_time: Timestamp,
    },
    /// No authority told the time.
    #[error("no time-stamp: {0}")]
    TimeUnknown(String),
    /// A plan of a time to come.
    #[error("a plan as of {as_of}, and it is {now}")]
    Future {
        /// The plan's time.
        as_of: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// What would be erased is not what was planned.
    #[error("plan {asked}; it is {now} by now")]
    Changed {
        /// The plan that was named.
        asked: Hex32,
        /// The plan of that time as it is made now.
        now: Hex32,
    },
    /// No hold has this number.
    #[error("hold {0}")]
    HoldAbsent(u64),
    /// It was lifted before.
    #[error("hold {0} was lifted")]
    HoldLifted(u64),
    /// Ours.
    #[error("{0}")]
    Failed(#[from] Failure),
}

impl RetentionError {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ClockBehind { .. } => "retention.clock-behind",
            Self::ClockApart { .. } => "retention.clock-apart",
            Self::TimeUnknown(_) => "retention.time-unknown",
            Self::Future { .. } => "retention.plan-future",
            Self::Changed { .. } => "retention.plan-changed",
            Self::HoldAbsent(_) => "retention.hold-absent",
            Self::HoldLifted(_) => "retention.hold-lifted-already",
            Self::Failed(failure) => failure.code(),
        }
    }

    /// What was expected.
    pub fn expected(&self) -> &'static str {
        match self {
            Self::ClockBehind { .. } => "a clock that goes forward",
            Self::ClockApart { .. } => "a difference within senders.clock_skew_seconds_max",
            Self::TimeUnknown(_) => "a time-stamp, so that our clock alone decides nothing",
            Self::Future { .. } => "the time that a plan was made",
            Self::Changed { .. } => "the plan as it was shown",
            Self::HoldAbsent(_) => "the number of a hold that was set",
            Self::HoldLifted(_) => "a hold in force",
            Self::Failed(_) => "a service in working order",
        }
    }

    /// What the person can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::ClockBehind { .. } | Self::ClockApart { .. } => {
                "Nothing was erased. Set the clock right, and find out why it was wrong."
            }
            Self::TimeUnknown(_) => "Nothing was erased. Try again when a time-stamping authority answers.",
            Self::Future { .. } | Self::Changed { .. } => {
                "Nothing was erased. Look at a new plan: `epost retention plan`."
            }
            Self::HoldAbsent(_) | Self::HoldLifted(_) => "`epost retention holds` lists them.",
            Self::Failed(_) => "Try again later; tell the operators if it stays so.",
        }
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::HoldAbsent(_) => 404,
            Self::Future { .. } | Self::Changed { .. } | Self::HoldLifted(_) => 409,
            Self::ClockBehind { .. } | Self::ClockApart { .. } | Self::TimeUnknown(_) | Self::Failed(_) => {
                503
            }
        }
    }
}
