//! A backup as a disk that can only be read, so that the journal in it is judged by the code that judges any journal.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, DiskFile, OpenMode, RealDisk};

use super::{Manifest, kept_path};

pub(crate) struct BackupDisk(BTreeMap<PathBuf, PathBuf>);

impl BackupDisk {
    pub(crate) fn new(dir: &Path, manifest: &Manifest) -> Self {
        let place = |(name, kept): (&String, _)| (PathBuf::from(name), kept_path(dir, kept));
        Self(manifest.files.iter().map(place).collect())
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for BackupDisk {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        read_only()
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        match (mode, self.0.get(path)) {
            (OpenMode::Read, Some(kept)) => RealDisk.open(kept, OpenMode::Read),
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
        Ok(self.0.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
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
