//! Which slot is whose: of the newest slots a table in memory, of all before them sorted runs beside the key file.
//!
//! The runs are derived: they are made again from the key file where they are gone, damaged or of another one, and a start reads none of
//! the slots that they cover.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use disk::{Disk, DiskFile, read_exactly};
use erds::Ticket;
use pki::aead::Key256;
use runs::{Entry, Span};

use super::BATCH_MAX;
use super::slot::{SLOT_BYTES, TICKET_BYTES, is_destroyed, is_torn, open_slot, place, slot_ticket};
use crate::StoreError;

/// A run of tickets, each with the number of its slot; marked with the sum of the key file's header.
pub(super) type Run = runs::Run<TICKET_BYTES>;

/// Slots that are read at once.
pub(super) const READ_SLOTS: usize = 4096;
/// Slots of which a run is made at once, in memory.
const GROWN_AT_ONCE: u64 = 1 << 20;
/// A run is merged with those before it that are not so many times as long: few are left, and an entry is not often written again.
const MERGED_BELOW: u64 = 4;

/// Where the slots are found.
pub(super) struct Table {
    /// From the first slot on, one behind the other.
    pub(super) runs: Arc<[Arc<Run>]>,
    /// The slots behind them.
    pub(super) tail: HashMap<Ticket, u64>,
}

impl Table {
    /// The first slot that no run covers.
    pub(super) fn covered(&self) -> u64 {
        covered(&self.runs)
    }
}

pub(super) fn covered(runs: &[Arc<Run>]) -> u64 {
    runs.last().map_or(0, |run| run.span.end)
}

/// A ticket as a run has it.
pub(super) fn key_of(ticket: Ticket) -> [u8; TICKET_BYTES] {
    ticket.as_str().as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Whole slots of a key file of this length.
pub(super) fn slots_in(length: u64) -> u64 {
    (length / SLOT_BYTES as u64).saturating_sub(1)
}

/// Which runs are merged while they are made.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Merging {
    /// Each one, so that few are left.
    All,
    /// Not the last one: a start waits for no merge of what was there, and the next growth beside the service makes up for it.
    BetweenOnly,
}

/// A key file and the folder that its runs lie in.
pub(super) struct Place<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) dir: &'a Path,
    pub(super) file: &'a dyn DiskFile,
    /// The sum of its header.
    pub(super) mark: [u8; 32],
}

