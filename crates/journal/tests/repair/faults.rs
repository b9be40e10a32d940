//! A repair that is cut short, on a full disk, or from a backup that changes meanwhile: nothing is lost, and the same call goes on.

use super::*;

#[test]
fn cut_short_anywhere_the_same_call_goes_on() {
    let whole = Log::new();
    let spoilt = whole.twin();
    spoilt.disk.flip(&spoilt.segment(1), 200);
    spoilt.disk.remove(&spoilt.segment(2)).unwrap();
    spoilt.disk.sync_dir(Path::new(DIR)).unwrap();
    let operations = {
        let log = spoilt.twin();
        assert_eq!(log.survey().apply().unwrap().len(), 2);
        log.disk.operations()
    };
    let mut refused = 0;
    for operation in 1..=operations {
        for fault in [Fault::PowerCut, Fault::NotPersisted, Fault::PersistedButReportedFailed] {
            let log = spoilt.twin();
            log.disk.fail_at(operation, fault);
            refused += u32::from(log.survey().apply().is_err());
            for seed in 0..3 {
                let found = Log { disk: log.disk.after_power_cut(seed), ..spoilt.twin() };
                let again = found.survey();
                again.records.as_ref().unwrap();
                assert!(again.damages.len() <= 2);
                again.apply().unwrap();
                assert_eq!(segments(&found.disk), segments(&whole.disk), "{operation} {fault:?} {seed}");
                let kept = kept_aside(&found.disk, Path::new(DIR)).unwrap();
                assert_eq!(kept.len(), 2, "{kept:?}");
                let report = verify(&found.disk, Path::new(DIR), ORIGIN, &mut |_| Ok(())).unwrap();
                assert_eq!(report.records, 30);
            }
        }
    }
    assert!(refused > 20, "the faults were met: {refused}");
}

#[test]
fn what_was_copied_out_of_the_backup_must_be_what_was_judged() {
    let whole = Log::new();
    let other = Log::new();
    let path = whole.segment(1);
    let spoilt = whole.twin();
    spoilt.disk.flip(&path, 200);
    // A byte of the backup changes between the looking and the doing; or it becomes another log's.
    for (code, change) in
        [("journal.repair.still-damaged", None), ("journal.repair.forked", Some(read(&other.backup, &path)))]
    {
        let log = spoilt.twin();
        let before = files(&log.disk);
        let found = log.survey();
        found.records.as_ref().unwrap();
        let former = read(&log.backup, &path);
        match &change {
            None => log.backup.flip(&path, 300),
            Some(bytes) => log.backup.open(&path, OpenMode::Write).unwrap().write_at(0, bytes).unwrap(),
        }
        let RepairError::Changed(why) = found.apply().unwrap_err() else { panic!("not told as changed") };
        assert_eq!(why.code(), code);
        assert_eq!(files(&log.disk), before, "nothing was replaced, and nothing is left beside");

        log.backup.open(&path, OpenMode::Write).unwrap().write_at(0, &former).unwrap();
        assert_eq!(log.survey().apply().unwrap().len(), 1);
        assert_eq!(segments(&log.disk), segments(&whole.disk));
    }
}

#[test]
fn on_a_full_disk_nothing_is_lost_and_the_same_call_goes_on_once_there_is_room() {
    let whole = Log::new();
    let spoilt = whole.twin();
    let path = spoilt.segment(1);
    spoilt.disk.flip(&path, 200);
    let used: u64 = files(&spoilt.disk).iter().map(|(_, bytes)| bytes.len() as u64).sum();
    // Room for the new segment and for the one that is kept.
    let needed = 2 * read(&spoilt.disk, &path).len() as u64;
    let mut refused = 0;
    for room in (0..=needed).step_by(97).chain([needed]) {
        let log = spoilt.twin();
        let before = files(&log.disk);
        log.disk.set_capacity_bytes(used + room);
        match log.survey().apply() {
            Ok(replaced) => assert_eq!(replaced.len(), 1),
            Err(RepairError::Disk { cause, .. }) => {
                assert_eq!(cause.kind(), std::io::ErrorKind::StorageFull);
                for (path, bytes) in &before {
                    assert_eq!(&read(&log.disk, Path::new(path)), bytes, "{path} with {room} bytes of room");
                }
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
        log.disk.set_capacity_bytes(u64::MAX);
        log.survey().apply().unwrap();
        assert_eq!(segments(&log.disk), segments(&whole.disk), "{room}");
        assert_eq!(kept_aside(&log.disk, Path::new(DIR)).unwrap().len(), 1);
    }
    assert!(refused > 10 && needed > 1000, "{refused} of {needed}");
}
