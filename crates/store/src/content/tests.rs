use disk::{Fault, ForgetfulDisk, RealDisk};

use super::*;
use crate::sealed::CHUNK_BYTES;

const DIR: &str = "data/content";
const INLINE_BYTES_MAX: usize = 1000;

fn ticket() -> Ticket {
    Ticket::parse("0123456789ABC").unwrap()
}

fn plain(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|place| (place % 251) as u8).collect()
}

fn open(disk: &ForgetfulDisk) -> Content {
    Content::open(Arc::new(disk.clone()), Path::new(DIR), INLINE_BYTES_MAX).unwrap()
}

fn store(content: &Content, key: &ItemKey, name: &str, bytes: &[u8]) -> Result<StoredPart, StoreError> {
    let mut writer = content.writer(ticket(), name, key)?;
    for piece in bytes.chunks(10_007) {
        writer.write(piece)?;
    }
    writer.finish()
}

fn read(mut reader: Box<dyn Read + Send>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map(|_| bytes)
}

fn file(name: &str) -> PathBuf {
    Path::new(DIR).join(ticket().as_str()).join(name)
}

#[test]
fn every_length_reads_back() {
    let (disk, key) = (ForgetfulDisk::new(), ItemKey::random().unwrap());
    let content = open(&disk);
    for (number, bytes) in [0, 1, 1000, 1001, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]
        .into_iter()
        .enumerate()
    {
        let (name, plain) = (format!("part-{number}"), plain(bytes));
        let stored = store(&content, &key, &name, &plain).unwrap();
        assert_eq!(stored.bytes, bytes as u64);
        assert_eq!(stored.sha256, Digest::of(DigestAlgorithm::Sha256, &plain));
        assert_eq!(read(content.read_stored(ticket(), &stored, &key).unwrap()).unwrap(), plain);
        let in_file = content.read_file(ticket(), &name, &key).unwrap();
        assert_eq!(stored.inline.is_some(), bytes <= INLINE_BYTES_MAX);
        match (in_file, &stored.inline) {
            (Some(reader), None) => assert_eq!(read(reader).unwrap(), plain),
            (None, Some(sealed)) => assert_eq!(open_frame(&key, ticket(), &name, sealed).unwrap(), plain),
            _ => panic!("in a file or inline, not both"),
        }
        let frame = seal_frame(&key, ticket(), &name, &plain).unwrap();
        assert_eq!(open_frame(&key, ticket(), &name, &frame).unwrap(), plain);
    }
    content.discard(ticket()).unwrap();
    content.discard(ticket()).unwrap();
    assert!(content.read_file(ticket(), "part-7", &key).unwrap().is_none());
}

#[test]
fn no_changed_byte_is_read() {
    let (disk, key) = (ForgetfulDisk::new(), ItemKey::random().unwrap());
    let content = open(&disk);
    let stored = store(&content, &key, "part-1", &plain(2 * CHUNK_BYTES + 100)).unwrap();
    let length = disk.open(&file("part-1"), OpenMode::Read).unwrap().length().unwrap() as usize;
    let fails = |what: &str| {
        let whole = content.read_file(ticket(), "part-1", &key).and_then(|reader| {
            read(reader.unwrap()).map_err(|error| StoreError::disk("read", Path::new("part-1"))(error))
        });
        assert!(whole.is_err(), "{what}");
    };
    for place in (0..length).step_by(1009).chain([0, 4, 35, 36, length - 1]) {
        disk.flip(&file("part-1"), place);
        fails(&format!("flipped at {place}"));
        disk.flip(&file("part-1"), place);
    }
    assert!(read(content.read_stored(ticket(), &stored, &key).unwrap()).is_ok());
    let mut on_disk = disk.open(&file("part-1"), OpenMode::Write).unwrap();
    let whole = read_exactly(on_disk.as_ref(), 0, length).unwrap();
    for cut in [0, 10, HEADER_BYTES, HEADER_BYTES + 5, HEADER_BYTES + SEALED_CHUNK_BYTES, length - 1] {
        on_disk.truncate(cut as u64).unwrap();
        fails(&format!("cut to {cut}"));
    }
    on_disk.write_at(0, &[whole.as_slice(), b"more"].concat()).unwrap();
    fails("longer");
    let (first, second) = (HEADER_BYTES, HEADER_BYTES + SEALED_CHUNK_BYTES);
    on_disk.truncate(0).unwrap();
    on_disk.write_at(0, &whole).unwrap();
    on_disk.write_at(first as u64, &whole[second..second + SEALED_CHUNK_BYTES]).unwrap();
    on_disk.write_at(second as u64, &whole[first..second]).unwrap();
    fails("chunks in another order");
}

