//! What is durable, as it is found at start and as readers see it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use disk::{Disk, DiskFile, OpenMode};

use crate::checkpoint::Checkpoint;
use crate::merkle::{Hash, Tree, leaf_hash};
use crate::segment::{self, Group, GroupError};
use crate::{Options, Position, Stored, UniqueKey};

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
        "journal.damaged: {path}, offset {offset}, record {position}: {what}; restore this file from the backup: nothing is guessed"
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
        "journal.forked: the journal of {records} records does not begin with the {signed} under the newest checkpoint; restore the journal that was signed, with all its segments: nothing is guessed"
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

/// A record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such record.
    #[error("journal.absent: record {0}")]
    Absent(Position),
    /// It is damaged.
    #[error("journal.damaged: record {0}: {1}")]
    Damaged(Position, String),
    /// The disk.
    #[error("journal.disk: {0}")]
    Disk(io::Error),
}

impl ReadError {
    pub(crate) fn of(position: Position, error: GroupError) -> Self {
        match error {
            GroupError::End => Self::Damaged(position, "the file ends here".into()),
            GroupError::Broken(what) | GroupError::Wrong(what) => Self::Damaged(position, what),
            GroupError::Io(error) => Self::Disk(error),
        }
    }

    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent(_) => "journal.absent",
            Self::Damaged(..) => "journal.damaged",
            Self::Disk(_) => "journal.disk",
        }
    }
}

/// Where the writer goes on.
pub(crate) struct Tail {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) offset: u64,
    /// Where the zeros after it end, which have their place on the disk.
    pub(crate) room_end: u64,
}

/// The durable part of the journal, shared by the writer and all readers.
pub(crate) struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    state: RwLock<State>,
    _lock: Box<dyn Send + Sync>,
}

#[derive(Default)]
struct State {
    segments: Vec<Arc<dyn DiskFile>>,
    places: Vec<(u32, u64)>,
    keys: HashMap<UniqueKey, Position>,
    tree: Tree,
    /// The size at which the root is kept, and that root: for the comparison with what was signed.
    watched: Option<u64>,
    root_watched: Option<Hash>,
}

/// One record that has become durable.
pub(crate) struct Durable {
    pub(crate) offset: u64,
    pub(crate) entry: Hash,
    pub(crate) keys: Vec<UniqueKey>,
}

