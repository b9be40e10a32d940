//! The published form of a log: what is signed is what is there, proofs verify, and another log is never signed or taken for it.

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, Fault, ForgetfulDisk, OpenMode, read_exactly};
use erds::Record;
use erds::record::Control;
use journal::audit::{Audit, AuditError};
use journal::checkpoint::{Checkpoint, LogKey};
use journal::merkle::{Tree, verify_consistency, verify_inclusion};
use journal::proof::{Proof, read_salted};
use journal::tiles::{PublishError, Published, Publisher};
use journal::{Entry, Frame, Journal, OpenError, Options, VerifyError, verify};
use pki::ed25519::Ed25519Key;

const ORIGIN: &str = "example.org/journal";
const DIR: &str = "j";
const TLOG: &str = "t";

#[test]
fn every_size_has_its_checkpoint_proofs_and_consistency_with_all_before() {
    let (disk, pem) = (ForgetfulDisk::new(), pem());
    let journal = open(&disk, None).unwrap();
    let mut publisher = publisher(&disk, &pem);
    let (mut tree, mut old) = (Tree::default(), Vec::<Checkpoint>::new());
    for size in [0, 1, 2, 200, 255, 256, 257, 511, 513, 700u64] {
        append(&journal, size);
        for position in tree.size()..size {
            tree.push(journal.read(position).unwrap().leaf_hash);
        }
        let signed = publisher.publish(&journal).unwrap().unwrap().clone();
        assert_eq!((signed.size(), signed.root()), (size, tree.root()));
        assert!(publisher.publish(&journal).unwrap().is_none(), "nothing is new");
        // Another one, that starts here, goes on alike.
        publisher = self::publisher(&disk, &pem);

        let published = published(&disk, &pem);
        assert_eq!(published.checkpoint(), &signed);
        let holding_nothing = self::published(&disk, &pem).holding(0);
        for position in (0..size).filter(|position| position % 97 == 0 || position + 3 > size) {
            let leaf = journal.read(position).unwrap().leaf_hash;
            let beside = published.inclusion(position).unwrap();
            assert!(verify_inclusion(&leaf, position, size, &beside, &signed.root()), "{position} of {size}");
            assert_eq!(holding_nothing.inclusion(position).unwrap(), beside);
        }
        assert_eq!(published.inclusion(size).unwrap_err().code(), "journal.not-published");
        for old in &old {
            let proof = published.consistency(old.size()).unwrap();
            let (before, now) = ((old.size(), &old.root()), (size, &signed.root()));
            assert!(verify_consistency(before, now, &proof), "{} in {size}", old.size());
        }
        assert!(published.consistency(size + 1).is_err());
        old.push(signed);
        audit(&disk, &pem).unwrap();
    }
}

/// Where no tile is partial, nothing of them is needed to go on: they are made again all the same.
#[test]
fn whole_tiles_that_are_gone_are_made_again() {
    let (disk, pem) = (ForgetfulDisk::new(), pem());
    let journal = open(&disk, None).unwrap();
    append(&journal, 256);
    publisher(&disk, &pem).publish(&journal).unwrap();
    let before = files(&disk);
    for (path, _) in before.iter().filter(|(path, _)| !path.ends_with("checkpoint")) {
        disk.remove(Path::new(path)).unwrap();
    }
    publisher(&disk, &pem).publish(&journal).unwrap();
    audit(&disk, &pem).unwrap();
    assert_eq!(files(&disk).len(), before.len());
}

#[test]
fn files_that_are_gone_are_made_again_the_same() {
    let (disk, pem) = (ForgetfulDisk::new(), pem());
    let journal = open(&disk, None).unwrap();
    for size in [100, 300, 600] {
        append(&journal, size);
        publisher(&disk, &pem).publish(&journal).unwrap();
    }
    let before = files(&disk);
    assert!(before.iter().any(|(path, _)| path == "t/tile/0/002.p/88"), "{:?}", before.iter().map(|f| &f.0));
    assert!(
        !before.iter().any(|(path, _)| path.starts_with("t/tile/0/000.p")),
        "whole tiles replace partial ones"
    );
    for (path, _) in before.iter().filter(|(path, _)| !path.ends_with("checkpoint")) {
        disk.remove(Path::new(path)).unwrap();
    }
    append(&journal, 601);
    publisher(&disk, &pem).publish(&journal).unwrap();
    audit(&disk, &pem).unwrap();
    let after = files(&disk);
    for (path, bytes) in
        before.iter().filter(|(path, _)| !path.contains(".p/") && !path.ends_with("checkpoint"))
    {
        assert!(after.contains(&(path.clone(), bytes.clone())), "{path}");
    }
}

