//! What is found at start: the sealed segments by their summaries, the others by reading them.
//!
//! A summary is believed only as long as nothing speaks against it: what was signed must follow from it, and whatever else is found wrong
//! is looked at again without any of them, so that a refusal rests on the journal's own bytes.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use disk::{Disk, DiskFile, OpenMode};

use crate::checkpoint::Checkpoint;
use crate::keys::{self, Run};
use crate::log::{Log, Segment, State, Tail, segment_path, segments};
use crate::merkle::{Hash, Tree, leaf_hash};
use crate::seal;
use crate::segment::{self, Group, GroupError};
use crate::summary::Summary;
use crate::{Options, Position, UniqueKey};

/// Why a journal cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk.
    #[error("journal.disk: {path}: {cause}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process has it.
    #[error("journal.locked: {0} is in use by another process; stop that one first")]
    Locked(PathBuf),
    /// Bytes that were durable are not what they were.
    #[error(
        "journal.damaged: {path}, offset {offset}, record {position}: {what}; `epost journal repair --from BACKUP` tells what can be mended and mends it; nothing is guessed"
    )]
    Damaged {
        /// Which segment.
        path: PathBuf,
        /// Where the group begins.
        offset: u64,
        /// Which record it should be.
        position: Position,
        /// What is wrong: what was seen, what belongs there.
        what: String,
    },
    /// The journal is not the one that was signed: an older copy of it, or another.
    #[error(
        "journal.forked: the journal of {records} records does not begin with the {signed} under the newest checkpoint; `epost journal repair --from BACKUP` tells which records differ, and brings back what can be proven; nothing is guessed"
    )]
    Forked {
        /// Records found.
        records: u64,
        /// Records signed.
        signed: u64,
    },
    /// The writer's thread could not be started.
    #[error("journal.thread: {0}")]
    Thread(io::Error),
}

impl OpenError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disk { .. } => "journal.disk",
            Self::Locked(_) => "journal.locked",
            Self::Damaged { .. } => "journal.damaged",
            Self::Forked { .. } => "journal.forked",
            Self::Thread(_) => "journal.thread",
        }
    }
}

/// What opening found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenReport {
    /// Records.
    pub records: u64,
    /// Segments.
    pub segments: usize,
    /// Bytes of the last write, cut because it is not whole. A write that never ended was never answered; if the disk damaged one that
    /// had, its senders' receipts still verify, and only a comparison with an earlier root shows the loss.
    pub torn_bytes: u64,
}

impl std::fmt::Display for OpenReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} records in {} segments", self.records, self.segments)?;
        match self.torn_bytes {
            0 => Ok(()),
            torn => write!(f, "; {torn} bytes of an unfinished, never answered write cut"),
        }
    }
}

/// Opens the log in `dir`, made if absent.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: &Options,
    signed: Option<&Checkpoint>,
) -> Result<(Log, Tail, OpenReport), OpenError> {
    disk.create_dir_all(dir).map_err(on(dir))?;
    let lock = disk.lock(dir).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked(dir.to_owned()),
        _ => OpenError::Disk { path: dir.to_owned(), cause: error },
    })?;
    let paths = segments(disk.as_ref(), dir).map_err(on(dir))?;
    let log = Log::new(disk, dir, &options.origin, lock);
    let opening = Opening { log: &log, paths, signed };
    let (tail, torn_bytes) = match opening.read(opening.sealed().map_err(on(dir))?) {
        Err(_) if log.read_state(|state| !state.sealed.is_empty()) => opening.read(opening.nothing()),
        read => read,
    }?;
    let tail = match tail {
        Some(tail) => tail,
        None => log.begin_segment(0).map_err(on(dir))?,
    };
    opening.drop_runs_of_no_use().map_err(on(dir))?;
    let report = log.read_state(|state| OpenReport {
        records: state.tree.size(),
        segments: state.segments(),
        torn_bytes,
    });
    Ok((log, tail, report))
}

