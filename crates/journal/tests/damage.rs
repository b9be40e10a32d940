//! A small journal, damaged in every way: it is refused, or nothing but the last write is missing; it never shows what was not written.

mod entries;

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, DiskFile, ForgetfulDisk, OpenMode, RealDisk};
use erds::Record;
use journal::{Appended, Journal, OpenError, Options, verify};

use crate::entries::{entry, key};

const ORIGIN: &str = "test/journal";
const DIR: &str = "j";
const SEGMENT: &str = "j/00000000000000000000.seg";

#[test]
fn a_changed_byte_anywhere_is_refused_or_cuts_the_last_write_alone() {
    let written = contents(&made(6));
    let length = file(&made(6)).length().unwrap();
    for offset in 0..length as usize {
        let disk = made(6);
        disk.flip(Path::new(SEGMENT), offset);
        let whole = verify(&disk, Path::new(DIR), ORIGIN, &mut |_| Ok(())).is_ok();
        assert!(!whole, "verify takes a flip at {offset}");
        if let Ok((journal, report)) = open(&disk, ORIGIN) {
            let shown: Vec<_> = journal.iter(0).map(|stored| stored.unwrap().record).collect();
            assert!(written.starts_with(&shown) && shown.len() + 1 >= written.len(), "flip at {offset}");
            assert!(report.torn_bytes > 0, "flip at {offset} is not reported");
        }
    }
}

#[test]
fn a_cut_tail_shows_a_prefix_and_another_root() {
    let (written, root) = (contents(&made(4)), open(&made(4), ORIGIN).unwrap().0.root());
    let length = file(&made(4)).length().unwrap();
    for cut in 0..length {
        let disk = made(4);
        file(&disk).truncate(cut).unwrap();
        let (journal, _) = open(&disk, ORIGIN).unwrap();
        let shown: Vec<_> = journal.iter(0).map(|stored| stored.unwrap().record).collect();
        assert!(written.starts_with(&shown) && shown.len() < written.len(), "cut at {cut}");
        assert_ne!(journal.root(), root);
    }
}

#[test]
fn records_copied_to_the_end_are_refused() {
    let disk = made(3);
    let mut segment = file(&disk);
    let length = segment.length().unwrap();
    let bytes = disk::read_exactly(segment.as_ref(), 0, length as usize).unwrap();
    // magic, version, first position, length of the origin, origin, checksum
    let header = 8 + 4 + 8 + 2 + ORIGIN.len() + 4;
    segment.write_at(length, &bytes[header..]).unwrap();
    assert!(matches!(open(&disk, ORIGIN), Err(OpenError::Damaged { .. })));
    assert!(verify(&disk, Path::new(DIR), ORIGIN, &mut |_| Ok(())).is_err());
}

#[test]
fn another_origin_is_refused() {
    assert!(matches!(open(&made(2), "other/journal"), Err(OpenError::Damaged { .. })));
}

#[test]
fn one_process_at_a_time_and_free_again_after_the_last_drop() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Journal::open(Arc::new(RealDisk), &folder.path().join("a/b/j"), options(ORIGIN, 1 << 20));
    let (journal, _) = open().unwrap();
    journal.append_blocking(entry(0)).unwrap();
    assert!(matches!(open(), Err(OpenError::Locked(_))));
    drop(journal);
    assert_eq!(open().unwrap().1.records, 1);
}

#[test]
fn each_failing_operation_loses_nothing_answered() {
    for segment_bytes_max in [SMALL, ROOMY] {
        fail_each_operation(segment_bytes_max);
    }
}

