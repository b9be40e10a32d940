//! The journal judged from its bytes alone, beside everything that a running service knows of it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, OpenMode};

use crate::log::segments;
use crate::merkle::{Hash, Tree, leaf_hash};
use crate::segment::{self, GroupError};
use crate::{Position, Stored};

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

/// Re-derives everything from the bytes in `dir`; `each` sees every record and may object.
///
/// # Errors
/// The first damage, by segment, offset and record.
pub fn verify(
    disk: &dyn Disk,
    dir: &Path,
    origin: &str,
    each: &mut dyn FnMut(&Stored) -> Result<(), String>,
) -> Result<VerifyReport, VerifyError> {
    let mut tree = Tree::default();
    let mut keys: HashMap<[u8; 32], Position> = HashMap::new();
    let paths = segments(disk, dir)?;
    for path in &paths {
        let file = disk.open(path, OpenMode::Read)?;
        let damaged = |offset: u64, position: Position, what: String| VerifyError::Damaged {
            path: path.clone(),
            offset,
            position,
            what,
        };
        let mut offset = match segment::check_header(file.as_ref(), tree.size(), origin) {
            Ok(offset) => offset,
            Err(GroupError::Io(error)) => return Err(error.into()),
            Err(GroupError::Broken(what) | GroupError::Wrong(what)) => {
                return Err(damaged(0, tree.size(), what));
            }
            Err(GroupError::End) => return Err(damaged(0, tree.size(), "an empty segment".into())),
        };
        let mut current_batch = None;
        loop {
            let position = tree.size();
            let group = match segment::read_group(file.as_ref(), offset, position) {
                Ok(group) => group,
                Err(GroupError::End) => break,
                Err(GroupError::Broken(what) | GroupError::Wrong(what)) => {
                    return Err(damaged(offset, position, what));
                }
                Err(GroupError::Io(error)) => return Err(error.into()),
            };
            segment::batch_fits(group.batch, position, &mut current_batch)
                .map_err(|what| damaged(offset, position, what))?;
            for key in &group.body.keys {
                if let Some(holder) = keys.insert(key.0, position) {
                    return Err(damaged(offset, position, segment::key_is_held(position, holder)));
                }
            }
            let leaf_hash = leaf_hash(&group.entry);
            let stored = Stored {
                position,
                record: group.body.record,
                frames: group.frames,
                entry: group.entry,
                leaf_hash,
            };
            each(&stored).map_err(|what| damaged(offset, position, what))?;
            tree.push(leaf_hash);
            offset = group.end;
        }
    }
    Ok(VerifyReport { records: tree.size(), root: tree.root(), segments: paths.len() })
}
