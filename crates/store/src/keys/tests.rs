use disk::{Fault, ForgetfulDisk};

use super::slot::{NONCE_AT, SUM_AT, TICKET_BYTES};
use super::*;

const DIR: &str = "data/keys";
const FILE: &str = "data/keys/items.keys";

fn ticket(number: usize) -> Ticket {
    Ticket::parse(&format!("{number:013}")).unwrap()
}

fn master() -> Key256 {
    Key256::new([7; 32])
}

fn open(disk: &ForgetfulDisk) -> Result<Keys, StoreError> {
    Keys::open_with(Arc::new(disk.clone()), Path::new(DIR), master(), TAIL)
}

/// So few slots behind the runs that these tests have runs.
const TAIL: u64 = 2;

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn same(found: Option<ItemKey>, key: &ItemKey) -> bool {
    found.is_some_and(|found| found.as_bytes() == key.as_bytes())
}

#[test]
fn keys_come_back_and_destroyed_ones_do_not() {
    let disk = ForgetfulDisk::new();
    let keys = open(&disk).unwrap();
    let made: Vec<_> = (0..5).map(|_| ItemKey::random().unwrap()).collect();
    for (number, key) in made.iter().enumerate() {
        block(keys.create(ticket(number), key)).unwrap();
    }
    assert!(matches!(block(keys.create(ticket(1), &made[0])), Err(StoreError::TicketTaken)));
    block(keys.destroy(ticket(2))).unwrap();
    block(keys.destroy(ticket(4))).unwrap();
    block(keys.destroy(ticket(99))).unwrap();
    drop(keys);
    for _ in 0..2 {
        let keys = open(&disk).unwrap();
        for (number, key) in made.iter().enumerate() {
            let found = keys.open_key(ticket(number)).unwrap();
            assert_eq!(found.is_some(), number != 2 && number != 4);
            assert!(found.is_none() || same(found, key));
        }
        let fresh = ItemKey::random().unwrap();
        block(keys.create(ticket(50), &fresh)).unwrap();
        assert!(same(keys.open_key(ticket(50)).unwrap(), &fresh));
        block(keys.destroy(ticket(50))).unwrap();
    }
    assert_eq!(format!("{:?}", made[0]), "ItemKey(…)");
}

#[test]
fn another_master_key_is_refused_and_changes_nothing() {
    let disk = ForgetfulDisk::new();
    drop(open(&disk).unwrap());
    let before = disk.operations();
    let refused = Keys::open(Arc::new(disk.clone()), Path::new(DIR), Key256::new([8; 32])).err().unwrap();
    assert!(matches!(refused, StoreError::WrongMasterKey { .. }));
    assert!(refused.to_string().contains("put that master key back"), "{refused}");
    assert_eq!(disk.operations(), before);
    assert!(open(&disk).is_ok());
}

