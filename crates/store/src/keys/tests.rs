use disk::{Fault, ForgetfulDisk};

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
    Keys::open(Arc::new(disk.clone()), Path::new(DIR), master())
}

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
