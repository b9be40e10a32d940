//! Closed segments are opened by their summaries, which are derived: whatever becomes of these, the journal says the same.

use disk::ForgetfulDisk;
use erds::Record;
use erds::record::Control;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::merkle::{Hash, Tree};
use crate::{Appended, Entry, Journal, Looked, UniqueKey, verify};

const ORIGIN: &str = "test/journal";
const DIR: &str = "j";
const RECORDS: u32 = 60;
/// Segments of two or three records.
const SMALL: u64 = 1000;

#[test]
fn opening_reads_the_open_segment_and_the_rest_is_found_on_the_disk() {
    let disk = made();
    let (closed, _) = segments(&disk);
    assert!(closed.len() > 12, "{}", closed.len());
    // A byte of each closed segment's first record, behind its header: an opening that reads it refuses it.
    for segment in &closed {
        disk.flip(segment, 100);
    }
    let (journal, report) = Journal::open(Arc::new(disk.clone()), Path::new(DIR), options()).unwrap();
    assert_eq!((report.records, report.segments), (u64::from(RECORDS), closed.len() + 1));
    holds_all_keys(&journal);
    assert_eq!(journal.read(0).unwrap_err().code(), "journal.damaged", "it is found by who reads it");
    let error = verify(&disk, Path::new(DIR), ORIGIN, &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("record 0:"), "and by verify: {error}");
    append(&journal, RECORDS);
    drop(journal);
    disk.flip(&segments(&disk).1, 100);
    match Journal::open(Arc::new(disk.clone()), Path::new(DIR), options()) {
        Ok((_, report)) => assert!(report.torn_bytes > 0, "the open one is read"),
        Err(error) => assert_eq!(error.code(), "journal.damaged"),
    }
}

#[test]
fn a_closed_segment_that_is_gone_cut_or_anothers_is_refused() {
    let spoils: [fn(&ForgetfulDisk, &Path, &Path); 3] = [
        |disk, segment, _| disk.remove(segment).unwrap(),
        |disk, segment, _| {
            let mut file = disk.open(segment, OpenMode::Write).unwrap();
            let length = file.length().unwrap();
            file.truncate(length - 1).unwrap();
        },
        |disk, segment, other| disk.rename(other, segment).unwrap(),
    ];
    for spoil in spoils {
        for number in [0, 1, 10] {
            let disk = made();
            let (closed, _) = segments(&disk);
            spoil(&disk, &closed[number], &closed[number + 1]);
            assert!(matches!(reopened(&disk), Err(OpenError::Damaged { .. })), "{number}");
        }
    }
}