#[test]
fn an_older_copy_of_the_journal_is_not_taken_for_it() {
    let (disk, pem) = (ForgetfulDisk::new(), pem());
    let journal = open(&disk, None).unwrap();
    append(&journal, 5);
    let older = segment(&disk);
    append(&journal, 6);
    let signed = publisher(&disk, &pem).publish(&journal).unwrap().unwrap().clone();
    append(&journal, 7);
    drop(journal);
    assert_eq!(open(&disk, Some(&signed)).unwrap().size(), 7, "grown since, it is the same log");

    overwrite(&disk, &older);
    let refused = open(&disk, Some(&signed)).err().unwrap();
    assert!(matches!(refused, OpenError::Forked { records: 5, signed: 6 }), "{refused}");
    assert_eq!(segment(&disk), older, "nothing was changed");
    let AuditError::Forked { what, signed: 6 } = audit(&disk, &pem).unwrap_err() else {
        panic!("not forked")
    };
    assert_eq!(what, "the journal ends before record 5");

    let forked = open(&disk, None).unwrap();
    let refuses = |journal: &Journal| {
        matches!(publisher(&disk, &pem).publish(journal), Err(PublishError::Forked { signed: 6, .. }))
    };
    assert!(refuses(&forked), "a shorter one is not signed");
    for size in 6..9 {
        append(&forked, size);
        assert!(refuses(&forked), "nor one that goes on otherwise");
    }
    assert_eq!(published(&disk, &pem).checkpoint(), &signed);
    drop(forked);
    assert_eq!(open(&disk, Some(&signed)).err().unwrap().code(), "journal.forked");
}

#[test]
fn a_torn_tail_that_was_signed_is_no_torn_tail() {
    let (disk, pem) = (ForgetfulDisk::new(), pem());
    let journal = open(&disk, None).unwrap();
    append(&journal, 5);
    let signed = publisher(&disk, &pem).publish(&journal).unwrap().unwrap().clone();
    drop(journal);
    let bytes = segment(&disk);
    overwrite(&disk, &bytes[..bytes.len() - 1]);
    assert!(matches!(open(&disk, Some(&signed)).err().unwrap(), OpenError::Forked { records: 4, signed: 5 }));
    assert_eq!(segment(&disk).len(), bytes.len() - 1, "nothing was cut");
    assert_eq!(open(&disk, None).unwrap().size(), 4, "unsigned, it is");
}

#[test]
fn a_record_changed_with_its_checksum_is_named() {
    let (disk, pem) = (ForgetfulDisk::new(), pem());
    let journal = open(&disk, None).unwrap();
    append(&journal, 4);
    publisher(&disk, &pem).publish(&journal).unwrap();
    append(&journal, 5);
    drop(journal);
    let whole = segment(&disk);
    for position in 0..5 {
        let mut bytes = whole.clone();
        let leaf = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"L")).find(|at| {
            let place = at + 9 + 8 + 32;
            bytes.get(place..place + 8).is_some_and(|found| *found == u64::to_le_bytes(position))
        });
        let leaf = leaf.unwrap();
        let length = u32::from_le_bytes(bytes[leaf + 1..leaf + 5].try_into().unwrap()) as usize;
        bytes[leaf + 9 + 8] ^= 1; // its salt
        let payload = &bytes[leaf + 9..leaf + 9 + length];
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[leaf..leaf + 5]), payload);
        bytes[leaf + 5..leaf + 9].copy_from_slice(&checksum.to_le_bytes());
        overwrite(&disk, &bytes);
        assert!(
            verify(&disk, Path::new(DIR), ORIGIN, &mut |_| Ok(())).is_ok(),
            "the bytes agree with each other"
        );
        let mut audit = started(&disk, &pem);
        let judged = verify(&disk, Path::new(DIR), ORIGIN, &mut |stored| audit.record(stored));
        match judged {
            Err(VerifyError::Damaged { position: at, what, .. }) => {
                assert_eq!((at, what.as_str()), (position, "its hash is not the one that was published"))
            }
            judged => assert!(position == 4 && judged.is_ok(), "the last one is not signed yet"),
        }
    }
}

