//! What is durable, as readers see it: of the open segment and of those that are not sealed yet in memory, of the sealed ones on the disk.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use disk::{Disk, DiskFile, OpenMode};

use crate::claims::Claims;
use crate::grown::Grown;
use crate::keys::Run;
use crate::merkle::{Hash, Tree, leaf_hash};
use crate::segment::{self, GroupError, Leaf};
use crate::summary;
use crate::{Position, Stored, UniqueKey};

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
    /// Where those of them end that were written, not only promised.
    pub(crate) zeroed_end: u64,
}

/// Segments whose files are kept open for the next reader.
const FILES_OPEN_MAX: usize = 16;

/// The durable part of the journal, shared by the writer and all readers.
pub(crate) struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) origin: String,
    pub(crate) state: RwLock<State>,
    files: Mutex<VecDeque<(Position, Files)>>,
    _lock: Box<dyn Send + Sync>,
}

/// What is open of a segment.
#[derive(Clone)]
struct Files {
    segment: Arc<dyn DiskFile>,
    summary: Option<Arc<dyn DiskFile>>,
}

/// Where everything stands.
#[derive(Default)]
pub(crate) struct State {
    /// The first positions of the segments whose summaries and keys are on the disk; the runs cover these and no others, in their order.
    pub(crate) sealed: Vec<Position>,
    pub(crate) runs: Arc<[Arc<Run>]>,
    /// Closed, not sealed yet; oldest first.
    pub(crate) closed: VecDeque<Arc<Segment>>,
    pub(crate) open: Segment,
    /// Over all records.
    pub(crate) tree: Tree,
    /// The size at which the root is kept, and that root: for the comparison with what was signed.
    pub(crate) watched: Option<u64>,
    pub(crate) root_watched: Option<Hash>,
}

/// A segment in memory.
#[derive(Default)]
pub(crate) struct Segment {
    pub(crate) first: Position,
    pub(crate) places: Vec<u64>,
    pub(crate) keys: Claims,
    /// Once it is closed: its file's length, and the tree over all records up to its last one.
    pub(crate) bytes: u64,
    pub(crate) tree: Tree,
}

impl Segment {
    pub(crate) fn new(first: Position) -> Self {
        Self { first, ..Self::default() }
    }

    /// The position behind its last record.
    pub(crate) fn end(&self) -> Position {
        self.first + self.places.len() as Position
    }

    fn place(&self, position: Position) -> Option<u64> {
        self.places.get(usize::try_from(position.checked_sub(self.first)?).ok()?).copied()
    }
}

/// Who claims some keys, of the records of the segments that these runs cover.
pub(crate) struct Sealed {
    runs: Arc<[Arc<Run>]>,
    holders: Vec<Option<Position>>,
}

/// Where a record stands.
enum Place {
    /// In this segment, there.
    At(Position, u64),
    /// In this sealed segment.
    Sealed(Position),
}