#[test]
fn derived_files_that_are_gone_or_damaged_are_made_again() {
    let (root, derived) = (reopened(&made()).unwrap().root(), derived(&made()));
    assert!(derived.iter().any(|path| named(path, "sum")) && derived.iter().any(|path| named(path, "keys")));
    for path in &derived {
        let disk = made();
        if disk.open(path, OpenMode::Read).is_err() {
            continue; // merged into another one before it was asked
        }
        disk.remove(path).unwrap();
        is_whole(&disk, root, &format!("without {}", path.display()));
        let disk = made();
        let length = disk.open(path, OpenMode::Read).map_or(0, |file| file.length().unwrap());
        for byte in
            [10, length / 3, length / 2, length * 2 / 3, length.saturating_sub(1)].map(|byte| byte as usize)
        {
            disk.flip(path, byte);
            // What no start reads is found by who asks: then the journal stops, and the next start makes it again.
            if let Ok(journal) = reopened(&disk) {
                let asked: Vec<_> = (0..RECORDS).map(|number| journal.find(&key(number))).collect();
                let right = |(number, found): (u32, &Result<Option<u64>, _>)| match found {
                    Ok(found) => *found == Some(u64::from(number)),
                    Err(_) => true,
                };
                assert!((0..).zip(&asked).all(right), "{} at {byte}", path.display());
            }
            is_whole(&disk, root, &format!("{} at {byte}", path.display()));
            if disk.open(path, OpenMode::Read).is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_writer_that_cannot_know_whether_it_is_a_duplicate_stops() {
    let disk = made();
    let journal = reopened(&disk).unwrap();
    for path in derived(&disk).iter().filter(|path| named(path, "keys")) {
        let length = disk.open(path, OpenMode::Read).unwrap().length().unwrap() as usize;
        (60..length).for_each(|byte| disk.flip(path, byte));
    }
    assert_eq!(journal.append_blocking(entry(0)).unwrap_err().code(), "journal.stopped");
    assert_eq!(journal.append_blocking(entry(RECORDS)).unwrap_err().code(), "journal.stopped");
    drop(journal);
    let journal = reopened(&disk).unwrap();
    assert!(matches!(journal.append_blocking(entry(0)).unwrap(), Appended::Existing(0)));
}

#[test]
fn what_was_signed_must_follow_from_the_summaries() {
    for size in [0, 1, 2, 5, 30, 59, 60] {
        let disk = made();
        let signed = signed(&disk, size);
        let open = |signed: &Checkpoint| {
            Journal::open_signed(Arc::new(disk.clone()), Path::new(DIR), options(), Some(signed))
        };
        assert_eq!(open(&signed).unwrap().1.records, u64::from(RECORDS), "{size}");
        if size > 0 {
            let other = checkpoint(size, [7; 32]);
            assert!(matches!(open(&other), Err(OpenError::Forked { .. })), "{size}");
        }
        assert_eq!(open(&signed).unwrap().1.records, u64::from(RECORDS), "{size}, after a refusal");
    }
    let beyond = checkpoint(u64::from(RECORDS) + 1, [7; 32]);
    let opened = Journal::open_signed(Arc::new(made()), Path::new(DIR), options(), Some(&beyond));
    assert!(matches!(opened, Err(OpenError::Forked { .. })));
}

#[test]
fn a_lying_summary_is_not_believed_against_what_was_signed() {
    // Another journal's summaries and keys, whole by all their checksums.
    let (disk, other) = (made(), made());
    let root = reopened(&disk).unwrap().root();
    derived(&disk).iter().for_each(|path| disk.remove(path).unwrap());
    for path in derived(&other) {
        let file = other.open(&path, OpenMode::Read).unwrap();
        let bytes = disk::read_exactly(file.as_ref(), 0, file.length().unwrap() as usize).unwrap();
        let mut place = disk.open(&path, OpenMode::CreateNew).unwrap();
        place.write_at(0, &bytes).unwrap();
    }
    let signed = checkpoint(root.0, root.1);
    let opened = Journal::open_signed(Arc::new(disk), Path::new(DIR), options(), Some(&signed));
    let (journal, _) = opened.unwrap();
    assert_eq!(journal.root(), root);
    holds_all_keys(&journal);
}

#[test]
fn a_full_disk_leaves_a_closed_segment_in_memory_and_a_later_one_seals_both() {
    let disk = ForgetfulDisk::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), Path::new(DIR), options()).unwrap();
    let mut number = 0;
    while segments(&disk).0.is_empty() {
        append(&journal, number);
        number += 1;
        disk.set_capacity_bytes(used(&disk) + 700); // room for a record, and none for a summary
    }
    assert!((0..number).all(|number| journal.find(&key(number)).unwrap() == Some(u64::from(number))));
    disk.set_capacity_bytes(u64::MAX);
    while segments(&disk).0.len() < 3 {
        append(&journal, number);
        number += 1;
    }
    drop(journal);
    let sums = derived(&disk).iter().filter(|path| named(path, "sum")).count();
    assert_eq!(sums, segments(&disk).0.len());
    assert!(
        (0..number).all(|number| {
            reopened(&disk).unwrap().find(&key(number)).unwrap() == Some(u64::from(number))
        })
    );
}

fn is_whole(disk: &ForgetfulDisk, root: (u64, Hash), what: &str) {
    let journal = reopened(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(journal.root(), root_of(disk), "{what}");
    assert_eq!(journal.size(), root.0, "{what}");
    holds_all_keys(&journal);
    for number in 0..RECORDS {
        let stored = journal.read(u64::from(number)).unwrap();
        assert_eq!(stored.record, entry(number).record, "{what}");
    }
}

fn root_of(disk: &ForgetfulDisk) -> (u64, Hash) {
    let report = verify(disk, Path::new(DIR), ORIGIN, &mut |_| Ok(())).unwrap();
    (report.records, report.root)
}

fn holds_all_keys(journal: &Journal) {
    for number in 0..RECORDS {
        assert_eq!(journal.find(&key(number)).unwrap(), Some(u64::from(number)));
        assert!(matches!(journal.append_blocking(entry(number)).unwrap(), Appended::Existing(_)), "{number}");
    }
    assert_eq!(journal.find(&key(RECORDS)).unwrap(), None);
}

fn checkpoint(size: u64, root: Hash) -> Checkpoint {
    Checkpoint { size, root, note: String::new(), signature: String::new() }
}

fn signed(disk: &ForgetfulDisk, size: u64) -> Checkpoint {
    let (mut tree, journal) = (Tree::default(), reopened(disk).unwrap());
    (0..size).for_each(|position| tree.push(journal.read(position).unwrap().leaf_hash));
    checkpoint(size, tree.root())
}

/// The segments that are closed, and the open one.
fn segments(disk: &ForgetfulDisk) -> (Vec<PathBuf>, PathBuf) {
    let mut paths = disk.list(Path::new(DIR)).unwrap();
    paths.retain(|path| named(path, "seg"));
    let open = paths.pop().unwrap();
    (paths, open)
}

fn derived(disk: &ForgetfulDisk) -> Vec<PathBuf> {
    let mut paths = disk.list(Path::new(DIR)).unwrap();
    paths.retain(|path| named(path, "sum") || named(path, "keys"));
    paths
}

fn named(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn used(disk: &ForgetfulDisk) -> u64 {
    let length = |path: &PathBuf| disk.open(path, OpenMode::Read).map_or(0, |file| file.length().unwrap());
    disk.list(Path::new(DIR)).unwrap().iter().map(length).sum()
}

fn made() -> ForgetfulDisk {
    let disk = ForgetfulDisk::new();
    let journal = reopened(&disk).unwrap();
    (0..RECORDS).for_each(|number| append(&journal, number));
    drop(journal);
    disk
}

fn reopened(disk: &ForgetfulDisk) -> Result<Journal, OpenError> {
    Journal::open(Arc::new(disk.clone()), Path::new(DIR), options()).map(|(journal, _)| journal)
}

fn append(journal: &Journal, number: u32) {
    let appended = journal.append_blocking(entry(number)).unwrap();
    assert!(matches!(appended, Appended::Recorded(_)), "{number}");
}

fn options() -> Options {
    Options { origin: ORIGIN.to_owned(), segment_bytes_max: SMALL, on_fatal: Arc::new(|_| {}) }
}

fn entry(number: u32) -> Entry {
    let record = Record::Control(Control {
        at: jiff::Timestamp::UNIX_EPOCH,
        action: "test".to_owned(),
        ticket: None,
        detail: number.to_string(),
    });
    Entry { record, frames: Vec::new(), unique_keys: vec![key(number)] }
}

fn key(number: u32) -> UniqueKey {
    UniqueKey(pki::digest::sha256(&number.to_be_bytes()))
}

fn options_of(origin: &str) -> Options {
    Options { origin: origin.into(), segment_bytes_max: 1 << 20, on_fatal: Arc::new(|_| ()) }
}

#[test]
fn another_logs_segment_is_refused_and_left_alone() {
    let disk = ForgetfulDisk::new();
    let dir = Path::new("j");
    drop(open(Arc::new(disk.clone()), dir, &options_of("one"), None).unwrap());
    let path = dir.join(format!("{:020}.seg", 0));
    let before = disk.open(&path, OpenMode::Read).unwrap().length().unwrap();
    for origin in ["two", "a longer name", "x"] {
        let error = open(Arc::new(disk.clone()), dir, &options_of(origin), None).err().unwrap();
        assert_eq!(error.code(), "journal.damaged", "{origin}");
    }
    assert_eq!(disk.open(&path, OpenMode::Read).unwrap().length().unwrap(), before);
    assert_eq!(open(Arc::new(disk), dir, &options_of("one"), None).unwrap().2.torn_bytes, 0);
}

#[test]
fn a_half_header_is_torn_but_not_where_bytes_follow_it() {
    for length in 0..29 {
        let disk = ForgetfulDisk::new();
        let dir = Path::new("j");
        drop(open(Arc::new(disk.clone()), dir, &options_of("one"), None).unwrap());
        let mut file = disk.open(&dir.join(format!("{:020}.seg", 0)), OpenMode::Write).unwrap();
        let whole = file.length().unwrap();
        assert_eq!(whole, 29);
        file.truncate(length).unwrap();
        assert_eq!(open(Arc::new(disk.clone()), dir, &options_of("one"), None).unwrap().2.torn_bytes, length);
        let mut byte = disk::read_exactly(file.as_ref(), length, 1).unwrap();
        byte[0] ^= 1;
        file.write_at(length, &byte).unwrap();
        file.write_at(whole, b"L").unwrap();
        assert!(open(Arc::new(disk), dir, &options_of("one"), None).is_err(), "{length}");
    }
}

#[test]
fn who_looks_sees_what_is_durable_and_changes_nothing() {
    let disk = made();
    let looked = || Looked::at(Arc::new(disk.clone()), Path::new(DIR), ORIGIN);
    let holds = |looked: &Looked, records: u32| {
        for number in 0..records {
            let position = looked.find(&key(number)).unwrap();
            assert_eq!(position, Some(u64::from(number)));
            let Record::Control(act) = looked.read(u64::from(number)).unwrap().record else { panic!() };
            assert_eq!(act.detail, number.to_string());
        }
        assert_eq!(looked.find(&key(records)).unwrap(), None);
    };
    // Beside the writer; then without any of the summaries and keys.
    let journal = reopened(&disk).unwrap();
    append(&journal, RECORDS);
    holds(&looked().unwrap(), RECORDS + 1);
    // The writer's own sealing has ended with it.
    drop(journal);
    let before = disk.operations();
    holds(&looked().unwrap(), RECORDS + 1);
    assert_eq!(disk.operations(), before, "nothing was changed");
    derived(&disk).iter().for_each(|path| disk.remove(path).unwrap());
    holds(&looked().unwrap(), RECORDS + 1);
    // The last write torn: it is not there yet, and it stays for the next start to judge.
    let (closed, open) = segments(&disk);
    let mut file = disk.open(&open, OpenMode::Write).unwrap();
    let group = [0x55; 40];
    let end = segment::written_end(file.as_ref(), 0).unwrap();
    file.write_at(end, &group).unwrap();
    let before = disk.operations();
    holds(&looked().unwrap(), RECORDS + 1);
    assert_eq!(disk.operations(), before);
    disk.flip(&closed[3], 100);
    assert_eq!(looked().err().unwrap().code(), "journal.damaged");
    let none = Looked::at(Arc::new(disk.clone()), Path::new(DIR), "another");
    assert_eq!(none.err().unwrap().code(), "journal.damaged");
}
