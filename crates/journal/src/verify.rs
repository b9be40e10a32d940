//! The journal judged from its bytes alone, beside everything that a running service knows of it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, DiskFile, OpenMode};
use erds::record::Hex32;

use crate::keys;
use crate::log::segments;
use crate::merkle::{Hash, Tree, leaf_hash};
use crate::segment::{self, GroupError};
use crate::{Position, Stored, UniqueKey};

/// What was found whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifyReport {
    /// Records, each read, each frame's digest equal to what its record says.
    pub records: u64,
    /// The tree's root over them (RFC 6962).
    pub root: Hash,
    /// Segments.
    pub segments: usize,
}

/// The first thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A record that is not what it was, or not there.
    #[error("journal.damaged: {path}, offset {offset}, record {position}: {what}")]
    Damaged {
        /// Which segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// Which record.
        position: Position,
        /// What is wrong.
        what: String,
    },
    /// The disk.
    #[error("journal.disk: {0}")]
    Disk(#[from] io::Error),
}

impl VerifyError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "journal.damaged",
            Self::Disk(_) => "journal.disk",
        }
    }
}

/// Unique keys held at once, about 250 MB; where there are more, the rest is compared in further passes, which read leaves alone.
const KEYS_AT_ONCE_MAX: usize = 3_000_000;

/// Re-derives everything from the bytes in `dir`, and from nothing that is derived; `each` sees every record and may object. Memory does
/// not grow with the journal.
///
/// # Errors
/// The first damage, by segment, offset and record; a key that two records claim may be named later than what comes after it.
pub fn verify(
    disk: &dyn Disk,
    dir: &Path,
    origin: &str,
    each: &mut dyn FnMut(&Stored) -> Result<(), String>,
) -> Result<VerifyReport, VerifyError> {
    verify_with(disk, dir, origin, each, KEYS_AT_ONCE_MAX)
}

fn verify_with(
    disk: &dyn Disk,
    dir: &Path,
    origin: &str,
    each: &mut dyn FnMut(&Stored) -> Result<(), String>,
    keys_max: usize,
) -> Result<VerifyReport, VerifyError> {
    let segments = segments(disk, dir)?;
    let mut tree = Tree::default();
    let mut claims = Claims::from(0, keys_max);
    walk(disk, &segments, origin, &mut |file, offset, position, current_batch| {
        let group = segment::read_group(file, offset, position)?;
        segment::batch_fits(group.batch, position, current_batch).map_err(GroupError::Wrong)?;
        claims.add(&group.body.keys, position)?;
        let leaf_hash = leaf_hash(&group.entry);
        let stored = Stored {
            position,
            record: group.body.record,
            frames: group.frames,
            entry: group.entry,
            leaf_hash,
        };
        each(&stored).map_err(GroupError::Wrong)?;
        tree.push(leaf_hash);
        Ok(group.end)
    })?;
    while let Some(from) = claims.left {
        claims = Claims::from(from, keys_max);
        walk(disk, &segments, origin, &mut |file, offset, position, _| {
            let (keys, end) = segment::read_keys(file, offset, position)?;
            claims.add(&keys, position)?;
            Ok(end)
        })?;
    }
    Ok(VerifyReport { records: tree.size(), root: tree.root(), segments: segments.len() })
}

/// What reads a record at its place, and says where the next one begins.
type Visit<'a> =
    &'a mut dyn FnMut(&dyn DiskFile, u64, Position, &mut Option<Position>) -> Result<u64, GroupError>;

fn walk(disk: &dyn Disk, segments: &[PathBuf], origin: &str, visit: Visit<'_>) -> Result<(), VerifyError> {
    let mut position: Position = 0;
    for path in segments {
        let file = disk.open(path, OpenMode::Read)?;
        let damaged = |offset: u64, position: Position, what: String| VerifyError::Damaged {
            path: path.clone(),
            offset,
            position,
            what,
        };
        let mut offset = match segment::check_header(file.as_ref(), position, origin) {
            Ok(offset) => offset,
            Err(GroupError::Io(error)) => return Err(error.into()),
            Err(GroupError::Broken(what) | GroupError::Wrong(what)) => {
                return Err(damaged(0, position, what));
            }
            Err(GroupError::End) => return Err(damaged(0, position, "an empty segment".into())),
        };
        let mut current_batch = None;
        loop {
            offset = match visit(file.as_ref(), offset, position, &mut current_batch) {
                Ok(next) => next,
                Err(GroupError::End) => break,
                Err(GroupError::Broken(what) | GroupError::Wrong(what)) => {
                    return Err(damaged(offset, position, what));
                }
                Err(GroupError::Io(error)) => return Err(error.into()),
            };
            position += 1;
        }
    }
    Ok(())
}

