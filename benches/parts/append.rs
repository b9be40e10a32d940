//! Appended records, 1 KB of frame each, by how many wait at once. Wall-clock time: what costs here is the disk.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use benches::{Figure, line, section};
use disk::RealDisk;
use erds::Record;
use erds::record::Control;
use jiff::Timestamp;
use journal::{Entry, Frame, Journal, Options};

pub(crate) fn run() {
    section(
        "Append: records that wait together (wall-clock time)",
        "one write of as many bytes + one fdatasync",
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
    for batch in [1, 16, 256] {
        let bytes = vec![7; RECORD_BYTES * batch as usize];
        let mut figures: Vec<Figure> = (0..ROUNDS)
            .map(|_| {
                let begun = Instant::now();
                runtime.block_on(append_together(&journal, batch));
                let ours = begun.elapsed();
                let begun = Instant::now();
                plain.write_all(&bytes).unwrap();
                plain.sync_data().unwrap();
                Figure { ours, floor: begun.elapsed() }
            })
            .collect();
        figures.sort_by(|one, other| one.reached().total_cmp(&other.reached()));
        let figure = figures[ROUNDS / 2];
        line(&format!("batch of {batch}"), figure);
        println!("  {:<44} {:>23.0} records/s", "", f64::from(batch) / figure.ours.as_secs_f64());
    }
}

async fn append_together(journal: &Journal, batch: u32) {
    let waiting: Vec<_> = (0..batch).map(|_| tokio::spawn(append_one(journal.clone()))).collect();
    for one in waiting {
        one.await.unwrap();
    }
}

async fn append_one(journal: Journal) {
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
/// What such a record takes in a segment, frame and framing included.
const RECORD_BYTES: usize = 1400;
