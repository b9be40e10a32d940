//! Appended records, 1 KB of frame each, by how many wait at once. Wall-clock time: what costs here is the disk.

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

pub(crate) fn run() {
    section(
        "Append: records that wait together (wall-clock time)",
        "one write of as many bytes + one fdatasync; SQLite: one transaction, WAL, synchronous FULL",
    );
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = Options {
        origin: "bench".into(),
        segment_bytes_max: 1 << 30,
        on_fatal: Arc::new(|reason| panic!("{reason}")),
    };
    let (journal, _) = Journal::open(Arc::new(RealDisk), &folder.path().join("journal"), options).unwrap();
    let mut plain = std::fs::File::create(folder.path().join("plain")).unwrap();
    let mut sqlite = sqlite(&folder.path().join("sqlite"));
    for batch in [1, 16, 256] {
        let bytes = vec![7; RECORD_BYTES * batch as usize];
        // In turns, so that what disturbs one disturbs the others.
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..ROUNDS {
            let [ours, loops, theirs] = &mut times;
            ours.push(timed(|| runtime.block_on(append_together(&journal, batch))) / APPENDS_EACH);
            loops.push(timed(|| {
                plain.write_all(&bytes).unwrap();
                plain.sync_data().unwrap();
            }));
            theirs.push(timed(|| insert_together(&mut sqlite, batch)));
        }
        let [ours, floor, theirs] = times.map(median);
        line(&format!("batch of {batch}"), Figure { ours, floor });
        let a_second = |time: Duration| f64::from(batch) / time.as_secs_f64();
        println!(
            "  {:<44} {:>8.0} records/s, SQLite {:.0}: {:.2} times as many",
            "",
            a_second(ours),
            a_second(theirs),
            a_second(ours) / a_second(theirs)
        );
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

fn sqlite(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.pragma_update(None, "synchronous", "full").unwrap();
    connection
        .execute("create table record (position integer primary key, bytes blob not null)", ())
        .unwrap();
    connection
}

fn insert_together(connection: &mut Connection, batch: u32) {
    let bytes = [7; RECORD_BYTES];
    let transaction = connection.transaction().unwrap();
    {
        let mut insert = transaction.prepare_cached("insert into record (bytes) values (?1)").unwrap();
        (0..batch).for_each(|_| assert_eq!(insert.execute((&bytes[..],)), Ok(1)));
    }
    transaction.commit().unwrap();
}

/// So many at once, each with its next record when the last one is durable.
async fn append_together(journal: &Journal, batch: u32) {
    let waiting = (0..batch).map(|_| {
        let journal = journal.clone();
        tokio::spawn(async move {
            for _ in 0..APPENDS_EACH {
                append_one(&journal).await;
            }
        })
    });
    for one in waiting.collect::<Vec<_>>() {
        one.await.unwrap();
    }
}

async fn append_one(journal: &Journal) {
    let record = Record::Control(Control {
        at: Timestamp::now(),
        action: "bench".into(),
        ticket: None,
        detail: "a record of usual size, with what a control act would say".into(),
    });
    let frames = vec![Frame { name: "f".into(), ciphertext: vec![9; 1024] }];
    journal.append(Entry { record, frames, unique_keys: Vec::new() }).await.unwrap();
}

const ROUNDS: usize = 101;
const APPENDS_EACH: u32 = 4;
/// What such a record takes in a segment, frame and framing included.
const RECORD_BYTES: usize = 1400;