/// The journal as it lies there, beside whoever writes it: no lock is taken and nothing is changed. A last write that is not whole is not
/// there yet.
///
/// # Errors
/// [`OpenError`]: the disk's; damage before the last segment.
pub(crate) fn look(disk: Arc<dyn Disk>, dir: &Path, origin: &str) -> Result<Log, OpenError> {
    let paths = segments(disk.as_ref(), dir).map_err(on(dir))?;
    let log = Log::new(disk, dir, origin, Box::new(()));
    let opening = Opening { log: &log, paths, signed: None };
    let begun = opening.sealed().map_err(on(dir))?;
    let sealed = begun.sealed.len();
    opening.with_state(|state| *state = begun);
    for (number, path) in opening.paths.iter().enumerate().skip(sealed) {
        let last = number + 1 == opening.paths.len();
        let file = log.disk.open(path, OpenMode::Read).map_err(on(path))?;
        let scanned = opening.scan(file.as_ref()).map_err(on(path))?;
        let torn = last
            && !scanned.whole_but_wrong
            && (scanned.end > 0
                || segment::header_is_torn(file.as_ref(), &opening.log.origin).map_err(on(path))?);
        if let Some(what) = scanned.broken.filter(|_| !torn) {
            let (path, position) = (path.to_owned(), log.size());
            return Err(OpenError::Damaged { path, offset: scanned.end, position, what });
        }
        if !last {
            let length = file.length().map_err(on(path))?;
            opening.with_state(|state| state.close(length));
        }
    }
    drop(opening);
    Ok(log)
}

fn on(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |cause| OpenError::Disk { path, cause }
}

struct Opening<'a> {
    log: &'a Log,
    paths: Vec<PathBuf>,
    signed: Option<&'a Checkpoint>,
}

