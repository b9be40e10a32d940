//! The item keys: fixed slots in one file, each wrapped by the master key. Destroying a key erases its item everywhere.
//!
//! ```text
//! header  (128 bytes)  magic (16) ‖ nonce (12) ‖ wrapped zeros (48) ‖ SHA-256 of what is before it (32) ‖ zeros
//! slot*   (128 bytes)  ticket (13) ‖ zeros (3) ‖ nonce (12) ‖ item key, AES-256-GCM under the master key, tag after it (48) ‖ zeros
//! ```
//! The ticket is the wrapping's associated data. A slot of zeros is a destroyed key. 128 divides every sector size: no slot
//! lies across two.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use disk::{Disk, DiskFile, OpenMode, read_exactly};
use erds::Ticket;
use pki::aead::Key256;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use self::slot::{SLOT_BYTES, check_header, header, is_destroyed, open_slot, place, seal_slot, slot_ticket};
use self::table::{Merging, Place, Run, Table, covered, each_slot, key_of, mend, read_slots};
use crate::StoreError;

mod compare;
mod rotate;
mod slot;
mod table;

pub use compare::{Doubt, doubts, mend_slots};
pub use rotate::{Rotated, master_key_id, require_master, rotate};

/// Keys that wait for the writer; beyond it, who creates one waits to hand it over.
const QUEUE_MAX: usize = 1024;
/// Changes of one commit: how many slots at the end a power cut can leave torn.
const BATCH_MAX: usize = 256;
/// Slots behind the runs: a start reads them, and they stand in memory. 4 MB of the key file.
const TAIL_SLOTS: u64 = 32 * 1024;

/// The key of one item; wiped when dropped, never shown.
#[derive(Clone)]
pub struct ItemKey(Key256);

impl ItemKey {
    /// A fresh key.
    ///
    /// # Errors
    /// `Random`: nothing may go on without it.
    pub fn random() -> Result<Self, StoreError> {
        Ok(Self(Key256::random()?))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ItemKey(…)")
    }
}

/// The key file. Holding it guarantees that the master key is the one that it was made with, and that no other process writes it.
pub struct Keys {
    shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Change>>,
    writer: Option<JoinHandle<()>>,
    _lock: Box<dyn Send + Sync>,
}

struct Shared {
    master_key: Key256,
    path: PathBuf,
    reader: Box<dyn DiskFile>,
    table: RwLock<Table>,
    /// A run was found damaged: it is to be made again.
    damaged: AtomicBool,
    stopping: AtomicBool,
}

type Slot = Zeroizing<Vec<u8>>;

impl Shared {
    fn new(master_key: Key256, path: PathBuf, reader: Box<dyn DiskFile>, table: Table) -> Self {
        let (damaged, stopping) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { master_key, path, reader, table: RwLock::new(table), damaged, stopping }
    }

    fn open_key(&self, ticket: Ticket) -> Result<Option<ItemKey>, StoreError> {
        let Some((_, slot)) = self.slot_of(ticket)? else { return Ok(None) };
        match open_slot(&slot, &self.master_key) {
            Some((found, key)) if found == ticket => Ok(Some(key)),
            _ => Err(StoreError::damaged(format!("the key of {ticket}"))),
        }
    }

    /// The ticket's slot and its number; none if there never was one, or its key was destroyed.
    fn slot_of(&self, ticket: Ticket) -> Result<Option<(u64, Slot)>, StoreError> {
        self.each_slot_of(ticket, &mut |number, slot| (!is_destroyed(&slot)).then_some((number, slot)))
    }

