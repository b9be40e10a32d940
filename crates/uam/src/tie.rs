//! Ties between institutions: one acts for another by a mandate, one takes another's place by a succession.
//!
//! Neither changes who signs or who owns: the journal and every proof name the signer, and an item stays its institution's. They say
//! whose items an institution may read beside its own.

use erds::{EnterpriseNumber, Strictness};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use crate::policy::{day, filled};
use crate::{PolicyError, Transaction};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MandateEntry {
    id: String,
    mandator: String,
    mandatary: String,
    transactions: Vec<Transaction>,
    until: Date,
    reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuccessionEntry {
    predecessor: String,
    successor: String,
    since: Date,
    reference: String,
}

/// The mandatary may do the named transactions for the mandator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mandate {
    pub(crate) id: String,
    pub(crate) mandator: EnterpriseNumber,
    pub(crate) mandatary: EnterpriseNumber,
    transactions: Vec<Transaction>,
    until: Date,
    reference: String,
}

/// The successor reads what was the predecessor's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Succession {
    predecessor: EnterpriseNumber,
    successor: EnterpriseNumber,
    since: Date,
    reference: String,
}

/// An institution whose items may be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Readable {
    /// Its enterprise number: 10 digits.
    pub institution: String,
    /// By which mandate or succession; none: its own.
    pub citation: Option<String>,
}

fn institution(place: &str, text: &str) -> Result<EnterpriseNumber, PolicyError> {
    let number = EnterpriseNumber::parse(text, Strictness::Strict);
    number.map_err(|error| PolicyError::Enterprise { place: place.to_owned(), error })
}

fn apart(place: &str, one: &EnterpriseNumber, other: &EnterpriseNumber) -> Result<(), PolicyError> {
    if one.digits() == other.digits() {
        return Err(PolicyError::Itself { place: place.to_owned() });
    }
    Ok(())
}

impl Mandate {
    pub(crate) fn read(entry: MandateEntry, place: &str) -> Result<Self, PolicyError> {
        filled(place, "id", Some(&entry.id))?;
        filled(place, "reference", Some(&entry.reference))?;
        if entry.transactions.is_empty() {
            return Err(PolicyError::Empty { place: place.to_owned(), key: "transactions" });
        }
        let (mandator, mandatary) =
            (institution(place, &entry.mandator)?, institution(place, &entry.mandatary)?);
        apart(place, &mandator, &mandatary)?;
        let MandateEntry { id, transactions, until, reference, .. } = entry;
        Ok(Self { id, mandator, mandatary, transactions, until, reference })
    }

    /// Its name in the file.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// For whom: 10 digits.
    pub fn mandator(&self) -> &str {
        self.mandator.digits()
    }

    /// Who acts: 10 digits.
    pub fn mandatary(&self) -> &str {
        self.mandatary.digits()
    }

    /// What it is for.
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// Its last day.
    pub fn until(&self) -> Date {
        self.until
    }

    /// What it rests on.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    pub(crate) fn holds(&self, transaction: Transaction, at: Timestamp) -> bool {
        let named = self.transactions.contains(&transaction) || transaction == Transaction::Check;
        named && day(at) <= self.until
    }

    pub(crate) fn citation(&self) -> String {
        format!("mandate {} of {}: {}", self.id, self.mandator.digits(), self.reference)
    }
}

impl Succession {
    pub(crate) fn read(entry: SuccessionEntry, place: &str) -> Result<Self, PolicyError> {
        filled(place, "reference", Some(&entry.reference))?;
        let predecessor = institution(place, &entry.predecessor)?;
        let successor = institution(place, &entry.successor)?;
        apart(place, &predecessor, &successor)?;
        Ok(Self { predecessor, successor, since: entry.since, reference: entry.reference })
    }

    /// Whose items: 10 digits.
    pub fn predecessor(&self) -> &str {
        self.predecessor.digits()
    }

    /// Who reads them: 10 digits.
    pub fn successor(&self) -> &str {
        self.successor.digits()
    }

    /// From which day on.
    pub fn since(&self) -> Date {
        self.since
    }

    /// What it rests on.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// `A>B`: a policy has it once.
    pub fn name(&self) -> String {
        format!("{}>{}", self.predecessor(), self.successor())
    }

    fn citation(&self) -> String {
        format!("succession of {}: {}", self.predecessor.digits(), self.reference)
    }
}

/// Whose items `institution` may read in this transaction: its own, its predecessors', theirs, and those of its mandators.
pub(crate) fn readable(
    mandates: &[Mandate],
    successions: &[Succession],
    institution: &str,
    transaction: Transaction,
    at: Timestamp,
) -> Vec<Readable> {
    let mut found = vec![Readable { institution: institution.to_owned(), citation: None }];
    let given = mandates.iter().filter(|mandate| mandate.mandatary.digits() == institution);
    for mandate in given.filter(|mandate| mandate.holds(transaction, at)) {
        add(&mut found, mandate.mandator(), mandate.citation());
    }
    // Each institution is added once, so that a ring of successions ends.
    let mut next = 0;
    while let Some(reader) = found.get(next).cloned() {
        let of_reader = successions.iter().filter(|tie| tie.successor.digits() == reader.institution);
        for tie in of_reader.filter(|tie| tie.since <= day(at)) {
            let citation = match &reader.citation {
                Some(before) => format!("{before}; {}", tie.citation()),
                None => tie.citation(),
            };
            add(&mut found, tie.predecessor(), citation);
        }
        next += 1;
    }
    found
}

fn add(found: &mut Vec<Readable>, institution: &str, citation: String) {
    if found.iter().all(|known| known.institution != institution) {
        found.push(Readable { institution: institution.to_owned(), citation: Some(citation) });
    }
}
