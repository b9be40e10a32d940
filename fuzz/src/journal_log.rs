//! A journal whose file was changed behind its back.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use disk::{Disk, ForgetfulDisk, OpenMode};
use journal::{Journal, Options, Stored};

use crate::Codes;
use crate::files::fixed;

/// Where the journal lies on its disk.
pub fn journal_dir() -> &'static Path {
    Path::new("journal")
}

/// How it is opened: small segments, so that there are several.
pub fn options() -> Options {
    Options { origin: "fuzz".to_owned(), segment_bytes_max: 1200, on_fatal: Arc::new(|_| ()) }
}

struct Honest {
    files: Vec<(PathBuf, Vec<u8>)>,
    records: Vec<Stored>,
}

/// The segments that the generator wrote.
pub(crate) fn honest_files() -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(fixed("journal")).into_iter().flatten().flatten() {
        let bytes = std::fs::read(entry.path()).expect("a segment");
        files.push((journal_dir().join(entry.file_name()), bytes));
    }
    files.sort();
    files
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let files = honest_files();
    let records = open(&files).expect("the honest journal opens");
    assert!(!records.is_empty());
    Honest { files, records }
});

/// A disk with these files.
pub(crate) fn on_disk(files: &[(PathBuf, Vec<u8>)]) -> ForgetfulDisk {
    let disk = ForgetfulDisk::new();
    for (path, bytes) in files {
        let folder = path.parent().expect("a folder");
        disk.create_dir_all(folder).expect("a folder");
        let mut file = disk.open(path, OpenMode::CreateNew).expect("a file");
        file.write_at(0, bytes).expect("written");
        file.sync_data().expect("synced");
        disk.sync_dir(folder).expect("synced");
    }
    disk
}

fn open(files: &[(PathBuf, Vec<u8>)]) -> Result<Vec<Stored>, &'static str> {
    let disk = on_disk(files);
    disk.create_dir_all(journal_dir()).expect("a folder");
    let (journal, report) =
        Journal::open(Arc::new(disk.clone()), journal_dir(), options()).map_err(|error| error.code())?;
    let mut shown = Vec::new();
    for stored in journal.iter(0) {
        shown.push(stored.map_err(|error| error.code())?);
    }
    assert_eq!((report.records, journal.size()), (shown.len() as u64, shown.len() as u64));
    let root = journal.root();
    drop(journal);
    let (again, report) = Journal::open(Arc::new(disk), journal_dir(), options())
        .unwrap_or_else(|e| panic!("opened, then not: {e}"));
    assert_eq!((again.root(), report.torn_bytes), (root, 0), "another log at the second opening");
    Ok(shown)
}

/// `s` and a last segment's bytes: it may open or not. Anything else is a list of changes to an honest journal, four bytes
/// each (kind and file, place twice, value): what is shown is what was written, in its place.
pub fn journal_segment(data: &[u8]) -> Codes {
    let honest = &*HONEST;
    let mut files = honest.files.clone();
    let replaced = data.first() == Some(&b's');
    if replaced {
        if let Some((_, bytes)) = files.last_mut() {
            *bytes = data[1..].to_vec();
        }
    } else {
        data.chunks_exact(4).take(8).for_each(|change| apply(&mut files, change));
    }
    match open(&files) {
        Err(code) => vec![code],
        Ok(shown) => {
            for (place, stored) in shown.iter().enumerate() {
                let Some(written) = honest.records.get(place) else {
                    assert!(replaced, "a record that was never written");
                    continue;
                };
                let frames = |stored: &Stored| -> Vec<(String, Vec<u8>)> {
                    stored.frames.iter().map(|frame| (frame.name.clone(), frame.ciphertext.clone())).collect()
                };
                let same = stored.record == written.record && frames(stored) == frames(written);
                assert!(same || stored.leaf_hash != written.leaf_hash, "the leaf covers record and frames");
                assert!(same || replaced, "record {place} was never written so");
            }
            Codes::new()
        }
    }
}

/// One change: a kind and a file's number, a place, a value.
pub(crate) fn apply(files: &mut Vec<(PathBuf, Vec<u8>)>, change: &[u8]) {
    let &[kind, high, low, value] = change else { return };
    let number = usize::from(kind >> 4) % files.len().max(1);
    let Some((_, bytes)) = files.get_mut(number) else { return };
    let place = usize::from(u16::from_be_bytes([high, low])) % bytes.len().max(1);
    match kind & 0x0f {
        0 => bytes.truncate(place),
        1 => bytes.extend(std::iter::repeat_n(value, place.min(64))),
        2 if !bytes.is_empty() => drop(bytes.remove(place)),
        2 => {}
        3 => bytes.get_mut(place..).unwrap_or_default().fill(0),
        4 => {
            let copy: Vec<u8> = bytes.iter().skip(place).take(usize::from(value) * 4).copied().collect();
            bytes.extend(copy);
        }
        5 => drop(files.remove(number)),
        6 => {
            let tail = bytes.get_mut(place..).unwrap_or_default();
            let count = (usize::from(value) * 4).min(tail.len());
            tail.rotate_left(count);
        }
        7 => {
            let copy: Vec<u8> = bytes.iter().skip(place).take(usize::from(value) * 4).copied().collect();
            if let Some((_, last)) = files.last_mut() {
                last.extend(copy);
            }
        }
        _ => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= value;
            }
        }
    }
}
