//! Whether the database agrees with itself: what it finds by one of its tables stands in the other.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::StoreError;

/// The first thing that is wrong within the database at `path`; none: nothing, or there is none. Reads all of it, beside whoever writes
/// it and without holding him up.
///
/// # Errors
/// `Database`: it cannot be read so far that it could be judged.
pub fn disagreement(path: &Path) -> Result<Option<String>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let said: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((said != "ok").then_some(said))
}
