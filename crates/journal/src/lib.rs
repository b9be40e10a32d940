//! Append-only, fsynced, Merkle-hashed records, and the erasable frames that belong to them.
//!
//! One writer decides about duplicates and groups commits: one `fdatasync` serves every record that waits. What [`Journal::append`]
//! has answered survives any crash; after a sync error nothing is answered any more, because nothing can be known.
//!
//! Memory holds what is needed of the open segment; of a closed one the rest lies beside it, derived (`summary`, `keys`), so that neither
//! memory nor the time to open grows with the history.

pub mod audit;
mod batch;
pub mod checkpoint;
mod claims;
mod encoded;
mod grown;
mod keys;
mod log;
pub mod merkle;
mod open;
pub mod proof;
pub mod repair;
mod seal;
mod segment;
mod snapshot;
mod summary;
mod tile_cache;
pub mod tiles;
mod verify;
pub mod witness;
mod writer;

use std::path::Path;
use std::sync::Arc;

use disk::Disk;
use erds::Record;

use batch::Outcome;
use checkpoint::Checkpoint;
use encoded::Encoded;
use log::Log;
pub use log::ReadError;
pub use open::{OpenError, OpenReport};
pub use snapshot::{Span, snapshot};
pub use verify::{VerifyError, VerifyReport, verify};
use writer::Writing;

/// Records of one [`Journal::append_all`].
pub const GROUP_RECORDS_MAX: usize = encoded::GROUP_RECORDS_MAX;

/// A record's place: 0 for the first.
pub type Position = u64;

/// 32 bytes that at most one record may claim.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UniqueKey(pub [u8; 32]);

/// Bytes that belong to a record but lie outside its leaf: erasable without touching the chain. Encrypted by who appends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Its name within the record.
    pub name: String,
    /// Its bytes; the leaf covers their digest.
    pub ciphertext: Vec<u8>,
}

/// What is to be appended.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The facts.
    pub record: Record,
    /// What belongs to them.
    pub frames: Vec<Frame>,
    /// The keys it claims: all, or it is not recorded.
    pub unique_keys: Vec<UniqueKey>,
}

/// A durable record: the fsync that covers it has returned. Only this crate makes one.
///
/// Nobody else puts one together (`security.md` rule 8):
/// ```
/// use journal::Recorded;
/// fn made(of: Recorded) -> Recorded {
///     of
/// }
/// ```
/// ```compile_fail,E0451
/// use journal::Recorded;
/// fn made(of: Recorded) -> Recorded {
///     Recorded { ..of }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Recorded {
    position: Position,
    leaf_hash: merkle::Hash,
    record: Record,
}

impl Recorded {
    /// Its place.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Its hash in the tree (RFC 6962).
    pub fn leaf_hash(&self) -> merkle::Hash {
        self.leaf_hash
    }

    /// The facts.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

/// What became of an append.
#[derive(Clone, Debug)]
pub enum Appended {
    /// It is durable.
    Recorded(Recorded),
    /// A record that claims one of the keys is durable, at this place; nothing was written.
    Existing(Position),
}

/// A record as it is read back.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its place.
    pub position: Position,
    /// The facts.
    pub record: Record,
    /// What belongs to them.
    pub frames: Vec<Frame>,
    /// SHA-256(salt ‖ record): what the log holds of it for everybody.
    pub entry: merkle::Hash,
    /// Its hash in the tree.
    pub leaf_hash: merkle::Hash,
}

/// Nothing was appended, or whether it was is unknown: ours.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AppendError {
    /// The record is larger than any may be; nothing was written.
    #[error("journal.record-too-large: {0}")]
    TooLarge(String),
    /// The disk is full: nothing was written, reads go on, and so do appends once there is room.
    #[error("journal.full: no room on the disk")]
    Full,
    /// The journal has stopped after an error of the disk.
    #[error("journal.stopped: {0}")]
    Stopped(String),
}

impl AppendError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "journal.record-too-large",
            Self::Full => "journal.full",
            Self::Stopped(_) => "journal.stopped",
        }
    }
}

/// How a journal is kept.
#[derive(Clone)]
pub struct Options {
    /// The log's name, in every segment.
    pub origin: String,
    /// Size at which a segment is closed.
    pub segment_bytes_max: u64,
    /// Called once, when the disk failed: the process is to end.
    pub on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
}

/// The journal, open. Clones share it; when the last one is dropped the writer has ended and the folder is free again.
#[derive(Clone)]
pub struct Journal {
    log: Arc<Log>,
    writing: Arc<Writing>,
    _threads: Arc<Threads>,
}

/// Ends the writer and joins it, with the last [`Journal`].
struct Threads {
    writing: Arc<Writing>,
    writer: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.writing.close();
        if let Some(writer) =
            self.writer.take().filter(|writer| writer.thread().id() != std::thread::current().id())
        {
            let _ = writer.join();
        }
    }
}

