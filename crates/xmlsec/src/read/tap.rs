//! A look at a long run of text while the scan has it near the processor.
//!
//! A large message is mostly one such run. Whoever hashes it here reads it from memory once, where hashing it after the document was
//! read takes a second pass over bytes that are far away again.

use crate::run::Run;
use crate::scan::{self, BLOCK_BYTES};

/// Sees the first long run of plain text of a document, before the document is read.
///
/// What it is told is a guess, which the bytes decide later: the document may turn out to be malformed, or the run a part of
/// something that is no text.
pub(crate) trait Tap {
    /// Such a run begins where `before` ends, in a source of so many bytes: what is to take it, if it is wanted.
    fn begin(&mut self, before: &[u8], source_bytes: usize) -> Option<&mut Run>;
}

/// As [`scan::blocks`], with the tap's look at the run.
pub(super) fn blocks(source: &[u8], tap: &mut dyn Tap) -> Vec<u8> {
    let mut flags = vec![0; source.len().div_ceil(BLOCK_BYTES)];
    let mut quiet_bytes = 0;
    let mut at = 0;
    while let Some((step, step_flags)) = step(source, &mut flags, at) {
        scan::fill(step, step_flags);
        at += step.len();
        quiet_bytes = if step_flags.iter().all(|&flags| flags == 0) { quiet_bytes + step.len() } else { 0 };
        if quiet_bytes > LONG_BYTES {
            at = at.max(taken(source, at, tap).unwrap_or(0) / BLOCK_BYTES * BLOCK_BYTES);
            break;
        }
    }
    let rest = source.get(at..).unwrap_or_default();
    scan::fill(rest, flags.get_mut(at / BLOCK_BYTES..).unwrap_or_default());
    flags
}

/// What is looked through next for the run's beginning, and the flags of its blocks.
fn step<'s, 'f>(source: &'s [u8], flags: &'f mut [u8], at: usize) -> Option<(&'s [u8], &'f mut [u8])> {
    let flags = flags.get_mut(at / BLOCK_BYTES..)?.get_mut(..STEP_BYTES / BLOCK_BYTES)?;
    Some((source.get(at..at + STEP_BYTES)?, flags))
}

/// Up to where the run that goes on at `at` was taken and is of no class, if it is wanted.
fn taken(source: &[u8], at: usize, tap: &mut dyn Tap) -> Option<usize> {
    let (passed, _) = source.split_at_checked(at)?;
    let nearby = passed.get(passed.len().saturating_sub(LONG_BYTES + 2 * STEP_BYTES)..)?;
    let first_bytes = nearby.len() - (memchr::memrchr(b'>', nearby)? + 1);
    let (before, text) = source.split_at_checked(passed.len() - first_bytes)?;
    if before.len() > BEFORE_BYTES_MAX || !text.get(..first_bytes).is_some_and(scan::is_quiet) {
        return None;
    }
    let run = tap.begin(before, source.len())?;
    Some(before.len() + run.take(text))
}

/// What is looked through at a time.
const STEP_BYTES: usize = 512;
/// From here on a run is long.
const LONG_BYTES: usize = 16 << 10;
/// What stands before the run is read once more: in a signed request these are some thousand bytes.
const BEFORE_BYTES_MAX: usize = 64 << 10;
