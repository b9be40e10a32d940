//! Which items have files that no record names yet: noted durably before an item's first file, so that a start need not list all content
//! to find what a crash left.
//!
//! ```text
//! unnamed/TICKET  an empty file: nothing says yet that this item is kept
//! unnamed/whole   every such item is noted here: earlier versions noted none
//! ```

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disk::{Disk, OpenMode};
use erds::Ticket;

use super::{Content, absent_is_fine};
use crate::StoreError;

pub(super) struct Unnamed {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    noted: Mutex<HashSet<Ticket>>,
}

impl Unnamed {
    pub(super) fn new(disk: Arc<dyn Disk>, content_dir: &Path) -> Self {
        Self { disk, dir: content_dir.join("unnamed"), noted: Mutex::default() }
    }

    /// Notes the item, durably: its files may be made now.
    pub(super) fn note(&self, ticket: Ticket) -> Result<(), StoreError> {
        if self.noted().contains(&ticket) {
            return Ok(());
        }
        self.write(ticket.as_str())?;
        self.noted().insert(ticket);
        Ok(())
    }

    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        self.noted().contains(&ticket)
    }

    /// Strikes the item off: a record names it, or its files are gone for good. Not synced: what a crash brings back is struck off at the next start.
    pub(super) fn strike(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.noted().remove(&ticket);
        let path = self.dir.join(ticket.as_str());
        absent_is_fine(self.disk.remove(&path)).map_err(StoreError::disk("remove", &path))
    }

    /// Every item that is noted on the disk; none: it does not say of all.
    fn listed(&self) -> Result<Option<Vec<Ticket>>, StoreError> {
        let paths = self.disk.list(&self.dir).map_err(StoreError::disk("list", &self.dir))?;
        let whole = paths.iter().any(|path| path.ends_with(WHOLE));
        Ok(whole.then(|| paths.iter().filter_map(|path| ticket_of(path)).collect()))
    }

    fn write(&self, name: &str) -> Result<(), StoreError> {
        self.disk.create_dir_all(&self.dir).map_err(StoreError::disk("make", &self.dir))?;
        let path = self.dir.join(name);
        self.disk.open(&path, OpenMode::Write).map_err(StoreError::disk("make", &path))?;
        self.disk.sync_dir(&self.dir).map_err(StoreError::disk("sync", &self.dir))
    }

    fn noted(&self) -> MutexGuard<'_, HashSet<Ticket>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Removes the files of every item that no record had named when the last process ended, and that `keep` does not name, durably; says of how
    /// many items. `keep` must say yes when in doubt. Nobody may be writing yet.
    ///
    /// # Errors
    /// The disk's.
    pub fn sweep(&self, keep: &dyn Fn(Ticket) -> bool) -> Result<usize, StoreError> {
        let listed = self.unnamed.listed()?;
        let whole = listed.is_some();
        let mut swept = Vec::new();
        for ticket in listed.map_or_else(|| self.all(), Ok)? {
            match keep(ticket) {
                true => self.unnamed.strike(ticket)?,
                false => {
                    self.remove_files(ticket)?;
                    swept.push(ticket);
                }
            }
        }
        if !swept.is_empty() {
            self.disk.sync_dir(&self.dir).map_err(StoreError::disk("sync", &self.dir))?;
        }
        swept.iter().try_for_each(|ticket| self.unnamed.strike(*ticket))?;
        if !whole {
            self.unnamed.write(WHOLE)?;
        }
        Ok(swept.len())
    }

    /// Every item that has files. What is no ticket is not ours: the lock, an operator's file.
    fn all(&self) -> Result<Vec<Ticket>, StoreError> {
        let paths = self.disk.list(&self.dir).map_err(StoreError::disk("list", &self.dir))?;
        Ok(paths.iter().filter_map(|path| ticket_of(path)).collect())
    }
}

fn ticket_of(path: &Path) -> Option<Ticket> {
    Ticket::parse(path.file_name()?.to_str()?).ok()
}

const WHOLE: &str = "whole";
