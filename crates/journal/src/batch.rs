//! What one write takes: records that have their places, hashed, and who waits for them.

use std::collections::HashMap;

use pki::digest::sha256_each;
use tokio::sync::oneshot;

use crate::encoded::{Encoded, EncodedRecord};
use crate::grown::Grown;
use crate::merkle::{Hash, leaf_hashes};
use crate::segment::{self, SALT_BYTES};
use crate::{AppendError, Position, UniqueKey};

/// Salts that are drawn at once, at least.
const SALTS_DRAWN: usize = 64;

/// What became of one record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Recorded(Position, Hash),
    Existing(Position),
}

pub(crate) type Outcomes = Result<Vec<Outcome>, AppendError>;

/// Who waits for what became of his records.
pub(crate) type Answer = oneshot::Sender<Outcomes>;

pub(crate) type Salt = [u8; SALT_BYTES];

/// Records that are written at once, in their order.
#[derive(Default)]
pub(crate) struct Batch {
    first: Position,
    bytes: Vec<u8>,
    /// Where in the bytes each record begins.
    places: Vec<u64>,
    grown: Grown,
    pub(crate) claimed: HashMap<UniqueKey, Position>,
    answers: Vec<(Answer, Vec<Outcome>)>,
}

impl Batch {
    /// Without a record yet; `bytes` is emptied and used.
    pub(crate) fn new(first: Position, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { first, bytes, grown: Grown::new(first), ..Self::default() }
    }

    /// The position of its first record.
    pub(crate) fn first(&self) -> Position {
        self.first
    }

    /// The position behind its last one.
    pub(crate) fn next(&self) -> Position {
        self.first + self.places.len() as Position
    }

    /// As they are written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in the bytes each record begins.
    pub(crate) fn places(&self) -> &[u64] {
        &self.places
    }

    /// What it adds to the tree.
    pub(crate) fn grown(&self) -> &Grown {
        &self.grown
    }

    /// Nobody waits for anything of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Gives each record its place, but for those that one of `holders` holds a key of: of each key, who holds it, this batch aside.
    pub(crate) fn put(
        &mut self,
        encoded: &Encoded,
        salts: &[Salt],
        mut holders: impl Iterator<Item = Option<Position>>,
        answer: Answer,
    ) {
        let mut salted = Vec::with_capacity(encoded.count());
        let mut outcomes = Vec::with_capacity(encoded.count());
        for (record, salt) in encoded.records().zip(salts) {
            let held = record.unique_keys.iter().zip(holders.by_ref());
            // Every key's holder is taken, or the next record would be judged by them.
            let holder = held.fold(None, |found, (key, before)| {
                found.or_else(|| self.claimed.get(key).copied().or(before))
            });
            outcomes.push(match holder {
                Some(position) => Outcome::Existing(position),
                None => {
                    let position = self.next();
                    salted.push(self.push(&record, position, salt));
                    Outcome::Recorded(position, Hash::default())
                }
            });
        }
        let salted = salted.into_iter().map(|range| self.bytes.get(range).unwrap_or_default());
        let leaves = leaf_hashes(&sha256_each(salted));
        self.grown.push(&leaves);
        let recorded = outcomes.iter_mut().filter_map(|outcome| match outcome {
            Outcome::Recorded(_, leaf) => Some(leaf),
            Outcome::Existing(_) => None,
        });
        recorded.zip(leaves).for_each(|(leaf, hash)| *leaf = hash);
        self.answers.push((answer, outcomes));
    }

    fn push(&mut self, record: &EncodedRecord, position: Position, salt: &Salt) -> std::ops::Range<usize> {
        self.places.push(self.bytes.len() as u64);
        self.claimed.extend(record.unique_keys.iter().map(|key| (*key, position)));
        segment::push_group(&mut self.bytes, (record.body, record.frames), self.first, position, salt)
    }

    /// Whom to tell what became of his records, now that they are durable.
    pub(crate) fn durable(self) -> Vec<(Answer, Outcomes)> {
        self.answers.into_iter().map(|(answer, outcomes)| (answer, Ok(outcomes))).collect()
    }

    /// Whom to tell that nothing is durable, or ever will be, of this batch and of those from `first` on; what existed before still does.
    pub(crate) fn refused(self, first: Position, error: &AppendError) -> Vec<(Answer, Outcomes)> {
        let before = |outcome: &Outcome| matches!(outcome, Outcome::Existing(position) if *position < first);
        let refuse = |outcomes: Vec<Outcome>| match outcomes.iter().all(before) {
            true => Ok(outcomes),
            false => Err(error.clone()),
        };
        self.answers.into_iter().map(|(answer, outcomes)| (answer, refuse(outcomes))).collect()
    }

    /// Its bytes' room, for a later one.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// Salts to come: drawn many at once, as each draw has its price.
#[derive(Default)]
pub(crate) struct Salts(Vec<Salt>);

impl Salts {
    /// So many that nobody else has.
    ///
    /// # Errors
    /// `Stopped`: no randomness to be had.
    pub(crate) fn take(&mut self, count: usize) -> Result<Vec<Salt>, AppendError> {
        if self.0.len() < count {
            self.0.resize(count.max(SALTS_DRAWN), Salt::default());
            pki::random::fill(self.0.as_flattened_mut()).map_err(|error| {
                self.0.clear();
                AppendError::Stopped(error.to_string())
            })?;
        }
        Ok(self.0.split_off(self.0.len() - count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_salt_is_given_twice() {
        let mut salts = Salts::default();
        let mut given = std::collections::HashSet::new();
        for count in [0, 1, 3, 60, 1, 64, 0, 200, 5, 1] {
            let taken = salts.take(count).unwrap();
            assert_eq!(taken.len(), count);
            assert!(taken.into_iter().all(|salt| given.insert(salt)));
        }
        assert!(!given.contains(&Salt::default()));
    }
}