#[test]
fn creations_that_wait_together_share_a_sync() {
    let disk = ForgetfulDisk::new();
    let keys = open(&disk).unwrap();
    let key = ItemKey::random().unwrap();
    let before = disk.log().len();
    block(async {
        let all: Vec<_> = (0..200).map(|number| keys.create(ticket(number), &key)).collect();
        // Polled in turn before the first is awaited, as tasks of a busy service are.
        let mut waiting: Vec<_> = all.into_iter().map(Box::pin).collect();
        std::future::poll_fn(|context| {
            waiting.retain_mut(|one| match one.as_mut().poll(context) {
                std::task::Poll::Ready(told) => {
                    told.unwrap();
                    false
                }
                std::task::Poll::Pending => true,
            });
            if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    });
    let log = disk.log();
    let syncs = log[before..].iter().filter(|operation| operation.kind == "sync_data").count();
    assert!(syncs < 200, "{syncs} syncs");
    drop(keys);
    let keys = open(&disk).unwrap();
    assert!((0..200).all(|number| same(keys.open_key(ticket(number)).unwrap(), &key)));
}

#[test]
fn a_created_key_survives_every_power_cut() {
    for fault in [Fault::NotPersisted, Fault::PersistedButReportedFailed, Fault::PowerCut] {
        for operation in 1.. {
            let disk = ForgetfulDisk::new();
            disk.fail_at(operation, fault);
            let mut told: Vec<(usize, ItemKey, bool)> = Vec::new();
            let mut destroyed = None;
            if let Ok(keys) = open(&disk) {
                for number in 0..6 {
                    let key = ItemKey::random().unwrap();
                    let created = block(keys.create(ticket(number), &key)).is_ok();
                    told.push((number, key, created));
                }
                destroyed = Some(block(keys.destroy(ticket(1))).is_ok());
            }
            for seed in 0..3 {
                let after = disk.after_power_cut(seed);
                check(&after, &told, destroyed, &format!("{fault:?} at {operation}, seed {seed}"));
            }
            if disk.operations() < operation {
                break;
            }
        }
    }
}

fn check(disk: &ForgetfulDisk, told: &[(usize, ItemKey, bool)], destroyed: Option<bool>, when: &str) {
    // Twice: what the first start mended stays mended. Then the file still takes keys.
    for round in 0..2 {
        let keys = open(disk).unwrap_or_else(|error| panic!("{when}: {error}"));
        for (number, key, created) in told {
            let found = keys.open_key(ticket(*number));
            match (number, destroyed, created) {
                (1, Some(true), _) => assert!(found.unwrap().is_none(), "{when}: destroyed"),
                (1, Some(false), _) => {
                    assert!(found.is_err() || found.is_ok_and(|f| f.is_none() || same(f, key)), "{when}")
                }
                (_, _, true) => assert!(same(found.unwrap(), key), "{when}: key {number} is lost"),
                // Nobody was told that it is there: absent, refused or whole, never another.
                (_, _, false) => {
                    let right = found.map_or(true, |found| found.is_none() || same(found, key));
                    assert!(right, "{when}: key {number} is wrong");
                }
            }
        }
        let key = ItemKey::random().unwrap();
        block(keys.create(ticket(100 + round), &key)).unwrap();
        assert!(same(keys.open_key(ticket(100 + round)).unwrap(), &key), "{when}");
    }
}

#[test]
fn a_changed_slot_never_opens() {
    let disk = ForgetfulDisk::new();
    let keys = open(&disk).unwrap();
    let key = ItemKey::random().unwrap();
    block(keys.create(ticket(0), &key)).unwrap();
    for byte in NONCE_AT..SUM_AT {
        disk.flip(Path::new(FILE), SLOT_BYTES + byte);
        assert!(matches!(keys.open_key(ticket(0)), Err(StoreError::Damaged { .. })), "{byte}");
        disk.flip(Path::new(FILE), SLOT_BYTES + byte);
    }
    for byte in 0..TICKET_BYTES {
        disk.flip(Path::new(FILE), SLOT_BYTES + byte);
        assert!(keys.open_key(ticket(0)).is_err(), "{byte}");
        disk.flip(Path::new(FILE), SLOT_BYTES + byte);
    }
    assert!(same(keys.open_key(ticket(0)).unwrap(), &key));
    drop(keys);
    disk.flip(Path::new(FILE), 3);
    assert!(matches!(open(&disk), Err(StoreError::Damaged { .. })), "a header that keys depend on");
}

/// A disk that forgets a byte is no power cut: a slot that was whole once stays, for a repair from the backup.
#[test]
fn a_changed_byte_of_the_last_slots_cuts_no_key() {
    let disk = ForgetfulDisk::new();
    let keys = open(&disk).unwrap();
    let made: Vec<_> = (0..3).map(|_| ItemKey::random().unwrap()).collect();
    for (number, key) in made.iter().enumerate() {
        block(keys.create(ticket(number), key)).unwrap();
    }
    drop(keys);
    for number in 0..made.len() {
        for byte in 0..SUM_AT {
            let at = place(number as u64) as usize + byte;
            disk.flip(Path::new(FILE), at);
            for _ in 0..2 {
                let keys = open(&disk).unwrap();
                let found = keys.open_key(ticket(number));
                assert!(
                    found.map_or(true, |found| found.is_none() || same(found, &made[number])),
                    "{number} {byte}"
                );
                let others = (0..made.len()).filter(|other| *other != number);
                assert!(
                    others.into_iter().all(|other| same(keys.open_key(ticket(other)).unwrap(), &made[other]))
                );
            }
            disk.flip(Path::new(FILE), at);
            let keys = open(&disk).unwrap();
            assert!(
                same(keys.open_key(ticket(number)).unwrap(), &made[number]),
                "{number} {byte}: it was lost"
            );
        }
    }
}

#[test]
fn a_full_disk_is_told_and_room_heals_it() {
    let disk = ForgetfulDisk::new();
    let keys = open(&disk).unwrap();
    let key = ItemKey::random().unwrap();
    disk.set_capacity_bytes(SLOT_BYTES as u64);
    assert!(block(keys.create(ticket(0), &key)).unwrap_err().is_full());
    disk.set_capacity_bytes(u64::MAX);
    block(keys.create(ticket(0), &key)).unwrap();
    assert!(same(keys.open_key(ticket(0)).unwrap(), &key));
}

#[test]
fn after_a_failed_sync_nothing_more_is_taken() {
    let disk = ForgetfulDisk::new();
    let keys = open(&disk).unwrap();
    let key = ItemKey::random().unwrap();
    disk.fail_at(disk.operations() + 2, Fault::PersistedButReportedFailed);
    assert!(block(keys.create(ticket(0), &key)).is_err());
    assert!(matches!(block(keys.create(ticket(1), &key)), Err(StoreError::Stopped(_))));
}

/// Keys of so many items, every tenth destroyed, made by callers that wait together.
fn grown(disk: &ForgetfulDisk, first: usize, end: usize) -> Vec<Option<ItemKey>> {
    grown_in(&open(disk).unwrap(), first, end)
}

fn grown_in(keys: &Keys, first: usize, end: usize) -> Vec<Option<ItemKey>> {
    let made: Vec<_> = (first..end).map(|_| ItemKey::random().unwrap()).collect();
    let all = || made.iter().zip(first..).map(|(key, number)| keys.create(ticket(number), key));
    block(async {
        let mut waiting: Vec<_> = all().map(Box::pin).collect();
        std::future::poll_fn(|context| {
            waiting.retain_mut(|one| one.as_mut().poll(context).map(Result::unwrap).is_pending());
            if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    });
    let gone: Vec<Ticket> = (first..end).filter(|number| number.is_multiple_of(10)).map(ticket).collect();
    block(keys.destroy_all(&gone)).unwrap();
    let held = |(key, number): (ItemKey, usize)| (!number.is_multiple_of(10)).then_some(key);
    made.into_iter().zip(first..).map(held).collect()
}

fn holds(
    open_key: &dyn Fn(Ticket) -> Result<Option<ItemKey>, StoreError>,
    held: &[Option<ItemKey>],
    what: &str,
) {
    for (number, key) in held.iter().enumerate() {
        let found = open_key(ticket(number)).unwrap_or_else(|error| panic!("{what}: {number}: {error}"));
        let same = found.as_ref().map(ItemKey::as_bytes) == key.as_ref().map(ItemKey::as_bytes);
        assert!(same, "{what}: key {number}");
    }
    assert!(open_key(ticket(held.len())).unwrap().is_none(), "{what}");
}

fn run_paths(disk: &ForgetfulDisk) -> Vec<PathBuf> {
    runs::paths(disk, Path::new(DIR)).unwrap().into_iter().map(|(_, _, path)| path).collect()
}

/// Of a run at an opening: its head, and the bucket of its last slot.
const OF_A_RUN_MAX: u64 = 1024;

#[test]
fn a_start_reads_the_newest_slots_and_no_history() {
    for count in [2_000, 8_000] {
        let disk = ForgetfulDisk::new();
        let held = grown(&disk, 0, count);
        drop(open(&disk).unwrap());
        let runs = run_paths(&disk).len() as u64;
        assert!((1..8).contains(&runs), "{runs}");
        let most = (BATCH_MAX as u64 + TAIL + 2) * SLOT_BYTES as u64 + runs * OF_A_RUN_MAX;
        let before = disk.read_bytes();
        let keys = open(&disk).unwrap();
        let read = disk.read_bytes() - before;
        assert!(read < most, "{read} of {count}");
        assert!(keys.shared.table.read().unwrap().tail.len() as u64 <= BATCH_MAX as u64 + TAIL);
        for number in [1, count / 2 + 1, count - 1, count + 1] {
            let before = disk.read_bytes();
            assert_eq!(keys.open_key(ticket(number)).unwrap().is_some(), number < count);
            let read = disk.read_bytes() - before;
            assert!(read < 8 * OF_A_RUN_MAX, "{read} for key {number}");
        }
        holds(&|ticket| keys.open_key(ticket), &held, "grown");
        drop(keys);

        let before = disk.read_bytes();
        let reader = KeyReader::open(&disk, Path::new(DIR), master()).unwrap();
        assert!(disk.read_bytes() - before < most, "beside a service too");
        holds(&|ticket| reader.open_key(ticket), &held, "read");
    }
}

#[test]
fn whatever_becomes_of_the_runs_every_key_is_found() {
    let disk = ForgetfulDisk::new();
    let mut held = grown(&disk, 0, 1_000);
    drop(open(&disk).unwrap());
    let paths = run_paths(&disk);
    assert!(!paths.is_empty());
    let longest = &paths[0];
    let length = disk.open(longest, OpenMode::Read).unwrap().length().unwrap() as usize;
    for place in (0..length).step_by(97) {
        let spoilt = disk.after_power_cut(0);
        spoilt.flip(longest, place);
        let reader = KeyReader::open(&spoilt, Path::new(DIR), master()).unwrap();
        holds(&|ticket| reader.open_key(ticket), &held, &format!("read, byte {place}"));
        let keys = open(&spoilt).unwrap();
        holds(&|ticket| keys.open_key(ticket), &held, &format!("byte {place}"));
        // Who finds it damaged has it made again, and the next start finds it whole.
        for number in 5_000..5_002 {
            block(keys.create(ticket(number), &ItemKey::random().unwrap())).unwrap();
        }
        drop(keys);
        let keys = open(&spoilt).unwrap();
        holds(&|ticket| keys.open_key(ticket), &held, &format!("again, byte {place}"));
        assert!(!keys.shared.damaged.load(Ordering::Relaxed), "byte {place}");
    }
    for path in &paths {
        disk.remove(path).unwrap();
    }
    let reader = KeyReader::open(&disk, Path::new(DIR), master()).unwrap();
    holds(&|ticket| reader.open_key(ticket), &held, "read without");
    assert!(run_paths(&disk).is_empty(), "who reads writes nothing");
    let keys = open(&disk).unwrap();
    holds(&|ticket| keys.open_key(ticket), &held, "made again");
    assert!(!run_paths(&disk).is_empty());
    drop(keys);
    held.extend(grown(&disk, 1_000, 1_500));
    let keys = open(&disk).unwrap();
    holds(&|ticket| keys.open_key(ticket), &held, "and grown on");
}

#[test]
fn the_runs_of_another_history_are_not_believed() {
    let disk = ForgetfulDisk::new();
    let common = grown(&disk, 0, 600);
    let other = disk.after_power_cut(0);
    grown(&disk, 600, 1_400);
    drop(open(&disk).unwrap());
    let file = |disk: &ForgetfulDisk, mode| disk.open(Path::new(FILE), mode).unwrap();
    // An older key file, with and without what came after it there.
    for more in [0, 700] {
        let older = other.after_power_cut(0);
        if more > 0 {
            let made = ItemKey::random().unwrap();
            let keys = open(&older).unwrap();
            (0..more).for_each(|number| block(keys.create(ticket(7_000 + number), &made)).unwrap());
        }
        let bytes = file(&older, OpenMode::Read);
        let bytes = read_exactly(bytes.as_ref(), 0, bytes.length().unwrap() as usize).unwrap();
        let newer = disk.after_power_cut(0);
        let mut target = file(&newer, OpenMode::Write);
        target
            .truncate(0)
            .and_then(|()| target.write_at(0, &bytes))
            .and_then(|()| target.sync_data())
            .unwrap();
        let reader = KeyReader::open(&newer, Path::new(DIR), master()).unwrap();
        let keys = open(&newer).unwrap();
        for open_key in [&|ticket| reader.open_key(ticket), &|ticket| keys.open_key(ticket)]
            as [&dyn Fn(Ticket) -> Result<Option<ItemKey>, StoreError>; 2]
        {
            holds(open_key, &common, "what both have");
            assert!((0..more).all(|number| open_key(ticket(7_000 + number)).unwrap().is_some()));
            assert!((600..1_400).all(|number| open_key(ticket(number)).unwrap().is_none()));
        }
    }
}

#[test]
fn a_wiping_that_was_torn_is_finished_wherever_its_slot_is() {
    let disk = ForgetfulDisk::new();
    grown(&disk, 0, 1_000);
    for runs_too in [true, false] {
        let mut file = disk.open(Path::new(FILE), OpenMode::Write).unwrap();
        let number = if runs_too { 3 } else { 4 };
        file.write_at(place(number), &[0; 20]).unwrap();
        let slot = || {
            read_exactly(
                disk.open(Path::new(FILE), OpenMode::Read).unwrap().as_ref(),
                place(number),
                SLOT_BYTES,
            )
        };
        if !runs_too {
            run_paths(&disk).iter().for_each(|path| disk.remove(path).unwrap());
        }
        let keys = open(&disk).unwrap();
        assert!(keys.open_key(ticket(number as usize)).unwrap().is_none());
        // Its erasure is on record, and the newest one is carried out again.
        block(keys.destroy(ticket(number as usize))).unwrap();
        assert_eq!(slot().unwrap(), [0; SLOT_BYTES], "{runs_too}");
    }
}

#[test]
fn an_item_that_is_made_again_has_its_newest_key() {
    let disk = ForgetfulDisk::new();
    grown(&disk, 0, 1_000);
    for _ in 0..3 {
        let keys = open(&disk).unwrap();
        let key = ItemKey::random().unwrap();
        assert!(matches!(block(keys.create(ticket(501), &key)), Err(StoreError::TicketTaken)));
        block(keys.destroy(ticket(501))).unwrap();
        block(keys.create(ticket(501), &key)).unwrap();
        for number in 0..600 {
            let _ = block(keys.create(ticket(2_000 + number), &key));
        }
        drop(keys);
        assert!(same(open(&disk).unwrap().open_key(ticket(501)).unwrap(), &key));
    }
}

#[test]
fn a_start_covers_what_is_new_and_leaves_the_merging_for_later() {
    let (old, new) = (8_000, 4_000);
    let disk = ForgetfulDisk::new();
    let mut held = grown(&disk, 0, old);
    drop(open(&disk).unwrap());
    let open_late =
        |disk: &ForgetfulDisk| Keys::open_with(Arc::new(disk.clone()), Path::new(DIR), master(), 1 << 20);
    held.extend(grown_in(&open_late(&disk).unwrap(), old, old + new));
    let before = disk.read_bytes();
    let keys = open(&disk).unwrap();
    let read = disk.read_bytes() - before;
    let most = (new as u64 + 2 * BATCH_MAX as u64) * SLOT_BYTES as u64 + 8 * OF_A_RUN_MAX;
    assert!(read < most, "{read}: {most} are those of the new slots");
    holds(&|ticket| keys.open_key(ticket), &held, "covered");
}
