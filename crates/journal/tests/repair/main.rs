//! A damaged journal and a backup of it: all is mended and proven, or nothing is changed and the reason is told.

mod checkpoint;
#[path = "../entries/mod.rs"]
mod entries;
mod faults;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, Fault, ForgetfulDisk, OpenMode, read_exactly};
use journal::checkpoint::LogKey;
use journal::repair::{Damage, Incurable, RepairError, Subject, Survey, kept_aside, survey};
use journal::tiles::{Published, Publisher};
use journal::{Journal, Options, snapshot, verify};
use pki::ed25519::Ed25519Key;

use crate::entries::entry;

const ORIGIN: &str = "example.org/journal";
const DIR: &str = "j";
const TLOG: &str = "t";
/// Segments of a few records.
const SMALL: u64 = 1200;
/// Records of the backup: its last segment is not full.
const BACKED_UP: u32 = 22;

/// A log of 30 records and its backup of before.
struct Log {
    disk: ForgetfulDisk,
    backup: ForgetfulDisk,
    pem: Vec<u8>,
}

impl Log {
    fn new() -> Self {
        Self::signed_up_to(30)
    }

    fn signed_up_to(signed: u32) -> Self {
        let pem = Ed25519Key::random().unwrap().to_pem().unwrap().to_vec();
        let mut log = Self { disk: ForgetfulDisk::new(), backup: ForgetfulDisk::new(), pem };
        for records in [signed.min(BACKED_UP), BACKED_UP, signed.max(BACKED_UP), 30] {
            log.append(records);
            if records == signed && signed > 0 {
                log.publish();
            }
            if records == BACKED_UP {
                log.backup = log.copied();
            }
        }
        log
    }

    fn append(&self, records: u32) {
        let journal = self.open();
        for number in journal.size() as u32..records {
            journal.append_blocking(entry(number)).unwrap();
        }
    }

    fn publish(&self) {
        let key = LogKey::from_pem(ORIGIN, &self.pem).unwrap();
        let mut publisher = Publisher::open(Arc::new(self.disk.clone()), Path::new(TLOG), key).unwrap();
        publisher.publish(&self.open()).unwrap();
    }

    fn open(&self) -> Journal {
        open(&self.disk).unwrap()
    }

    /// As `epost backup` copies it.
    fn copied(&self) -> ForgetfulDisk {
        let copy = ForgetfulDisk::new();
        for span in snapshot(&self.disk, Path::new(DIR), ORIGIN).unwrap() {
            let file = self.disk.open(&span.path, OpenMode::Read).unwrap();
            let bytes = read_exactly(file.as_ref(), 0, span.bytes as usize).unwrap();
            copy.open(&span.path, OpenMode::CreateNew).unwrap().write_at(0, &bytes).unwrap();
        }
        copy
    }

    fn published(&self) -> Option<Published> {
        let key = LogKey::from_pem(ORIGIN, &self.pem).unwrap();
        Published::open(Arc::new(self.disk.clone()), Path::new(TLOG), key.verifier()).unwrap()
    }

    fn survey(&self) -> Survey<'_> {
        self.survey_with(Some(&self.backup)).unwrap()
    }

    fn survey_with<'a>(&'a self, backup: Option<&'a ForgetfulDisk>) -> Result<Survey<'a>, RepairError> {
        survey(Subject {
            disk: &self.disk,
            dir: Path::new(DIR),
            origin: ORIGIN,
            published: self.published(),
            backup: backup.map(|disk| (disk as &dyn Disk, Path::new(DIR))),
        })
    }

    fn segment(&self, number: usize) -> PathBuf {
        segments(&self.disk).swap_remove(number).0
    }

    /// Mended: the survey names this damage and changes nothing, applying it brings the very bytes back and keeps the damaged ones.
    #[track_caller]
    fn check_mended(&self, whole: &ForgetfulDisk, position: u64, what: &str) {
        let before = files(&self.disk);
        let found = self.survey();
        let [Damage { position: at, what: seen, path, .. }] = &found.damages[..] else {
            panic!("{:?}", found.damages)
        };
        assert_eq!((*at, seen.as_str()), (position, what));
        let (path, damaged) = (path.clone(), read(&self.disk, path));
        assert_eq!(found.records.as_ref().unwrap(), &30);
        drop(found);
        assert_eq!(files(&self.disk), before, "nothing was changed");

        let replaced = self.survey().apply().unwrap();
        assert_eq!(segments(&self.disk), segments(whole));
        assert_eq!(kept_aside(&self.disk, Path::new(DIR)).unwrap(), replaced);
        assert_eq!(read(&self.disk, &Path::new(DIR).join(&replaced[0].kept_as)), damaged);
        assert_eq!(path.file_name().unwrap().to_str(), Some(replaced[0].segment.as_str()));
        let again = self.survey();
        assert!(again.damages.is_empty() && again.records.is_ok() && !again.is_curable());
        drop(again);
        assert_eq!(self.open().size(), 30);
    }

    /// Not mended: nothing is changed, by the survey or by applying it.
    #[track_caller]
    fn check_refused(&self, backup: Option<&ForgetfulDisk>, code: &str) -> Incurable {
        let before = files(&self.disk);
        let found = self.survey_with(backup).unwrap();
        assert!(!found.is_curable());
        assert!(self.survey_with(backup).unwrap().apply().unwrap().is_empty());
        assert_eq!(files(&self.disk), before);
        let incurable = found.records.unwrap_err();
        assert_eq!(incurable.code(), code, "{incurable}");
        incurable
    }
}

