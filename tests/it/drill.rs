//! A drill restores the backup for real, opens all of it, and its outcome stands in the journal of the service that runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use epost::drill::acts::{overdue, take_up};
use epost::drill::{DrillError, Outcome, drill, leave};
use erds::Record;
use jiff::{SignedDuration, Timestamp};
use soap::message::{ItemName, ProofKind};

use crate::backup::Place;
use crate::house::{Draft, House};

/// Two items in their boxes, one with a part in a file of its own, and a backup of them.
async fn place() -> Place {
    let place = Place::new().await;
    place.send("A", 900).await;
    place.send("B", 200_000).await;
    place.take().unwrap();
    place
}

impl Place {
    fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    async fn drill(&self) -> (Outcome, Option<DrillError>) {
        let drilled = drill(&self.config, self.backup(), &self.scratch(), Timestamp::now()).await;
        assert!(!self.scratch().exists(), "nothing is left of it");
        drilled
    }

    /// The drills in the journal: passed or not, and the code.
    fn recorded(&self) -> Vec<(String, Outcome)> {
        let acts = self.sandbox.records().into_iter().filter_map(|stored| match stored.record {
            Record::Control(act) if act.action.starts_with("drill.") => {
                Some((act.action, serde_json::from_str(&act.detail).unwrap()))
            }
            _ => None,
        });
        acts.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_whole_passes_and_the_journal_says_in_what_time() {
    let place = place().await;
    let ticket = place.sandbox.records().into_iter().find_map(|stored| match stored.record {
        Record::Dispatched(dispatched) => Some(dispatched.ticket),
        _ => None,
    });
    let ticket = ticket.unwrap();
    let evidence = Draft::evidence(&ItemName::Ticket(ticket), ProofKind::Dispatch);
    assert_eq!(place.sandbox.ask(&evidence).await.proof_reply().evidence.len(), 1);
    let manifest = place.take().unwrap().manifest;
    let (outcome, error) = place.drill().await;
    assert!(error.is_none() && outcome.passed, "{error:?}");
    assert_eq!((outcome.records, outcome.backup_of), (manifest.records, Some(manifest.made_at)));
    assert_eq!(
        (outcome.proofs, outcome.erased, outcome.code.as_deref()),
        (5, 0, None),
        "two of each item, and evidence of one"
    );
    assert!(outcome.opened > 8 && outcome.took_ms >= outcome.restored_ms, "{outcome:?}");

    let service = place.sandbox.service();
    let path = leave(&place.config.data.directory, &outcome).unwrap();
    let act = std::fs::read(&path).unwrap();
    std::fs::write(path.with_file_name("other.drill"), "no act").unwrap();
    assert_eq!(take_up(service).await.unwrap(), 1);
    assert_eq!(place.recorded(), [("drill.passed".to_owned(), outcome.clone())]);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    // A crash after the record and before the file was removed.
    std::fs::write(&path, act).unwrap();
    take_up(service).await.unwrap();
    assert_eq!(place.recorded().len(), 1, "recorded once");
    assert_eq!(take_up(service).await.unwrap(), 0);
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_come_back_does_not_pass_and_that_is_recorded_too() {
    let place = place().await;
    let manifest = place.take().unwrap().manifest;
    let kept = |name: &str| {
        let (_, kept) = manifest.files.iter().find(|(file, _)| file.starts_with(name)).unwrap();
        place.backup().join("files").join(kept.sha256.to_hex())
    };
    let path = kept("data/content/");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[1..]).unwrap();
    let (outcome, _) = place.drill().await;
    assert_eq!((outcome.passed, outcome.code.as_deref()), (false, Some("backup.damaged")));
    leave(&place.config.data.directory, &outcome).unwrap();
    take_up(place.sandbox.service()).await.unwrap();
    assert_eq!(place.recorded(), [("drill.failed".to_owned(), outcome)]);
    std::fs::write(&path, whole).unwrap();
    assert!(place.drill().await.0.passed, "mended");

    // The escrowed key is not the one of this backup.
    let mut other = place.config.clone();
    other.data.master_key = place.folder.path().join("other.key").into();
    std::fs::write(other.data.master_key.file(), [9; 32]).unwrap();
    let (outcome, error) = drill(&other, place.backup(), &place.scratch(), Timestamp::now()).await;
    assert_eq!(outcome.code.as_deref(), Some("drill.keys"), "{error:?}");
    // Roots that the seal does not lead to.
    let mut other = place.config.clone();
    other.seal.anchors = other.tsa.iter().flat_map(|tsa| tsa.anchors.clone()).collect();
    let (outcome, error) = drill(&other, place.backup(), &place.scratch(), Timestamp::now()).await;
    assert_eq!(outcome.code.as_deref(), Some("drill.proof"), "{error:?}");
    // No backup at all, and a place that holds something.
    let none = place.folder.path().join("none");
    let (outcome, _) = drill(&place.config, &none, &place.scratch(), Timestamp::now()).await;
    assert_eq!(outcome.code.as_deref(), Some("backup.manifest"));
    let (outcome, _) = drill(&place.config, place.backup(), place.backup(), Timestamp::now()).await;
    assert_eq!(outcome.code.as_deref(), Some("backup.not-empty"));
    assert!(place.backup().join("manifest.json").exists());
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_lost_is_told_from_one_that_was_destroyed_on_record() {
    let place = place().await;
    let gone = place.send("C", 200_000).await;
    let service = place.sandbox.service();
    service.keys().destroy(gone).await.unwrap();
    place.take().unwrap();
    let (outcome, error) = place.drill().await;
    assert_eq!(outcome.code.as_deref(), Some("drill.content"), "{error:?}");
    assert!(error.unwrap().to_string().contains("its key is gone"));

    place.record_erasure(gone).await;
    place.take().unwrap();
    let (outcome, error) = place.drill().await;
    assert!(outcome.passed && outcome.erased > 2, "{error:?}");
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_is_overdue_after_so_many_days_without_one_that_passed() {
    let house = House::new().await;
    let data = tempfile::tempdir().unwrap();
    house.service.record_act("test", "").await.unwrap();
    let begun = house.records()[0].record.at();
    let after = |hours: i64| begun + SignedDuration::from_hours(hours);
    let days = |now| overdue(&house.service, 30, now).unwrap();
    assert_eq!((days(after(24 * 31 - 1)), days(after(24 * 31))), (None, Some(31)));
    assert_eq!(overdue(&house.service, 0, after(24 * 900)).unwrap(), None, "nobody asked");
    // One that failed does not count, one that passed does.
    for (passed, expected) in [(false, true), (true, false)] {
        let outcome = Outcome { passed, ..Outcome::default() };
        let path = leave(data.path(), &outcome).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let disk: Arc<dyn disk::Disk> = Arc::new(house.disk.clone());
        disk.create_dir_all(Path::new("data/acts")).unwrap();
        let to = Path::new("data/acts").join(path.file_name().unwrap());
        disk.open(&to, disk::OpenMode::CreateNew).unwrap().write_at(0, &bytes).unwrap();
        assert_eq!(take_up(&house.service).await.unwrap(), 1);
        let last = house.records().last().unwrap().record.at();
        let now = if passed { last + SignedDuration::from_hours(24 * 31 - 1) } else { after(24 * 31) };
        assert_eq!(days(now).is_some(), expected);
    }
    house.stop().await;
}
