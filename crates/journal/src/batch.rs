//! What one write takes: records that have their places, hashed, and who waits for them.

use std::collections::HashMap;
use std::ops::Range;

use pki::digest::sha256_each;
use tokio::sync::oneshot;

use crate::encoded::Encoded;
use crate::grown::Grown;
use crate::merkle::{Hash, leaf_hashes};
use crate::segment::{self, SALT_BYTES};
use crate::{AppendError, Position, UniqueKey};

/// So many bytes are taken as they are, not copied.
const MOVED_BYTES_MIN: usize = 16 * 1024;
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

/// Records of one call that have their places, hashed.
pub(crate) struct Placed {
    first: Position,
    bytes: Vec<u8>,
    /// Where in the bytes their leaves lie.
    leaves: Vec<Range<usize>>,
    grown: Grown,
    claimed: HashMap<UniqueKey, Position>,
    outcomes: Vec<Outcome>,
}

impl Placed {
    /// The places from `first` on, but for records that one of `holders` holds a key of: of each key, who holds it already.
    pub(crate) fn new(
        encoded: Encoded,
        first: Position,
        salts: &[Salt],
        holders: Vec<Option<Position>>,
    ) -> Self {
        let Encoded { mut bytes, entries } = encoded;
        let mut leaves: Vec<Range<usize>> = Vec::with_capacity(entries.len());
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut claimed = HashMap::new();
        let (mut end, mut holders) = (0, holders.into_iter());
        for (entry, salt) in entries.iter().zip(salts) {
            // Of every key, or the next record would be judged by what is left.
            let before = entry.unique_keys.iter().zip(holders.by_ref());
            let holder = before.fold(None, |found, (key, before)| {
                found.or_else(|| before.or_else(|| claimed.get(key).copied()))
            });
            if let Some(position) = holder {
                outcomes.push(Outcome::Existing(position));
                continue;
            }
            let position = first + leaves.len() as Position;
            // What exists leaves no gap.
            if entry.begin != end {
                bytes.copy_within(entry.begin..entry.end, end);
            }
            let leaf = end..end + (entry.leaf_end - entry.begin);
            end += entry.end - entry.begin;
            segment::place(bytes.get_mut(leaf.clone()).unwrap_or_default(), position, salt);
            leaves.push(leaf);
            claimed.extend(entry.unique_keys.iter().map(|key| (*key, position)));
            outcomes.push(Outcome::Recorded(position, Hash::default()));
        }
        bytes.truncate(end);
        let salted = leaves.iter().map(|leaf| segment::salted(bytes.get(leaf.clone()).unwrap_or_default()));
        let hashes = leaf_hashes(&sha256_each(salted));
        let recorded = outcomes.iter_mut().filter_map(|outcome| match outcome {
            Outcome::Recorded(_, hash) => Some(hash),
            Outcome::Existing(_) => None,
        });
        recorded.zip(&hashes).for_each(|(to, hash)| *to = *hash);
        Self { first, bytes, leaves, grown: Grown::of(first, &hashes), claimed, outcomes }
    }

    /// Where the first of them was placed that does not exist.
    pub(crate) fn first(&self) -> Position {
        self.first
    }

    /// What to tell where nothing from `first` on exists, or ever will.
    pub(crate) fn refused(self, first: Position, error: &AppendError) -> Outcomes {
        refused(self.outcomes, first, error)
    }
}

/// What existed before `first` still does.
fn refused(outcomes: Vec<Outcome>, first: Position, error: &AppendError) -> Outcomes {
    let before = |outcome: &Outcome| matches!(outcome, Outcome::Existing(position) if *position < first);
    match outcomes.iter().all(before) {
        true => Ok(outcomes),
        false => Err(error.clone()),
    }
}

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

    /// As they are written, and so many zeros behind them, which are none of it.
    pub(crate) fn bytes_and_zeros(&mut self, zeros: u64) -> &[u8] {
        self.bytes.resize(self.bytes.len() + usize::try_from(zeros).unwrap_or_default(), 0);
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

    /// Adds records that were placed behind its last one. Gives bytes that nobody needs any more, to be dropped when others no longer
    /// wait.
    pub(crate) fn push(&mut self, mut placed: Placed, answer: Answer) -> Vec<u8> {
        for leaf in &placed.leaves {
            segment::finish(placed.bytes.get_mut(leaf.clone()).unwrap_or_default(), self.first);
        }
        let begin = self.bytes.len() as u64;
        self.places.extend(placed.leaves.iter().map(|leaf| begin + leaf.start as u64));
        if self.bytes.is_empty() && placed.bytes.len() >= MOVED_BYTES_MIN {
            std::mem::swap(&mut self.bytes, &mut placed.bytes);
        } else {
            self.bytes.extend_from_slice(&placed.bytes);
        }
        self.grown.append(&placed.grown);
        self.claimed.extend(placed.claimed);
        self.answers.push((answer, placed.outcomes));
        placed.bytes
    }

    /// Whom to tell what became of his records, now that they are durable.
    pub(crate) fn durable(self) -> Vec<(Answer, Outcomes)> {
        self.answers.into_iter().map(|(answer, outcomes)| (answer, Ok(outcomes))).collect()
    }

    /// Whom to tell that nothing from `first` on is durable, or ever will be.
    pub(crate) fn refused(self, first: Position, error: &AppendError) -> Vec<(Answer, Outcomes)> {
        let answers = self.answers.into_iter();
        answers.map(|(answer, outcomes)| (answer, refused(outcomes, first, error))).collect()
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
