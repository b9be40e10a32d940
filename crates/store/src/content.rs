//! The content: each part encrypted under its item's key, in a file or, while small, in memory for the journal's frames.
//!
//! A file is `TICKET/part` in the sealed form (see the `sealed` module). Nothing here is named by a record until
//! [`PartWriter::finish`] has made it durable; what no record names is noted in `unnamed`, and swept at start.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, DiskFile, OpenMode, read_exactly};
use erds::Ticket;
use pki::digest::{Digest, DigestAlgorithm, Hasher};
use zeroize::Zeroizing;

use crate::StoreError;
use crate::keys::ItemKey;
use crate::sealed::{HEADER_BYTES, Opener, SEALED_CHUNK_BYTES, Sealer};

mod unnamed;

use unnamed::Unnamed;

/// What may lie unsynced: one large write-back must not stall the journal's own sync.
const UNSYNCED_BYTES_MAX: u64 = 8 * 1024 * 1024;
const PART_NAME_BYTES_MAX: usize = 64;

/// The folder of content. Holding it guarantees that no other process writes in it.
pub struct Content {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    inline_bytes_max: usize,
    unnamed: Arc<Unnamed>,
    _lock: Box<dyn Send + Sync>,
}

/// A part that is durable, or that lies in `inline` and becomes durable with the journal's frame.
#[derive(Clone, Debug)]
pub struct StoredPart {
    /// The store's own name of it.
    pub name: String,
    /// Its length in plain text.
    pub bytes: u64,
    /// SHA-256 of its plain text.
    pub sha256: Digest,
    /// SHA-256 over the sealed form's header and each chunk's tag, in order: it stands for the ciphertext (whoever lacks the key
    /// finds no second one) without hashing every byte twice.
    pub ciphertext_sha256: [u8; 32],
    /// The whole sealed form of a small part, for [`open_frame`]; none for one that lies in a file.
    pub inline: Option<Vec<u8>>,
}

