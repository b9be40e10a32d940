//! Work beside which the runtime's other work is to go on.

/// Runs `work`, which reads or writes about so many bytes; if these are many, what else this thread would do is done by another one
/// meanwhile. If they are few, that costs more than it gains: waking the other thread alone takes as long as a small message's parsing.
///
/// # Panics
/// As [`tokio::task::block_in_place`]: outside a runtime of many threads.
pub(crate) fn aside<T>(bytes: u64, work: impl FnOnce() -> T) -> T {
    match bytes {
        0..=BRIEF_BYTES_MAX => work(),
        _ => tokio::task::block_in_place(work),
    }
}

/// No more than a part of this size is kept in memory (`data.inline_bytes_max` as it is by default): the disk is not waited for.
const BRIEF_BYTES_MAX: u64 = 64 * 1024;