#[test]
fn a_part_opens_in_its_own_place_only() {
    let (disk, key) = (ForgetfulDisk::new(), ItemKey::random().unwrap());
    let content = open(&disk);
    let sealed = seal_frame(&key, ticket(), "soap", b"secret").unwrap();
    let other = Ticket::parse("1123456789ABC").unwrap();
    assert!(open_frame(&ItemKey::random().unwrap(), ticket(), "soap", &sealed).is_err());
    assert!(open_frame(&key, other, "soap", &sealed).is_err());
    assert!(open_frame(&key, ticket(), "soap2", &sealed).is_err());
    assert!(open_frame(&key, ticket(), "soap", &sealed[..20]).is_err());
    assert_ne!(sealed, seal_frame(&key, ticket(), "soap", b"secret").unwrap(), "a key of its own each time");
    for name in ["", "../x", "a/b", ".hidden", "A", &"a".repeat(65)] {
        assert!(matches!(content.writer(ticket(), name, &key), Err(StoreError::PartName(_))), "{name}");
    }
    // An earlier sealing of the same part is not the one that a record names.
    let old = store(&content, &key, "part-1", &plain(5000)).unwrap();
    content.discard(ticket()).unwrap();
    store(&content, &key, "part-1", &plain(5000)).unwrap();
    assert!(read(content.read_stored(ticket(), &old, &key).unwrap()).is_err());
}