#[test]
fn a_changed_published_file_is_named() {
    let (disk, pem) = (ForgetfulDisk::new(), pem());
    let journal = open(&disk, None).unwrap();
    append(&journal, 300);
    publisher(&disk, &pem).publish(&journal).unwrap();
    for (path, bytes) in files(&disk) {
        disk.flip(Path::new(&path), bytes.len() / 2);
        let key = key(&pem);
        match Published::open(Arc::new(disk.clone()), Path::new(TLOG), key.verifier()) {
            Err(error) => {
                assert!(path == "t/checkpoint" && error.code().starts_with("journal.checkpoint"), "{error}")
            }
            Ok(published) => {
                let mut audit = Audit::new(Arc::new(disk.clone()), Path::new(TLOG), published.unwrap());
                let judged = verify(&disk, Path::new(DIR), ORIGIN, &mut |stored| audit.record(stored));
                assert!(judged.is_err(), "{path}");
            }
        }
        disk.flip(Path::new(&path), bytes.len() / 2);
    }
    audit(&disk, &pem).unwrap();
}

#[test]
fn a_proof_file_proves_its_record_and_with_any_byte_changed_nothing() {
    let (disk, pem) = (ForgetfulDisk::new(), pem());
    let journal = open(&disk, None).unwrap();
    append(&journal, 9);
    publisher(&disk, &pem).publish(&journal).unwrap();
    append(&journal, 10);
    let (published, key) = (published(&disk, &pem), key(&pem));
    let salted = |position| read_salted(&disk, Path::new(DIR), ORIGIN, position);
    for position in 0..9 {
        let proof = Proof::new(&published, position, salted(position).unwrap()).unwrap();
        let text = proof.to_string();
        let proved = text.parse::<Proof>().unwrap().verify(key.verifier()).unwrap();
        let stored = journal.read(position).unwrap();
        assert_eq!(
            (proved.position, proved.record, proved.leaf_hash),
            (position, stored.record, stored.leaf_hash)
        );
        assert_eq!(proved.checkpoint, *published.checkpoint());
    }
    let text = Proof::new(&published, 4, salted(4).unwrap()).unwrap().to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra ") && text.contains("\nindex 4\n"));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let judged =
            String::from_utf8(bytes).map(|text| text.parse::<Proof>().map(|p| p.verify(key.verifier())));
        assert!(!matches!(judged, Ok(Ok(Ok(_)))), "byte {at} of {text}");
    }
    let other = Proof::new(&published, 4, salted(5).unwrap()).unwrap();
    assert_eq!(other.verify(key.verifier()).unwrap_err().code(), "journal.proof.position");
    assert_eq!(Proof::new(&published, 9, salted(9).unwrap()).unwrap_err().code(), "journal.not-published");
    assert_eq!(salted(10).unwrap_err().code(), "journal.absent");
    let stranger = self::key(&self::pem());
    let proof = Proof::new(&published, 4, salted(4).unwrap()).unwrap();
    assert_eq!(proof.verify(stranger.verifier()).unwrap_err().code(), "journal.checkpoint.unsigned");
}