#[test]
fn a_whole_journal_has_nothing_to_mend() {
    let log = Log::new();
    for backup in [None, Some(&log.backup)] {
        let found = log.survey_with(backup).unwrap();
        assert!(found.damages.is_empty() && found.derived.is_empty() && !found.is_curable());
        assert_eq!(found.records.unwrap(), 30);
    }
    let segments = segments(&log.disk).len();
    assert!(segments >= 6, "{segments}");
    assert!(segments > self::segments(&log.backup).len());
}

#[test]
fn a_changed_byte_of_what_the_backup_has_is_mended() {
    let whole = Log::new();
    for (number, (path, bytes)) in segments(&whole.backup).iter().enumerate() {
        for at in (0..bytes.len()).step_by(151).chain([bytes.len() - 1]) {
            let log = whole.twin();
            log.disk.flip(path, at);
            let found = log.survey();
            assert_eq!((found.damages.len(), &found.damages[0].path), (1, path), "{number}: {at}");
            assert_eq!(found.apply().unwrap().len(), 1);
            assert_eq!(segments(&log.disk), segments(&whole.disk), "{number}: {at}");
        }
    }
    let log = whole.twin();
    let second = log.segment(1);
    let first: u64 = second.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    log.disk.flip(&second, read(&log.disk, &second).len() / 2);
    let found = log.survey();
    let (position, what) = (found.damages[0].position, found.damages[0].what.clone());
    assert!(position > first);
    drop(found);
    log.check_mended(&whole.disk, position, &what);
    assert_eq!(what, "a frame whose checksum is wrong");
}

#[test]
fn missing_and_cut_segments_come_back() {
    let whole = Log::new();
    for (number, (path, bytes)) in segments(&whole.backup).iter().enumerate() {
        let first: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let log = whole.twin();
        log.disk.remove(path).unwrap();
        let found = log.survey();
        // The backup's last one was not at its end yet.
        if number + 1 == segments(&whole.backup).len() {
            assert!(found.records.is_err());
            continue;
        }
        assert_eq!(
            (found.damages[0].position, found.damages[0].what.as_str()),
            (first, "a segment that is missing")
        );
        let replaced = found.apply().unwrap();
        assert_eq!(segments(&log.disk), segments(&whole.disk));
        assert!(read(&log.disk, &Path::new(DIR).join(&replaced[0].kept_as)).is_empty());

        let log = whole.twin();
        log.disk.open(path, OpenMode::Write).unwrap().truncate(bytes.len() as u64 / 2).unwrap();
        assert_eq!(log.survey().apply().unwrap().len(), 1);
        assert_eq!(segments(&log.disk), segments(&whole.disk));
    }
    let log = whole.twin();
    for number in [3, 1, 0] {
        log.disk.remove(&log.segment(number)).unwrap();
    }
    assert_eq!(log.survey().apply().unwrap().len(), 3, "all at once");
    assert_eq!(segments(&log.disk), segments(&whole.disk));
}

/// Where the backup ends inside a segment, what was written after it stays as it is.
#[test]
fn the_open_segment_is_mended_as_far_as_the_backup_reaches() {
    let whole = Log::signed_up_to(23);
    let whole = whole.cut_to_the_backups_segments();
    let (path, of_backup) = segments(&whole.backup).pop().unwrap();
    assert_eq!(whole.segment(segments(&whole.disk).len() - 1), path, "still the open one");
    assert!(read(&whole.disk, &path).len() > of_backup.len());
    let log = whole.twin();
    log.disk.flip(&path, of_backup.len() - 10);
    assert_eq!(log.survey().damages.len(), 1);
    assert_eq!(log.survey().apply().unwrap().len(), 1);
    assert_eq!(segments(&log.disk), segments(&whole.disk));

    let log = whole.twin();
    log.disk.flip(&path, of_backup.len() + 60);
    log.check_refused(None, "journal.repair.no-backup");
    let refused = log.check_refused(Some(&log.backup), "journal.repair.still-damaged");
    assert!(refused.to_string().contains("record 22: a frame whose checksum is wrong"), "{refused}");
}