/// The keys of one range of their order, and who claims each.
struct Claims {
    from: u64,
    /// Where the range ends, if not with the last key: from there on another pass is needed.
    left: Option<u64>,
    held: HashMap<[u8; 32], Position>,
    keys_max: usize,
}

impl Claims {
    fn from(from: u64, keys_max: usize) -> Self {
        Self { from, left: None, held: HashMap::new(), keys_max }
    }

    fn add(&mut self, keys: &[Hex32], position: Position) -> Result<(), GroupError> {
        for key in keys {
            let order = keys::order(&UniqueKey(key.0));
            if order < self.from || self.left.is_some_and(|left| order >= left) {
                continue;
            }
            if let Some(holder) = self.held.insert(key.0, position) {
                return Err(GroupError::Wrong(segment::key_is_held(position, holder)));
            }
            while self.held.len() > self.keys_max {
                // The upper half waits for its own pass.
                let left = self.from + (self.left.unwrap_or(u64::MAX) - self.from) / 2;
                if left == self.from || self.left == Some(left) {
                    break; // no range is smaller
                }
                self.left = Some(left);
                self.held.retain(|key, _| keys::order(&UniqueKey(*key)) < left);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use disk::ForgetfulDisk;
    use erds::Record;
    use erds::record::Control;

    use super::*;
    use crate::Entry;

    const DIR: &str = "j";

    /// A journal whose records claim these keys: no writer would have written it.
    fn written(keys: &[u8]) -> ForgetfulDisk {
        let disk = ForgetfulDisk::new();
        disk.create_dir_all(Path::new(DIR)).unwrap();
        let mut bytes = segment::encode_header(0, "one");
        for (position, key) in (0..).zip(keys) {
            let record = Record::Control(Control {
                at: jiff::Timestamp::UNIX_EPOCH,
                action: "test".into(),
                ticket: None,
                detail: String::new(),
            });
            let unique_keys = vec![UniqueKey(pki::digest::sha256(&[*key]))];
            let frame = crate::Frame { name: "f".into(), ciphertext: vec![*key; 9] };
            let entry = Entry { record, frames: vec![frame], unique_keys };
            let begin = bytes.len();
            let mut digests = [pki::digest::sha256(&entry.frames[0].ciphertext)].into_iter();
            let leaf_end = segment::push_group(&mut bytes, &entry, &mut digests).unwrap();
            segment::place(&mut bytes[begin..leaf_end], position, &[7; 32]);
            segment::finish(&mut bytes[begin..leaf_end], position);
        }
        let path = Path::new(DIR).join(format!("{:020}.seg", 0));
        disk.open(&path, OpenMode::CreateNew).unwrap().write_at(0, &bytes).unwrap();
        disk
    }

    #[test]
    fn a_key_claimed_twice_is_found_however_few_are_held_at_once() {
        let mut keys: Vec<u8> = (0..100).collect();
        for keys_max in [2, 7, 99, 100, 1000] {
            let mut seen = 0;
            let each = &mut |_: &Stored| {
                seen += 1;
                Ok(())
            };
            let report = verify_with(&written(&keys), Path::new(DIR), "one", each, keys_max).unwrap();
            assert_eq!((report.records, seen), (100, 100), "{keys_max}");
            for twice in [0, 1, 50, 98] {
                keys[99] = twice;
                let verified = verify_with(&written(&keys), Path::new(DIR), "one", &mut |_| Ok(()), keys_max);
                let expected = format!("record 99 claims a key that record {twice} holds");
                assert!(verified.unwrap_err().to_string().ends_with(&expected), "{keys_max}");
            }
            keys[99] = 99;
        }
    }
}
