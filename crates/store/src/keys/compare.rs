//! A key file beside an older one of the same history, a backup's: which slots cannot be what was written, and what stood there.
//!
//! A slot keeps its place for as long as the file has its header: what the older one has in it is the same item's key. Whether a slot of zeros is
//! a destroyed key, which stays destroyed, is not known here: the records say it.

use std::path::Path;

use disk::{Disk, DiskFile, OpenMode, read_exactly};
use erds::Ticket;
use pki::aead::Key256;

use super::slot::{SLOT_BYTES, check_header, is_destroyed, is_torn, open_slot, place, slot_ticket};
use super::table::{READ_SLOTS, slots_in};
use crate::StoreError;

/// A slot that does not open, or one of zeros whose key the older file still has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Doubt {
    /// Where it lies in the key file.
    pub offset: u64,
    /// Whose it is: as the older file says, else as what is left of it does; none: nobody can say.
    pub ticket: Option<Ticket>,
    /// The older file's slot, which opens under the master key for that ticket.
    pub good: Option<Vec<u8>>,
}

/// Every doubtful slot of `dir`'s key file, beside the one of `older`, if that is of the same history: it has the same header. Slots that are
/// the same in both are not opened: they were when the older one was made. A damaged header is a doubt of no ticket.
///
/// # Errors
/// `WrongMasterKey`, of the key file; `Damaged`: its header, and there is no older one to tell; the disk's.
pub fn doubts(
    (disk, dir): (&dyn Disk, &Path),
    older: Option<(&dyn Disk, &Path)>,
    master_key: &Key256,
) -> Result<Vec<Doubt>, StoreError> {
    let path = dir.join("items.keys");
    let live = disk.open(&path, OpenMode::Read).map_err(StoreError::disk("open", &path))?;
    let mut doubts = Vec::new();
    let mut older = older.map(|(disk, dir)| Older::open(disk, dir, master_key)).transpose()?.flatten();
    let length = live.length().map_err(StoreError::disk("read", &path))?;
    match (check_header(live.as_ref(), length, master_key, &path), &older) {
        (Ok(header), Some(known)) if header != Some(known.mark) => older = None,
        (Err(StoreError::Damaged { .. }), Some(known)) => {
            doubts.push(Doubt { offset: 0, ticket: None, good: Some(known.header.clone()) });
        }
        (header, _) => drop(header?),
    }
    let slots = slots_in(length).max(older.as_ref().map_or(0, |older| older.slots));
    for first in (0..slots).step_by(READ_SLOTS) {
        let count = (slots - first).min(READ_SLOTS as u64) as usize;
        let now = read_zeros_behind(live.as_ref(), first, count).map_err(StoreError::disk("read", &path))?;
        let known = match &older {
            Some(older) => read_zeros_behind(older.file.as_ref(), first, count),
            None => Ok(vec![0; count * SLOT_BYTES]),
        };
        let known = known.map_err(StoreError::disk("read", Path::new("the older items.keys")))?;
        let pairs = now.chunks_exact(SLOT_BYTES).zip(known.chunks_exact(SLOT_BYTES));
        doubts.extend(
            (first..).zip(pairs).filter_map(|(number, (now, known))| doubt(number, now, known, master_key)),
        );
    }
    // Beside a service that runs a slot may have been seen half written; a moment later it is whole.
    doubts.retain(|doubt| {
        let again = read_exactly(live.as_ref(), doubt.offset, SLOT_BYTES);
        doubt.offset == 0 || !again.is_ok_and(|slot| open_slot(&slot, master_key).is_some())
    });
    Ok(doubts)
}

fn doubt(number: u64, now: &[u8], known: &[u8], master_key: &Key256) -> Option<Doubt> {
    if now == known || open_slot(now, master_key).is_some() {
        return None;
    }
    let good = open_slot(known, master_key).map(|(ticket, _)| ticket);
    if good.is_none() && (is_destroyed(now) || is_torn(now)) {
        return None;
    }
    let ticket = good.or_else(|| slot_ticket(now));
    Some(Doubt { offset: place(number), ticket, good: good.map(|_| known.to_vec()) })
}

struct Older {
    file: Box<dyn DiskFile>,
    header: Vec<u8>,
    mark: [u8; 32],
    slots: u64,
}

impl Older {
    /// None: it is not there, damaged, or of another master key.
    fn open(disk: &dyn Disk, dir: &Path, master_key: &Key256) -> Result<Option<Self>, StoreError> {
        let path = dir.join("items.keys");
        let file = match disk.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(StoreError::disk("open", &path))?,
        };
        let length = file.length().map_err(StoreError::disk("read", &path))?;
        let Ok(Some(mark)) = check_header(file.as_ref(), length, master_key, &path) else { return Ok(None) };
        let header = read_exactly(file.as_ref(), 0, SLOT_BYTES).map_err(StoreError::disk("read", &path))?;
        Ok(Some(Self { file, header, mark, slots: slots_in(length) }))
    }
}

/// So many slots; zeros where the file has ended.
fn read_zeros_behind(file: &dyn DiskFile, first: u64, count: usize) -> std::io::Result<Vec<u8>> {
    let there = (slots_in(file.length()?).saturating_sub(first)).min(count as u64) as usize;
    let mut bytes = read_exactly(file, place(first), there * SLOT_BYTES)?;
    bytes.resize(count * SLOT_BYTES, 0);
    Ok(bytes)
}

