//! A record's proof: that it stands at its place in the log that a checkpoint signs. A file that is verified offline, by the log's
//! public key alone.
//!
//! The `extra` line carries what the entry is the hash of: the record's salt, and the record. Nobody without it learns anything.
//!
//! Source: C2SP tlog-proof v1.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use disk::{Disk, OpenMode};
use erds::Record;
use pki::digest::sha256;

use crate::checkpoint::{Checkpoint, CheckpointError, Verifier, decode, decode_hash, encode};
use crate::log::segments;
use crate::merkle::{Hash, leaf_hash, verify_inclusion};
use crate::segment::{self, GroupError};
use crate::summary;
use crate::tiles::{Published, TilesError};
use crate::{Position, ReadError};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// What a proof of the longest leaf needs: base64 of a frame, and the rest.
const PROOF_BYTES_MAX: usize = segment::FRAME_BYTES_MAX / 3 * 4 + 128 * 1024;
/// No tree of 64-bit positions is higher.
const HASHES_MAX: usize = 64;

/// A proof as it travels: nothing about it is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    salted: Vec<u8>,
    position: Position,
    beside: Vec<Hash>,
    note: String,
}

/// What a proof proves.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The record's place.
    pub position: Position,
    /// The facts.
    pub record: Record,
    /// Its hash in the tree.
    pub leaf_hash: Hash,
    /// The checkpoint that covers it, with its cosignatures: ask a [`crate::witness::Witness`] about them.
    pub checkpoint: Checkpoint,
}

/// Why a proof proves nothing; the fault of who gave it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// The text has another form.
    #[error("journal.proof.malformed: {0}")]
    Malformed(&'static str),
    /// The checkpoint in it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It says another place than the record itself.
    #[error("journal.proof.position: the record is number {seen}; the proof is for {expected}")]
    Position {
        /// What the record says.
        seen: Position,
        /// What the proof says.
        expected: Position,
    },
    /// The hashes do not lead from the record to the checkpoint's root.
    #[error("journal.proof.root: record {0} does not lead to the root that was signed")]
    Root(Position),
    /// It is there, and this version cannot read it.
    #[error("journal.proof.record: {0}")]
    Record(String),
}

impl ProofError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "journal.proof.malformed",
            Self::Checkpoint(error) => error.code(),
            Self::Position { .. } => "journal.proof.position",
            Self::Root(_) => "journal.proof.root",
            Self::Record(_) => "journal.proof.record",
        }
    }
}

impl Proof {
    /// The proof of a record under the newest checkpoint; `salted` is what [`read_salted`] gives for it.
    ///
    /// # Errors
    /// [`TilesError`]: not covered yet, or the published files are damaged.
    pub fn new(published: &Published, position: Position, salted: Vec<u8>) -> Result<Self, TilesError> {
        Self::under(published, published.checkpoint(), position, salted)
    }

    /// The same under an older checkpoint of the same log.
    ///
    /// # Errors
    /// As [`Proof::new`].
    pub fn under(
        published: &Published,
        checkpoint: &Checkpoint,
        position: Position,
        salted: Vec<u8>,
    ) -> Result<Self, TilesError> {
        let beside = published.inclusion_under(position, checkpoint.size())?;
        Ok(Self { salted, position, beside, note: checkpoint.note().to_owned() })
    }

    /// The record's place, as the proof says.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The signed note of the checkpoint: what a time-stamp is over.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Verifies it by the log's public key.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, verifier: &Verifier) -> Result<Proved, ProofError> {
        let checkpoint = verifier.open(&self.note)?;
        let (seen, _) = segment::split_salted(&self.salted)
            .ok_or(ProofError::Malformed("the extra line is too short for a salt and a record"))?;
        if seen != self.position {
            return Err(ProofError::Position { seen, expected: self.position });
        }
        let leaf_hash = leaf_hash(&sha256(&self.salted));
        let (size, root) = (checkpoint.size(), checkpoint.root());
        if !verify_inclusion(&leaf_hash, self.position, size, &self.beside, &root) {
            return Err(ProofError::Root(self.position));
        }
        let record = segment::read_body(&self.salted).map_err(ProofError::Record)?.record;
        Ok(Proved { position: self.position, record, leaf_hash, checkpoint })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nextra {}\nindex {}", encode(&self.salted), self.position)?;
        self.beside.iter().try_for_each(|hash| writeln!(f, "{}", encode(hash)))?;
        write!(f, "\n{}", self.note)
    }
}

impl FromStr for Proof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let malformed = ProofError::Malformed;
        if text.len() > PROOF_BYTES_MAX {
            return Err(malformed("longer than any proof"));
        }
        let (head, note) = text.split_once("\n\n").ok_or(malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed("the first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra ")).and_then(decode);
        let salted = extra.ok_or(malformed("no extra line with the record in base64"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).unwrap_or_default();
        let position = Position::from_str(index).ok().filter(|position| position.to_string() == index);
        let position = position.ok_or(malformed("no index line"))?;
        let beside: Option<Vec<Hash>> = lines.map(decode_hash).collect();
        let beside = beside.ok_or(malformed("a line that is no hash"))?;
        if beside.len() > HASHES_MAX {
            return Err(malformed("more hashes than any tree is high"));
        }
        Ok(Self { salted, position, beside, note: note.to_owned() })
    }
}

/// What a record's entry is the hash of, read from the journal's files without opening the journal: a service may be running on them.
/// Reads the record's segment from its beginning, if what is derived of it does not say where the record stands.
///
/// # Errors
/// No such record; damage before it in its segment.
pub fn read_salted(
    disk: &dyn Disk,
    dir: &Path,
    origin: &str,
    position: Position,
) -> Result<Vec<u8>, ReadError> {
    let paths = segments(disk, dir).map_err(ReadError::Disk)?;
    let first_of = |path: &Path| path.file_stem()?.to_str()?.parse::<Position>().ok();
    let mut named = paths.iter().filter_map(|path| Some((first_of(path)?, path)));
    let (first, path) = named.rfind(|(first, _)| *first <= position).ok_or(ReadError::Absent(position))?;
    let file = disk.open(path, OpenMode::Read).map_err(ReadError::Disk)?;
    let damaged = |error| ReadError::of(position, error);
    let summary = disk.open(&summary::path(dir, first), OpenMode::Read);
    if let Ok(offset) = summary.and_then(|file| summary::offset(file.as_ref(), position - first))
        && let Ok(leaf) = segment::read_leaf(file.as_ref(), offset, position)
    {
        return Ok(leaf.salted().to_vec());
    }
    let offset = match segment::walk_to(file.as_ref(), first, origin, position) {
        Err(GroupError::End) => return Err(ReadError::Absent(position)),
        offset => offset.map_err(damaged)?,
    };
    if file.length().map_err(ReadError::Disk)? == offset {
        return Err(ReadError::Absent(position));
    }
    segment::read_leaf(file.as_ref(), offset, position).map(|leaf| leaf.salted().to_vec()).map_err(damaged)
}
