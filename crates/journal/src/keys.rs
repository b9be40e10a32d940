//! Who claims which unique key, on the disk: sorted runs, each over the records of closed segments that follow one another. A run's mark is
//! the root of the tree over all records before its end.

pub(crate) use runs::{Span, merge, paths, write};

use crate::UniqueKey;

/// A run of keys, each with the position of the record that claims it.
pub(crate) type Run = runs::Run<32>;
/// A key, and who claims it.
pub(crate) type Claim = runs::Entry<32>;

/// Claims are in the order of this.
pub(crate) fn order(key: &UniqueKey) -> u64 {
    runs::order(&key.0)
}
