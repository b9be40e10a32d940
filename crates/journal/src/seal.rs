//! What becomes of a closed segment: its summary and its keys go to the disk, so that memory holds the open one's alone.
//!
//! All of it is derived. A crash anywhere leaves files that are not named yet, or that hold what another one holds too; the next start
//! takes what is whole and makes the rest again. A failure leaves the segment in memory: nothing is lost but room.

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, PoisonError};

use crate::keys::{self, Run, Span};
use crate::log::{Log, Segment};
use crate::summary::Summary;

/// So many runs of about one size become one: then a look-up asks few, and each key is written a few times over the years.
const RUNS_MERGED: usize = 4;

/// Seals what is closed until the writer has ended.
pub(crate) fn run(log: &Log, closed: &Receiver<()>) {
    while closed.recv().is_ok() {
        let pause = &mut || match closed.try_recv() {
            Ok(()) => seal_all(log),
            Err(TryRecvError::Empty) => Ok(()),
            // Who ends does not wait for a merge; the next start goes on with the runs as they are.
            Err(TryRecvError::Disconnected) => Err(io::ErrorKind::Interrupted.into()),
        };
        let sealed = seal_all(log).and_then(|()| merge_all(log, pause));
        if let Err(error) = sealed.or_else(|error| match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            _ => Err(error),
        }) {
            tracing::error!(event = "alarm.journal-unsealed", %error);
        }
    }
}

/// Seals every segment that is closed and still in memory, oldest first.
pub(crate) fn seal_all(log: &Log) -> io::Result<()> {
    while let Some(segment) = log.read_state(|state| state.closed.front().cloned()) {
        let run = seal(log, &segment)?;
        let mut state = log.state.write().unwrap_or_else(PoisonError::into_inner);
        state.sealed.push(segment.first);
        state.runs = state.runs.iter().cloned().chain([Arc::new(run)]).collect();
        state.closed.pop_front();
    }
    Ok(())
}

fn seal(log: &Log, segment: &Segment) -> io::Result<Run> {
    let (disk, dir) = (log.disk.as_ref(), log.dir.as_path());
    let (first, end) = (segment.first, segment.end());
    let tree = segment.tree.clone();
    let root = tree.root();
    Summary { first, end, segment_bytes: segment.bytes, tree }.write(disk, dir, &segment.places)?;
    keys::write(disk, dir, Span { first, end, mark: root }, segment.keys.len(), segment.keys.in_order())
}

/// Merges runs until few are left of each size.
pub(crate) fn merge_all(log: &Log, pause: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        let runs = log.read_state(|state| state.runs.clone());
        let alike = alike(&runs.iter().map(|run| run.keys()).collect::<Vec<_>>());
        let Some(old) = runs.get(alike).filter(|runs| runs.len() >= RUNS_MERGED) else { return Ok(()) };
        let merged = Arc::new(keys::merge(log.disk.as_ref(), &log.dir, old, pause)?);
        let mut state = log.state.write().unwrap_or_else(PoisonError::into_inner);
        // Newer ones may have come meanwhile; these stay side by side where they were.
        let is_old = |run: &Arc<Run>| old.iter().any(|old| Arc::ptr_eq(old, run));
        let before = state.runs.iter().take_while(|run| !is_old(run)).cloned();
        let after = state.runs.iter().skip_while(|run| !is_old(run)).filter(|run| !is_old(run)).cloned();
        state.runs = before.chain([merged]).chain(after).collect();
        drop(state);
        // Who still reads them has them open. One that stays is dropped at the next start.
        old.iter().try_for_each(|run| log.disk.remove(&run.path))?;
    }
}

/// The newest runs that are no larger, by powers of four, than the newest one.
fn alike(keys: &[u64]) -> std::ops::Range<usize> {
    let size = |keys: u64| keys.max(1).ilog2() / 2;
    let newest = keys.last().map_or(0, |keys| size(*keys));
    let count = keys.iter().rev().take_while(|keys| size(**keys) <= newest).count();
    keys.len() - count..keys.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_runs_are_left_of_many_segments_and_a_key_is_written_few_times() {
        let (mut runs, mut written) = (Vec::new(), 0);
        let segments = 4096;
        for _ in 0..segments {
            runs.push(1000);
            written += 1000;
            while let old = alike(&runs)
                && old.len() >= RUNS_MERGED
            {
                let merged = runs.drain(old).sum::<u64>();
                written += merged;
                runs.push(merged);
            }
            assert!(runs.len() <= 3 * 7, "{runs:?}");
        }
        assert_eq!(runs.iter().sum::<u64>(), segments * 1000);
        assert!(written <= segments * 1000 * 7, "{written}");
    }
}