impl Opening<'_> {
    /// Before the first record.
    fn nothing(&self) -> State {
        State { watched: self.signed.map(Checkpoint::size), ..State::default() }
    }

    /// After the sealed segments that can be believed, the longest row of them from the first on.
    fn sealed(&self) -> io::Result<State> {
        let mut summaries = self.summaries()?;
        let runs = self.runs(&summaries)?;
        let end = runs.last().map_or(0, |run| run.span.end);
        summaries.retain(|summary| summary.end <= end);
        let Some(tree) = summaries.last().map(|newest| newest.tree.clone()) else {
            return Ok(self.nothing());
        };
        let Ok(root_watched) = self.root_signed(&summaries, &tree) else { return Ok(self.nothing()) };
        let sealed = summaries.iter().map(|summary| summary.first).collect();
        Ok(State { sealed, runs: runs.into(), open: Segment::new(end), tree, root_watched, ..self.nothing() })
    }

    /// The summaries of segments that are there, are as long as they were, and follow one another. The last segment has none.
    fn summaries(&self) -> io::Result<Vec<Summary>> {
        let (disk, dir) = (self.log.disk.as_ref(), &self.log.dir);
        let mut summaries: Vec<Summary> = Vec::new();
        for pair in self.paths.windows(2) {
            let [path, next] = pair else { break };
            let first = summaries.last().map_or(0, |summary| summary.end);
            let Some(summary) = Summary::read(disk, dir, first)? else { break };
            if *path != segment_path(dir, first) || *next != segment_path(dir, summary.end) {
                break;
            }
            let file = disk.open(path, OpenMode::Read)?;
            let begins = segment::check_header(file.as_ref(), first, &self.log.origin).is_ok();
            if !begins || file.length()? != summary.segment_bytes {
                break;
            }
            summaries.push(summary);
        }
        Ok(summaries)
    }

    /// The runs that cover these segments, or as many of them as are covered; the largest first, where two cover the same.
    fn runs(&self, summaries: &[Summary]) -> io::Result<Vec<Arc<Run>>> {
        let disk = self.log.disk.as_ref();
        let roots: HashMap<Position, Hash> =
            summaries.iter().map(|summary| (summary.end, summary.tree.root())).collect();
        let mut named = keys::paths(disk, &self.log.dir)?;
        named.sort_unstable_by_key(|(_, end, _)| std::cmp::Reverse(*end));
        let mut runs: Vec<Arc<Run>> = Vec::new();
        loop {
            let first = runs.last().map_or(0, |run| run.span.end);
            let mut found = None;
            for (_, end, path) in named.iter().filter(|(begins, end, _)| *begins == first && *end > first) {
                let Some(root) = roots.get(end) else { continue };
                let run = Run::open(disk, path)?;
                found =
                    run.filter(|run| (run.span.first, run.span.end, &run.span.mark) == (first, *end, root));
                if found.is_some() {
                    break;
                }
            }
            let Some(run) = found else { return Ok(runs) };
            runs.push(Arc::new(run));
        }
    }

    /// The root at the size that was signed, if it lies in these segments: the records from there on must lead to their tree.
    fn root_signed(&self, summaries: &[Summary], tree: &Tree) -> Result<Option<Hash>, GroupError> {
        let Some(size) = self.signed.map(Checkpoint::size).filter(|size| *size <= tree.size()) else {
            return Ok(None);
        };
        let before = summaries.partition_point(|summary| summary.end <= size);
        let mut grown =
            before.checked_sub(1).and_then(|at| summaries.get(at)).map(|summary| summary.tree.clone());
        let grown = grown.get_or_insert_default();
        let mut root = (grown.size() == size).then(|| grown.root());
        for summary in summaries.get(before..).unwrap_or_default() {
            let file = self.log.disk.open(&segment_path(&self.log.dir, summary.first), OpenMode::Read)?;
            let mut offset = segment::check_header(file.as_ref(), summary.first, &self.log.origin)?;
            while grown.size() < summary.end {
                let group = segment::read_group(file.as_ref(), offset, grown.size())?;
                grown.push(leaf_hash(&group.entry));
                offset = group.end;
                root = root.or_else(|| (grown.size() == size).then(|| grown.root()));
            }
        }
        match grown.root() == tree.root() {
            true => Ok(root),
            false => Err(GroupError::Wrong("a summary with another tree than its segment's".into())),
        }
    }

    /// Reads the segments that are not sealed, and seals all but the last. Where the writer goes on, if there is any; and how many bytes were torn.
    fn read(&self, begun: State) -> Result<(Option<Tail>, u64), OpenError> {
        let sealed = begun.sealed.len();
        self.with_state(|state| *state = begun);
        let (mut torn_bytes, mut tail) = (0, None);
        for (number, path) in self.paths.iter().enumerate().skip(sealed) {
            let last = number + 1 == self.paths.len();
            let mode = if last { OpenMode::Write } else { OpenMode::Read };
            let mut file = self.log.disk.open(path, mode).map_err(on(path))?;
            let scanned = self.scan(file.as_ref()).map_err(on(path))?;
            let mut end = scanned.end;
            if let Some(what) = scanned.broken.clone() {
                self.check_torn(path, file.as_ref(), last, &scanned, what)?;
                (torn_bytes, end) = self.cut(file.as_mut(), end).map_err(on(path))?;
            }
            let length = file.length().map_err(on(path))?;
            if last {
                // Whatever the crash left unsynced but readable is made durable before anybody is told of it.
                file.sync_data().map_err(on(path))?;
                self.log.disk.sync_dir(&self.log.dir).map_err(on(&self.log.dir))?;
                tail = Some(Tail { file, offset: end, room_end: length, zeroed_end: end });
            } else {
                self.with_state(|state| state.close(length));
                // Kept in memory, it is sealed with the next one.
                if let Err(error) =
                    seal::seal_all(self.log).and_then(|()| seal::merge_all(self.log, &mut || Ok(())))
                {
                    tracing::error!(event = "alarm.journal-unsealed", %error);
                }
            }
        }
        self.forked().map_or(Ok((tail, torn_bytes)), Err)
    }

    /// What is broken is the end of a write that never ended, or damage.
    fn check_torn(
        &self,
        path: &Path,
        file: &dyn DiskFile,
        last: bool,
        scanned: &Scanned,
        what: String,
    ) -> Result<(), OpenError> {
        let position = self.log.size();
        let torn = last
            && !scanned.whole_but_wrong
            && match scanned.end {
                0 => segment::header_is_torn(file, &self.log.origin).map_err(on(path))?,
                end => !segment::later_batch_follows(file, end, position).map_err(on(path))?,
            };
        if !torn {
            return Err(OpenError::Damaged { path: path.to_owned(), offset: scanned.end, position, what });
        }
        // What was signed was durable: then it is no torn tail.
        self.forked().map_or(Ok(()), Err)
    }

    /// Cuts what is torn; how many bytes that were, and where the file's records end now.
    fn cut(&self, file: &mut dyn DiskFile, end: u64) -> io::Result<(u64, u64)> {
        if end > 0 {
            let torn_bytes = segment::written_end(file, end)? - end;
            file.truncate(end)?;
            return Ok((torn_bytes, end));
        }
        let torn_bytes = file.length()?;
        let header = segment::encode_header(self.log.size(), &self.log.origin);
        file.truncate(0)?;
        file.write_at(0, &header)?;
        Ok((torn_bytes, header.len() as u64))
    }

    fn forked(&self) -> Option<OpenError> {
        let signed = self.signed?;
        self.log.read_state(|state| {
            let agrees = state.root_at(signed.size) == Some(signed.root);
            (!agrees).then(|| OpenError::Forked { records: state.tree.size(), signed: signed.size })
        })
    }

    fn scan(&self, file: &dyn DiskFile) -> io::Result<Scanned> {
        let mut offset = match segment::check_header(file, self.log.size(), &self.log.origin) {
            Ok(offset) => offset,
            Err(GroupError::Io(error)) => return Err(error),
            Err(GroupError::Broken(what) | GroupError::Wrong(what)) => {
                return Ok(Scanned::up_to(0, Some(what)));
            }
            Err(GroupError::End) => return Ok(Scanned::up_to(0, Some("an empty segment".into()))),
        };
        let mut current_batch = None;
        loop {
            let position = self.log.size();
            match segment::read_group(file, offset, position) {
                Ok(Group { body, entry, end, batch, .. }) => {
                    if let Err(what) = segment::batch_fits(batch, position, &mut current_batch) {
                        return Ok(Scanned::wrong(offset, what));
                    }
                    for key in &body.keys {
                        if let Some(holder) = self.log.find(&UniqueKey(key.0))? {
                            return Ok(Scanned::wrong(offset, segment::key_is_held(position, holder)));
                        }
                    }
                    let keys = body.keys.iter().map(|key| UniqueKey(key.0));
                    self.with_state(|state| state.add(offset, keys, leaf_hash(&entry)));
                    offset = end;
                }
                Err(GroupError::End) => return Ok(Scanned::up_to(offset, None)),
                Err(GroupError::Broken(what)) => return Ok(Scanned::up_to(offset, Some(what))),
                Err(GroupError::Wrong(what)) => return Ok(Scanned::wrong(offset, what)),
                Err(GroupError::Io(error)) => return Err(error),
            }
        }
    }

    /// Runs that another one holds, or that cover what had to be read again.
    fn drop_runs_of_no_use(&self) -> io::Result<()> {
        let used = self.log.read_state(|state| state.runs.clone());
        let named = keys::paths(self.log.disk.as_ref(), &self.log.dir)?.into_iter().map(|(_, _, path)| path);
        let mut unused = named.filter(|path| used.iter().all(|run| run.path != *path));
        unused.try_for_each(|path| self.log.disk.remove(&path))
    }

    fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.log.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Scanned {
    end: u64,
    broken: Option<String>,
    /// What is broken is whole by its checksums, and wrong all the same: no torn write leaves that.
    whole_but_wrong: bool,
}

impl Scanned {
    fn up_to(end: u64, broken: Option<String>) -> Self {
        Self { end, broken, whole_but_wrong: false }
    }

    fn wrong(end: u64, what: String) -> Self {
        Self { end, broken: Some(what), whole_but_wrong: true }
    }
}

#[cfg(test)]
mod tests;
