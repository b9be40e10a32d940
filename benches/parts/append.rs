//! Appended records, 1 KB of frame each, by how many are synced at once. Wall-clock time, for what costs here is the disk; beside it the CPU
//! time of the whole process, which other processes disturb less.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use benches::{Figure, line, micros, section};
use disk::RealDisk;
use erds::Record;
use erds::record::Control;
use jiff::Timestamp;
use journal::{Entry, Frame, Journal, Options};
use rusqlite::Connection;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

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
        let mut times: [Vec<Cost>; 5] = Default::default();
        for _ in 0..ROUNDS {
            let [one, two, each, floor, theirs] = &mut times;
            let group = entries(batch);
            one.push(cost(1, || drop(journal.append_all_blocking(group).unwrap())));
            two.push(append_in_turns(&journal, batch));
            each.push(append_by_as_many(&runtime, &journal, batch));
            floor.push(cost(1, || {
                plain.write_all(&bytes).unwrap();
                plain.sync_data().unwrap();
            }));
            theirs.push(cost(1, || insert_together(&mut sqlite, batch, &bytes[..record_bytes])));
        }
        let [one, two, each, floor, theirs] = times.map(Cost::median);
        for (what, ours) in [("one caller", one), ("two callers in turn", two), ("a caller for each", each)] {
            line(&format!("{batch} at once, {what}"), Figure { ours: ours.wall, floor: floor.wall });
            let a_second = |cost: Cost| batch as f64 / cost.wall.as_secs_f64();
            let cpu = |cost: Cost| micros(cost.cpu) / batch as f64;
            println!(
                "  {:<44} {:>8.0} records/s, SQLite {:.0}: {:.2} times as many; CPU a record {:.2} µs, floor {:.2}, SQLite {:.2}",
                "",
                a_second(ours),
                a_second(theirs),
                a_second(ours) / a_second(theirs),
                cpu(ours),
                cpu(floor),
                cpu(theirs),
            );
        }
    }
}

/// What a group takes.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    /// Of the whole process.
    cpu: Duration,
}

impl Cost {
    /// Each for itself.
    fn median(mut costs: Vec<Self>) -> Self {
        let mut median = |of: fn(&Self) -> Duration| {
            costs.sort_by_key(of);
            of(&costs[costs.len() / 2])
        };
        Self { wall: median(|cost| cost.wall), cpu: median(|cost| cost.cpu) }
    }
}

fn cost(groups: u32, call: impl FnOnce()) -> Cost {
    let (begun, used) = (Instant::now(), process_cpu());
    call();
    Cost { wall: begun.elapsed() / groups, cpu: (process_cpu() - used) / groups }
}

fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
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

fn insert_together(connection: &mut Connection, batch: usize, bytes: &[u8]) {
    let transaction = connection.transaction().unwrap();
    {
        let mut insert = transaction.prepare_cached("insert into record (bytes) values (?1)").unwrap();
        (0..batch).for_each(|_| assert_eq!(insert.execute((bytes,)), Ok(1)));
    }
    transaction.commit().unwrap();
}

/// Two threads, each with its next group when its last one is durable: one encodes while the other's is synced. As much is written at
/// once as a group.
fn append_in_turns(journal: &Journal, batch: usize) -> Cost {
    let ready = Barrier::new(3);
    std::thread::scope(|scope| {
        let callers = [0; 2].map(|_| {
            let groups: Vec<_> = (0..GROUPS_IN_TURN).map(|_| entries(batch)).collect();
            scope.spawn(|| {
                ready.wait();
                groups.into_iter().for_each(|group| drop(journal.append_all_blocking(group).unwrap()));
            })
        });
        ready.wait();
        cost(2 * GROUPS_IN_TURN, || callers.into_iter().for_each(|caller| caller.join().unwrap()))
    })
}

/// So many at once, each with its next record when the last one is durable.
fn append_by_as_many(runtime: &Runtime, journal: &Journal, batch: usize) -> Cost {
    let callers: Vec<_> = (0..batch).map(|_| (journal.clone(), entries(GROUPS_EACH as usize))).collect();
    let append = |(journal, entries): (Journal, Vec<Entry>)| async move {
        for entry in entries {
            journal.append(entry).await.unwrap();
        }
    };
    cost(GROUPS_EACH, || {
        runtime.block_on(async {
            let callers: Vec<_> = callers.into_iter().map(|caller| tokio::spawn(append(caller))).collect();
            for caller in callers {
                caller.await.unwrap();
            }
        });
    })
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
/// The first one of all is encoded while nothing is written: it should count for little.
const GROUPS_IN_TURN: u32 = 8;
