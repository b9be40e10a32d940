//! The file layer under journal and store: the real disk, or one that forgets what was not synced.
//!
//! Everything durable goes through [`Disk`], so that a test can fail or cut the power at any of its operations. A name (a
//! created or removed file) is durable only after [`Disk::sync_dir`], data only after [`DiskFile::sync_data`].

mod forgetful;
mod read_only;
mod real;

use std::io;
use std::path::{Path, PathBuf};

pub use forgetful::{Fault, ForgetfulDisk, Operation};
pub use read_only::{ReadOnly, read_only};
pub use real::RealDisk;

/// How a file is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenMode {
    /// To read; it must exist.
    Read,
    /// To read and write; made if absent.
    Write,
    /// To read and write; it must not exist.
    CreateNew,
    /// As `Write`; made, everybody on the machine may read it, where the files of the others are their owner's alone.
    Publish,
}

/// Files and folders. Every error is the system's; after a failed sync nothing of that file may be trusted.
pub trait Disk: Send + Sync {
    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// The system's.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Opens a file.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;
    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Gives a file another name in the same folder; a file of that name is replaced, and readers find either whole one.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    ///
    /// # Errors
    /// The system's.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// What lies directly in a folder, sorted; nothing if it does not exist.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that may still be written.
    ///
    /// # Errors
    /// The system's.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Keeps other processes out of a folder for as long as the returned value lives.
    ///
    /// # Errors
    /// `WouldBlock`: another process is in it.
    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// An open file, read and written by position.
pub trait DiskFile: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The system's; how much was written is then unknown.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Its length.
    ///
    /// # Errors
    /// The system's.
    fn length(&self) -> io::Result<u64>;
    /// Cuts it, or lengthens it with zeros.
    ///
    /// # Errors
    /// The system's.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Lengthens it with zeros that have their place on the disk, so that writing over them changes no length; no shorter than it is.
    ///
    /// # Errors
    /// The system's: no room, or a file system that cannot. Its contents are what they were, whatever its length.
    fn allocate(&mut self, length: u64) -> io::Result<()>;
    /// Makes its data durable.
    ///
    /// # Errors
    /// The system's: what was written since the last success may be lost, and the next success proves nothing about it.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// Gives a file these bytes, durably: written beside under its name with `.new` behind it, synced, then renamed.
///
/// *A crash leaves the former file or the new one, whole, and perhaps what was beside it, which the next call writes over.*
///
/// # Errors
/// The system's: the file is the former one or the new one.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = disk.open(&beside, OpenMode::Write)?;
    file.truncate(0)?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    disk.rename(&beside, path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new("")))
}

/// Gives a file's first bytes, at most so many, piece by piece, each with its place; how many there were.
///
/// # Errors
/// The system's; what `each` says.
pub fn pour(
    file: &dyn DiskFile,
    bytes_max: u64,
    each: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let room = (bytes_max - at).min(PIECE_BYTES as u64) as usize;
        let count = file.read_at(at, buffer.get_mut(..room).unwrap_or_default())?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(at);
        }
        each(at, piece)?;
        at += count as u64;
    }
}

/// Gives the file at `path` what another one holds, durably but for its name; its length.
///
/// # Errors
/// The system's: what the file holds then is nothing to rely on.
pub fn copy(from: &dyn DiskFile, disk: &dyn Disk, path: &Path) -> io::Result<u64> {
    let mut file = disk.open(path, OpenMode::Write)?;
    file.truncate(0)?;
    let bytes = pour(from, u64::MAX, &mut |at, piece| file.write_at(at, piece))?;
    file.sync_data()?;
    Ok(bytes)
}

const PIECE_BYTES: usize = 256 * 1024;

/// Reads exactly `length` bytes at `offset`.
///
/// # Errors
/// The system's; `UnexpectedEof` where the file ends before.
pub fn read_exactly(file: &dyn DiskFile, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset + done as u64, rest)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(bytes)
}