#[test]
fn a_finished_part_survives_every_power_cut() {
    let key = ItemKey::random().unwrap();
    let (small, large) = (plain(500), plain(3 * CHUNK_BYTES + 7));
    for fault in [Fault::NotPersisted, Fault::PersistedButReportedFailed, Fault::PowerCut] {
        for operation in 1.. {
            let disk = ForgetfulDisk::new();
            let content = open(&disk);
            disk.fail_at(operation, fault);
            let stored: Vec<_> = [("part-1", &large), ("part-2", &small), ("part-3", &large)]
                .into_iter()
                .map_while(|(name, plain)| {
                    store(&content, &key, name, plain).ok().map(|stored| (stored, plain))
                })
                .collect();
            for seed in 0..3 {
                let content = open(&disk.after_power_cut(seed));
                for (part, plain) in &stored {
                    let found = read(content.read_stored(ticket(), part, &key).unwrap()).unwrap();
                    assert!(found == **plain, "{fault:?} at {operation}, seed {seed}, {}", part.name);
                }
                // What was not finished: absent, refused, or (its last sync's answer lost) whole.
                if let Ok(Some(reader)) = content.read_file(ticket(), "part-3", &key) {
                    assert!(read(reader).is_ok_and(|found| found == large) || stored.len() < 3);
                }
                content.sweep(&|_| false).unwrap();
                assert!(content.read_file(ticket(), "part-1", &key).unwrap().is_none());
            }
            if disk.operations() < operation {
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_says_so_and_the_part_stays_failed() {
    let (disk, key) = (ForgetfulDisk::new(), ItemKey::random().unwrap());
    let content = open(&disk);
    disk.set_capacity_bytes(100_000);
    let mut writer = content.writer(ticket(), "part-1", &key).unwrap();
    let error = writer.write(&plain(300_000)).unwrap_err();
    assert!(error.is_full() && error.code() == "store.full", "{error}");
    disk.set_capacity_bytes(u64::MAX);
    assert!(writer.write(b"more").is_err());
    assert!(writer.finish().is_err());
}

/// 64 MiB through a writer and a reader that never hold more than a chunk or two, with a sync every 8 MB.
#[test]
fn large_parts_take_constant_memory() {
    let dir = std::env::temp_dir().join(format!("epost-content-{}", std::process::id()));
    let content = Content::open(Arc::new(RealDisk), &dir, INLINE_BYTES_MAX).unwrap();
    let key = ItemKey::random().unwrap();
    let piece = plain(1 << 20);
    let mut writer = content.writer(ticket(), "part-1", &key).unwrap();
    for _ in 0..64 {
        writer.write(&piece).unwrap();
        assert!(writer.sealer.held_bytes_max() <= CHUNK_BYTES);
        let Target::File { offset, synced, .. } = &writer.out.target else { panic!("in a file") };
        assert!(offset - synced < UNSYNCED_BYTES_MAX);
    }
    let stored = writer.finish().unwrap();
    assert_eq!(stored.bytes, 64 << 20);
    let mut reader = content.read_stored(ticket(), &stored, &key).unwrap();
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = reader.read(&mut buffer).unwrap();
        assert!(count <= CHUNK_BYTES);
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    assert_eq!(hasher.finish(), stored.sha256);
    drop(content);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn numbered(number: usize) -> Ticket {
    Ticket::parse(&format!("{number:013}")).unwrap()
}

/// An item with one part in a file.
fn item(content: &Content, number: usize) -> Result<(), StoreError> {
    let key = ItemKey::random().unwrap();
    let mut writer = content.writer(numbered(number), "part-1", &key)?;
    writer.write(&plain(2 * INLINE_BYTES_MAX))?;
    writer.finish().map(drop)
}

fn there(content: &Content, number: usize) -> bool {
    content.has_file(numbered(number), "part-1").unwrap()
}

#[test]
fn a_start_lists_what_no_record_had_named_and_no_history() {
    for history in [10, 200] {
        let disk = ForgetfulDisk::new();
        let content = open(&disk);
        assert_eq!(content.sweep(&|_| true).unwrap(), 0);
        for number in 0..history {
            item(&content, number).unwrap();
            content.named(numbered(number)).unwrap();
        }
        (history..history + 4).for_each(|number| item(&content, number).unwrap());
        content.discard(numbered(history + 3)).unwrap();
        drop(content);
        let content = open(&disk);
        let before = disk.listed_names();
        // Of one that was not struck off before the crash a record says that it is kept.
        assert_eq!(content.sweep(&|ticket| ticket == numbered(history)).unwrap(), 2);
        let listed = disk.listed_names() - before;
        assert!(listed <= 1 + 3 + 2, "{listed} of {history}");
        let left = (0..history + 4).filter(|number| there(&content, *number)).count();
        assert_eq!(left, history + 1);
        assert_eq!(disk.list(&Path::new(DIR).join("unnamed")).unwrap().len(), 1, "none is noted any more");
    }
}

#[test]
fn what_an_earlier_version_left_without_a_note_is_swept_once() {
    let disk = ForgetfulDisk::new();
    let content = open(&disk);
    (0..3).for_each(|number| item(&content, number).unwrap());
    for path in disk.list(&Path::new(DIR).join("unnamed")).unwrap() {
        disk.remove(&path).unwrap();
    }
    drop(content);
    let content = open(&disk);
    assert_eq!(content.sweep(&|ticket| ticket == numbered(1)).unwrap(), 2);
    assert!(!there(&content, 0) && there(&content, 1) && !there(&content, 2));
}

#[test]
fn after_any_crash_nothing_unnamed_stays_and_nothing_named_goes() {
    for fault in [Fault::NotPersisted, Fault::PersistedButReportedFailed, Fault::PowerCut] {
        for operation in 1.. {
            let disk = ForgetfulDisk::new();
            let content = open(&disk);
            content.sweep(&|_| true).unwrap();
            let begun = disk.operations();
            disk.fail_at(begun + operation, fault);
            // A record names the first as soon as it is stored; the others are never named, and one is discarded.
            let stored = item(&content, 0).is_ok();
            let _ = stored.then(|| content.named(numbered(0)));
            let _ = item(&content, 1);
            let _ = content.discard(numbered(1));
            let _ = item(&content, 2);
            let over = disk.operations() < begun + operation;
            for seed in 0..6 {
                let after = disk.after_power_cut(seed);
                let content = open(&after);
                content.sweep(&|ticket| stored && ticket == numbered(0)).unwrap();
                let what = format!("{fault:?} at {operation}, seed {seed}");
                assert_eq!(there(&content, 0), stored, "{what}");
                let files = |number| after.list(&content.item_dir(numbered(number))).unwrap().len();
                assert_eq!([files(1), files(2)], [0, 0], "{what}");
                let noted = after.list(&Path::new(DIR).join("unnamed")).unwrap();
                assert!(noted.iter().all(|path| path.ends_with("whole")), "{what}: {noted:?}");
            }
            if over {
                break;
            }
        }
    }
}
