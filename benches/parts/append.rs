//! Appended records, 1 KB of frame each, by how many are synced at once. Wall-clock time, for what costs here is the disk; beside it the CPU
//! time of the whole process, which other processes disturb less. Who appends is a task of a runtime with a thread for each processor, as in
//! the service.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Figure, line, micros, section};
use erds::Record;
use erds::record::Control;
use jiff::Timestamp;
use journal::{Entry, Frame, Journal, Options};
use rusqlite::Connection;
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

use crate::counted::Counted;

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
    let disk = Counted::default();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), &directory, options).unwrap();
    let record_bytes = record_bytes(&journal, &directory);
    let mut plain = File::create(folder.path().join("plain")).unwrap();
    fallocate(&plain, FallocateFlags::empty(), 0, (record_bytes * ROUNDS * GROUPS * (1 + 16 + 256)) as u64)
        .unwrap();
    let beside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut sqlite = sqlite(&beside.path().join("sqlite"));
    for batch in [1, 16, 256] {
        let bytes = vec![7; record_bytes * batch];
        let by = |what, callers, at_once| Way { what, callers, at_once, costs: Vec::new(), syncs: 0 };
        let mut ways = vec![by("one caller", 1, batch), by("four", 4, batch)];
        if batch > 1 {
            ways.push(by("a caller for each", batch, 1));
        }
        // In turns, so that what disturbs one disturbs the others.
        let (mut floor, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            forget(folder.path());
            forget(&directory);
            for way in &mut ways {
                let before = disk.syncs();
                let append = append(&runtime, &journal, way.callers, way.at_once);
                way.costs.push(cost(way.records() / batch, append));
                way.syncs += disk.syncs() - before;
            }
            floor.push(cost(GROUPS, || {
                for _ in 0..GROUPS {
                    plain.write_all(&bytes).unwrap();
                    plain.sync_data().unwrap();
                }
            }));
            theirs.push(cost(GROUPS, || {
                for _ in 0..GROUPS {
                    insert_together(&mut sqlite, batch, &bytes[..record_bytes]);
                }
            }));
        }
        let (floor, theirs) = (Cost::median(floor), Cost::median(theirs));
        for way in ways {
            let records_a_sync = (ROUNDS * way.records()) as f64 / way.syncs as f64;
            let ours = Cost::median(way.costs);
            line(&format!("{batch} at once, by {}", way.what), Figure { ours: ours.wall, floor: floor.wall });
            let a_second = |cost: Cost| batch as f64 / cost.wall.as_secs_f64();
            let cpu = |cost: Cost| micros(cost.cpu) / batch as f64;
            println!(
                "  {:<44} {:>8.0} records/s, {:.0} a sync; SQLite {:.0}: {:.2} times as many; CPU a record {:.2} µs, floor {:.2}, SQLite {:.2}",
                "",
                a_second(ours),
                records_a_sync,
                a_second(theirs),
                a_second(ours) / a_second(theirs),
                cpu(ours),
                cpu(floor),
                cpu(theirs),
            );
        }
    }
}

/// Who appends how, and what that took.
struct Way {
    what: &'static str,
    callers: usize,
    at_once: usize,
    costs: Vec<Cost>,
    syncs: u64,
}

impl Way {
    /// In a round.
    fn records(&self) -> usize {
        self.callers * GROUPS * self.at_once
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

/// Of one of so many groups.
fn cost(groups: usize, call: impl FnOnce()) -> Cost {
    let groups = groups as u32;
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

/// So many callers, each with its next records when its last ones are durable: some encode while others are synced. What is to be appended is
/// made before it is called.
fn append(runtime: &Runtime, journal: &Journal, callers: usize, at_once: usize) -> impl FnOnce() {
    let work = (0..callers).map(|_| (0..GROUPS).map(|_| entries(at_once)).collect::<Vec<_>>());
    let work: Vec<_> = work.map(|groups| (journal.clone(), groups)).collect();
    let append = |(journal, groups): (Journal, Vec<Vec<Entry>>)| async move {
        for group in groups {
            journal.append_all(group).await.unwrap();
        }
    };
    move || {
        runtime.block_on(async {
            let callers: Vec<_> = work.into_iter().map(|work| tokio::spawn(append(work))).collect();
            for caller in callers {
                caller.await.unwrap();
            }
        });
    }
}

/// Gives back the memory that holds what was written to a folder's files: the next write takes it again. Where the host of a virtual machine
/// gives it memory only when it is touched, memory that is new costs more than the write.
fn forget(folder: &Path) {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in files.filter(|path| path.is_file()) {
        fadvise(File::open(path).unwrap(), 0, None, Advice::DontNeed).unwrap();
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

const ROUNDS: usize = 51;
/// The first one of all is encoded while nothing is written: it should count for little.
const GROUPS: usize = 16;