impl Log {
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: &Options,
        signed: Option<&Checkpoint>,
    ) -> Result<(Self, Tail, OpenReport), OpenError> {
        let on = |path: &Path| {
            let path = path.to_owned();
            move |cause| OpenError::Disk { path, cause }
        };
        disk.create_dir_all(dir).map_err(on(dir))?;
        let lock = disk.lock(dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked(dir.to_owned()),
            _ => OpenError::Disk { path: dir.to_owned(), cause: error },
        })?;
        let mut state = State { watched: signed.map(|signed| signed.size), ..State::default() };
        let forked = |state: &State| {
            signed
                .filter(|signed| state.root_at(signed.size) != Some(signed.root))
                .map(|signed| OpenError::Forked { records: state.tree.size(), signed: signed.size })
        };
        let mut torn_bytes = 0;
        let mut tail = None;
        let paths = segments(disk.as_ref(), dir).map_err(on(dir))?;
        for (number, path) in paths.iter().enumerate() {
            let last = number + 1 == paths.len();
            let mode = if last { OpenMode::Write } else { OpenMode::Read };
            let mut file = disk.open(path, mode).map_err(on(path))?;
            let scanned = scan(file.as_ref(), &options.origin, number, &mut state).map_err(on(path))?;
            let mut end = scanned.end;
            if let Some(what) = scanned.broken {
                let position = state.places.len() as Position;
                let torn = last
                    && !scanned.whole_but_wrong
                    && match end {
                        0 => segment::header_is_torn(file.as_ref(), &options.origin).map_err(on(path))?,
                        _ => !segment::later_batch_follows(file.as_ref(), end, position).map_err(on(path))?,
                    };
                if !torn {
                    return Err(OpenError::Damaged { path: path.clone(), offset: end, position, what });
                }
                // What was signed was durable: then it is no torn tail.
                if let Some(forked) = forked(&state) {
                    return Err(forked);
                }
                let torn_end =
                    if end == 0 { file.length() } else { segment::written_end(file.as_ref(), end) };
                torn_bytes = torn_end.map_err(on(path))? - end;
                if end == 0 {
                    let header = segment::encode_header(position, &options.origin);
                    file.truncate(0).map_err(on(path))?;
                    file.write_at(0, &header).map_err(on(path))?;
                    end = header.len() as u64;
                } else {
                    file.truncate(end).map_err(on(path))?;
                }
            }
            if last {
                // Whatever the crash left unsynced but readable is made durable before anybody is told of it.
                file.sync_data().map_err(on(path))?;
                disk.sync_dir(dir).map_err(on(dir))?;
                let room_end = file.length().map_err(on(path))?;
                tail = Some(Tail { file, offset: end, room_end });
            }
            state.segments.push(Arc::from(disk.open(path, OpenMode::Read).map_err(on(path))?));
        }
        if let Some(forked) = forked(&state) {
            return Err(forked);
        }
        let log = Self { disk, dir: dir.to_owned(), state: RwLock::new(state), _lock: lock };
        let tail = match tail {
            Some(tail) => tail,
            None => log.new_segment(0, &options.origin).map_err(on(dir))?,
        };
        let report = OpenReport {
            records: log.root().0,
            segments: log.read_state(|state| state.segments.len()),
            torn_bytes,
        };
        Ok((log, tail, report))
    }

    /// Makes the next segment: its header and its name are durable when this returns.
    pub(crate) fn new_segment(&self, first: Position, origin: &str) -> io::Result<Tail> {
        let path = self.dir.join(format!("{first:020}.seg"));
        let mut file = self.disk.open(&path, OpenMode::Write)?;
        let header = segment::encode_header(first, origin);
        file.write_at(0, &header)?;
        file.sync_data()?;
        self.disk.sync_dir(&self.dir)?;
        let reader = Arc::from(self.disk.open(&path, OpenMode::Read)?);
        self.state.write().unwrap_or_else(PoisonError::into_inner).segments.push(reader);
        let offset = header.len() as u64;
        Ok(Tail { file, offset, room_end: offset })
    }

    /// Removes a segment that could not be begun.
    pub(crate) fn take_back_segment(&self, first: Position) -> io::Result<()> {
        self.disk.remove(&self.dir.join(format!("{first:020}.seg")))?;
        self.disk.sync_dir(&self.dir)
    }

    /// Shows records that are durable now to the readers; gives each one's leaf hash.
    pub(crate) fn publish(&self, records: Vec<Durable>) -> Vec<Hash> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        records.into_iter().map(|record| state.add(record)).collect()
    }

    pub(crate) fn read(&self, position: Position) -> Result<Stored, ReadError> {
        let (file, offset) = self.place(position).ok_or(ReadError::Absent(position))?;
        let group = segment::read_group(file.as_ref(), offset, position)
            .map_err(|error| ReadError::of(position, error))?;
        let leaf_hash = leaf_hash(&group.entry);
        Ok(Stored {
            position,
            record: group.body.record,
            frames: group.frames,
            entry: group.entry,
            leaf_hash,
        })
    }

    /// A record's entry, without reading its erasable frames.
    pub(crate) fn entry(&self, position: Position) -> Result<Hash, ReadError> {
        let (file, offset) = self.place(position).ok_or(ReadError::Absent(position))?;
        segment::read_leaf(file.as_ref(), offset, position)
            .map(|leaf| leaf.entry())
            .map_err(|error| ReadError::of(position, error))
    }

    /// In which segment a record stands, and where.
    pub(crate) fn place(&self, position: Position) -> Option<(Arc<dyn DiskFile>, u64)> {
        self.read_state(|state| {
            let (segment, offset) = *state.places.get(usize::try_from(position).ok()?)?;
            Some((state.segments.get(segment as usize)?.clone(), offset))
        })
    }

    pub(crate) fn find(&self, key: &UniqueKey) -> Option<Position> {
        self.read_state(|state| state.keys.get(key).copied())
    }

    pub(crate) fn root(&self) -> (u64, Hash) {
        self.read_state(|state| (state.tree.size(), state.tree.root()))
    }

    fn read_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn add(&mut self, record: Durable) -> Hash {
        let position = self.places.len() as Position;
        let hash = leaf_hash(&record.entry);
        self.places.push((self.segments.len().saturating_sub(1) as u32, record.offset));
        self.keys.extend(record.keys.into_iter().map(|key| (key, position)));
        self.grow(hash);
        hash
    }

    fn grow(&mut self, leaf: Hash) {
        self.tree.push(leaf);
        if self.watched == Some(self.tree.size()) {
            self.root_watched = Some(self.tree.root());
        }
    }

    fn root_at(&self, size: u64) -> Option<Hash> {
        if size == 0 { Some(Tree::default().root()) } else { self.root_watched }
    }
}

