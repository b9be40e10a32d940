//! Slots of the key file that cannot be what was written: which of them are damage, by what the journal says, and the file as it is with them
//! mended.
//!
//! A destroyed key is a slot of zeros, and so is one that the disk lost; an erasure stands in the journal before its keys go. So a key that the
//! journal names, and no erasure does, is missed; any other one stays as it is: nothing brings back what was destroyed.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, DiskFile, OpenMode, ReadOnly, RealDisk};
use erds::{Record, Ticket};
use journal::Stored;
use pki::aead::Key256;
use store::StoreError;
use store::keys::{Doubt, doubts};

/// As a backup names it.
pub(crate) const KEY_FILE: &str = "data/keys/items.keys";

/// Doubtful slots, until the journal was read from its beginning.
pub(crate) struct Judging {
    doubts: Vec<Doubt>,
    /// Of each that is in doubt, whether a record names it.
    named: HashMap<Ticket, bool>,
}

impl Judging {
    /// Compares the key file in the data folder with an older backup's. Before the journal is read: what is destroyed meanwhile is no doubt.
    ///
    /// # Errors
    /// As [`doubts`].
    pub(crate) fn begin(
        data: &Path,
        backup: Option<&dyn Disk>,
        master_key: &Key256,
    ) -> Result<Self, StoreError> {
        let older = backup.map(|disk| (disk, Path::new(KEY_FILE).parent().unwrap_or(Path::new(""))));
        let doubts = doubts((&RealDisk, &data.join("keys")), older, master_key)?;
        let named = doubts.iter().filter_map(|doubt| Some((doubt.ticket?, false))).collect();
        Ok(Self { doubts, named })
    }

    /// Takes the next record in.
    pub(crate) fn follow(&mut self, stored: &Stored) {
        if self.named.is_empty() {
            return;
        }
        for frame in &stored.frames {
            let ticket = frame.name.split_once('/').and_then(|(ticket, _)| Ticket::parse(ticket).ok());
            if let Some(named) = ticket.and_then(|ticket| self.named.get_mut(&ticket)) {
                *named = true;
            }
        }
        if let Record::Erased(erased) = &stored.record {
            self.named.retain(|ticket, _| !erased.tickets.contains(ticket));
        }
    }

    /// Those that are damage: of a key that is missed, of one that nobody can say whose it is, of the header.
    pub(crate) fn damaged(mut self) -> Vec<Doubt> {
        let named = |ticket| self.named.get(&ticket).copied();
        self.doubts.retain_mut(|doubt| match (doubt.ticket.map(named), &doubt.good) {
            (None | Some(Some(true)), _) => true,
            // No record has what is left of its name: that is damaged too.
            (Some(Some(false)), None) => {
                doubt.ticket = None;
                true
            }
            (Some(Some(false)), Some(_)) | (Some(None), _) => false,
        });
        self.doubts
    }
}

/// The machine's disk, to read, on which damaged slots are as the backup has them.
pub(crate) struct Mended {
    path: PathBuf,
    slots: BTreeMap<u64, Vec<u8>>,
}

impl Mended {
    pub(crate) fn new(data: &Path, damaged: &[Doubt]) -> Self {
        let good = damaged.iter().filter_map(|doubt| Some((doubt.offset, doubt.good.clone()?)));
        Self { path: data.join("keys/items.keys"), slots: good.collect() }
    }
}

impl ReadOnly for Mended {
    fn read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = RealDisk.open(path, OpenMode::Read)?;
        match *path == self.path && !self.slots.is_empty() {
            true => Ok(Box::new(MendedFile { file, slots: self.slots.clone() })),
            false => Ok(file),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        // What is derived of the file beside it may not know the slots that are mended.
        let derived = |path: &PathBuf| {
            !self.slots.is_empty() && path.parent() == self.path.parent() && *path != self.path
        };
        Ok(RealDisk.list(dir)?.into_iter().filter(|path| !derived(path)).collect())
    }
}

struct MendedFile {
    file: Box<dyn DiskFile>,
    slots: BTreeMap<u64, Vec<u8>>,
}

impl DiskFile for MendedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.length()?.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let Some(bytes) = buffer.get_mut(..count) else { return Ok(0) };
        bytes.fill(0);
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(offset + done as u64, rest)? {
                0 => break,
                more => done += more,
            }
        }
        for (at, slot) in &self.slots {
            let pairs =
                (*at..).zip(slot).filter_map(|(at, byte)| Some((at.checked_sub(offset)? as usize, byte)));
            for (at, byte) in pairs {
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
        }
        Ok(count)
    }

    fn length(&self) -> io::Result<u64> {
        let last = self.slots.last_key_value().map_or(0, |(at, slot)| at + slot.len() as u64);
        Ok(self.file.length()?.max(last))
    }

    fn write_at(&mut self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        disk::read_only()
    }

    fn truncate(&mut self, _length: u64) -> io::Result<()> {
        disk::read_only()
    }

    fn allocate(&mut self, _length: u64) -> io::Result<()> {
        disk::read_only()
    }

    fn sync_data(&mut self) -> io::Result<()> {
        disk::read_only()
    }
}
