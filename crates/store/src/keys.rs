//! The item keys: fixed slots in one file, each wrapped by the master key. Destroying a key erases its item everywhere.
//!
//! ```text
//! header  (128 bytes)  magic (16) ‖ nonce (12) ‖ wrapped zeros (48) ‖ SHA-256 of what is before it (32) ‖ zeros
//! slot*   (128 bytes)  ticket (13) ‖ zeros (3) ‖ nonce (12) ‖ item key, AES-256-GCM under the master key, tag after it (48) ‖ zeros
//! ```
//! The ticket is the wrapping's associated data. A slot of zeros is a destroyed key. 128 divides every sector size: no slot
//! lies across two.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use disk::{Disk, DiskFile, OpenMode, read_exactly};
use erds::Ticket;
use pki::aead::{self, Key256, NONCE_BYTES};
use pki::digest::sha256;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::StoreError;

mod rotate;

pub use rotate::{Rotated, master_key_id, require_master, rotate};

const SLOT_BYTES: usize = 128;
const MAGIC: &[u8; 16] = b"ePost item keys1";
const HEADER_AAD: &[u8] = b"epost item keys 1 header";
const SLOT_AAD: &[u8] = b"epost item keys 1 slot";
const WRAPPED_BYTES: usize = 32 + aead::TAG_BYTES;
const TICKET_BYTES: usize = 13;
const NONCE_AT: usize = 16;
const WRAPPED_AT: usize = NONCE_AT + NONCE_BYTES;
const SUM_AT: usize = WRAPPED_AT + WRAPPED_BYTES;
/// Keys that wait for the writer; beyond it, who creates one waits to hand it over.
const QUEUE_MAX: usize = 1024;
/// Changes of one commit: how many slots at the end a power cut can leave torn.
const BATCH_MAX: usize = 256;

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
    writer: Option<std::thread::JoinHandle<()>>,
    _lock: Box<dyn Send + Sync>,
}

struct Shared {
    master_key: Key256,
    path: PathBuf,
    reader: Box<dyn DiskFile>,
    slots: RwLock<HashMap<Ticket, u64>>,
}

