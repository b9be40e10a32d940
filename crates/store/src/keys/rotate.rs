//! Another master key: every item key wrapped anew in a new file, which then takes the old one's name.
//!
//! *A crash before the rename leaves the old file whole, after it the new one*: there is one key file at any time, and one of the two
//! master keys opens all of it. Run again, it finds which.

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, DiskFile, OpenMode, read_exactly};
use pki::aead::Key256;
use pki::digest::sha256;
use zeroize::Zeroizing;

use super::Keys;
use super::slot::{SLOT_BYTES, check_header, header, open_slot, place, seal_slot};
use super::table::{READ_SLOTS, slots_in};
use crate::StoreError;

/// What a rotation did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotated {
    /// Keys in the file, all under the new master key.
    pub keys: u64,
    /// They were so before: an earlier run had come that far.
    pub already: bool,
}

/// A master key's name, which tells nothing of it: for escrow, backups and records.
pub fn master_key_id(master_key: &Key256) -> String {
    let bytes = Zeroizing::new([b"epost master key id\0".as_slice(), master_key.as_bytes()].concat());
    sha256(&bytes).iter().take(8).fold(String::new(), |id, byte| format!("{id}{byte:02x}"))
}

/// Whether this master key is the one of `dir`'s key file; opens no item's key.
///
/// # Errors
/// `WrongMasterKey`, `Damaged`, the disk's.
pub fn require_master(disk: &dyn Disk, dir: &Path, master_key: &Key256) -> Result<(), StoreError> {
    let path = dir.join("items.keys");
    let file = disk.open(&path, OpenMode::Read).map_err(StoreError::disk("open", &path))?;
    let length = file.length().map_err(StoreError::disk("read", &path))?;
    match check_header(file.as_ref(), length, master_key, &path)? {
        Some(_) => Ok(()),
        None => Err(StoreError::damaged(format!("the header of {}", path.display()))),
    }
}

/// Wraps every key in `dir` under `new` instead of `old`. No service may run on it.
///
/// # Errors
/// `WrongMasterKey`: neither opens the file. `Damaged`: a key that `old` does not open; nothing was changed: repair it first, or it is
/// lost with `old`. The disk's: another process is in the folder, or a write failed; the file is whole under one of the two, and the
/// same call goes on.
pub fn rotate(disk: &Arc<dyn Disk>, dir: &Path, old: &Key256, new: &Key256) -> Result<Rotated, StoreError> {
    let path = dir.join("items.keys");
    let already = match require_master(disk.as_ref(), dir, new) {
        Ok(()) => true,
        Err(StoreError::WrongMasterKey { .. }) => false,
        Err(error) => return Err(error),
    };
    // A start's own mending first: what a crash left torn at the end is no key.
    drop(Keys::open(disk.clone(), dir, if already { new.clone() } else { old.clone() })?);
    let _lock = disk.lock(dir).map_err(StoreError::disk("lock", dir))?;
    let file = disk.open(&path, OpenMode::Read).map_err(StoreError::disk("open", &path))?;
    if already {
        return Ok(Rotated { keys: each_slot(file.as_ref(), &path, new, &mut |_| Ok(()))?, already });
    }
    let made = dir.join("items.keys.new");
    if disk.list(dir).map_err(StoreError::disk("list", dir))?.contains(&made) {
        disk.remove(&made).map_err(StoreError::disk("remove", &made))?;
    }
    let mut target = disk.open(&made, OpenMode::CreateNew).map_err(StoreError::disk("make", &made))?;
    let on_disk = |error| StoreError::disk("write", &made)(error);
    target.write_at(0, &header(new).map_err(on_disk)?).map_err(on_disk)?;
    let mut next = 0;
    let keys = each_slot(file.as_ref(), &path, old, &mut |slots| {
        let mut wrapped = Zeroizing::new(Vec::with_capacity(slots.len() * SLOT_BYTES));
        for (ticket, key) in slots {
            wrapped.extend(seal_slot(*ticket, key, new)?);
        }
        target.write_at(place(next), &wrapped).map_err(StoreError::disk("write", &made))?;
        next += slots.len() as u64;
        Ok(())
    })?;
    target.sync_data().map_err(StoreError::disk("sync", &made))?;
    // Read back before the old one goes: what cannot be opened now never could be again.
    let opened = each_slot(target.as_ref(), &made, new, &mut |_| Ok(()))?;
    if opened != keys {
        return Err(StoreError::damaged(format!("{}: {opened} of {keys} keys", made.display())));
    }
    disk.rename(&made, &path).map_err(StoreError::disk("rename", &made))?;
    disk.sync_dir(dir).map_err(StoreError::disk("sync", dir))?;
    Ok(Rotated { keys, already })
}

type Opened = (erds::Ticket, super::ItemKey);

