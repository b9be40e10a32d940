//! What grows with the history and what must not: `cargo bench -p benches --bench scale [RECORDS…]`, 1 and 10 million if nothing is said.
//!
//! For each size: a journal of so many small records is written, then opened by a process of its own, which says how long that took and
//! what it holds; `keys SLOTS…` does the same for the item keys. Everything lies in a folder under the target directory that is removed at
//! the end; 10 million records take 6 GB.

mod index;
mod keys;
mod proofs;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use disk::RealDisk;
use erds::Record;
use erds::record::Control;
use jiff::Timestamp;
use journal::{Appended, Entry, Frame, Journal, Options, UniqueKey};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("open") => open(Path::new(&arguments[1])),
        Some("fill") => index::fill(Path::new(&arguments[1]), arguments[2].parse().unwrap()),
        Some("open-keys") => keys::open(Path::new(&arguments[1]), arguments[2].parse().unwrap()),
        Some("keys") => arguments[1..].iter().for_each(|slots| keys::measure(slots.parse().unwrap())),
        _ => {
            let sizes: Vec<u64> =
                arguments.iter().map(|size| size.parse().expect("a number of records")).collect();
            let sizes = if sizes.is_empty() { vec![1_000_000, 10_000_000] } else { sizes };
            sizes.into_iter().for_each(measure);
        }
    }
}

fn measure(records: u64) {
    println!("\n{records} records");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    write(&folder.path().join("journal"), records);
    let ours = std::env::current_exe().unwrap();
    assert!(Command::new(ours).arg("open").arg(folder.path()).status().unwrap().success());
}

/// Appends by many at once, and says now and then what the process holds.
fn write(journal: &Path, records: u64) {
    let (journal, _) = Journal::open(Arc::new(RealDisk), journal, options()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    for part in 1..=REPORTS {
        let (from, to) = (records * (part - 1) / REPORTS, records * part / REPORTS);
        runtime.block_on(async {
            let tasks = (0..AT_ONCE).map(|task| {
                let journal = journal.clone();
                tokio::spawn(async move {
                    for number in (from + task..to).step_by(AT_ONCE as usize) {
                        let appended = journal.append(entry(number)).await.unwrap();
                        assert!(matches!(appended, Appended::Recorded(_)));
                    }
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap();
            }
        });
        println!(
            "  {:<44} {to:>9} records, {:>5} MB resident",
            "while they are written",
            resident_megabytes()
        );
    }
    let speed = records as f64 / begun.elapsed().as_secs_f64();
    println!("  {:<44} {speed:>9.0}/s by {AT_ONCE} at once, two keys each", "appended, all durable");
}

/// In a process of its own, so that what it holds is what opening needs.
fn open(folder: &Path) {
    let path = folder.join("journal");
    let length = |extension: &str| {
        let files = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap());
        let named = files.filter(|file| file.path().extension().is_some_and(|found| found == extension));
        let lengths: Vec<u64> = named.map(|file| file.metadata().unwrap().len()).collect();
        (lengths.len(), lengths.iter().sum::<u64>() / 1_000_000)
    };
    for (what, extension) in [("segments", "seg"), ("summaries", "sum"), ("runs of keys", "keys")] {
        let (files, megabytes) = length(extension);
        println!("  {:<44} {files:>9} files, {megabytes:>5} MB", what);
    }
    let before = resident_megabytes();
    let begun = Instant::now();
    let (journal, report) = Journal::open(Arc::new(RealDisk), &path, options()).unwrap();
    let opened = begun.elapsed();
    println!(
        "  {:<44} {report}: {} ms, {} MB resident, {before} before",
        "opened",
        opened.as_millis(),
        resident_megabytes()
    );

    let size = journal.size();
    let scattered = |number| scattered(number, size);
    report_calls("key of any record found", |number| {
        // Many wrote at once: which position a number got is not known here.
        assert!(journal.find(&keys(scattered(number))[0]).unwrap().is_some());
    });
    report_calls("key of none not found", |number| {
        assert_eq!(journal.find(&keys(size + number)[0]).unwrap(), None);
    });
    report_calls("any record read", |number| {
        assert_eq!(journal.read(scattered(number)).unwrap().position, scattered(number));
    });
    println!("  {:<44} {:>5} MB resident", "after that", resident_megabytes());
    proofs::measure(&journal, &folder.join("tlog"));
    println!("  {:<44} {:>5} MB resident", "after that", resident_megabytes());
    index::measure(&folder.join("index.sqlite"), size);
}

fn report_calls(what: &str, mut call: impl FnMut(u64)) {
    let mut times: Vec<Duration> = (0..CALLS)
        .map(|number| {
            let begun = Instant::now();
            call(number);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    let [median, high] = [times.len() / 2, times.len() * 95 / 100].map(|at| benches::micros(times[at]));
    println!("  {what:<44} p50 {median:>6.1} µs, p95 {high:>6.1} µs");
}

/// A number below `size`, everywhere alike.
fn scattered(number: u64, size: u64) -> u64 {
    ((u128::from(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) * u128::from(size)) >> 64) as u64
}

fn resident_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1000
}

fn options() -> Options {
    Options {
        origin: "bench".into(),
        segment_bytes_max: SEGMENT_BYTES_MAX,
        on_fatal: Arc::new(|reason| panic!("{reason}")),
    }
}

fn entry(number: u64) -> Entry {
    let record = Record::Control(Control {
        at: Timestamp::UNIX_EPOCH,
        action: "bench".into(),
        ticket: None,
        detail: format!("record {number}, with what a control act would say"),
    });
    let frames = vec![Frame { name: "f".into(), ciphertext: vec![number as u8; 64] }];
    Entry { record, frames, unique_keys: keys(number).to_vec() }
}

fn keys(number: u64) -> [UniqueKey; 2] {
    [0u8, 1].map(|which| UniqueKey(pki::digest::sha256(&[&number.to_be_bytes()[..], &[which]].concat())))
}

/// As the service has it if nothing is configured.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
const AT_ONCE: u64 = 1024;
const REPORTS: u64 = 5;
const CALLS: u64 = 20_000;
