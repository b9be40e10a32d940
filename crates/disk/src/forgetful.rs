//! A disk in memory that knows what was synced, and can forget the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, DiskFile, OpenMode};

/// What goes wrong at an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It fails, and nothing of it is on the disk.
    NotPersisted,
    /// It fails, but it is on the disk all the same.
    PersistedButReportedFailed,
    /// It and everything after it fails: the power is out.
    PowerCut,
}

/// One operation that changes something, for asserting their order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    /// `create`, `write`, `truncate`, `allocate`, `sync_data`, `remove`, `rename`, `sync_dir`, or a test's own mark.
    pub kind: &'static str,
    /// The file or folder; what a mark says.
    pub path: PathBuf,
}

/// A disk in memory: clones share it. Data survive [`ForgetfulDisk::after_power_cut`] only if synced; names only if their folder was.
#[derive(Clone, Debug, Default)]
pub struct ForgetfulDisk(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    files: Vec<Contents>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    dirs: BTreeSet<PathBuf>,
    log: Vec<Operation>,
    fault: Option<(u64, Fault)>,
    operations: u64,
    read_bytes: u64,
    listed_names: u64,
    power_is_out: bool,
    capacity_bytes: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Changes since the last sync, in order: what a power cut may keep any part of.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => bytes.resize(*length as usize, 0),
            Self::Write(offset, written) => {
                let (begin, end) = (*offset as usize, *offset as usize + written.len());
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                if let Some(place) = bytes.get_mut(begin..end) {
                    place.copy_from_slice(written);
                }
            }
        }
    }
}

impl ForgetfulDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the operation of this number (from 1, counted from now's zero) go wrong.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().fault = Some((operation, fault));
    }

    /// How many operations changed something so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many bytes were read so far.
    pub fn read_bytes(&self) -> u64 {
        self.state().read_bytes
    }

    /// How many names the lists of folders had so far.
    pub fn listed_names(&self) -> u64 {
        self.state().listed_names
    }

    /// The operations so far, in order.
    pub fn log(&self) -> Vec<Operation> {
        self.state().log.clone()
    }

    /// Notes something of the test's own between the operations.
    pub fn mark(&self, what: &str) {
        self.state().log.push(Operation { kind: "mark", path: what.into() });
    }

    /// Limits what the files may hold together.
    pub fn set_capacity_bytes(&self, capacity_bytes: u64) {
        self.state().capacity_bytes = Some(capacity_bytes);
    }

    /// Changes one stored byte behind everybody's back.
    pub fn flip(&self, path: &Path, offset: usize) {
        let mut state = self.state();
        let id = state.names.get(path).copied();
        if let Some(contents) = id.and_then(|id| state.files.get_mut(id)) {
            for byte in [contents.now.get_mut(offset), contents.durable.get_mut(offset)].into_iter().flatten()
            {
                *byte ^= 1;
            }
        }
    }

    /// The disk as it is found after the power came back: what was synced, and of the unsynced changes any that `seed` says. The last one
    /// kept may be torn.
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let state = self.state();
        let mut random = Xorshift(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut found =
            State { dirs: state.dirs.clone(), names: state.durable_names.clone(), ..State::default() };
        found.files =
            state.files.iter().map(|contents| contents.after_power_cut(seed, &mut random)).collect();
        // A name that was not synced may have made it, too.
        if seed != 0 {
            for (path, id) in &state.names {
                if random.next().is_multiple_of(2) {
                    found.names.insert(path.clone(), *id);
                }
            }
        }
        found.durable_names = found.names.clone();
        found.capacity_bytes = state.capacity_bytes;
        Self(Arc::new(Mutex::new(found)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn after_power_cut(&self, seed: u64, random: &mut Xorshift) -> Self {
        let mut bytes = self.durable.clone();
        for change in self.unsynced.iter().filter(|_| seed != 0) {
            match (random.next() % 3, change) {
                (0, _) => {}
                (1, Change::Write(offset, written)) => {
                    let torn = written.len() * (random.next() % 101) as usize / 100;
                    Change::Write(*offset, written.get(..torn).unwrap_or_default().to_vec())
                        .apply(&mut bytes);
                }
                (_, change) => change.apply(&mut bytes),
            }
        }
        Self { now: bytes.clone(), durable: bytes, unsynced: Vec::new() }
    }
}

impl State {
    /// Counts an operation; whether it is to take effect, and what to report.
    fn begin(&mut self, kind: &'static str, path: &Path) -> (bool, io::Result<()>) {
        if self.power_is_out {
            return (false, Err(io::Error::other("the power is out")));
        }
        self.operations += 1;
        self.log.push(Operation { kind, path: path.into() });
        match self.fault {
            Some((number, fault)) if number == self.operations => match fault {
                Fault::NotPersisted => (false, Err(io::Error::other("failed on purpose"))),
                Fault::PersistedButReportedFailed => {
                    (true, Err(io::Error::other("failed on purpose, but persisted")))
                }
                Fault::PowerCut => {
                    self.power_is_out = true;
                    (false, Err(io::Error::other("the power is out")))
                }
            },
            _ => (true, Ok(())),
        }
    }

    fn used_bytes(&self) -> u64 {
        self.names
            .values()
            .filter_map(|id| self.files.get(*id))
            .map(|contents| contents.now.len() as u64)
            .sum()
    }
}

impl Disk for ForgetfulDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        // Folders are taken as durable at once: their loss would take everything in them along, which is no new case.
        self.state().dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let known = state.names.get(path).copied();
        let id = match (known, mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(id), _) => id,
            (None, OpenMode::Read) => return Err(io::ErrorKind::NotFound.into()),
            (None, _) => {
                let (effect, told) = state.begin("create", path);
                if effect {
                    state.files.push(Contents::default());
                    let id = state.files.len() - 1;
                    state.names.insert(path.to_owned(), id);
                }
                told?;
                state.files.len() - 1
            }
        };
        Ok(Box::new(ForgetfulFile { disk: self.clone(), path: path.to_owned(), id }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (effect, told) = state.begin("remove", path);
        if effect && state.names.remove(path).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        told
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (effect, told) = state.begin("rename", to);
        if effect {
            let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.names.insert(to.to_owned(), id);
        }
        told
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.state().dirs.remove(dir);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut state = self.state();
        let here = |path: &&PathBuf| path.parent() == Some(dir);
        let mut found: Vec<PathBuf> = state.names.keys().filter(here).cloned().collect();
        found.extend(state.dirs.iter().filter(here).cloned());
        found.sort();
        state.listed_names += found.len() as u64;
        Ok(found)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (effect, told) = state.begin("sync_dir", dir);
        if effect {
            let here = |path: &Path| path.parent() == Some(dir);
            // What lay in a folder that was removed from here is gone with it.
            let dirs = std::mem::take(&mut state.dirs);
            let in_removed = |path: &Path| {
                path.ancestors().skip(1).any(|above| above.parent() == Some(dir) && !dirs.contains(above))
            };
            state.durable_names.retain(|path, _| !here(path) && !in_removed(path));
            state.dirs = dirs;
            let durable: Vec<_> = state
                .names
                .iter()
                .filter(|(path, _)| here(path))
                .map(|(path, id)| (path.clone(), *id))
                .collect();
            state.durable_names.extend(durable);
        }
        told
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let state = self.state();
        Ok(state.capacity_bytes.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used_bytes())))
    }

    fn lock(&self, _dir: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}