/// Opens every key of a file, some at a time; says how many there are. A slot of zeros is none.
fn each_slot(
    file: &dyn DiskFile,
    path: &Path,
    master_key: &Key256,
    each: &mut dyn FnMut(&[Opened]) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let length = file.length().map_err(StoreError::disk("read", path))?;
    let whole = slots_in(length);
    let mut keys = 0;
    for first in (0..whole).step_by(READ_SLOTS) {
        let count = (whole - first).min(READ_SLOTS as u64) as usize;
        let bytes =
            read_exactly(file, place(first), count * SLOT_BYTES).map_err(StoreError::disk("read", path))?;
        let bytes = Zeroizing::new(bytes);
        let mut opened = Vec::with_capacity(count);
        for (number, slot) in (first..).zip(bytes.chunks_exact(SLOT_BYTES)) {
            if slot.iter().any(|byte| *byte != 0) {
                let slot = open_slot(slot, master_key);
                opened.push(slot.ok_or_else(|| {
                    StoreError::damaged(format!("slot {number} of {}, under this master key", path.display()))
                })?);
            }
        }
        keys += opened.len() as u64;
        each(&opened)?;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use disk::{Fault, ForgetfulDisk};
    use erds::Ticket;

    use super::*;
    use crate::keys::ItemKey;

    const DIR: &str = "data/keys";
    const FILE: &str = "data/keys/items.keys";
    const KEYS: usize = 300;

    fn ticket(number: usize) -> Ticket {
        Ticket::parse(&format!("{number:013}")).unwrap()
    }

    fn master(byte: u8) -> Key256 {
        Key256::new([byte; 32])
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn open(disk: &ForgetfulDisk, byte: u8) -> Result<Keys, StoreError> {
        Keys::open(Arc::new(disk.clone()), Path::new(DIR), master(byte))
    }

    fn turn(disk: &ForgetfulDisk) -> Result<Rotated, StoreError> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        rotate(&disk, Path::new(DIR), &master(7), &master(8))
    }

    /// A key file under master key 7, every seventh key destroyed; all of it durable.
    fn made() -> (ForgetfulDisk, Vec<Option<ItemKey>>) {
        let disk = ForgetfulDisk::new();
        let keys = open(&disk, 7).unwrap();
        let mut held = Vec::new();
        for number in 0..KEYS {
            let key = ItemKey::random().unwrap();
            block(keys.create(ticket(number), &key)).unwrap();
            held.push(Some(key));
        }
        let gone: Vec<Ticket> = (0..KEYS).step_by(7).map(ticket).collect();
        block(keys.destroy_all(&gone)).unwrap();
        held.iter_mut().step_by(7).for_each(|key| *key = None);
        (disk, held)
    }

    fn holds(keys: &Keys, held: &[Option<ItemKey>], what: &str) {
        for (number, key) in held.iter().enumerate() {
            let found = keys.open_key(ticket(number)).unwrap();
            let same = found.as_ref().map(ItemKey::as_bytes) == key.as_ref().map(ItemKey::as_bytes);
            assert!(same, "{what}: key {number}");
        }
    }

    #[test]
    fn every_key_is_under_the_new_master_key_and_no_other_opens_it() {
        let (disk, held) = made();
        let count = held.iter().flatten().count() as u64;
        assert_eq!(turn(&disk).unwrap(), Rotated { keys: count, already: false });
        assert!(matches!(open(&disk, 7), Err(StoreError::WrongMasterKey { .. })));
        let keys = open(&disk, 8).unwrap();
        holds(&keys, &held, "rotated");
        let fresh = ItemKey::random().unwrap();
        block(keys.create(ticket(900), &fresh)).unwrap();
        drop(keys);
        assert_eq!(turn(&disk).unwrap(), Rotated { keys: count + 1, already: true });
        assert_ne!(master_key_id(&master(7)), master_key_id(&master(8)));
        assert_eq!(master_key_id(&master(7)).len(), 16);
    }

    #[test]
    fn a_crash_at_any_operation_leaves_one_whole_file_and_the_same_call_goes_on() {
        let (disk, held) = made();
        let mut cases = 0;
        for fault in [Fault::PowerCut, Fault::NotPersisted, Fault::PersistedButReportedFailed] {
            for number in 1.. {
                let cut = disk.after_power_cut(0);
                cut.fail_at(number, fault);
                let turned = turn(&cut);
                let over = cut.operations() < number;
                assert!(turned.is_ok() == over || turned.is_ok(), "{fault:?} at {number}");
                // Killed, and the page cache lives on; or the power was cut.
                let alive = cut.after_power_cut(0);
                for (seed, found) in [(u64::MAX, alive)]
                    .into_iter()
                    .chain([number, number + 1000].map(|seed| (seed, cut.after_power_cut(seed))))
                {
                    cases += 1;
                    let what = format!("{fault:?} at {number}, seed {seed}");
                    let (by_old, by_new) = (open(&found, 7).is_ok(), open(&found, 8).is_ok());
                    assert!(by_old != by_new, "{what}: one master key opens it, {by_old} {by_new}");
                    assert!(by_new || turned.is_err(), "{what}: what was told is durable");
                    holds(&open(&found, if by_new { 8 } else { 7 }).unwrap(), &held, &what);
                    assert_eq!(
                        turn(&found).unwrap_or_else(|error| panic!("{what}: {error}")).already,
                        by_new
                    );
                    holds(&open(&found, 8).unwrap(), &held, &what);
                }
                if over {
                    break;
                }
            }
        }
        println!("rotation: {cases} cases");
        assert!(cases > 30, "{cases}");
    }

    #[test]
    fn what_the_old_key_does_not_open_stops_it_before_anything_is_changed() {
        let (disk, held) = made();
        disk.flip(Path::new(FILE), SLOT_BYTES * 3 + 40);
        let before = disk.operations();
        let error = turn(&disk).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("slot 2"), "{error}");
        disk.flip(Path::new(FILE), SLOT_BYTES * 3 + 40);
        holds(&open(&disk, 7).unwrap(), &held, "as before");
        assert!(disk.operations() > before, "it had begun");
        let other: Arc<dyn Disk> = Arc::new(disk.clone());
        let neither = rotate(&other, Path::new(DIR), &master(1), &master(2)).unwrap_err();
        assert!(matches!(neither, StoreError::WrongMasterKey { .. }), "{neither}");
    }
}