#[test]
fn records_written_anew_with_their_checksums_are_found_by_what_was_published() {
    let whole = Log::new();
    let log = whole.twin();
    let path = log.segment(0);
    let mut bytes = read(&log.disk, &path);
    let header = 8 + 4 + 8 + 2 + ORIGIN.len() + 4;
    let length = u32::from_le_bytes(bytes[header + 1..header + 5].try_into().unwrap()) as usize;
    let payload = header + 9..header + 9 + length;
    bytes[payload.start + 8] ^= 1; // its salt
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[header..header + 5]), &bytes[payload]);
    bytes[header + 5..header + 9].copy_from_slice(&checksum.to_le_bytes());
    log.disk.open(&path, OpenMode::Write).unwrap().write_at(0, &bytes).unwrap();
    log.check_mended(&whole.disk, 0, "its hash is not the one that was published");
}

#[test]
fn a_backup_that_is_damaged_or_of_another_log_mends_nothing() {
    let log = Log::new();
    let path = log.segment(1);
    log.disk.flip(&path, 200);
    log.check_refused(None, "journal.repair.no-backup");
    log.check_refused(Some(&ForgetfulDisk::new()), "journal.repair.not-in-backup");

    log.backup.flip(&path, 300);
    let refused = log.check_refused(Some(&log.backup), "journal.repair.still-damaged");
    assert!(refused.to_string().contains("00000000000"), "names the segment: {refused}");

    // The same records by their facts, under other salts: nothing but the hashes differs.
    let other = Log::new();
    assert_eq!(
        segments(&other.backup).iter().map(|f| &f.0).collect::<Vec<_>>(),
        segments(&log.backup).iter().map(|f| &f.0).collect::<Vec<_>>()
    );
    let refused = log.check_refused(Some(&other.backup), "journal.repair.forked");
    assert!(refused.to_string().contains("30 records"), "{refused}");
}

#[test]
fn what_neither_checkpoint_nor_summary_covers_is_proven_by_nothing() {
    // Nothing is signed; the closed segments' summaries and keys say what they were.
    let whole = Log::signed_up_to(0).cut_to_the_backups_segments();
    let backup = whole.copied();
    let (open, of_backup) = segments(&backup).pop().unwrap();
    let log = whole.twin();
    let closed = log.segment(1);
    log.disk.flip(&closed, 200);
    let found = log.survey_with(Some(&backup)).unwrap();
    found.records.as_ref().unwrap();
    assert_eq!(found.apply().unwrap().len(), 1);
    assert_eq!(segments(&log.disk), segments(&whole.disk));

    log.disk.flip(&closed, 200);
    log.remove_derived();
    let refused = log.check_refused(Some(&backup), "journal.repair.unproven");
    assert!(refused.to_string().contains("they end at 0"), "{refused}");

    let log = whole.twin();
    log.disk.flip(&open, 100);
    assert!(of_backup.len() > 400, "a later write follows");
    log.check_refused(Some(&backup), "journal.repair.unproven");
}

#[test]
fn records_cut_off_the_end_come_back_if_they_were_signed() {
    let whole = Log::signed_up_to(BACKED_UP);
    let (path, of_backup) = segments(&whole.backup).pop().unwrap();
    for (signed, cut) in [(true, 1), (true, 200), (false, 1)] {
        let log = whole.twin();
        for (later, _) in segments(&log.disk).iter().filter(|(later, _)| *later > path) {
            log.disk.remove(later).unwrap();
        }
        log.disk.open(&path, OpenMode::Write).unwrap().truncate((of_backup.len() - cut) as u64).unwrap();
        if !signed {
            log.remove_derived();
            // A torn write that nobody was answered for, as far as anything here tells.
            let log = log.unpublished();
            let found = log.survey_with(None).unwrap();
            assert!(found.damages.is_empty() && found.records.is_ok());
            drop(found);
            log.check_refused(Some(&log.backup), "journal.repair.unproven");
            continue;
        }
        let refused = log.check_refused(None, "journal.repair.no-backup");
        assert!(refused.to_string().contains("--from"));
        assert_eq!(log.survey().apply().unwrap().len(), 1);
        assert_eq!(read(&log.disk, &path), of_backup);
    }
}

