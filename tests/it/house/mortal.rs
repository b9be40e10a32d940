//! A process that can die: its disk answers nothing more, and the disk beneath lives on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use disk::{Disk, DiskFile, ForgetfulDisk, OpenMode};

/// One process's view of a disk; clones are the same process.
#[derive(Clone)]
pub struct Mortal {
    disk: ForgetfulDisk,
    dead: Arc<AtomicBool>,
}

impl Mortal {
    pub fn new(disk: ForgetfulDisk) -> Self {
        Self { disk, dead: Arc::default() }
    }

    /// From here on nothing of this process reaches the disk.
    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    fn alive(&self) -> io::Result<&ForgetfulDisk> {
        if self.dead.load(Ordering::SeqCst) {
            Err(io::Error::other("this process is dead"))
        } else {
            Ok(&self.disk)
        }
    }
}

impl Disk for Mortal {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.alive()?.create_dir_all(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let file = self.alive()?.open(path, mode)?;
        Ok(Box::new(MortalFile { process: self.clone(), file }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.alive()?.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.alive()?.rename(from, to)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.alive()?.remove_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.alive()?.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.alive()?.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.alive()?.free_bytes(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.alive()?.lock(dir)
    }
}

struct MortalFile {
    process: Mortal,
    file: Box<dyn DiskFile>,
}

impl DiskFile for MortalFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.process.alive()?;
        self.file.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.process.alive()?;
        self.file.read_at(offset, buffer)
    }

    fn length(&self) -> io::Result<u64> {
        self.process.alive()?;
        self.file.length()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.process.alive()?;
        self.file.truncate(length)
    }

    fn allocate(&mut self, length: u64) -> io::Result<()> {
        self.process.alive()?;
        self.file.allocate(length)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.process.alive()?;
        self.file.sync_data()
    }
}
