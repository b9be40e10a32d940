//! What of a journal may be copied while its writer goes on.

use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, OpenMode};

use crate::log::segments;
use crate::segment::{self, GroupError};
use crate::{Position, VerifyError};

/// A segment's first bytes, which no writer changes any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Span {
    /// The segment.
    pub path: PathBuf,
    /// How many bytes of it: whole groups, durable when [`snapshot`] returned.
    pub bytes: u64,
}

/// The segments in `dir` up to the last record that was whole and is durable now; reads the last segment alone, and locks nothing.
///
/// What lies before that end is judged by [`crate::verify`] on the copy, not here.
///
/// # Errors
/// `Damaged`: the last segment is not as it was written. The disk's.
pub fn snapshot(disk: &dyn Disk, dir: &Path, origin: &str) -> Result<Vec<Span>, VerifyError> {
    let paths = segments(disk, dir)?;
    let mut spans = Vec::with_capacity(paths.len());
    for (number, path) in paths.iter().enumerate() {
        let mut file = disk.open(path, OpenMode::Read)?;
        let bytes = match number + 1 == paths.len() {
            true => whole_end(file.as_ref(), path, origin)?,
            false => file.length()?,
        };
        // What is readable may not be durable yet; a copy must not know more than its source after a power cut.
        file.sync_data()?;
        spans.push(Span { path: path.clone(), bytes });
    }
    Ok(spans)
}

fn whole_end(file: &dyn disk::DiskFile, path: &Path, origin: &str) -> Result<u64, VerifyError> {
    let damaged = |offset, position, what: String| VerifyError::Damaged {
        path: path.to_owned(),
        offset,
        position,
        what,
    };
    let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
    let mut position: Position =
        stem.ok_or_else(|| damaged(0, 0, "a segment that is not named by its first record".into()))?;
    let mut offset = match segment::check_header(file, position, origin) {
        Ok(offset) => offset,
        Err(GroupError::Io(error)) => return Err(error.into()),
        Err(GroupError::Broken(what) | GroupError::Wrong(what)) => return Err(damaged(0, position, what)),
        Err(GroupError::End) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    };
    loop {
        match segment::read_group(file, offset, position) {
            Ok(group) => (offset, position) = (group.end, position + 1),
            Err(GroupError::Io(error)) => return Err(error.into()),
            Err(GroupError::End) => return Ok(offset),
            Err(GroupError::Wrong(what)) => return Err(damaged(offset, position, what)),
            Err(GroupError::Broken(what)) => {
                // A write under way, unless a later one is there already and this one is still broken after it.
                if !segment::later_batch_follows(file, offset, position)? {
                    return Ok(offset);
                }
                if segment::read_group(file, offset, position).is_err() {
                    return Err(damaged(offset, position, what));
                }
            }
        }
    }
}
