//! A backup as a disk that can only be read, so that the journal in it is judged by the code that judges any journal.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, DiskFile, OpenMode, ReadOnly};

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

impl ReadOnly for BackupDisk<'_> {
    fn read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let kept = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.disk.open(kept, OpenMode::Read)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.files.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }
}
