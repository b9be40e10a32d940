//! A look at a long run of text while the scan has it near the processor.
//!
//! A large message is mostly one such run. Whoever hashes it here reads it from memory once, where hashing it after the document was
//! read takes a second pass over bytes that are far away again.

use crate::scan::{self, BLOCK_BYTES};

/// Sees the first long run of plain text of a document, before the document is read.
///
/// What it is told is a guess, which the bytes decide later: the document may turn out to be malformed, or the run a part of
/// something that is no text.
pub(crate) trait Tap {
    /// Such a run begins where `before` ends, in a source of so many bytes: how it is wanted, if it is.
    fn begin(&mut self, before: &[u8], source_bytes: usize) -> Option<Wanted>;
    /// The run up to here, longer each time: ASCII, no control but TAB and LF, none of `<`, `>`, `&`.
    fn take(&mut self, run: &[u8]);
}

/// How a tap wants its run.
pub(crate) struct Wanted {
    /// After so many bytes of it a block of a hash begins.
    pub(crate) until_hash_block: usize,
    /// So much at once, and more.
    pub(crate) at_once_bytes: usize,
}

/// As [`scan::blocks`], with the tap's look at the run.
pub(super) fn blocks(source: &[u8], tap: &mut dyn Tap) -> Vec<u8> {
    let mut flags = vec![0; source.len().div_ceil(BLOCK_BYTES)];
    let mut run = Run::Awaited { quiet_bytes: 0 };
    let steps = source.chunks(STEP_BYTES).zip(flags.chunks_mut(STEP_BYTES / BLOCK_BYTES));
    for (index, (step, flags)) in steps.enumerate() {
        let at = index * STEP_BYTES;
        let quiet = quiet_bytes(step, flags, matches!(run, Run::Taken { .. }));
        match &mut run {
            Run::Awaited { quiet_bytes } if quiet < STEP_BYTES => *quiet_bytes = 0,
            Run::Awaited { quiet_bytes } if *quiet_bytes < LONG_BYTES => *quiet_bytes += STEP_BYTES,
            Run::Awaited { .. } => run = begun(source, at, tap).unwrap_or(Run::Over),
            Run::Taken { .. } | Run::Over => {}
        }
        if let Run::Taken { start, passed, wanted } = &mut run {
            let is_over = quiet < step.len();
            let end = at + quiet;
            // A hash is quickest with whole blocks.
            let hash_block = *start + wanted.until_hash_block;
            let end = if is_over { end } else { end - (end - hash_block) % HASH_BLOCK_BYTES };
            if is_over || end - *passed >= wanted.at_once_bytes {
                tap.take(source.get(*start..end).unwrap_or_default());
                *passed = end;
            }
            if is_over {
                run = Run::Over;
            }
        }
    }
    flags
}

/// Notes what each block of the step holds, and tells how much of it is of no class.
fn quiet_bytes(step: &[u8], flags: &mut [u8], is_expected: bool) -> usize {
    if is_expected && scan::is_surely_quiet(step) {
        return step.len();
    }
    scan::fill(step, flags);
    let blocks = flags.iter().position(|&flags| flags != 0).unwrap_or(flags.len());
    step.len().min(blocks * BLOCK_BYTES)
}

/// The run of text that goes on at `at`, if the tap wants it.
fn begun(source: &[u8], at: usize, tap: &mut dyn Tap) -> Option<Run> {
    let (passed, _) = source.split_at_checked(at)?;
    let nearby = passed.get(passed.len().saturating_sub(LONG_BYTES + 2 * STEP_BYTES)..)?;
    let first_bytes = nearby.len() - (memchr::memrchr(b'>', nearby)? + 1);
    let (before, first) = passed.split_at_checked(passed.len() - first_bytes)?;
    if before.len() > BEFORE_BYTES_MAX || !scan::is_quiet(first) {
        return None;
    }
    let wanted = tap.begin(before, source.len())?;
    Some(Run::Taken { start: before.len(), passed: before.len(), wanted })
}

enum Run {
    /// So much of one may have been seen.
    Awaited {
        quiet_bytes: usize,
    },
    /// The tap has it, from `start` on, up to `passed`.
    Taken {
        start: usize,
        passed: usize,
        wanted: Wanted,
    },
    Over,
}

/// What is scanned at a time, then taken: so little that the processor fetches and scans the next step while it still hashes this one.
pub(crate) const STEP_BYTES: usize = 512;
const HASH_BLOCK_BYTES: usize = 64;
/// From here on a run is long.
const LONG_BYTES: usize = 16 << 10;
/// What stands before the run is read once more: in a signed request these are some thousand bytes.
const BEFORE_BYTES_MAX: usize = 64 << 10;