fn fail_each_operation(segment_bytes_max: u64) {
    let clean = ForgetfulDisk::new();
    load(&clean, segment_bytes_max);
    let allocates = clean.log().iter().any(|operation| operation.kind == "allocate");
    assert_eq!(allocates, segment_bytes_max == ROOMY);
    for operation in 1..=clean.operations() {
        for fault in
            [disk::Fault::PowerCut, disk::Fault::NotPersisted, disk::Fault::PersistedButReportedFailed]
        {
            let disk = ForgetfulDisk::new();
            disk.fail_at(operation, fault);
            let answered = load(&disk, segment_bytes_max);
            for seed in 0..4 {
                let found = disk.after_power_cut(seed);
                let (journal, _) = open_with(&found, segment_bytes_max).unwrap();
                for (position, number) in &answered {
                    let stored = journal.read(*position).unwrap();
                    assert_eq!(
                        (stored.record, stored.frames),
                        (entry(*number).record, entry(*number).frames)
                    );
                    assert_eq!(journal.find(&key(*number)).unwrap(), Some(*position));
                }
                assert!(matches!(journal.append_blocking(entry(99)).unwrap(), Appended::Recorded(_)));
                let report = verify(&found, Path::new(DIR), ORIGIN, &mut |_| Ok(())).unwrap();
                assert_eq!((report.records, report.root), journal.root());
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_once_there_is_room() {
    let disk = ForgetfulDisk::new();
    let (journal, _) = open(&disk, ORIGIN).unwrap();
    journal.append_blocking(entry(0)).unwrap();
    disk.set_capacity_bytes(file(&disk).length().unwrap() + 10);
    assert_eq!(journal.append_blocking(entry(1)).unwrap_err().code(), "journal.full");
    assert!(matches!(journal.append_blocking(entry(0)).unwrap(), Appended::Existing(0)));
    assert_eq!(journal.read(0).unwrap().record, entry(0).record);
    disk.set_capacity_bytes(1 << 20);
    assert!(matches!(journal.append_blocking(entry(1)).unwrap(), Appended::Recorded(_)));
    assert_eq!(verify(&disk, Path::new(DIR), ORIGIN, &mut |_| Ok(())).unwrap().records, 2);
}

#[test]
fn room_is_taken_ahead_is_no_damage_and_may_be_missing() {
    let disk = ForgetfulDisk::new();
    let (journal, _) = open_with(&disk, ROOMY).unwrap();
    for number in 0..3 {
        journal.append_blocking(entry(number)).unwrap();
    }
    drop(journal);
    let taken = disk.log().iter().filter(|operation| operation.kind == "allocate").count();
    let length = file(&disk).length().unwrap();
    assert_eq!(taken, 1, "for many records at once");
    assert!(length > ROOMY / 16 && length < ROOMY / 8, "{length}");

    let (journal, report) = open_with(&disk, ROOMY).unwrap();
    assert_eq!((report.records, report.torn_bytes), (3, 0));
    journal.append_blocking(entry(3)).unwrap();
    drop(journal);
    assert_eq!(file(&disk).length().unwrap(), length, "written into the room");
    assert_eq!(verify(&disk, Path::new(DIR), ORIGIN, &mut |_| Ok(())).unwrap().records, 4);

    disk.flip(Path::new(SEGMENT), length as usize - 1);
    assert!(verify(&disk, Path::new(DIR), ORIGIN, &mut |_| Ok(())).is_err(), "a byte in the room");
    let (journal, report) = open_with(&disk, ROOMY).unwrap();
    assert_eq!(report.records, 4);
    assert!(report.torn_bytes > 0);

    disk.set_capacity_bytes(file(&disk).length().unwrap() + 2000);
    journal.append_blocking(entry(4)).unwrap();
    assert!(file(&disk).length().unwrap() < ROOMY / 16, "no room for more than the record");
    let refused = (5..50).find_map(|number| journal.append_blocking(entry(number)).err());
    assert_eq!(refused.unwrap().code(), "journal.full");
    assert_eq!(journal.read(4).unwrap().record, entry(4).record, "reads go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_at_once_each_have_their_place() {
    let disk = Arc::new(ForgetfulDisk::new());
    let (journal, _) = Journal::open(disk, Path::new(DIR), options(ORIGIN, 1 << 30)).unwrap();
    let append_all = |task: u32, journal: Journal| async move {
        let mut positions = Vec::new();
        for number in 0..200 {
            match journal.append(entry(task * 200 + number)).await.unwrap() {
                Appended::Recorded(recorded) => positions.push(recorded.position()),
                Appended::Existing(position) => panic!("{position} holds a fresh key"),
            }
        }
        positions
    };
    let tasks: Vec<_> = (0..50).map(|task| tokio::spawn(append_all(task, journal.clone()))).collect();
    let mut positions = Vec::new();
    for task in tasks {
        positions.extend(task.await.unwrap());
    }
    positions.sort_unstable();
    assert!(positions.iter().copied().eq(0..10_000));
    assert!(matches!(journal.append(entry(7)).await.unwrap(), Appended::Existing(_)));
}

/// Appends until the disk fails; what was answered.
fn load(disk: &ForgetfulDisk, segment_bytes_max: u64) -> Vec<(u64, u32)> {
    let Ok((journal, _)) = open_with(disk, segment_bytes_max) else { return Vec::new() };
    let mut answered = Vec::new();
    for number in 0..12 {
        if let Ok(Appended::Recorded(recorded)) = journal.append_blocking(entry(number)) {
            answered.push((recorded.position(), number));
        }
    }
    answered
}

fn made(records: u32) -> ForgetfulDisk {
    let disk = ForgetfulDisk::new();
    let (journal, _) = open(&disk, ORIGIN).unwrap();
    for number in 0..records {
        journal.append_blocking(entry(number)).unwrap();
    }
    disk
}

fn contents(disk: &ForgetfulDisk) -> Vec<Record> {
    open(disk, ORIGIN).unwrap().0.iter(0).map(|stored| stored.unwrap().record).collect()
}

fn open(disk: &ForgetfulDisk, origin: &str) -> Result<(Journal, journal::OpenReport), OpenError> {
    Journal::open(Arc::new(disk.clone()), Path::new(DIR), options(origin, 1 << 20))
}

fn open_with(
    disk: &ForgetfulDisk,
    segment_bytes_max: u64,
) -> Result<(Journal, journal::OpenReport), OpenError> {
    Journal::open(Arc::new(disk.clone()), Path::new(DIR), options(ORIGIN, segment_bytes_max))
}

/// Segments of a few records; segments that take room for their records before.
const SMALL: u64 = 1200;
const ROOMY: u64 = 2 << 20;

fn options(origin: &str, segment_bytes_max: u64) -> Options {
    Options { origin: origin.to_owned(), segment_bytes_max, on_fatal: Arc::new(|_| {}) }
}

fn file(disk: &ForgetfulDisk) -> Box<dyn DiskFile> {
    disk.open(Path::new(SEGMENT), OpenMode::Write).unwrap()
}