impl Shared {
    fn open_key(&self, ticket: Ticket) -> Result<Option<ItemKey>, StoreError> {
        let number = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&ticket).copied();
        let Some(number) = number else { return Ok(None) };
        let slot = read_exactly(self.reader.as_ref(), place(number), SLOT_BYTES);
        let slot = Zeroizing::new(slot.map_err(StoreError::disk("read", &self.path))?);
        match open_slot(&slot, &self.master_key) {
            Some((found, key)) if found == ticket => Ok(Some(key)),
            // Destroyed between the look-up and the read.
            _ if slot.iter().all(|byte| *byte == 0) => Ok(None),
            _ => Err(StoreError::damaged(format!("the key of {ticket}"))),
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
        check_header(reader.as_ref(), length, &master_key, &path)?;
        let slots = read_slots(reader.as_ref(), &master_key, &path)?.tickets;
        Ok(Self(Shared { master_key, path, reader, slots: RwLock::new(slots) }))
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
    /// Opens `dir`'s key file, made if absent; what a power cut left torn at its end is cut: nobody was told that it is there.
    ///
    /// # Errors
    /// `WrongMasterKey`: refused, nothing changed. `Damaged`: the file's header. The disk's.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, master_key: Key256) -> Result<Self, StoreError> {
        disk.create_dir_all(dir).map_err(StoreError::disk("make", dir))?;
        let lock = disk.lock(dir).map_err(StoreError::disk("lock", dir))?;
        let path = dir.join("items.keys");
        let mut file = disk.open(&path, OpenMode::Write).map_err(StoreError::disk("open", &path))?;
        let length = file.length().map_err(StoreError::disk("read", &path))?;
        let on_disk = |error| StoreError::disk("write", &path)(error);
        if !check_header(file.as_ref(), length, &master_key, &path)? {
            file.truncate(0).and_then(|()| file.write_at(0, &header(&master_key)?)).map_err(on_disk)?;
            file.sync_data().map_err(on_disk)?;
        }
        // Not only for a new file: the crash may have come between its making and this.
        disk.sync_dir(dir).map_err(StoreError::disk("sync", dir))?;
        let Slots { tickets: slots, end, wipe, length } = read_slots(file.as_ref(), &master_key, &path)?;
        mend(file.as_mut(), length, end, &wipe).map_err(StoreError::disk("mend", &path))?;
        let reader = disk.open(&path, OpenMode::Read).map_err(StoreError::disk("open", &path))?;
        let shared = Arc::new(Shared { master_key, path: path.clone(), reader, slots: RwLock::new(slots) });
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let writer = Writer { shared: shared.clone(), file, end, stopped: None };
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
    pub fn has(&self, ticket: Ticket) -> bool {
        self.shared.slots.read().unwrap_or_else(PoisonError::into_inner).contains_key(&ticket)
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
                Act::Destroy(ticket) => {
                    destroyed.extend(self.known(ticket, &created).map(|number| (ticket, number)));
                    None
                }
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

    fn known(&self, ticket: Ticket, created: &HashMap<Ticket, u64>) -> Option<u64> {
        let slots = self.shared.slots.read().unwrap_or_else(PoisonError::into_inner);
        created.get(&ticket).or_else(|| slots.get(&ticket)).copied()
    }

    fn place_new(
        &self,
        ticket: Ticket,
        key: &ItemKey,
        created: &mut HashMap<Ticket, u64>,
        new_slots: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        if self.known(ticket, created).is_some() {
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
        let mut slots = self.shared.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.extend(created);
        for (ticket, _) in destroyed {
            slots.remove(ticket);
        }
        Ok(())
    }

    fn told(&self, error: &std::io::Error) -> StoreError {
        let source = std::io::Error::new(error.kind(), error.to_string());
        StoreError::Disk { doing: "write", path: self.shared.path.clone(), source }
    }
}

fn place(number: u64) -> u64 {
    // The header takes the first place.
    (number + 1) * SLOT_BYTES as u64
}

fn wrap(plain: &[u8; 32], aad: &[u8], master_key: &Key256) -> Result<Vec<u8>, StoreError> {
    // Random nonces: one master key wraps far fewer than 2^32 keys (NIST SP 800-38D 8.3).
    let mut nonce = [0; NONCE_BYTES];
    pki::random::fill(&mut nonce)?;
    let wrapped = aead::seal(master_key, &nonce, aad, plain)?;
    Ok([nonce.as_slice(), &wrapped].concat())
}

fn unwrap(bytes: &[u8], aad: &[u8], master_key: &Key256) -> Option<Zeroizing<Vec<u8>>> {
    let nonce = bytes.get(NONCE_AT..WRAPPED_AT)?.try_into().ok()?;
    aead::open(master_key, &nonce, aad, bytes.get(WRAPPED_AT..SUM_AT)?).ok().map(Zeroizing::new)
}

fn slot_aad(ticket: Ticket) -> Vec<u8> {
    [SLOT_AAD, ticket.as_str().as_bytes()].concat()
}

fn seal_slot(ticket: Ticket, key: &ItemKey, master_key: &Key256) -> Result<Vec<u8>, StoreError> {
    let mut slot = Vec::with_capacity(SLOT_BYTES);
    slot.extend_from_slice(ticket.as_str().as_bytes());
    slot.resize(NONCE_AT, 0);
    slot.extend(wrap(key.as_bytes(), &slot_aad(ticket), master_key)?);
    slot.resize(SLOT_BYTES, 0);
    Ok(slot)
}

fn slot_ticket(slot: &[u8]) -> Option<Ticket> {
    Ticket::parse(std::str::from_utf8(slot.get(..TICKET_BYTES)?).ok()?).ok()
}

fn open_slot(slot: &[u8], master_key: &Key256) -> Option<(Ticket, ItemKey)> {
    let ticket = slot_ticket(slot)?;
    let plain = unwrap(slot, &slot_aad(ticket), master_key)?;
    let key = <&[u8; 32]>::try_from(plain.as_slice()).ok()?;
    Some((ticket, ItemKey(Key256::new(*key))))
}

fn header(master_key: &Key256) -> std::io::Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(wrap(&[0; 32], HEADER_AAD, master_key).map_err(std::io::Error::other)?);
    bytes.extend(sha256(&bytes));
    bytes.resize(SLOT_BYTES, 0);
    Ok(bytes)
}

/// Whether there is a whole header; false: none yet, and no slots behind it.
fn check_header(
    file: &dyn DiskFile,
    length: u64,
    master_key: &Key256,
    path: &Path,
) -> Result<bool, StoreError> {
    let held = length.min(SLOT_BYTES as u64) as usize;
    let bytes = read_exactly(file, 0, held).map_err(StoreError::disk("read", path))?;
    let whole =
        bytes.split_at_checked(SUM_AT).is_some_and(|(said, sum)| sum.get(..32) == Some(&sha256(said)));
    match (whole, length > SLOT_BYTES as u64) {
        (true, _) if !bytes.starts_with(MAGIC) => Err(StoreError::damaged(path.display().to_string())),
        (true, _) if unwrap(&bytes, HEADER_AAD, master_key).is_none() => {
            Err(StoreError::WrongMasterKey { path: path.to_owned() })
        }
        (true, _) => Ok(true),
        (false, false) => Ok(false),
        (false, true) => Err(StoreError::damaged(format!("the header of {}", path.display()))),
    }
}

/// The table of slots and the number of the next one.
fn read_slots(file: &dyn DiskFile, master_key: &Key256, path: &Path) -> Result<Slots, StoreError> {
    let length = file.length().map_err(StoreError::disk("read", path))?;
    let whole = (length / SLOT_BYTES as u64).saturating_sub(1);
    let mut slots = HashMap::new();
    let mut end = 0;
    let (mut wipe, mut torn) = (Vec::new(), Vec::new());
    for first in (0..whole).step_by(READ_SLOTS) {
        let count = (whole - first).min(READ_SLOTS as u64) as usize;
        let bytes =
            read_exactly(file, place(first), count * SLOT_BYTES).map_err(StoreError::disk("read", path))?;
        for (number, slot) in (first..).zip(bytes.chunks_exact(SLOT_BYTES)) {
            // Only the last commit can be torn; opening every slot of millions would make the start slow.
            let may_be_torn = number + BATCH_MAX as u64 >= whole;
            match slot_ticket(slot) {
                Some(ticket) if !may_be_torn || open_slot(slot, master_key).is_some() => {
                    slots.insert(ticket, number);
                    end = number + 1;
                }
                // A write that was cut short does not reach the slot's end; what does was whole once, and is damage now.
                Some(ticket) if slot.get(SUM_AT - TORN_BYTES..SUM_AT) == Some(&[0; TORN_BYTES]) => {
                    torn.push((ticket, number));
                }
                Some(ticket) => {
                    tracing::error!(event = "alarm.keys.damaged", slot = number);
                    slots.entry(ticket).or_insert(number);
                    end = number + 1;
                }
                None if slot.iter().all(|byte| *byte == 0) => {}
                // A torn wiping, or a torn creation: both are finished by wiping.
                None if slot.iter().take(TICKET_BYTES).any(|byte| *byte == 0) => wipe.push(number),
                None => {
                    tracing::error!(event = "alarm.keys.damaged", slot = number);
                    end = number + 1;
                }
            }
        }
    }
    // At the end they are cut. Before it they may be damage: they stay, for a repair from the backup, and do not open.
    for (ticket, number) in torn.into_iter().filter(|(_, number)| *number < end) {
        tracing::error!(event = "alarm.keys.damaged", slot = number);
        slots.entry(ticket).or_insert(number);
    }
    Ok(Slots { tickets: slots, end, wipe, length })
}

/// What a key file holds, and what a power cut left to mend.
struct Slots {
    tickets: HashMap<Ticket, u64>,
    end: u64,
    wipe: Vec<u64>,
    length: u64,
}

/// Cuts what lies behind the last good slot and wipes what is torn before it.
fn mend(file: &mut dyn DiskFile, length: u64, end: u64, wipe: &[u64]) -> std::io::Result<()> {
    let before_end: Vec<u64> = wipe.iter().copied().filter(|number| *number < end).collect();
    if length == place(end) && before_end.is_empty() {
        return Ok(());
    }
    for number in before_end {
        file.write_at(place(number), &[0; SLOT_BYTES])?;
    }
    if length != place(end) {
        let cut_bytes = length.saturating_sub(place(end));
        tracing::warn!(event = "keys.torn-end-cut", cut_bytes);
        file.truncate(place(end))?;
    }
    file.sync_data()
}

const READ_SLOTS: usize = 4096;
/// Zeros at the end of what a slot wraps, by which a write that was cut short is known: in one of four billion whole ones.
const TORN_BYTES: usize = 4;

#[cfg(test)]
mod tests;