/// The segments' paths, in the order of their positions.
pub(crate) fn segments(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = disk.list(dir)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    Ok(paths)
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

fn scan(file: &dyn DiskFile, origin: &str, number: usize, state: &mut State) -> io::Result<Scanned> {
    let first = state.places.len() as Position;
    let mut offset = match segment::check_header(file, first, origin) {
        Ok(offset) => offset,
        Err(GroupError::Io(error)) => return Err(error),
        Err(GroupError::Broken(what) | GroupError::Wrong(what)) => return Ok(Scanned::up_to(0, Some(what))),
        Err(GroupError::End) => return Ok(Scanned::up_to(0, Some("an empty segment".into()))),
    };
    let mut current_batch = None;
    loop {
        let position = state.places.len() as Position;
        match segment::read_group(file, offset, position) {
            Ok(Group { body, entry, end, batch, .. }) => {
                if let Err(what) = segment::batch_fits(batch, position, &mut current_batch) {
                    return Ok(Scanned::wrong(offset, what));
                }
                let holder = body.keys.iter().find_map(|key| state.keys.get(&UniqueKey(key.0)));
                if let Some(holder) = holder {
                    return Ok(Scanned::wrong(offset, segment::key_is_held(position, *holder)));
                }
                let hash = leaf_hash(&entry);
                state.places.push((number as u32, offset));
                state.keys.extend(body.keys.iter().map(|key| (UniqueKey(key.0), position)));
                state.grow(hash);
                offset = end;
            }
            Err(GroupError::End) => return Ok(Scanned::up_to(offset, None)),
            Err(GroupError::Broken(what)) => return Ok(Scanned::up_to(offset, Some(what))),
            Err(GroupError::Wrong(what)) => return Ok(Scanned::wrong(offset, what)),
            Err(GroupError::Io(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use disk::ForgetfulDisk;

    use super::*;

    fn options(origin: &str) -> Options {
        Options { origin: origin.into(), segment_bytes_max: 1 << 20, on_fatal: Arc::new(|_| ()) }
    }

    #[test]
    fn another_logs_segment_is_refused_and_left_alone() {
        let disk = ForgetfulDisk::new();
        let dir = Path::new("j");
        drop(Log::open(Arc::new(disk.clone()), dir, &options("one"), None).unwrap());
        let path = dir.join(format!("{:020}.seg", 0));
        let before = disk.open(&path, OpenMode::Read).unwrap().length().unwrap();
        for origin in ["two", "a longer name", "x"] {
            let error = Log::open(Arc::new(disk.clone()), dir, &options(origin), None).err().unwrap();
            assert_eq!(error.code(), "journal.damaged", "{origin}");
        }
        assert_eq!(disk.open(&path, OpenMode::Read).unwrap().length().unwrap(), before);
        assert_eq!(Log::open(Arc::new(disk), dir, &options("one"), None).unwrap().2.torn_bytes, 0);
    }

    #[test]
    fn a_half_header_is_torn_but_not_where_bytes_follow_it() {
        for length in 0..29 {
            let disk = ForgetfulDisk::new();
            let dir = Path::new("j");
            drop(Log::open(Arc::new(disk.clone()), dir, &options("one"), None).unwrap());
            let mut file = disk.open(&dir.join(format!("{:020}.seg", 0)), OpenMode::Write).unwrap();
            let whole = file.length().unwrap();
            assert_eq!(whole, 29);
            file.truncate(length).unwrap();
            assert_eq!(
                Log::open(Arc::new(disk.clone()), dir, &options("one"), None).unwrap().2.torn_bytes,
                length
            );
            let mut byte = disk::read_exactly(file.as_ref(), length, 1).unwrap();
            byte[0] ^= 1;
            file.write_at(length, &byte).unwrap();
            file.write_at(whole, b"L").unwrap();
            assert!(Log::open(Arc::new(disk), dir, &options("one"), None).is_err(), "{length}");
        }
    }
}
