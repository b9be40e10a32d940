//! The log as it is published: checkpoints, inclusion proofs, and the static files, changed behind its back.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use disk::{Disk, ForgetfulDisk, OpenMode, read_exactly};
use journal::audit::Audit;
use journal::checkpoint::{Checkpoint, LogKey, Verifier};
use journal::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use journal::proof::{Proof, read_salted};
use journal::tiles::{Published, Publisher};
use journal::{Journal, Stored, VerifyError};
use pki::digest::sha256;
use pki::ed25519::Ed25519Key;

use crate::Codes;
use crate::journal_log::{apply, honest_files, journal_dir, on_disk, options};
use crate::xml::split_line;

/// PKCS#8 around an Ed25519 key (RFC 8410): what stands before its 32 octets.
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The log's key; it signs what is here and nothing else.
fn key() -> Ed25519Key {
    let der = base64_simd::STANDARD.encode_to_string([&PKCS8[..], &[7; 32]].concat());
    Ed25519Key::from_pem(
        format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n").as_bytes(),
    )
    .expect("a key")
}

fn log_key() -> LogKey {
    LogKey::from_pem(&options().origin, &key().to_pem().expect("PEM")).expect("a log's key")
}

fn published_dir() -> &'static Path {
    Path::new("tlog")
}

struct Honest {
    disk: ForgetfulDisk,
    verifier: Verifier,
    checkpoint: Checkpoint,
    records: Vec<Stored>,
    /// A proof of each record.
    proofs: Vec<String>,
    /// What was published, the checkpoint first.
    files: Vec<(PathBuf, Vec<u8>)>,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let disk = on_disk(&honest_files());
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (log, _) = Journal::open(shared.clone(), journal_dir(), options()).expect("the honest journal");
    let records: Vec<_> = log.iter(0).map(|stored| stored.expect("a record")).collect();
    let mut publisher = Publisher::open(shared.clone(), published_dir(), log_key()).expect("a publisher");
    publisher.publish(&log).expect("published");
    let verifier = log_key().verifier().clone();
    let published = Published::open(shared, published_dir(), &verifier).expect("read").expect("published");
    let proof = |stored: &Stored| {
        let salted = read_salted(&disk, journal_dir(), &options().origin, stored.position).expect("a record");
        Proof::new(&published, stored.position, salted).expect("a proof").to_string()
    };
    let proofs = records.iter().map(proof).collect();
    let mut files = Vec::new();
    collect(&disk, published_dir(), &mut files);
    files.sort_by_key(|(path, _)| (!path.ends_with("checkpoint"), path.clone()));
    Honest { disk, verifier, checkpoint: published.checkpoint().clone(), records, proofs, files }
});

fn collect(disk: &ForgetfulDisk, dir: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for path in disk.list(dir).unwrap_or_default() {
        match disk.open(&path, OpenMode::Read) {
            Ok(file) => {
                let length = file.length().expect("a length") as usize;
                files.push((path, read_exactly(file.as_ref(), 0, length).expect("read")));
            }
            Err(_) => collect(disk, &path, files),
        }
    }
}

/// The honest checkpoint and the proofs of all records: seeds.
pub fn tlog_seeds() -> (String, Vec<String>) {
    (HONEST.checkpoint.note().to_owned(), HONEST.proofs.clone())
}

/// Letters, a line's end, the rest. `c`: a checkpoint; `p`: a proof; with `n`, signed anew as it stands, and with `1`, under a checkpoint
/// of its record alone. `f`: changes to the published files, four bytes each; with `m`, the journal's last record is missing.
///
/// What is not signed anew proves nothing but what was signed; an audit passes over what was published alone.
pub fn tlog(data: &[u8]) -> Codes {
    let (letters, rest) = split_line(data);
    let has = |letter: u8| letters.contains(&letter);
    let text = String::from_utf8_lossy(rest);
    match letters.first() {
        Some(b'c') => checkpoint(&if has(b'n') { signed_anew(&text) } else { text.into_owned() }, has(b'n')),
        Some(b'p') => proof(&text, has(b'n'), has(b'1')),
        Some(b'f') => files(rest, has(b'm')),
        _ => Codes::new(),
    }
}

fn checkpoint(note: &str, anew: bool) -> Codes {
    let honest = &HONEST.checkpoint;
    match HONEST.verifier.open(note) {
        Ok(opened) => {
            let same = (opened.size(), opened.root()) == (honest.size(), honest.root());
            assert!(anew || same, "a checkpoint that was never signed: {note}");
            Codes::new()
        }
        Err(error) => vec![error.code()],
    }
}