/// Puts what the older file has in the place of these slots, and removes what is derived of the file. No service may run on it. A doubt without a
/// good slot is passed over.
///
/// *A crash leaves each of these slots as it was, mended, or damaged: the same call goes on.*
///
/// # Errors
/// The disk's: another process is in the folder, or a write failed.
pub fn mend_slots(disk: &dyn Disk, dir: &Path, doubts: &[Doubt]) -> Result<(), StoreError> {
    let _lock = disk.lock(dir).map_err(StoreError::disk("lock", dir))?;
    let path = dir.join("items.keys");
    // First: a run that was made while the slot was damaged does not know it.
    for (_, _, run) in runs::paths(disk, dir).map_err(StoreError::disk("list", dir))? {
        disk.remove(&run).map_err(StoreError::disk("remove", &run))?;
    }
    disk.sync_dir(dir).map_err(StoreError::disk("sync", dir))?;
    let mut file = disk.open(&path, OpenMode::Write).map_err(StoreError::disk("open", &path))?;
    for doubt in doubts {
        let written = doubt.good.iter().try_for_each(|good| file.write_at(doubt.offset, good));
        written.map_err(StoreError::disk("write", &path))?;
    }
    file.sync_data().map_err(StoreError::disk("sync", &path))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use disk::ForgetfulDisk;

    use super::*;
    use crate::keys::{ItemKey, Keys};

    const DIR: &str = "data/keys";
    const FILE: &str = "data/keys/items.keys";

    fn master() -> Key256 {
        Key256::new([7; 32])
    }

    fn ticket(number: u64) -> Ticket {
        Ticket::parse(&format!("{number:013}")).unwrap()
    }

    fn with_keys<T>(disk: &ForgetfulDisk, act: impl AsyncFnOnce(&Keys) -> T) -> T {
        let keys = Keys::open(Arc::new(disk.clone()), Path::new(DIR), master()).unwrap();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(act(&keys))
    }

    fn create(disk: &ForgetfulDisk, numbers: std::ops::Range<u64>) {
        let key = ItemKey::random().unwrap();
        with_keys(disk, async |keys| {
            for number in numbers {
                keys.create(ticket(number), &key).await.unwrap();
            }
        });
    }

    fn between(live: &ForgetfulDisk, older: Option<&ForgetfulDisk>) -> Vec<(u64, Option<Ticket>, bool)> {
        let older = older.map(|older| (older as &dyn Disk, Path::new(DIR)));
        let found = doubts((live, Path::new(DIR)), older, &master()).unwrap();
        found.into_iter().map(|doubt| (doubt.offset, doubt.ticket, doubt.good.is_some())).collect()
    }

    #[test]
    fn each_damaged_slot_is_found_and_comes_back_as_it_was() {
        let disk = ForgetfulDisk::new();
        create(&disk, 0..6);
        let older = disk.after_power_cut(0);
        create(&disk, 6..9);
        assert_eq!(between(&disk, Some(&older)), []);
        with_keys(&disk, async |keys| keys.destroy(ticket(2)).await.unwrap());
        disk.flip(Path::new(FILE), place(1) as usize + 40);
        disk.flip(Path::new(FILE), place(3) as usize + 2);
        disk.flip(Path::new(FILE), place(7) as usize + 40);
        let expected = [
            (place(1), Some(ticket(1)), true),
            (place(2), Some(ticket(2)), true),
            (place(3), Some(ticket(3)), true),
            (place(7), Some(ticket(7)), false),
        ];
        assert_eq!(between(&disk, Some(&older)), expected, "what was destroyed, too: the records know");
        assert_eq!(between(&disk, None).len(), 3);
        assert_eq!(between(&disk, Some(&ForgetfulDisk::new())).len(), 3);
        let another = ForgetfulDisk::new();
        create(&another, 0..6);
        assert_eq!(
            between(&disk, Some(&another)),
            between(&disk, None),
            "of another header nothing is taken"
        );

        disk.flip(Path::new(FILE), 20);
        let refused = doubts((&disk, Path::new(DIR)), None, &master()).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
        let older = Some((&older as &dyn Disk, Path::new(DIR)));
        let mut found = doubts((&disk, Path::new(DIR)), older, &master()).unwrap();
        assert_eq!((found.len(), found[0].offset), (5, 0));
        found.retain(|doubt| doubt.ticket != Some(ticket(2)));
        mend_slots(&disk, Path::new(DIR), &found).unwrap();
        with_keys(&disk, async |keys| {
            for number in [0, 1, 3, 4, 5, 6, 8] {
                assert!(keys.open_key(ticket(number)).unwrap().is_some(), "{number}");
            }
            assert!(keys.open_key(ticket(2)).unwrap().is_none());
            assert!(keys.open_key(ticket(7)).is_err());
        });
    }

    #[test]
    fn a_file_that_was_cut_is_made_long_again() {
        let disk = ForgetfulDisk::new();
        create(&disk, 0..6);
        let older = disk.after_power_cut(0);
        disk.open(Path::new(FILE), OpenMode::Write).unwrap().truncate(place(4) + 60).unwrap();
        let found = doubts((&disk, Path::new(DIR)), Some((&older, Path::new(DIR))), &master()).unwrap();
        assert_eq!(
            found.iter().map(|doubt| doubt.ticket).collect::<Vec<_>>(),
            [Some(ticket(4)), Some(ticket(5))]
        );
        mend_slots(&disk, Path::new(DIR), &found).unwrap();
        with_keys(&disk, async |keys| assert!((0..6).all(|number| keys.has(ticket(number)).unwrap())));
    }
}
