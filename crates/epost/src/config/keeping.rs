//! How long what is stored is kept.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde::Deserialize;

/// When item keys are destroyed, and with them content, messages and stored proofs; the journal's records stay.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Hours between two runs of the service's own; 0: it runs none.
    pub run_hours: u32,
    /// Days of the class `transaction`.
    pub transaction_days: u32,
    /// Days of the class `technical`.
    pub technical_days: u32,
    /// Days of the class `content`.
    pub content_days: u32,
    /// Document type (contract A) to its own days of the class `content`.
    pub content_days_of: BTreeMap<String, u32>,
    /// Which class each kind is of.
    pub classes: Classes,
}

/// When a drill of the backup is overdue.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drill {
    /// Days without a drill that passed beyond which there is an alarm; 0: there is none.
    pub days_max: u32,
}

/// How what is stored is read again, to see whether it is still what was written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scrub {
    /// Days between the end of a round and the next; 0: there is none.
    pub days: u32,
    /// So many bytes are read in a second at most.
    pub bytes_per_second_max: NonZeroU64,
}

impl Default for Scrub {
    fn default() -> Self {
        Self { days: 30, bytes_per_second_max: NonZeroU64::MIN.saturating_add(8 * 1024 * 1024 - 1) }
    }
}

/// Which class each kind of key is of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Classes {
    /// An accepted item: its documents, its signed message, its stored proofs.
    pub item: Class,
    /// A submission that was not accepted by our fault: its signed message.
    pub withdrawn: Class,
    /// A refused request of a sender whose signature was verified.
    pub refused: Class,
    /// Any other refused request.
    pub unidentified: Class,
    /// A request that reads.
    pub read: Class,
    /// A consultation of the log.
    pub consultation: Class,
    /// A legal hold that was lifted.
    pub hold: Class,
    /// The text of a policy that another one replaced.
    pub policy: Class,
}

/// A class of the retention table.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Functional and transaction logs.
    Transaction,
    /// Technical logs.
    Technical,
    /// What an item carried.
    Content,
}

impl Class {
    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Technical => "technical",
            Self::Content => "content",
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            run_hours: 0,
            transaction_days: TRANSACTION_DAYS_MIN,
            technical_days: TECHNICAL_DAYS_MIN,
            content_days: TRANSACTION_DAYS_MIN,
            content_days_of: BTreeMap::new(),
            classes: Classes::default(),
        }
    }
}

impl Default for Classes {
    fn default() -> Self {
        Self {
            item: Class::Content,
            withdrawn: Class::Transaction,
            refused: Class::Transaction,
            unidentified: Class::Technical,
            read: Class::Transaction,
            consultation: Class::Transaction,
            hold: Class::Transaction,
            policy: Class::Transaction,
        }
    }
}

impl Retention {
    /// What is too short for production: ten and two years (N5), and no term at all.
    pub fn too_short(&self) -> Option<String> {
        let short = |option: &str, days: u32, least: u32| {
            (days < least).then(|| format!("{option}: {days} days, at least {least}"))
        };
        short("transaction_days", self.transaction_days, TRANSACTION_DAYS_MIN)
            .or_else(|| short("technical_days", self.technical_days, TECHNICAL_DAYS_MIN))
    }

    /// The first term of less than a day: nothing may be erased as it ends.
    pub fn without_a_day(&self) -> Option<String> {
        let named = [
            ("transaction_days", self.transaction_days),
            ("technical_days", self.technical_days),
            ("content_days", self.content_days),
        ];
        let of_types = self.content_days_of.iter().map(|(name, days)| (name.as_str(), *days));
        let found = named.into_iter().chain(of_types).find(|(_, days)| *days == 0);
        found.map(|(name, _)| format!("{name} = 0"))
    }
}

/// Ten years with three leap days.
const TRANSACTION_DAYS_MIN: u32 = 3653;
/// Two years with a leap day.
const TECHNICAL_DAYS_MIN: u32 = 731;
