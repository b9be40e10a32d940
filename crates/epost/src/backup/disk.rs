//! A backup as a disk that can only be read, so that the journal in it is judged by the code that judges any journal.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, DiskFile, OpenMode};

use super::{Folder, Manifest};

pub(crate) struct BackupDisk<'a> {
    disk: &'a dyn Disk,
    files: BTreeMap<PathBuf, PathBuf>,
}

impl<'a> BackupDisk<'a> {
    pub(crate) fn new(folder: Folder<'a>, manifest: &Manifest) -> Self {
        let place = |(name, kept): (&String, _)| (PathBuf::from(name), folder.kept(kept));
        Self { disk: folder.disk, files: manifest.files.iter().map(place).collect() }
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for BackupDisk<'_> {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        read_only()
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        match (mode, self.files.get(path)) {
            (OpenMode::Read, Some(kept)) => self.disk.open(kept, OpenMode::Read),
            (OpenMode::Read, None) => Err(io::ErrorKind::NotFound.into()),
            (OpenMode::Write | OpenMode::CreateNew | OpenMode::Publish, _) => read_only(),
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
        Ok(self.files.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
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