fn proof(text: &str, anew: bool, alone: bool) -> Codes {
    let text = match text.split_once("\n\n") {
        Some((head, note)) if anew => format!("{head}\n\n{}", signed_anew(note)),
        Some((head, _)) if alone => format!("{head}\n\n{}", signed_anew(&alone_in_its_log(head))),
        _ => text.to_owned(),
    };
    let judged = Proof::from_str(&text).and_then(|proof| proof.verify(&HONEST.verifier));
    match judged {
        Ok(proved) => {
            let known = HONEST.records.get(usize::try_from(proved.position).unwrap_or(usize::MAX));
            let same = known
                .is_some_and(|known| known.record == proved.record && known.leaf_hash == proved.leaf_hash);
            assert!(anew || alone || same, "proved, and never recorded: {text}");
            Codes::new()
        }
        Err(error) => vec![error.code()],
    }
}

/// The text of a checkpoint over a proof's record as the only one.
fn alone_in_its_log(head: &str) -> String {
    let extra = head.lines().find_map(|line| line.strip_prefix("extra ")).unwrap_or_default();
    let salted = base64_simd::STANDARD.decode_to_vec(extra).unwrap_or_default();
    let root = base64_simd::STANDARD.encode_to_string(leaf_hash(&sha256(&salted)));
    format!("{}\n1\n{root}\n\n", options().origin)
}

/// The note's text under a signature by the log's key.
fn signed_anew(note: &str) -> String {
    let text = note.rfind("\n\n").map_or(note, |end| &note[..=end]);
    let verifier = HONEST.verifier.to_string();
    let id = verifier.split('+').nth(1).and_then(|id| u32::from_str_radix(id, 16).ok()).expect("an id");
    let signature = key().sign(text.as_bytes()).expect("a signature");
    let value = base64_simd::STANDARD.encode_to_string([&id.to_be_bytes()[..], &signature].concat());
    format!("{text}\n\u{2014} {} {value}\n", HONEST.verifier.origin())
}

fn files(changes: &[u8], last_missing: bool) -> Codes {
    let honest = &*HONEST;
    let mut files = honest.files.clone();
    changes.chunks_exact(4).take(8).for_each(|change| apply(&mut files, change));
    let disk = on_disk(&files);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let published = match Published::open(shared, published_dir(), &honest.verifier) {
        Ok(Some(published)) => published,
        Ok(None) => return Codes::new(),
        Err(error) => return vec![error.code()],
    };
    let mut codes = Codes::new();
    let (size, root) = (published.checkpoint().size(), published.checkpoint().root());
    let whole = files[1..] == honest.files[1..] && files.len() == honest.files.len();
    for position in 0..=size {
        match published.inclusion(position) {
            Ok(beside) => {
                let leaf = &honest.records[position as usize].leaf_hash;
                let leads = verify_inclusion(leaf, position, size, &beside, &root);
                assert!(leads || !whole, "record {position} does not lead to the root");
            }
            Err(error) => codes.push(error.code()),
        }
        match published.consistency(position) {
            Ok(beside) if whole => {
                let mut tree = journal::merkle::Tree::default();
                let first = honest.records.iter().take(position as usize);
                first.for_each(|stored| tree.push(stored.leaf_hash));
                let old = tree.root();
                assert!(verify_consistency((position, &old), (size, &root), &beside), "{position}");
            }
            Ok(_) => {}
            Err(error) => codes.push(error.code()),
        }
    }
    codes.extend(audited(&disk, published, last_missing, whole));
    codes
}

fn audited(
    disk: &ForgetfulDisk,
    published: Published,
    last_missing: bool,
    whole: bool,
) -> Option<&'static str> {
    let mut audit = Audit::new(Arc::new(disk.clone()), published_dir(), published);
    let last = HONEST.records.len() as u64 - 1;
    let verified = journal::verify(&HONEST.disk, journal_dir(), &options().origin, &mut |stored| {
        if last_missing && stored.position == last { Ok(()) } else { audit.record(stored) }
    });
    let judged = match verified {
        Ok(_) => audit.finish().map(drop).map_err(|error| error.code()),
        Err(error @ VerifyError::Damaged { .. }) => Err(error.code()),
        Err(error) => panic!("{error}"),
    };
    assert!(judged.is_err() || (whole && !last_missing), "an audit passed over other files");
    judged.err()
}