#[test]
fn each_failing_operation_leaves_the_old_checkpoint_or_the_new_one_whole() {
    let pem = pem();
    let original = ForgetfulDisk::new();
    let journal = open(&original, None).unwrap();
    append(&journal, 250);
    publisher(&original, &pem).publish(&journal).unwrap();
    append(&journal, 260);
    drop(journal);
    // All is synced: what a power cut leaves is a copy.
    let prepared = || {
        let disk = original.after_power_cut(0);
        (disk.clone(), open(&disk, None).unwrap())
    };
    let (clean, journal) = prepared();
    let first = clean.operations() + 1;
    publisher(&clean, &pem).publish(&journal).unwrap();
    assert!(clean.operations() > first + 10);
    for operation in first..=clean.operations() {
        for fault in [Fault::PowerCut, Fault::NotPersisted, Fault::PersistedButReportedFailed] {
            let (disk, journal) = prepared();
            let mut publisher = publisher(&disk, &pem);
            disk.fail_at(operation, fault);
            let answered = publisher.publish(&journal).is_ok();
            if fault != Fault::PowerCut {
                publisher.publish(&journal).unwrap();
                assert_eq!(published(&disk, &pem).checkpoint().size(), 260, "tried again");
            }
            drop(journal);
            for seed in 0..2 {
                let found = disk.after_power_cut(seed);
                let size = published(&found, &pem).checkpoint().size();
                assert!(size == 260 || (size == 250 && !answered), "{operation} {fault:?}: {size}");
                audit(&found, &pem).unwrap();
                let mut publisher = self::publisher(&found, &pem);
                let journal = open(&found, publisher.checkpoint()).unwrap();
                publisher.publish(&journal).unwrap();
                assert_eq!(published(&found, &pem).checkpoint().size(), 260);
                audit(&found, &pem).unwrap();
            }
        }
    }
}

fn pem() -> Vec<u8> {
    Ed25519Key::random().unwrap().to_pem().unwrap().to_vec()
}

fn key(pem: &[u8]) -> LogKey {
    LogKey::from_pem(ORIGIN, pem).unwrap()
}

fn publisher(disk: &ForgetfulDisk, pem: &[u8]) -> Publisher {
    Publisher::open(Arc::new(disk.clone()), Path::new(TLOG), key(pem)).unwrap()
}

fn published(disk: &ForgetfulDisk, pem: &[u8]) -> Published {
    Published::open(Arc::new(disk.clone()), Path::new(TLOG), key(pem).verifier()).unwrap().unwrap()
}

fn started(disk: &ForgetfulDisk, pem: &[u8]) -> Audit {
    Audit::new(Arc::new(disk.clone()), Path::new(TLOG), published(disk, pem))
}

fn audit(disk: &ForgetfulDisk, pem: &[u8]) -> Result<Checkpoint, AuditError> {
    let mut audit = started(disk, pem);
    verify(disk, Path::new(DIR), ORIGIN, &mut |stored| audit.record(stored)).unwrap();
    audit.finish()
}

fn open(disk: &ForgetfulDisk, signed: Option<&Checkpoint>) -> Result<Journal, OpenError> {
    let options =
        Options { origin: ORIGIN.to_owned(), segment_bytes_max: 1 << 20, on_fatal: Arc::new(|_| {}) };
    Journal::open_signed(Arc::new(disk.clone()), Path::new(DIR), options, signed).map(|(journal, _)| journal)
}

/// Appends until the journal has that size.
fn append(journal: &Journal, size: u64) {
    for number in journal.size()..size {
        let record = Record::Control(Control {
            at: jiff::Timestamp::UNIX_EPOCH,
            action: "test".to_owned(),
            ticket: None,
            detail: number.to_string(),
        });
        let frames = vec![Frame { name: "f".to_owned(), ciphertext: vec![number as u8; 3] }];
        journal.append_blocking(Entry { record, frames, unique_keys: Vec::new() }).unwrap();
    }
}

const SEGMENT: &str = "j/00000000000000000000.seg";

fn segment(disk: &ForgetfulDisk) -> Vec<u8> {
    contents(disk, Path::new(SEGMENT))
}

fn contents(disk: &ForgetfulDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, OpenMode::Read).unwrap();
    read_exactly(file.as_ref(), 0, file.length().unwrap() as usize).unwrap()
}

fn overwrite(disk: &ForgetfulDisk, bytes: &[u8]) {
    let mut file = disk.open(Path::new(SEGMENT), OpenMode::Write).unwrap();
    file.truncate(0).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync_data().unwrap();
}

/// The published files.
fn files(disk: &ForgetfulDisk) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![Path::new(TLOG).to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in disk.list(&folder).unwrap() {
            match disk.open(&path, OpenMode::Read) {
                Ok(_) => found.push((path.to_string_lossy().into_owned(), contents(disk, &path))),
                Err(_) => folders.push(path),
            }
        }
    }
    found
}