#[test]
fn derived_files_that_say_otherwise_are_made_again() {
    let whole = Log::new();
    let derived = |disk: &ForgetfulDisk| {
        let mut files = files(disk);
        files.retain(|(path, _)| path.ends_with(".sum") || path.ends_with(".keys"));
        files
    };
    drop(whole.open());
    let expected = derived(&whole.disk);
    assert!(expected.len() > 6);
    for (path, bytes) in &expected {
        for at in [0, 12, 70, bytes.len() / 2, bytes.len() - 1] {
            let log = whole.twin();
            log.disk.flip(Path::new(path), at);
            let found = log.survey_with(None).unwrap();
            assert!(found.damages.is_empty() && found.is_curable(), "{path}: {at}");
            assert_eq!(found.derived, [PathBuf::from(path)]);
            assert!(found.apply().unwrap().is_empty());
            drop(log.open());
            assert!(log.survey_with(None).unwrap().derived.is_empty());
            assert!(derived(&log.disk).iter().any(|(made, _)| made.ends_with(".sum")));
        }
    }
}

impl Log {
    /// The same on a disk of its own; all that was not synced yet is.
    fn twin(&self) -> Self {
        let disk = ForgetfulDisk::new();
        for (path, bytes) in files(&self.disk) {
            let path = Path::new(&path);
            disk.create_dir_all(path.parent().unwrap()).unwrap();
            let mut file = disk.open(path, OpenMode::CreateNew).unwrap();
            file.write_at(0, &bytes).unwrap();
            file.sync_data().unwrap();
            disk.sync_dir(path.parent().unwrap()).unwrap();
        }
        let backup = ForgetfulDisk::new();
        for (path, bytes) in segments(&self.backup) {
            backup.open(&path, OpenMode::CreateNew).unwrap().write_at(0, &bytes).unwrap();
        }
        let disk = disk.after_power_cut(0);
        Self { disk, backup, pem: self.pem.clone() }
    }

    /// The same, and nothing was published of it.
    fn unpublished(&self) -> Self {
        let twin = self.twin();
        let disk = ForgetfulDisk::new();
        for (path, bytes) in files(&twin.disk).into_iter().filter(|(path, _)| !path.starts_with(TLOG)) {
            disk.create_dir_all(Path::new(DIR)).unwrap();
            disk.open(Path::new(&path), OpenMode::CreateNew).unwrap().write_at(0, &bytes).unwrap();
        }
        Self { disk, ..twin }
    }

    fn remove_derived(&self) {
        for path in self.disk.list(Path::new(DIR)).unwrap() {
            if path.extension().is_some_and(|extension| extension == "sum" || extension == "keys") {
                self.disk.remove(&path).unwrap();
            }
        }
    }

    /// Without the segments that were begun after the backup: those who wait there never were.
    fn cut_to_the_backups_segments(&self) -> Self {
        let twin = self.twin();
        let last = segments(&twin.backup).pop().unwrap().0;
        for path in twin.disk.list(Path::new(DIR)).unwrap() {
            if path.extension().is_some_and(|e| e == "seg") && path > last {
                twin.disk.remove(&path).unwrap();
            }
        }
        twin.remove_derived();
        drop(twin.open());
        twin.twin()
    }
}

fn open(disk: &ForgetfulDisk) -> Result<Journal, journal::OpenError> {
    let options = Options { origin: ORIGIN.to_owned(), segment_bytes_max: SMALL, on_fatal: Arc::new(|_| ()) };
    Ok(Journal::open(Arc::new(disk.clone()), Path::new(DIR), options)?.0)
}

fn segments(disk: &ForgetfulDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths = disk.list(Path::new(DIR)).unwrap();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.into_iter().map(|path| (path.clone(), read(disk, &path))).collect()
}

/// Every file on the disk.
fn files(disk: &ForgetfulDisk) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(DIR), PathBuf::from(TLOG)]);
    while let Some(folder) = folders.pop() {
        for path in disk.list(&folder).unwrap() {
            match disk.open(&path, OpenMode::Read) {
                Ok(_) => found.push((path.display().to_string(), read(disk, &path))),
                Err(_) => folders.push(path),
            }
        }
    }
    found.sort();
    found
}

fn read(disk: &ForgetfulDisk, path: &Path) -> Vec<u8> {
    let Ok(file) = disk.open(path, OpenMode::Read) else { return Vec::new() };
    let length = file.length().unwrap();
    read_exactly(file.as_ref(), 0, length as usize).unwrap()
}
