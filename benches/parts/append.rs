//! Appended records, 1 KB of frame each, by how many are synced at once. Wall-clock time: what costs here is the disk.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Figure, line, section};
use disk::RealDisk;
use erds::Record;
use erds::record::Control;
use jiff::Timestamp;
use journal::{Entry, Frame, Journal, Options};
use rusqlite::Connection;
use rustix::fs::{FallocateFlags, fallocate};

pub(crate) fn run() {
    section(
        "Append: records that are synced together (wall-clock time)",
        "one write of as many bytes + one fdatasync into room taken before; SQLite: one transaction, WAL, synchronous FULL",
    );
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = Options {
        origin: "bench".into(),
        segment_bytes_max: 1 << 30,
        on_fatal: Arc::new(|reason| panic!("{reason}")),
    };
    let directory = folder.path().join("journal");
    let (journal, _) = Journal::open(Arc::new(RealDisk), &directory, options).unwrap();
    let record_bytes = record_bytes(&journal, &directory);
    let mut plain = File::create(folder.path().join("plain")).unwrap();
    fallocate(&plain, FallocateFlags::empty(), 0, (record_bytes * ROUNDS * (1 + 16 + 256)) as u64).unwrap();
    let mut sqlite = sqlite(&folder.path().join("sqlite"));
    for batch in [1, 16, 256] {
        let bytes = vec![7; record_bytes * batch];
        // In turns, so that what disturbs one disturbs the others.
        let mut times: [Vec<Duration>; 5] = Default::default();
        for _ in 0..ROUNDS {
            let [one, two, each, floor, theirs] = &mut times;
            one.push(timed(|| drop(journal.append_all_blocking(entries(batch)).unwrap())));
            two.push(timed(|| append_in_turns(&journal, batch)) / (2 * GROUPS_EACH));
            each.push(timed(|| runtime.block_on(append_by_as_many(&journal, batch))) / GROUPS_EACH);
            floor.push(timed(|| {
                plain.write_all(&bytes).unwrap();
                plain.sync_data().unwrap();
            }));
            theirs.push(timed(|| insert_together(&mut sqlite, batch, record_bytes)));
        }
        let [one, two, each, floor, theirs] = times.map(median);
        for (what, ours) in [("one caller", one), ("two callers in turn", two), ("a caller for each", each)] {
            line(&format!("{batch} at once, {what}"), Figure { ours, floor });
            let a_second = |time: Duration| batch as f64 / time.as_secs_f64();
            println!(
                "  {:<44} {:>8.0} records/s, SQLite {:.0}: {:.2} times as many",
                "",
                a_second(ours),
                a_second(theirs),
                a_second(ours) / a_second(theirs)
            );
        }
    }
}

fn timed(call: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    call();
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What a record takes in a segment, frame and framing included: the same for the floor and the peer.
fn record_bytes(journal: &Journal, directory: &Path) -> usize {
    let segment = directory.join(format!("{:020}.seg", 0));
    let written =
        || std::fs::read(&segment).unwrap().iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    journal.append_all_blocking(entries(1)).unwrap();
    let before = written();
    journal.append_all_blocking(entries(256)).unwrap();
    (written() - before) / 256
}

fn sqlite(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.pragma_update(None, "synchronous", "full").unwrap();
    connection
        .execute("create table record (position integer primary key, bytes blob not null)", ())
        .unwrap();
    connection
}

fn insert_together(connection: &mut Connection, batch: usize, record_bytes: usize) {
    let bytes = vec![7; record_bytes];
    let transaction = connection.transaction().unwrap();
    {
        let mut insert = transaction.prepare_cached("insert into record (bytes) values (?1)").unwrap();
        (0..batch).for_each(|_| assert_eq!(insert.execute((&bytes[..],)), Ok(1)));
    }
    transaction.commit().unwrap();
}

/// Two threads, each with its next group when its last one is durable: one encodes while the other's is synced. As much is written at
/// once as a group.
fn append_in_turns(journal: &Journal, batch: usize) {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..GROUPS_EACH {
                    journal.append_all_blocking(entries(batch)).unwrap();
                }
            });
        }
    });
}

/// So many at once, each with its next record when the last one is durable.
async fn append_by_as_many(journal: &Journal, batch: usize) {
    let waiting = (0..batch).map(|_| {
        let journal = journal.clone();
        tokio::spawn(async move {
            for _ in 0..GROUPS_EACH {
                journal.append(entry()).await.unwrap();
            }
        })
    });
    for one in waiting.collect::<Vec<_>>() {
        one.await.unwrap();
    }
}

fn entries(batch: usize) -> Vec<Entry> {
    (0..batch).map(|_| entry()).collect()
}

fn entry() -> Entry {
    let record = Record::Control(Control {
        at: Timestamp::now(),
        action: "bench".into(),
        ticket: None,
        detail: "a record of usual size, with what a control act would say".into(),
    });
    let frames = vec![Frame { name: "f".into(), ciphertext: vec![9; 1024] }];
    Entry { record, frames, unique_keys: Vec::new() }
}

const ROUNDS: usize = 101;
const GROUPS_EACH: u32 = 4;
