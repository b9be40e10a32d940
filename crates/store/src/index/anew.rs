//! The index made anew beside the one there is, so that a full disk leaves that one to serve by.

use std::io;
use std::path::{Path, PathBuf};

use super::{Index, remove_database};
use crate::StoreError;

/// Makes the index at `path` anew: `grow` fills an empty one beside it, which takes its name once it is whole. Nobody may have it open.
/// *A crash leaves the former one, none, or the new one, and perhaps what was beside it, which the next call removes.*
///
/// # Errors
/// What `grow` says, `Database`, `Disk`: the former one is as it was, unless it could not be replaced.
pub fn made_anew<T, E: From<StoreError>>(
    path: &Path,
    grow: impl FnOnce(&Index) -> Result<T, E>,
) -> Result<T, E> {
    let beside = path.with_added_extension("new");
    let grown = Index::begin_anew(&beside).map_err(E::from).and_then(|index| {
        let grown = grow(&index)?;
        index.inner().commit()?;
        Ok(grown)
    });
    let whole = grown.and_then(|grown| closed(&beside).map(|()| grown).map_err(E::from));
    if whole.is_err() {
        let _ = remove_database(&beside);
        return whole;
    }
    // The former one's log first: it must never meet the new file.
    remove_database(path)?;
    std::fs::rename(&beside, path).map_err(StoreError::disk("rename", path))?;
    whole
}

/// The last one who closes a database takes its log into the file; where he could not, the file lacks what the log has.
fn closed(path: &Path) -> Result<(), StoreError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    match log.exists() {
        true => Err(StoreError::disk("close", &log)(io::ErrorKind::StorageFull.into())),
        false => Ok(()),
    }
}
