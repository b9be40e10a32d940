//! Records appended together, and by many at once.

mod entries;

use std::path::Path;
use std::sync::Arc;

use disk::ForgetfulDisk;
use journal::{AppendError, Appended, Entry, GROUP_RECORDS_MAX, Journal, Options, verify};

use crate::entries::{entry, key};

const DIR: &str = "j";

#[test]
fn a_group_takes_one_sync_and_keeps_its_order() {
    let (disk, journal) = made(1 << 20);
    let syncs = || disk.log().iter().filter(|operation| operation.kind == "sync_data").count();
    let before = syncs();
    let appended = journal.append_all_blocking((0..100).map(entry).collect()).unwrap();
    assert_eq!(syncs(), before + 1);
    assert_eq!(places(&appended), (0..100).map(Ok).collect::<Vec<_>>());
    for number in 0..100 {
        let stored = journal.read(u64::from(number)).unwrap();
        let expected = entry(number);
        assert_eq!((stored.record, stored.frames), (expected.record, expected.frames));
        assert_eq!(journal.find(&key(number)).unwrap(), Some(u64::from(number)));
    }
    drop(journal);
    assert_eq!(verify(&disk, Path::new(DIR), "one", &mut |_| Ok(())).unwrap().records, 100);
}

#[test]
fn a_duplicate_in_a_group_holds_up_nothing_behind_it() {
    let (_, journal) = made(1 << 20);
    let appended = journal.append_all_blocking([1, 2, 1, 3].map(entry).to_vec()).unwrap();
    assert_eq!(places(&appended), [Ok(0), Ok(1), Err(0), Ok(2)]);
    let appended = journal.append_all_blocking([4, 2, 5].map(entry).to_vec()).unwrap();
    assert_eq!(places(&appended), [Ok(3), Err(1), Ok(4)]);
    let mut either = entry(6);
    either.unique_keys.push(key(3));
    assert_eq!(places(&journal.append_all_blocking(vec![either, entry(6)]).unwrap()), [Err(2), Ok(5)]);
    assert_eq!(journal.append_all_blocking(Vec::new()).unwrap().len(), 0);
    assert_eq!(journal.size(), 6);
}

#[test]
fn a_group_is_as_long_as_it_may_be_and_no_longer() {
    let (_, journal) = made(1 << 30);
    let group = |records: usize| (0..records as u32).map(entry).collect();
    let refused = journal.append_all_blocking(group(GROUP_RECORDS_MAX + 1)).unwrap_err();
    assert_eq!((refused.code(), journal.size()), ("journal.record-too-large", 0));
    let appended = journal.append_all_blocking(group(GROUP_RECORDS_MAX)).unwrap();
    assert_eq!(places(&appended).last(), Some(&Ok(GROUP_RECORDS_MAX as u64 - 1)));
}

#[test]
fn of_a_group_with_one_too_large_nothing_is_written() {
    let (_, journal) = made(1 << 20);
    let mut large = entry(1);
    large.unique_keys = (0..17).map(key).collect();
    let refused = journal.append_all_blocking(vec![entry(0), large, entry(2)]).unwrap_err();
    assert!(matches!(refused, AppendError::TooLarge(_)), "{refused}");
    assert_eq!(journal.size(), 0);
}

#[test]
fn a_full_disk_takes_nothing_of_a_group_and_all_of_it_later() {
    let (disk, journal) = made(1 << 20);
    journal.append_blocking(entry(0)).unwrap();
    disk.set_capacity_bytes(2000);
    let group: Vec<Entry> = [0, 1, 2, 3, 4, 5, 6, 7].map(entry).to_vec();
    assert_eq!(journal.append_all_blocking(group.clone()).unwrap_err(), AppendError::Full);
    assert_eq!(
        places(&journal.append_all_blocking(vec![entry(0)]).unwrap()),
        [Err(0)],
        "what exists is told"
    );
    disk.set_capacity_bytes(1 << 20);
    let appended = journal.append_all_blocking(group).unwrap();
    let expected: Vec<_> = [Err(0)].into_iter().chain((1..8).map(Ok)).collect();
    assert_eq!(places(&appended), expected);
}

/// On a runtime of one thread nobody who appends may block it; of many, whoever finds nobody writing writes.
#[test]
fn groups_by_many_at_once_stay_whole_and_one_of_each_key_is_recorded() {
    for threads in [0, 1, 4] {
        let (disk, journal) = made(20_000);
        let mut builder = match threads {
            0 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.worker_threads(threads.max(1)).build().unwrap();
        let positions = runtime.block_on(append_by_many(&journal));
        assert!(positions.iter().copied().eq(0..positions.len() as u64), "{threads} threads");
        assert_eq!(positions.len() as u64, journal.size());
        drop(runtime);
        drop(journal);
        let report = verify(&disk, Path::new(DIR), "one", &mut |_| Ok(())).unwrap();
        assert_eq!((report.records, report.segments > 1), (positions.len() as u64, true));
    }
}

async fn append_by_many(journal: &Journal) -> Vec<u64> {
    let append = |task: u32, journal: Journal| async move {
        let mut positions = Vec::new();
        for group in 0..20 {
            // Two of each group are those of the next task, too.
            let numbers = (0..6).map(|number| (task * 20 + group) * 4 + number);
            let appended = journal.append_all(numbers.map(entry).collect()).await.unwrap();
            let own: Vec<u64> = places(&appended).into_iter().filter_map(Result::ok).collect();
            assert!(own.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{own:?}");
            positions.extend(own);
        }
        positions
    };
    let tasks: Vec<_> = (0..16).map(|task| tokio::spawn(append(task, journal.clone()))).collect();
    let mut positions = Vec::new();
    for task in tasks {
        positions.extend(task.await.unwrap());
    }
    positions.sort_unstable();
    positions
}

#[tokio::test(flavor = "multi_thread")]
async fn who_no_longer_waits_is_recorded_all_the_same() {
    let (_, journal) = made(1 << 20);
    for number in 0..50 {
        let mut append = Box::pin(journal.append(entry(number)));
        // Polled once: it was put in the queue, and perhaps written; then given up.
        std::future::poll_fn(|context| {
            let _ = append.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
        drop(append);
    }
    let appended = journal.append(entry(50)).await.unwrap();
    assert!(matches!(appended, Appended::Recorded(recorded) if recorded.position() == 50));
}

/// New records' places, and those of who holds the keys of the others.
fn places(appended: &[Appended]) -> Vec<Result<u64, u64>> {
    let place = |one: &Appended| match one {
        Appended::Recorded(recorded) => Ok(recorded.position()),
        Appended::Existing(position) => Err(*position),
    };
    appended.iter().map(place).collect()
}

fn made(segment_bytes_max: u64) -> (ForgetfulDisk, Journal) {
    let disk = ForgetfulDisk::new();
    let options = Options { origin: "one".into(), segment_bytes_max, on_fatal: Arc::new(|_| ()) };
    let (journal, _) = Journal::open(Arc::new(disk.clone()), Path::new(DIR), options).unwrap();
    (disk, journal)
}