impl Content {
    /// Opens the folder, made if absent. Parts of up to `inline_bytes_max` plain bytes make no file.
    ///
    /// # Errors
    /// The disk's; another process is in it.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, inline_bytes_max: usize) -> Result<Self, StoreError> {
        disk.create_dir_all(dir).map_err(StoreError::disk("make", dir))?;
        let lock = disk.lock(dir).map_err(StoreError::disk("lock", dir))?;
        let unnamed = Arc::new(Unnamed::new(disk.clone(), dir));
        Ok(Self { disk, dir: dir.to_owned(), inline_bytes_max, unnamed, _lock: lock })
    }

    /// Begins a part of an item; nothing is on the disk before it outgrows memory.
    ///
    /// # Errors
    /// `PartName`, `Random`.
    pub fn writer(&self, ticket: Ticket, name: &str, key: &ItemKey) -> Result<PartWriter, StoreError> {
        check_name(name)?;
        let (sealer, header) = Sealer::begin(key, ticket, name)?;
        Ok(PartWriter {
            sealer,
            hasher: Hasher::new(DigestAlgorithm::Sha256),
            bytes: 0,
            out: Out {
                disk: self.disk.clone(),
                ticket,
                unnamed: self.unnamed.clone(),
                content_dir: self.dir.clone(),
                item_dir: self.item_dir(ticket),
                name: name.to_owned(),
                inline_bytes_max: self.inline_bytes_max,
                target: Target::Memory(header),
            },
        })
    }

    /// Reads a part that was just stored, wherever it lies. A reader gives only authentic bytes, and ends without an error only at
    /// the part's true end.
    ///
    /// # Errors
    /// `Damaged`: not this part's file; the disk's. While reading: an `io::Error` of kind `InvalidData`.
    pub fn read_stored(
        &self,
        ticket: Ticket,
        part: &StoredPart,
        key: &ItemKey,
    ) -> Result<Box<dyn Read + Send>, StoreError> {
        if let Some(sealed) = &part.inline {
            let plain = Zeroizing::new(open_frame(key, ticket, &part.name, sealed)?);
            return Ok(Box::new(Plain { bytes: plain, given: 0 }));
        }
        let file = self.open_file(ticket, &part.name)?;
        let file =
            file.ok_or_else(|| StoreError::damaged(format!("part {} of {ticket} is absent", part.name)))?;
        Ok(Box::new(PartReader::begin(file, ticket, &part.name, key, Some(part.ciphertext_sha256))?))
    }

    /// Reads a part from its file, as [`Content::read_stored`]; none where there is no file: a small part lies in the journal.
    ///
    /// # Errors
    /// As [`Content::read_stored`].
    pub fn read_file(
        &self,
        ticket: Ticket,
        name: &str,
        key: &ItemKey,
    ) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        let Some(file) = self.open_file(ticket, name)? else { return Ok(None) };
        Ok(Some(Box::new(PartReader::begin(file, ticket, name, key, None)?)))
    }

    /// Whether a part lies in a file of its own; what is in it is not looked at.
    ///
    /// # Errors
    /// `PartName`; the disk's.
    pub fn has_file(&self, ticket: Ticket, name: &str) -> Result<bool, StoreError> {
        Ok(self.open_file(ticket, name)?.is_some())
    }

    /// Says that a record names the item: a start keeps it from now on. Not synced, and no harm if it fails: a start asks the records.
    ///
    /// # Errors
    /// The disk's.
    pub fn named(&self, ticket: Ticket) -> Result<(), StoreError> {
        if self.unnamed.holds(ticket) { self.unnamed.strike(ticket) } else { Ok(()) }
    }

    /// Removes every file of an item; it is no error if there are none. Of one that a record names not synced; of another one durably.
    ///
    /// # Errors
    /// The disk's: what is left of an item that no record names is swept at start.
    pub fn discard(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.remove_files(ticket)?;
        if !self.unnamed.holds(ticket) {
            return Ok(());
        }
        self.disk.sync_dir(&self.dir).map_err(StoreError::disk("sync", &self.dir))?;
        self.unnamed.strike(ticket)
    }

    fn remove_files(&self, ticket: Ticket) -> Result<(), StoreError> {
        let dir = self.item_dir(ticket);
        for path in self.disk.list(&dir).map_err(StoreError::disk("list", &dir))? {
            absent_is_fine(self.disk.remove(&path)).map_err(StoreError::disk("remove", &path))?;
        }
        absent_is_fine(self.disk.remove_dir(&dir)).map_err(StoreError::disk("remove", &dir))
    }

    fn item_dir(&self, ticket: Ticket) -> PathBuf {
        self.dir.join(ticket.as_str())
    }

    fn open_file(&self, ticket: Ticket, name: &str) -> Result<Option<Box<dyn DiskFile>>, StoreError> {
        check_name(name)?;
        let path = self.item_dir(ticket).join(name);
        match self.disk.open(&path, OpenMode::Read) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::disk("open", &path)(error)),
        }
    }
}

/// Reads a part from a file that lies anywhere, a backup's too: what this digest stands for, and nothing else, is read to the end.
///
/// # Errors
/// As [`Content::read_stored`].
pub fn read_part(
    file: Box<dyn DiskFile>,
    ticket: Ticket,
    name: &str,
    key: &ItemKey,
    ciphertext_sha256: [u8; 32],
) -> Result<Box<dyn Read + Send>, StoreError> {
    check_name(name)?;
    Ok(Box::new(PartReader::begin(file, ticket, name, key, Some(ciphertext_sha256))?))
}

/// Takes one part's bytes as they arrive, in constant memory. Dropped before [`PartWriter::finish`], it leaves a file for
/// [`Content::discard`] or the next sweep.
pub struct PartWriter {
    sealer: Sealer,
    hasher: Hasher,
    bytes: u64,
    out: Out,
}

/// Where the ciphertext goes.
struct Out {
    disk: Arc<dyn Disk>,
    ticket: Ticket,
    unnamed: Arc<Unnamed>,
    content_dir: PathBuf,
    item_dir: PathBuf,
    name: String,
    inline_bytes_max: usize,
    target: Target,
}

enum Target {
    Memory(Vec<u8>),
    File {
        file: Box<dyn DiskFile>,
        offset: u64,
        synced: u64,
    },
    /// An operation failed: what the file holds is not known, so it is never finished.
    Failed,
}