impl Place<'_> {
    /// The runs that cover the key file's first slots; the longest, where two begin at the same one.
    pub(super) fn runs(&self) -> io::Result<Vec<Arc<Run>>> {
        let slots = slots_in(self.file.length()?);
        let mut named = runs::paths(self.disk, self.dir)?;
        named.sort_unstable_by_key(|(_, end, _)| std::cmp::Reverse(*end));
        let mut chain = Vec::new();
        loop {
            let first = covered(&chain);
            let mut found = None;
            for (_, end, path) in named.iter().filter(|(begins, ..)| *begins == first) {
                let span = Span { first, end: *end, mark: self.mark };
                let run = Run::open(self.disk, path)?.filter(|run| run.span == span);
                found = run.filter(|run| (first + 1..=slots).contains(end) && self.fits(run));
                if found.is_some() {
                    break;
                }
            }
            let Some(run) = found else { return Ok(chain) };
            chain.push(Arc::new(run));
        }
    }

    /// The runs of a key file that is being opened, grown until at most so many slots are left behind them; and slots whose wiping was
    /// torn. What cannot be written costs memory, and is tried again by the next start.
    pub(super) fn opened(&self, tail_slots: u64) -> io::Result<(Vec<Arc<Run>>, Vec<u64>)> {
        let mut runs = self.runs()?;
        self.remove_others(&runs)?;
        // What the last commit may have left torn is looked at slot by slot.
        let end = slots_in(self.file.length()?).saturating_sub(tail_slots.max(BATCH_MAX as u64));
        if end <= covered(&runs) {
            return Ok((runs, Vec::new()));
        }
        let grown = self.grow(&mut runs, end, Merging::BetweenOnly, &mut || Ok(()));
        let torn = grown.inspect_err(|error| tracing::warn!(event = "keys.runs-not-written", %error));
        Ok((runs, torn.unwrap_or_default()))
    }

    /// Whether the last slot that it covers is where it says: no other file of the same beginning took the key file's place.
    fn fits(&self, run: &Run) -> bool {
        let Some(last) = run.span.end.checked_sub(1) else { return false };
        let Ok(slot) = read_exactly(self.file, place(last), SLOT_BYTES) else { return false };
        let found = |ticket| Ok::<_, io::Error>(run.find_all(&key_of(ticket))?.any(|number| number == last));
        is_destroyed(&slot) || slot_ticket(&slot).is_some_and(|ticket| found(ticket).unwrap_or(false))
    }

    /// Removes what lies there of runs beside these.
    pub(super) fn remove_others(&self, used: &[Arc<Run>]) -> io::Result<()> {
        let named = runs::paths(self.disk, self.dir)?.into_iter().map(|(_, _, path)| path);
        let mut unused = named.filter(|path| used.iter().all(|run| run.path != *path));
        unused.try_for_each(|path| self.disk.remove(&path))
    }

    /// Covers the slots up to `end` too. A run that is found damaged is made anew, with all others. Says which slots' wiping was torn.
    /// `pause` is called now and then, and may end it.
    ///
    /// *A crash leaves runs that cover less, and perhaps what was merged, which the next start removes.*
    pub(super) fn grow(
        &self,
        runs: &mut Vec<Arc<Run>>,
        end: u64,
        merging: Merging,
        pause: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<Vec<u64>> {
        let grown = match self.grow_on(runs, end, merging, pause) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(event = "keys.runs-damaged", %error, "made again from the key file");
                runs.clear();
                self.grow_on(runs, end, merging, pause)
            }
            grown => grown,
        }?;
        self.remove_others(runs)?;
        Ok(grown)
    }

    fn grow_on(
        &self,
        runs: &mut Vec<Arc<Run>>,
        end: u64,
        merging: Merging,
        pause: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<Vec<u64>> {
        let mut torn = Vec::new();
        while covered(runs) < end {
            let first = covered(runs);
            let span = Span { first, end: end.min(first + GROWN_AT_ONCE), mark: self.mark };
            let entries = self.entries(&span, &mut torn)?;
            let run = runs::write(self.disk, self.dir, span, entries.len(), entries.into_iter())?;
            runs.push(Arc::new(run));
            if merging == Merging::All || covered(runs) < end {
                self.merge(runs, pause)?;
            }
        }
        Ok(torn)
    }

    /// The tickets of these slots, in a run's order.
    fn entries(&self, span: &Span, torn: &mut Vec<u64>) -> io::Result<Vec<Entry<TICKET_BYTES>>> {
        let mut entries = Vec::new();
        each_slot(self.file, span, &mut |number, slot| match slot_ticket(slot) {
            Some(ticket) => entries.push(Entry { key: key_of(ticket), number }),
            None if slot.iter().all(|byte| *byte == 0) => {}
            None if is_destroyed(slot) => torn.push(number),
            None => tracing::error!(event = "alarm.keys.damaged", slot = number),
        })?;
        entries.sort_unstable_by_key(|entry| (runs::order(&entry.key), entry.key, entry.number));
        Ok(entries)
    }

    fn merge(&self, runs: &mut Vec<Arc<Run>>, pause: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        let (mut from, mut length) = (runs.len(), 0);
        for (number, run) in runs.iter().enumerate().rev() {
            let slots = run.span.end - run.span.first;
            if from < runs.len() && slots >= length * MERGED_BELOW {
                break;
            }
            (from, length) = (number, length + slots);
        }
        let alike = runs.get(from..).filter(|alike| alike.len() > 1);
        let Some(alike) = alike else { return Ok(()) };
        let merged = runs::merge(self.disk, self.dir, alike, pause)?;
        for run in runs.drain(from..) {
            // Who still reads it has it open; one that stays is removed by the next start.
            let _ = self.disk.remove(&run.path);
        }
        runs.push(Arc::new(merged));
        Ok(())
    }
}

/// Gives each of these slots with its number.
pub(super) fn each_slot(
    file: &dyn DiskFile,
    span: &Span,
    each: &mut dyn FnMut(u64, &[u8]),
) -> io::Result<()> {
    for first in (span.first..span.end).step_by(READ_SLOTS) {
        let count = (span.end - first).min(READ_SLOTS as u64) as usize;
        let bytes = read_exactly(file, place(first), count * SLOT_BYTES)?;
        for (number, slot) in (first..).zip(bytes.chunks_exact(SLOT_BYTES)) {
            each(number, slot);
        }
    }
    Ok(())
}

/// The slots from `covered` on, and the number of the next one.
pub(super) fn read_slots(
    file: &dyn DiskFile,
    covered: u64,
    master_key: &Key256,
    path: &Path,
) -> Result<Slots, StoreError> {
    let length = file.length().map_err(StoreError::disk("read", path))?;
    let whole = slots_in(length);
    let mut slots = HashMap::new();
    let mut end = covered;
    let (mut wipe, mut torn) = (Vec::new(), Vec::new());
    for first in (covered..whole).step_by(READ_SLOTS) {
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
                Some(ticket) if is_torn(slot) => torn.push((ticket, number)),
                Some(ticket) => {
                    tracing::error!(event = "alarm.keys.damaged", slot = number);
                    slots.entry(ticket).or_insert(number);
                    end = number + 1;
                }
                None if slot.iter().all(|byte| *byte == 0) => {}
                // A torn wiping, or a torn creation: both are finished by wiping.
                None if is_destroyed(slot) => wipe.push(number),
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

/// What a key file holds behind what is covered, and what a power cut left to mend.
pub(super) struct Slots {
    pub(super) tickets: HashMap<Ticket, u64>,
    pub(super) end: u64,
    pub(super) wipe: Vec<u64>,
    pub(super) length: u64,
}

/// Cuts what lies behind the last good slot and wipes what is torn before it.
pub(super) fn mend(file: &mut dyn DiskFile, length: u64, end: u64, wipe: &[u64]) -> std::io::Result<()> {
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
