//! What a start and a single look read: the open segment, and a fixed part of each other one, however long the history is.

mod entries;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, ForgetfulDisk, OpenMode};
use journal::{Entry, Frame, Journal, Looked, Options};

use crate::entries::entry;

const ORIGIN: &str = "test/reads";
const DIR: &str = "j";
/// Of a closed segment at an opening: its header and its summary's head, and its keys' head, rounded up.
const OF_A_CLOSED_ONE_MAX: u64 = 4096;

#[test]
fn a_start_reads_the_open_segment_and_no_history() {
    for (segment_bytes, closed_min) in [(20_000, 10), (20_000, 40), (200_000, 10)] {
        let (disk, closed) = log(segment_bytes, closed_min);
        let (open, of_open) = segments(&disk).pop().unwrap();
        let before = disk.read_bytes();
        let (journal, report) =
            Journal::open(Arc::new(disk.clone()), Path::new(DIR), options(segment_bytes)).unwrap();
        assert_eq!(report.segments, closed + 1);
        let read = disk.read_bytes() - before;
        let most = closed as u64 * OF_A_CLOSED_ONE_MAX + 2 * of_open;
        assert!(read < most, "{read} bytes of {closed} closed segments, {} of {of_open}", open.display());
        let history: u64 = segments(&disk).iter().map(|(_, bytes)| bytes).sum();
        assert!(segment_bytes < 100_000 || read * 2 < history, "{read} of {history}");
        drop(journal);

        let before = disk.read_bytes();
        let looked = Looked::at(Arc::new(disk.clone()), Path::new(DIR), ORIGIN).unwrap();
        assert!(disk.read_bytes() - before < most);
        for position in [0, looked.size() / 2, looked.size() - 1] {
            let before = disk.read_bytes();
            looked.read(position).unwrap();
            let read = disk.read_bytes() - before;
            assert!(read < 3 * FRAME_BYTES as u64, "{read} bytes for record {position}");
        }
    }
}

const FRAME_BYTES: usize = 4000;

fn log(segment_bytes: u64, closed_min: usize) -> (ForgetfulDisk, usize) {
    let disk = ForgetfulDisk::new();
    let shared = Arc::new(disk.clone());
    let (journal, _) = Journal::open(shared, Path::new(DIR), options(segment_bytes)).unwrap();
    let mut number = 0;
    while segments(&disk).len() <= closed_min {
        let frame = Frame { name: "content".to_owned(), ciphertext: vec![7; FRAME_BYTES] };
        journal.append_blocking(Entry { frames: vec![frame], ..entry(number) }).unwrap();
        number += 1;
    }
    drop(journal);
    // What a writer had not sealed yet when it ended is sealed by a start, once.
    drop(Journal::open(Arc::new(disk.clone()), Path::new(DIR), options(segment_bytes)).unwrap());
    let closed = segments(&disk).len() - 1;
    (disk, closed)
}

fn options(segment_bytes_max: u64) -> Options {
    Options { origin: ORIGIN.to_owned(), segment_bytes_max, on_fatal: Arc::new(|_| ()) }
}

fn segments(disk: &ForgetfulDisk) -> Vec<(PathBuf, u64)> {
    let mut paths = disk.list(Path::new(DIR)).unwrap();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    let length = |path: PathBuf| {
        let bytes = disk.open(&path, OpenMode::Read).unwrap().length().unwrap();
        (path, bytes)
    };
    paths.into_iter().map(length).collect()
}