impl Log {
    /// Without a record yet.
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path, origin: &str, lock: Box<dyn Send + Sync>) -> Self {
        let (dir, origin) = (dir.to_owned(), origin.to_owned());
        Self { disk, dir, origin, state: RwLock::default(), files: Mutex::default(), _lock: lock }
    }

    /// Makes the next segment, as [`Log::begin_segment`] does; the one before it, of this length, is closed.
    pub(crate) fn next_segment(&self, first: Position, bytes_before: u64) -> io::Result<Tail> {
        let tail = self.begin_segment(first)?;
        self.state.write().unwrap_or_else(PoisonError::into_inner).close(bytes_before);
        Ok(tail)
    }

    /// Makes a segment: its header and its name are durable when this returns.
    pub(crate) fn begin_segment(&self, first: Position) -> io::Result<Tail> {
        let path = segment_path(&self.dir, first);
        let mut file = self.disk.open(&path, OpenMode::Write)?;
        let header = segment::encode_header(first, &self.origin);
        file.write_at(0, &header)?;
        file.sync_data()?;
        self.disk.sync_dir(&self.dir)?;
        let offset = header.len() as u64;
        Ok(Tail { file, offset, room_end: offset, zeroed_end: offset })
    }

    /// Removes a segment that could not be begun.
    pub(crate) fn take_back_segment(&self, first: Position) -> io::Result<()> {
        self.disk.remove(&segment_path(&self.dir, first))?;
        self.disk.sync_dir(&self.dir)
    }

    /// Shows records that are durable now, written at this offset, to the readers.
    pub(crate) fn publish(
        &self,
        offset: u64,
        places: &[u64],
        grown: &Grown,
        keys: impl Iterator<Item = (UniqueKey, Position)>,
    ) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.open.places.extend(places.iter().map(|place| offset + place));
        state.open.keys.extend(keys);
        grown.subtrees().iter().for_each(|(level, subtree)| state.tree.push_subtree(*level, *subtree));
    }

    pub(crate) fn read(&self, position: Position) -> Result<Stored, ReadError> {
        let group = self.read_at(position, |file, offset| segment::read_group(file, offset, position))?;
        let leaf_hash = leaf_hash(&group.entry);
        Ok(Stored {
            position,
            record: group.body.record,
            frames: group.frames,
            entry: group.entry,
            leaf_hash,
        })
    }

    /// A record's leaf, without its erasable frames.
    pub(crate) fn leaf(&self, position: Position) -> Result<Leaf, ReadError> {
        self.read_at(position, |file, offset| segment::read_leaf(file, offset, position))
    }

    /// Reads where a record stands. Where what is derived does not lead to it, its segment is walked through: that alone decides.
    fn read_at<T>(
        &self,
        position: Position,
        read: impl Fn(&dyn DiskFile, u64) -> Result<T, GroupError>,
    ) -> Result<T, ReadError> {
        let place = self.read_state(|state| state.place(position)).ok_or(ReadError::Absent(position))?;
        let found = match place {
            Place::At(first, offset) => {
                let files = self.files(first, false).map_err(ReadError::Disk)?;
                read(files.segment.as_ref(), offset)
            }
            Place::Sealed(first) => {
                let files = self.files(first, true).map_err(ReadError::Disk)?;
                let summary = files.summary.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
                let stated = summary.and_then(|summary| summary::offset(summary.as_ref(), position - first));
                let file = files.segment.as_ref();
                stated.map_err(GroupError::Io).and_then(|offset| read(file, offset)).or_else(|_| {
                    segment::walk_to(file, first, &self.origin, position)
                        .and_then(|offset| read(file, offset))
                })
            }
        };
        found.map_err(|error| ReadError::of(position, error))
    }

    /// The files of the segment that begins with `first`.
    fn files(&self, first: Position, sealed: bool) -> io::Result<Files> {
        let mut open = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            open.iter().position(|(known, files)| *known == first && files.summary.is_some() == sealed);
        let files = match known.and_then(|at| open.remove(at)) {
            Some((_, files)) => files,
            None => {
                let segment = self.disk.open(&segment_path(&self.dir, first), OpenMode::Read)?.into();
                let summary =
                    sealed.then(|| self.disk.open(&summary::path(&self.dir, first), OpenMode::Read));
                Files { segment, summary: summary.and_then(Result::ok).map(Arc::from) }
            }
        };
        open.truncate(FILES_OPEN_MAX - 1);
        open.push_front((first, files.clone()));
        Ok(files)
    }

    /// Who claims a key.
    ///
    /// # Errors
    /// Damage of what is derived for it: it is removed, so that the next start makes it again. The disk's.
    pub(crate) fn find(&self, key: &UniqueKey) -> io::Result<Option<Position>> {
        let (known, runs) = self.read_state(|state| (state.find(key), state.runs.clone()));
        if known.is_some() { Ok(known) } else { self.find_in(&runs, key) }
    }

    /// Who claims each of these keys, of the records of sealed segments.
    ///
    /// # Errors
    /// As [`Log::find`].
    pub(crate) fn find_sealed<'k>(&self, keys: impl Iterator<Item = &'k UniqueKey>) -> io::Result<Sealed> {
        let runs = self.read_state(|state| state.runs.clone());
        let holders = keys.map(|key| self.find_in(&runs, key)).collect::<io::Result<_>>()?;
        Ok(Sealed { runs, holders })
    }

    /// Who claims each of these keys, of all records; none if other segments are sealed than when `sealed` was found for these keys.
    pub(crate) fn find_all<'k>(
        &self,
        keys: impl Iterator<Item = &'k UniqueKey>,
        sealed: &Sealed,
    ) -> Option<Vec<Option<Position>>> {
        self.read_state(|state| {
            let holders = keys.zip(&sealed.holders).map(|(key, holder)| holder.or_else(|| state.find(key)));
            Arc::ptr_eq(&state.runs, &sealed.runs).then(|| holders.collect())
        })
    }

    fn find_in(&self, runs: &[Arc<Run>], key: &UniqueKey) -> io::Result<Option<Position>> {
        for run in runs.iter().rev() {
            match run.find(&key.0) {
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let _ = self.disk.remove(&run.path);
                    return Err(error);
                }
                found => return found,
            }
        }
        Ok(None)
    }

    pub(crate) fn root(&self) -> (u64, Hash) {
        self.read_state(|state| (state.tree.size(), state.tree.root()))
    }

    pub(crate) fn size(&self) -> u64 {
        self.read_state(|state| state.tree.size())
    }

    pub(crate) fn read_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    pub(crate) fn add(&mut self, offset: u64, keys: impl Iterator<Item = UniqueKey>, leaf: Hash) {
        let position = self.tree.size();
        self.open.places.push(offset);
        self.open.keys.extend(keys.map(|key| (key, position)));
        self.tree.push(leaf);
        if self.watched == Some(self.tree.size()) {
            self.root_watched = Some(self.tree.root());
        }
    }

    /// Closes the open segment, whose file has this length; the next one begins behind it.
    pub(crate) fn close(&mut self, bytes: u64) {
        let next = Segment::new(self.tree.size());
        let closed = std::mem::replace(&mut self.open, next);
        self.closed.push_back(Arc::new(Segment { bytes, tree: self.tree.clone(), ..closed }));
    }

    pub(crate) fn segments(&self) -> usize {
        self.sealed.len() + self.closed.len() + 1
    }

    pub(crate) fn root_at(&self, size: u64) -> Option<Hash> {
        if size == 0 { Some(Tree::default().root()) } else { self.root_watched }
    }

    /// Who claims a key, of the records whose segments are in memory.
    pub(crate) fn find(&self, key: &UniqueKey) -> Option<Position> {
        let closed = self.closed.iter().map(AsRef::as_ref);
        closed.chain([&self.open]).find_map(|segment| segment.keys.get(key))
    }

    fn place(&self, position: Position) -> Option<Place> {
        let closed = self.closed.iter().map(AsRef::as_ref);
        let mut in_memory = closed.chain([&self.open]);
        if let Some((first, offset)) =
            in_memory.find_map(|segment| Some((segment.first, segment.place(position)?)))
        {
            return Some(Place::At(first, offset));
        }
        let before = self.sealed.partition_point(|first| *first <= position).checked_sub(1)?;
        (position < self.tree.size()).then_some(Place::Sealed(*self.sealed.get(before)?))
    }
}

/// Where the segment that begins with this record lies.
pub(crate) fn segment_path(dir: &Path, first: Position) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

/// The segments' paths, in the order of their positions.
pub(crate) fn segments(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = disk.list(dir)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    Ok(paths)
}