impl Journal {
    /// Opens the journal in `dir`, made if absent; a torn tail, which was never answered, is cut and reported.
    ///
    /// # Errors
    /// Damage anywhere else, another log's name, another process: nothing is changed; the operator's to mend.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<(Self, OpenReport), OpenError> {
        Self::open_signed(disk, dir, options, None)
    }

    /// As [`Journal::open`], and the journal must begin with the records under `signed`, the newest checkpoint of it.
    ///
    /// # Errors
    /// As [`Journal::open`]; [`OpenError::Forked`]: an older copy of the journal, or another one, was put in its place.
    pub fn open_signed(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        signed: Option<&Checkpoint>,
    ) -> Result<(Self, OpenReport), OpenError> {
        let (log, tail, report) = open::open(disk, dir, &options, signed)?;
        let log = Arc::new(log);
        let (writing, writer) = writer::start(log.clone(), tail, options).map_err(OpenError::Thread)?;
        let threads = Arc::new(Threads { writing: writing.clone(), writer: Some(writer) });
        Ok((Self { log, writing, _threads: threads }, report))
    }

    /// Appends; when this returns, it is durable.
    ///
    /// # Errors
    /// [`AppendError`]: ours.
    pub async fn append(&self, entry: Entry) -> Result<Appended, AppendError> {
        one(self.append_all(vec![entry]).await?)
    }

    /// Appends records in their order, each for itself: one that exists already holds up none behind it. When this returns, all are
    /// durable, by one sync; up to [`GROUP_RECORDS_MAX`] of them.
    ///
    /// # Errors
    /// [`AppendError`]: ours. Of a full disk or one that is too large, nothing was written.
    pub async fn append_all(&self, entries: Vec<Entry>) -> Result<Vec<Appended>, AppendError> {
        let outcomes = self.writing.append(Encoded::new(&entries)?).await?;
        let appended = |(entry, outcome): (Entry, Outcome)| match outcome {
            Outcome::Existing(position) => Appended::Existing(position),
            Outcome::Recorded(position, leaf_hash) => {
                Appended::Recorded(Recorded { position, leaf_hash, record: entry.record })
            }
        };
        Ok(entries.into_iter().zip(outcomes).map(appended).collect())
    }

    /// As [`Journal::append`], for callers outside an async runtime.
    ///
    /// # Errors
    /// [`AppendError`]: ours.
    pub fn append_blocking(&self, entry: Entry) -> Result<Appended, AppendError> {
        one(self.append_all_blocking(vec![entry])?)
    }

    /// As [`Journal::append_all`], for callers outside an async runtime.
    ///
    /// # Errors
    /// As [`Journal::append_all`].
    pub fn append_all_blocking(&self, entries: Vec<Entry>) -> Result<Vec<Appended>, AppendError> {
        wait_for(self.append_all(entries))
    }

    /// Reads a record back, with its frames.
    ///
    /// # Errors
    /// No such position, or damage.
    pub fn read(&self, position: Position) -> Result<Stored, ReadError> {
        self.log.read(position)
    }

    /// A record of the past as the witness that it is durable: whatever can be read here was synced.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub fn recorded(&self, position: Position) -> Result<Recorded, ReadError> {
        let stored = self.log.read(position)?;
        Ok(Recorded { position, leaf_hash: stored.leaf_hash, record: stored.record })
    }

    /// A record's entry in the tree, SHA-256(salt ‖ record), without reading what belongs to it.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub fn entry(&self, position: Position) -> Result<merkle::Hash, ReadError> {
        self.log.leaf(position).map(|leaf| leaf.entry())
    }

    /// What a record's entry is the hash of, as a [`proof::Proof`] carries it.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub fn salted(&self, position: Position) -> Result<Vec<u8>, ReadError> {
        self.log.leaf(position).map(|leaf| leaf.salted().to_vec())
    }

    /// Every record from `first` on, one after the other, up to the size at the time of the call.
    pub fn iter(&self, first: Position) -> impl Iterator<Item = Result<Stored, ReadError>> + '_ {
        (first..self.size()).map(|position| self.read(position))
    }

    /// Who claims a key. Of a closed segment's records, this reads the disk.
    ///
    /// # Errors
    /// The disk's; damage of what is derived for it, which the next start makes again.
    pub fn find(&self, key: &UniqueKey) -> Result<Option<Position>, ReadError> {
        self.log.find(key).map_err(ReadError::Disk)
    }

    /// How many records there are.
    pub fn size(&self) -> u64 {
        self.log.size()
    }

    /// Size and root of the tree (RFC 6962).
    pub fn root(&self) -> (u64, merkle::Hash) {
        self.log.root()
    }
}

/// The journal as it lies on the disk, for who only looks: beside a service that writes, too.
pub struct Looked(log::Log);

impl Looked {
    /// Looks at the journal in `dir`; no lock is taken and nothing is changed. A last write that is not whole is not there yet.
    ///
    /// # Errors
    /// [`OpenError`]: there is none, the disk's, or damage before the last write.
    pub fn at(disk: Arc<dyn Disk>, dir: &Path, origin: &str) -> Result<Self, OpenError> {
        open::look(disk, dir, origin).map(Self)
    }

    /// How many records there are.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// As [`Journal::find`].
    ///
    /// # Errors
    /// As [`Journal::find`].
    pub fn find(&self, key: &UniqueKey) -> Result<Option<Position>, ReadError> {
        self.0.find(key).map_err(ReadError::Disk)
    }

    /// As [`Journal::read`].
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub fn read(&self, position: Position) -> Result<Stored, ReadError> {
        self.0.read(position)
    }
}

fn one(appended: Vec<Appended>) -> Result<Appended, AppendError> {
    appended
        .into_iter()
        .next()
        .ok_or_else(|| AppendError::Stopped("the writer told nothing of the record".into()))
}

/// Drives a future on this thread.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