    /// Gives the ticket's slots, those of destroyed keys too, until `each` has found what it looks for.
    fn each_slot_of<T>(
        &self,
        ticket: Ticket,
        each: &mut dyn FnMut(u64, Slot) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let (newest, runs) = {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            (table.tail.get(&ticket).copied(), table.runs.clone())
        };
        let mut find = |number| {
            let slot = read_exactly(self.reader.as_ref(), place(number), SLOT_BYTES);
            let slot = slot.map_err(StoreError::disk("read", &self.path))?;
            Ok::<_, StoreError>(each(number, slot.into()))
        };
        if let Some(found) = newest.map(&mut find).transpose()?.flatten() {
            return Ok(Some(found));
        }
        for run in runs.iter() {
            for number in self.numbers_in(run, ticket)? {
                if let Some(found) = find(number)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The ticket's slots among those that a run covers; where it is damaged, all of these are looked at.
    fn numbers_in(&self, run: &Run, ticket: Ticket) -> Result<Vec<u64>, StoreError> {
        match run.find_all(&key_of(ticket)) {
            Ok(found) => Ok(found.collect()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(event = "keys.runs-damaged", %error);
                self.damaged.store(true, Ordering::Relaxed);
                let mut found = Vec::new();
                each_slot(self.reader.as_ref(), &run.span, &mut |number, slot| {
                    found.extend((slot_ticket(slot) == Some(ticket)).then_some(number));
                })
                .map_err(StoreError::disk("read", &self.path))?;
                Ok(found)
            }
            Err(error) => Err(StoreError::disk("read", &run.path)(error)),
        }
    }
}

/// The keys as they stood when it was opened, for reading beside a service that runs: locks nothing, changes nothing.
pub struct KeyReader(Shared);

impl KeyReader {
    /// Opens `dir`'s key file to read.
    ///
    /// # Errors
    /// `WrongMasterKey`, `Damaged`, the disk's.
    pub fn open(disk: &dyn Disk, dir: &Path, master_key: Key256) -> Result<Self, StoreError> {
        let path = dir.join("items.keys");
        let reader = disk.open(&path, OpenMode::Read).map_err(StoreError::disk("open", &path))?;
        let length = reader.length().map_err(StoreError::disk("read", &path))?;
        let runs = match check_header(reader.as_ref(), length, &master_key, &path)? {
            Some(mark) => Place { disk, dir, file: reader.as_ref(), mark }.runs(),
            None => Ok(Vec::new()),
        };
        let runs = runs.map_err(StoreError::disk("read", dir))?;
        let tail = read_slots(reader.as_ref(), covered(&runs), &master_key, &path)?.tickets;
        Ok(Self(Shared::new(master_key, path, reader, Table { runs: runs.into(), tail })))
    }

    /// As [`Keys::open_key`].
    ///
    /// # Errors
    /// As [`Keys::open_key`].
    pub fn open_key(&self, ticket: Ticket) -> Result<Option<ItemKey>, StoreError> {
        self.0.open_key(ticket)
    }
}

struct Change {
    act: Act,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

enum Act {
    Create(Ticket, ItemKey),
    Destroy(Ticket),
}

impl Keys {
    /// Opens `dir`'s key file, made if absent; what a power cut left torn at its end is cut: nobody was told that it is there. Reads the
    /// newest slots alone, and makes anew what is gone of that which knows the others.
    ///
    /// # Errors
    /// `WrongMasterKey`: refused, nothing changed. `Damaged`: the file's header. The disk's.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, master_key: Key256) -> Result<Self, StoreError> {
        Self::open_with(disk, dir, master_key, TAIL_SLOTS)
    }

    fn open_with(
        disk: Arc<dyn Disk>,
        dir: &Path,
        master_key: Key256,
        tail_slots: u64,
    ) -> Result<Self, StoreError> {
        disk.create_dir_all(dir).map_err(StoreError::disk("make", dir))?;
        let lock = disk.lock(dir).map_err(StoreError::disk("lock", dir))?;
        let path = dir.join("items.keys");
        let mut file = disk.open(&path, OpenMode::Write).map_err(StoreError::disk("open", &path))?;
        let length = file.length().map_err(StoreError::disk("read", &path))?;
        let on_disk = |error| StoreError::disk("write", &path)(error);
        let known = check_header(file.as_ref(), length, &master_key, &path)?;
        if known.is_none() {
            file.truncate(0).and_then(|()| file.write_at(0, &header(&master_key)?)).map_err(on_disk)?;
            file.sync_data().map_err(on_disk)?;
        }
        // Not only for a new file: the crash may have come between its making and this.
        disk.sync_dir(dir).map_err(StoreError::disk("sync", dir))?;
        let reader = disk.open(&path, OpenMode::Read).map_err(StoreError::disk("open", &path))?;
        let mark = match known {
            Some(mark) => mark,
            None => check_header(reader.as_ref(), SLOT_BYTES as u64, &master_key, &path)?.unwrap_or_default(),
        };
        let (runs, torn) = Place { disk: disk.as_ref(), dir, file: reader.as_ref(), mark }
            .opened(tail_slots)
            .map_err(StoreError::disk("read", dir))?;
        let slots = read_slots(file.as_ref(), covered(&runs), &master_key, &path)?;
        let wipe = [torn, slots.wipe].concat();
        mend(file.as_mut(), slots.length, slots.end, &wipe).map_err(StoreError::disk("mend", &path))?;
        let table = Table { runs: runs.into(), tail: slots.tickets };
        let shared = Arc::new(Shared::new(master_key, path.clone(), reader, table));
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let growth = Growth { disk, dir: dir.to_owned(), mark, tail_slots, next: 0, under_way: None };
        let writer = Writer { shared: shared.clone(), file, end: slots.end, stopped: None, growth };
        let writer = std::thread::Builder::new().name("item-keys".into()).spawn(move || writer.run(waiting));
        let writer = writer.map_err(StoreError::disk("start the writer of", &path))?;
        Ok(Self { shared, queue: Some(queue), writer: Some(writer), _lock: lock })
    }

    /// Stores the key of an item; durable when this returns. Creations that come together share one sync.
    ///
    /// # Errors
    /// `TicketTaken`; the disk's; `Stopped` after a failed sync. Dropped while it waits, the key may be stored all the same.
    pub async fn create(&self, ticket: Ticket, key: &ItemKey) -> Result<(), StoreError> {
        self.change(Act::Create(ticket, key.clone())).await
    }

    /// Overwrites the key of an item with zeros, durably: what it encrypted can no longer be read by anybody. No error if there is none.
    ///
    /// # Errors
    /// The disk's; `Stopped`. It is then not known whether the key is gone: destroy it again after the restart.
    pub async fn destroy(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.change(Act::Destroy(ticket)).await
    }

    /// As [`Keys::destroy`] for many at once: they share syncs.
    ///
    /// # Errors
    /// As [`Keys::destroy`]: some may be gone.
    pub async fn destroy_all(&self, tickets: &[Ticket]) -> Result<(), StoreError> {
        for some in tickets.chunks(BATCH_MAX) {
            let mut told = Vec::with_capacity(some.len());
            for ticket in some {
                told.push(self.hand_over(Act::Destroy(*ticket)).await?);
            }
            for told in told {
                told.await.map_err(|_| ended())??;
            }
        }
        Ok(())
    }

    /// Whether there is a key of that item; it may still be damaged.
    ///
    /// # Errors
    /// The disk's.
    pub fn has(&self, ticket: Ticket) -> Result<bool, StoreError> {
        Ok(self.shared.slot_of(ticket)?.is_some())
    }

    /// The key of an item; none if there never was one, or if it was destroyed.
    ///
    /// # Errors
    /// `Damaged`: the slot is not as it was written. The disk's.
    pub fn open_key(&self, ticket: Ticket) -> Result<Option<ItemKey>, StoreError> {
        self.shared.open_key(ticket)
    }

    async fn change(&self, act: Act) -> Result<(), StoreError> {
        self.hand_over(act).await?.await.map_err(|_| ended())?
    }

    async fn hand_over(&self, act: Act) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let (answer, told) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(Change { act, answer }).await.map_err(|_| ended())?;
        Ok(told)
    }
}

fn ended() -> StoreError {
    StoreError::Stopped("the writer of the item keys has ended".to_owned())
}

impl Drop for Keys {
    /// Waits for the writer, so that the lock is not given up while it still writes.
    fn drop(&mut self) {
        self.queue = None;
        self.shared.stopping.store(true, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The one writer: takes what waits, writes it, syncs once, then answers everybody.
struct Writer {
    shared: Arc<Shared>,
    file: Box<dyn DiskFile>,
    /// The number of the next slot.
    end: u64,
    stopped: Option<String>,
    growth: Growth,
}

/// What covers slots by runs, beside the writer.
struct Growth {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    mark: [u8; 32],
    tail_slots: u64,
    /// Not before the file has so many slots: what failed is not tried again at once.
    next: u64,
    under_way: Option<JoinHandle<()>>,
}

impl Growth {
    /// Begins to cover the slots before `end` where enough of them are not, or a run is damaged.
    fn begin_if_due(&mut self, shared: &Arc<Shared>, end: u64) {
        let covered = shared.table.read().unwrap_or_else(PoisonError::into_inner).covered();
        let due = end - covered >= self.tail_slots || shared.damaged.load(Ordering::Relaxed);
        if !due || end < self.next || self.under_way.as_ref().is_some_and(|growing| !growing.is_finished()) {
            return;
        }
        self.next = end + self.tail_slots;
        let (disk, dir, mark, shared) = (self.disk.clone(), self.dir.clone(), self.mark, shared.clone());
        let grow = move || {
            let place = Place { disk: disk.as_ref(), dir: &dir, file: shared.reader.as_ref(), mark };
            if let Err(error) = grow(&place, &shared, end) {
                tracing::warn!(event = "keys.runs-not-written", %error);
            }
        };
        // Without a thread there is no harm yet: it is tried again.
        self.under_way = std::thread::Builder::new().name("item-slots".into()).spawn(grow).ok();
    }
}

fn grow(place: &Place<'_>, shared: &Shared, end: u64) -> io::Result<()> {
    let runs = shared.table.read().unwrap_or_else(PoisonError::into_inner).runs.clone();
    let mut runs = if shared.damaged.load(Ordering::Relaxed) { Vec::new() } else { runs.to_vec() };
    place.grow(&mut runs, end, Merging::All, &mut || match shared.stopping.load(Ordering::Relaxed) {
        true => Err(io::ErrorKind::Interrupted.into()),
        false => Ok(()),
    })?;
    let mut table = shared.table.write().unwrap_or_else(PoisonError::into_inner);
    *table = Table { runs: runs.into(), tail: table.tail.extract_if(|_, number| *number >= end).collect() };
    shared.damaged.store(false, Ordering::Relaxed);
    Ok(())
}

impl Writer {
    fn run(mut self, mut waiting: mpsc::Receiver<Change>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX {
                let Ok(next) = waiting.try_recv() else { break };
                batch.push(next);
            }
            self.commit(batch);
            self.growth.begin_if_due(&self.shared, self.end);
        }
        if let Some(growing) = self.growth.under_way.take() {
            let _ = growing.join();
        }
    }

    fn commit(&mut self, batch: Vec<Change>) {
        if let Some(reason) = &self.stopped {
            for change in batch {
                let _ = change.answer.send(Err(StoreError::Stopped(reason.clone())));
            }
            return;
        }
        let mut new_slots = Zeroizing::new(Vec::new());
        let mut created: HashMap<Ticket, u64> = HashMap::new();
        let mut destroyed = Vec::new();
        let mut answers = Vec::new();
        for Change { act, answer } in batch {
            let refused = match act {
                Act::Create(ticket, key) => self.place_new(ticket, &key, &mut created, &mut new_slots).err(),
                Act::Destroy(ticket) => match self.slots_to_wipe(ticket, &created) {
                    Ok(numbers) => {
                        destroyed.extend(numbers.into_iter().map(|number| (ticket, number)));
                        None
                    }
                    Err(error) => Some(error),
                },
            };
            match refused {
                Some(error) => drop(answer.send(Err(error))),
                None => answers.push(answer),
            }
        }
        let result = self.write(&new_slots, &created, &destroyed);
        for answer in answers {
            let _ = answer.send(result.as_ref().map(|_| ()).map_err(|error| self.told(error)));
        }
    }

    /// The slots that hold anything of the ticket's: those of a wiping that was torn, too, but none that is another's.
    fn slots_to_wipe(&self, ticket: Ticket, created: &HashMap<Ticket, u64>) -> Result<Vec<u64>, StoreError> {
        let mut numbers: Vec<u64> = created.get(&ticket).copied().into_iter().collect();
        self.shared.each_slot_of(ticket, &mut |number, slot| {
            let others =
                || open_slot(&slot, &self.shared.master_key).is_some_and(|(found, _)| found != ticket);
            if slot.iter().any(|byte| *byte != 0) && !others() {
                numbers.push(number);
            }
            None::<()>
        })?;
        Ok(numbers)
    }

    fn place_new(
        &self,
        ticket: Ticket,
        key: &ItemKey,
        created: &mut HashMap<Ticket, u64>,
        new_slots: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        if created.contains_key(&ticket) || self.shared.slot_of(ticket)?.is_some() {
            return Err(StoreError::TicketTaken);
        }
        new_slots.extend(seal_slot(ticket, key, &self.shared.master_key)?);
        created.insert(ticket, self.end + created.len() as u64);
        Ok(())
    }

    fn write(
        &mut self,
        new_slots: &[u8],
        created: &HashMap<Ticket, u64>,
        destroyed: &[(Ticket, u64)],
    ) -> std::io::Result<()> {
        let written = match new_slots {
            [] => Ok(()),
            new_slots => self.file.write_at(place(self.end), new_slots),
        };
        if let Err(error) = written {
            // A full disk must not end the service; but no half of a slot may stay behind what comes next.
            if self.file.truncate(place(self.end)).is_err() {
                self.stopped = Some(error.to_string());
            }
            return Err(error);
        }
        let mut wiped = Ok(());
        for (_, number) in destroyed {
            wiped = wiped.and_then(|()| self.file.write_at(place(*number), &[0; SLOT_BYTES]));
        }
        // A crash in here leaves slots that nobody was told of: whole ones are harmless, torn ones are cut at the next start.
        if let Err(error) = wiped.and_then(|()| self.file.sync_data()) {
            self.stopped = Some(error.to_string());
            return Err(error);
        }
        self.end += created.len() as u64;
        let mut table = self.shared.table.write().unwrap_or_else(PoisonError::into_inner);
        table.tail.extend(created);
        for (ticket, _) in destroyed {
            table.tail.remove(ticket);
        }
        Ok(())
    }

    fn told(&self, error: &std::io::Error) -> StoreError {
        let source = std::io::Error::new(error.kind(), error.to_string());
        StoreError::Disk { doing: "write", path: self.shared.path.clone(), source }
    }
}

#[cfg(test)]
mod tests;
