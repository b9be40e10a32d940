//! Ties between institutions that come, change or end with a policy: each is an act of its own in the journal, under its own name and
//! with the two people who signed it (a merger most of all).

use erds::Record;
use erds::record::{Control, Hex32};
use jiff::Timestamp;
use jiff::civil::Date;
use journal::{Entry, UniqueKey};
use pki::digest::sha256;
use serde::Serialize;
use uam::{Mandate, PolicyFile, Succession, Transaction};

/// What the journal says of a tie: nothing personal. Who signed stands by the certificates' digests.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Tie {
    /// `added`, `changed` or `removed`.
    change: &'static str,
    /// The mandate's id; a succession has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Whose items: the predecessor, or the mandator.
    of: String,
    /// Who reads them: the successor, or the mandatary.
    by: String,
    /// What for; of a succession, everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transactions: Vec<&'static str>,
    /// The succession's first day.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Date>,
    /// The mandate's last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Date>,
    /// The decision that it rests on.
    reference: String,
    /// The policy that it came with.
    policy: Hex32,
    /// Whose certificates signed that: the proposer's first, then the approver's.
    signers: Vec<Hex32>,
}

impl Tie {
    fn of_succession(change: &'static str, tie: &Succession) -> (&'static str, Self) {
        let said = Self {
            change,
            id: None,
            of: tie.predecessor().to_owned(),
            by: tie.successor().to_owned(),
            transactions: Vec::new(),
            since: Some(tie.since()),
            until: None,
            reference: tie.reference().to_owned(),
            policy: Hex32([0; 32]),
            signers: Vec::new(),
        };
        (SUCCESSION, said)
    }

    fn of_mandate(change: &'static str, tie: &Mandate) -> (&'static str, Self) {
        let said = Self {
            change,
            id: Some(tie.id().to_owned()),
            of: tie.mandator().to_owned(),
            by: tie.mandatary().to_owned(),
            transactions: tie.transactions().iter().copied().map(Transaction::as_str).collect(),
            since: None,
            until: Some(tie.until()),
            reference: tie.reference().to_owned(),
            policy: Hex32([0; 32]),
            signers: Vec::new(),
        };
        (MANDATE, said)
    }
}

/// An entry for each tie that `policy` has otherwise than `before`, or no more; to be appended with the policy's own act.
pub(super) fn entries(
    policy: &PolicyFile,
    before: &PolicyFile,
    signers: &[Hex32],
    at: Timestamp,
) -> Result<Vec<Entry>, serde_json::Error> {
    let mut ties = changes(policy.successions(), before.successions(), Succession::name, Tie::of_succession);
    ties.extend(changes(policy.mandates(), before.mandates(), |tie| tie.id().to_owned(), Tie::of_mandate));
    let entry = |(action, tie): (&str, Tie)| {
        let tie = Tie { policy: Hex32(policy.digest()), signers: signers.to_vec(), ..tie };
        let detail = serde_json::to_string(&tie)?;
        // Once for each policy, however often its adoption is begun.
        let unique_keys = vec![UniqueKey(sha256(format!("{action}\0{detail}").as_bytes()))];
        let record = Record::Control(Control { at, action: action.to_owned(), ticket: None, detail });
        Ok(Entry { record, frames: Vec::new(), unique_keys })
    };
    ties.into_iter().map(entry).collect()
}

fn changes<T: PartialEq, U>(
    after: &[T],
    before: &[T],
    name: impl Fn(&T) -> String,
    said: impl Fn(&'static str, &T) -> U,
) -> Vec<U> {
    let find = |all: &[T], tie: &T| all.iter().position(|other| name(other) == name(tie));
    let come = after.iter().filter_map(|tie| match find(before, tie).and_then(|at| before.get(at)) {
        None => Some(said("added", tie)),
        Some(former) if former != tie => Some(said("changed", tie)),
        Some(_) => None,
    });
    let gone = before.iter().filter(|tie| find(after, tie).is_none()).map(|tie| said("removed", tie));
    come.chain(gone).collect()
}

/// The act of a succession that comes, changes or goes.
pub(crate) const SUCCESSION: &str = "uam.succession";
/// The act of a mandate that comes, changes or goes.
pub(crate) const MANDATE: &str = "uam.mandate";
