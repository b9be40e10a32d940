//! The item keys: what a start reads and holds of so many, and how fast one is found in a file that is not in memory.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use disk::RealDisk;
use erds::Ticket;
use pki::aead::Key256;
use rustix::fs::{Advice, fadvise};
use store::keys::{ItemKey, KeyReader, Keys};

use super::{AT_ONCE, report_calls, resident_megabytes, scattered};

/// Makes so many, then opens them in processes of their own: as a service left them, and with what is derived gone.
pub(crate) fn measure(slots: u64) {
    println!("\n{slots} item keys");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let begun = Instant::now();
    fill(folder.path(), slots);
    let speed = slots as f64 / begun.elapsed().as_secs_f64();
    println!("  {:<44} {speed:>9.0}/s by {AT_ONCE} at once", "made, all durable");
    for what in ["as they were left", "with what is derived of them gone"] {
        println!("  {what}");
        forget(folder.path());
        let ours = std::env::current_exe().unwrap();
        let opened = Command::new(ours).arg("open-keys").arg(folder.path()).arg(slots.to_string()).status();
        assert!(opened.unwrap().success());
        files(folder.path())
            .filter(|path| !path.ends_with("items.keys"))
            .for_each(|path| std::fs::remove_file(path).unwrap());
    }
}

fn fill(folder: &Path, slots: u64) {
    let keys = Arc::new(Keys::open(Arc::new(RealDisk), folder, master_key()).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let tasks = (0..AT_ONCE).map(|task| {
            let (keys, key) = (keys.clone(), ItemKey::random().unwrap());
            tokio::spawn(async move {
                for number in (task..slots).step_by(AT_ONCE as usize) {
                    keys.create(ticket(number), &key).await.unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    println!("  {:<44} {:>5} MB resident", "while they are made", resident_megabytes());
}

/// In a process of its own, so that what it holds is what opening needs.
pub(crate) fn open(folder: &Path, slots: u64) {
    let before = (resident_megabytes(), read_megabytes());
    let begun = Instant::now();
    let keys = Keys::open(Arc::new(RealDisk), folder, master_key()).unwrap();
    println!(
        "  {:<44} {} ms, {} MB resident, {} before; {:.1} MB read",
        "opened",
        begun.elapsed().as_millis(),
        resident_megabytes(),
        before.0,
        read_megabytes() - before.1
    );
    forget(folder);
    report_calls("any key opened, nothing of it in memory", |number| {
        assert!(keys.open_key(ticket(scattered(number, slots))).unwrap().is_some());
    });
    report_calls("key of none not found", |number| assert!(!keys.has(ticket(slots + number)).unwrap()));
    println!("  {:<44} {:>5} MB resident", "after that", resident_megabytes());
    let begun = Instant::now();
    let reader = KeyReader::open(&RealDisk, folder, master_key()).unwrap();
    println!("  {:<44} {} ms", "opened to read beside it", begun.elapsed().as_millis());
    assert!(reader.open_key(ticket(slots / 2)).unwrap().is_some());
}

/// Lets the system give up what it holds of the files.
fn forget(folder: &Path) {
    for path in files(folder) {
        let file = std::fs::File::open(&path).unwrap();
        file.sync_all().unwrap();
        fadvise(file.as_fd(), 0, None, Advice::DontNeed).unwrap();
    }
}

fn files(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
}

fn read_megabytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse::<f64>().unwrap() / 1e6
}

fn ticket(number: u64) -> Ticket {
    Ticket::parse(&format!("{number:013}")).unwrap()
}

fn master_key() -> Key256 {
    Key256::new([7; 32])
}
