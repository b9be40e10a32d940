//! Disks that are only looked at: what others hold, shown as a disk so that the same code judges it.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Disk, DiskFile, OpenMode};

/// What there is to read; as a [`Disk`] it refuses everything else.
pub trait ReadOnly: Send + Sync {
    /// Opens a file to read.
    ///
    /// # Errors
    /// The system's; `NotFound` where there is none.
    fn read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// What lies directly in a folder, sorted; nothing if it does not exist.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
}

/// The answer to every wish to change something.
///
/// # Errors
/// Always `ReadOnlyFilesystem`.
pub fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl<R: ReadOnly> Disk for R {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        read_only()
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        match mode {
            OpenMode::Read => self.read(path),
            OpenMode::Write | OpenMode::CreateNew | OpenMode::Publish => read_only(),
        }
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        read_only()
    }

    fn remove_dir(&self, _dir: &Path) -> io::Result<()> {
        read_only()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        ReadOnly::list(self, dir)
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        read_only()
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(0)
    }

    fn lock(&self, _dir: &Path) -> io::Result<Box<dyn Send + Sync>> {
        read_only()
    }
}