struct ForgetfulFile {
    disk: ForgetfulDisk,
    path: PathBuf,
    id: usize,
}

impl ForgetfulFile {
    fn change(&mut self, kind: &'static str, change: Change) -> io::Result<()> {
        let mut state = self.disk.state();
        let (effect, told) = state.begin(kind, &self.path);
        if let (Some(capacity), Change::Write(offset, bytes)) = (state.capacity_bytes, &change) {
            let length = state.files.get(self.id).map_or(0, |contents| contents.now.len() as u64);
            let more = (offset + bytes.len() as u64).saturating_sub(length);
            if state.used_bytes() + more > capacity {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        if let Some(contents) = state.files.get_mut(self.id).filter(|_| effect) {
            change.apply(&mut contents.now);
            contents.unsynced.push(change);
        }
        told
    }
}

impl DiskFile for ForgetfulFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change("write", Change::Write(offset, bytes.to_vec()))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        if state.power_is_out {
            return Err(io::Error::other("the power is out"));
        }
        let bytes = state.files.get(self.id).map_or(&[][..], |contents| contents.now.as_slice());
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        state.read_bytes += count as u64;
        Ok(count)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().files.get(self.id).map_or(0, |contents| contents.now.len() as u64))
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.change("truncate", Change::Truncate(length))
    }

    fn allocate(&mut self, length: u64) -> io::Result<()> {
        let more = length.saturating_sub(self.length()?);
        if more == 0 {
            return Ok(());
        }
        if more > self.disk.free_bytes(&self.path)? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.change("allocate", Change::Truncate(length))
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let (effect, told) = state.begin("sync_data", &self.path);
        if let Some(contents) = state.files.get_mut(self.id).filter(|_| effect) {
            contents.durable = contents.now.clone();
            contents.unsynced.clear();
        }
        told
    }
}

struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_synced_is_gone_after_a_power_cut() {
        let disk = ForgetfulDisk::new();
        let path = Path::new("d/f");
        let mut file = disk.open(path, OpenMode::CreateNew).unwrap();
        file.write_at(0, b"kept").unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        file.write_at(4, b"lost").unwrap();
        let _unsynced_name = disk.open(Path::new("d/g"), OpenMode::CreateNew).unwrap();

        let found = disk.after_power_cut(0);
        assert_eq!(found.list(Path::new("d")).unwrap(), [path]);
        let file = found.open(path, OpenMode::Read).unwrap();
        assert_eq!(file.length().unwrap(), 4);
    }

    #[test]
    fn faults_do_what_they_say() {
        let disk = ForgetfulDisk::new();
        let mut file = disk.open(Path::new("f"), OpenMode::CreateNew).unwrap();
        disk.fail_at(2, Fault::PersistedButReportedFailed);
        assert!(file.write_at(0, b"a").is_err());
        assert_eq!(file.length().unwrap(), 1);
        disk.fail_at(3, Fault::NotPersisted);
        assert!(file.write_at(1, b"b").is_err());
        assert_eq!(file.length().unwrap(), 1);
        disk.fail_at(4, Fault::PowerCut);
        assert!(file.sync_data().is_err() && file.sync_data().is_err());
        assert_eq!(disk.operations(), 4);
    }

    #[test]
    fn a_full_disk_says_so() {
        let disk = ForgetfulDisk::new();
        disk.set_capacity_bytes(4);
        let mut file = disk.open(Path::new("f"), OpenMode::CreateNew).unwrap();
        assert!(file.write_at(0, b"four").is_ok());
        assert_eq!(file.write_at(4, b"!").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.free_bytes(Path::new("")).unwrap(), 0);
    }
}
