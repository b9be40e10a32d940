//! Acts that are numbered from 1 by their unique keys, so that the newest is found without reading the log or keeping a table.

use journal::UniqueKey;

use super::{Failure, Service};

impl Service {
    /// The highest number whose key is claimed, or 0: none is left out.
    ///
    /// # Errors
    /// Ours: the journal cannot be read.
    pub(crate) fn last_numbered(&self, key: impl Fn(u64) -> UniqueKey) -> Result<u64, Failure> {
        last_numbered(|number| Ok(self.journal().find(&key(number))?.is_some()))
    }
}

/// The highest number that is there, or 0: none is left out.
///
/// # Errors
/// As `there`.
pub(crate) fn last_numbered<E>(there: impl Fn(u64) -> Result<bool, E>) -> Result<u64, E> {
    let mut beyond = 1;
    while there(beyond)? {
        beyond *= 2;
    }
    let mut last = beyond / 2;
    while last + 1 < beyond {
        let middle = last + (beyond - last) / 2;
        *(if there(middle)? { &mut last } else { &mut beyond }) = middle;
    }
    Ok(last)
}