impl PartWriter {
    /// Takes the next bytes; hashed once, encrypted at once.
    ///
    /// # Errors
    /// The disk's (see [`StoreError::is_full`]); after an error every call fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        self.seal(bytes)
    }

    fn seal(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if let Target::Failed = self.out.target {
            return Err(self.out.failed());
        }
        self.bytes += bytes.len() as u64;
        if self.bytes > self.out.inline_bytes_max as u64 {
            self.out.spill()?;
        }
        let out = &mut self.out;
        self.sealer.write(bytes, |chunk| out.put(&chunk))
    }

    /// Ends the part. When this returns, a part in a file is durable, its name included.
    ///
    /// # Errors
    /// The disk's: the part is then not stored.
    pub fn finish(mut self) -> Result<StoredPart, StoreError> {
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new(DigestAlgorithm::Sha256));
        self.end(hasher.finish())
    }

    /// Takes the whole part at once, nothing having been written before, and ends it. `sha256` is what the caller has seen these very
    /// bytes to have: nobody hashes them again.
    ///
    /// # Errors
    /// As [`PartWriter::write`] and [`PartWriter::finish`].
    pub fn finish_with(mut self, bytes: &[u8], sha256: Digest) -> Result<StoredPart, StoreError> {
        self.seal(bytes)?;
        self.end(sha256)
    }

    fn end(mut self, sha256: Digest) -> Result<StoredPart, StoreError> {
        let (last, ciphertext_sha256) = self.sealer.finish()?;
        self.out.put(&last)?;
        let name = self.out.name.clone();
        let inline = self.out.finish()?;
        Ok(StoredPart { name, bytes: self.bytes, sha256, ciphertext_sha256, inline })
    }
}

impl Out {
    fn spill(&mut self) -> Result<(), StoreError> {
        let Target::Memory(held) = &mut self.target else { return Ok(()) };
        let held = std::mem::take(held);
        self.target = Target::Failed;
        self.unnamed.note(self.ticket)?;
        self.disk.create_dir_all(&self.item_dir).map_err(StoreError::disk("make", &self.item_dir))?;
        let path = self.item_dir.join(&self.name);
        let file = self.disk.open(&path, OpenMode::CreateNew).map_err(StoreError::disk("make", &path))?;
        self.target = Target::File { file, offset: 0, synced: 0 };
        self.put(&held)
    }

    fn put(&mut self, sealed: &[u8]) -> Result<(), StoreError> {
        let written = match &mut self.target {
            Target::Memory(held) => {
                held.extend_from_slice(sealed);
                return Ok(());
            }
            Target::Failed => return Err(self.failed()),
            Target::File { file, offset, synced } => file.write_at(*offset, sealed).and_then(|()| {
                *offset += sealed.len() as u64;
                if *offset - *synced >= UNSYNCED_BYTES_MAX {
                    file.sync_data()?;
                    *synced = *offset;
                }
                Ok(())
            }),
        };
        written.map_err(|error| {
            self.target = Target::Failed;
            StoreError::disk("write", &self.item_dir.join(&self.name))(error)
        })
    }

    fn failed(&self) -> StoreError {
        StoreError::Stopped(format!("part {}: an earlier write failed", self.name))
    }

    fn finish(self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.target {
            Target::Memory(held) => Ok(Some(held)),
            Target::Failed => Err(self.failed()),
            Target::File { mut file, .. } => {
                file.sync_data().map_err(StoreError::disk("sync", &self.item_dir.join(&self.name)))?;
                // The file's name in its folder, and the folder's in its own.
                self.disk.sync_dir(&self.item_dir).map_err(StoreError::disk("sync", &self.item_dir))?;
                self.disk.sync_dir(&self.content_dir).map_err(StoreError::disk("sync", &self.content_dir))?;
                Ok(None)
            }
        }
    }
}

/// A file, opened chunk by chunk.
struct PartReader {
    file: Box<dyn DiskFile>,
    opener: Opener,
    expected: Option<[u8; 32]>,
    offset: u64,
    length: u64,
    plain: Plain,
    state: ReadState,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum ReadState {
    Going,
    Ended,
    Failed,
}

impl PartReader {
    fn begin(
        file: Box<dyn DiskFile>,
        ticket: Ticket,
        name: &str,
        key: &ItemKey,
        expected: Option<[u8; 32]>,
    ) -> Result<Self, StoreError> {
        let path = Path::new(name);
        let length = file.length().map_err(StoreError::disk("read", path))?;
        if length < HEADER_BYTES as u64 {
            return Err(StoreError::damaged(format!("part {name} of {ticket}")));
        }
        let header = read_exactly(file.as_ref(), 0, HEADER_BYTES).map_err(StoreError::disk("read", path))?;
        let opener = Opener::begin(key, ticket, name, &header)?;
        let plain = Plain { bytes: Zeroizing::default(), given: 0 };
        Ok(Self {
            file,
            opener,
            expected,
            offset: HEADER_BYTES as u64,
            length,
            plain,
            state: ReadState::Going,
        })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let left = self.length - self.offset;
        let last = left <= SEALED_CHUNK_BYTES as u64;
        let sealed =
            read_exactly(self.file.as_ref(), self.offset, left.min(SEALED_CHUNK_BYTES as u64) as usize)?;
        let damaged = |error: StoreError| io::Error::new(io::ErrorKind::InvalidData, error);
        let plain = Zeroizing::new(self.opener.open(&sealed, last).map_err(damaged)?);
        self.offset += sealed.len() as u64;
        if last {
            self.opener.finish(self.expected.as_ref()).map_err(damaged)?;
            self.state = ReadState::Ended;
        }
        self.plain = Plain { bytes: plain, given: 0 };
        Ok(())
    }
}

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.plain.read(buffer)? {
                0 if buffer.is_empty() => return Ok(0),
                0 => {}
                count => return Ok(count),
            }
            match self.state {
                ReadState::Ended => return Ok(0),
                ReadState::Failed => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, self.opener.damaged()));
                }
                ReadState::Going => {
                    self.next_chunk().inspect_err(|_| self.state = ReadState::Failed)?;
                }
            }
        }
    }
}

/// Plain bytes, wiped when dropped.
struct Plain {
    bytes: Zeroizing<Vec<u8>>,
    given: usize,
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.bytes.get(self.given..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.given += count;
        Ok(count)
    }
}

/// Seals small bytes whole, for a frame of the journal: the form that a small part's `inline` has, too.
///
/// # Errors
/// `Random`, `Aead`: ours.
pub fn seal_frame(key: &ItemKey, ticket: Ticket, part: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (mut sealer, mut sealed) = Sealer::begin(key, ticket, part)?;
    sealer.write(plain, |chunk| {
        sealed.extend(chunk);
        Ok(())
    })?;
    let (last, _) = sealer.finish()?;
    sealed.extend(last);
    Ok(sealed)
}

/// Opens what [`seal_frame`] made, or a small part's `inline`.
///
/// # Errors
/// `Damaged`: changed or cut bytes, or another key, ticket or part.
pub fn open_frame(
    key: &ItemKey,
    ticket: Ticket,
    part: &str,
    ciphertext: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let damaged = || StoreError::damaged(format!("part {part} of {ticket}"));
    let (header, mut sealed) = ciphertext.split_at_checked(HEADER_BYTES).ok_or_else(damaged)?;
    let mut opener = Opener::begin(key, ticket, part, header)?;
    let mut plain = Vec::with_capacity(sealed.len());
    while sealed.len() > SEALED_CHUNK_BYTES {
        let (chunk, rest) = sealed.split_at(SEALED_CHUNK_BYTES);
        plain.extend(opener.open(chunk, false)?);
        sealed = rest;
    }
    plain.extend(opener.open(sealed, true)?);
    Ok(plain)
}

fn check_name(name: &str) -> Result<(), StoreError> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let fits = (1..=PART_NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.');
    if fits && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(StoreError::PartName(name.escape_debug().to_string()))
    }
}

fn absent_is_fine(told: io::Result<()>) -> io::Result<()> {
    told.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests;
