//! `fixed/package` and the corpus of `package`: a real one, and changes of it.

use evidence::archive::{Entry, directory};
use evidence::package::Package;

use crate::kit::write;
use crate::proofs::support::{self, House};
use crate::seeds::Keeper;

#[path = "../../../crates/evidence/tests/support/sealing.rs"]
pub(crate) mod sealing;

type Files = Vec<(String, Vec<u8>)>;

#[test]
fn packages() {
    let desk = sealing::Desk::new(House::build(epost_fuzz::STAMPED_AT));
    let (recorded, mut contents) = desk.item();
    // As small as one may be: A.1 and its receipt.
    contents.evidence.truncate(1);
    contents.log_proofs.truncate(1);
    contents.dispatch = None;
    let honest = desk.package(&recorded, &contents);
    write("fixed/package/package.asice", &honest);
    write("fixed/package/seal-root.der", &desk.house.seal_root.der());
    write("fixed/package/tsa-root.der", &desk.house.tsa_root.der());
    let mut keeper = Keeper::new("package", epost_fuzz::package);
    keeper.seed("package", &honest);
    assert_eq!(epost_fuzz::package(&honest), epost_fuzz::Codes::new(), "the honest one counts");
    keeper.change(b"PK\x03\x04");
    // Empty files first: what is refused early needs no more.
    let files = read(&honest);
    let empty: Files = files.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
    keeper.change(&zip(&empty));
    for place in 0..files.len() {
        let mut less = empty.clone();
        less.remove(place);
        keeper.change(&zip(&less));
        less.insert(0, ("x".to_owned(), Vec::new()));
        keeper.change(&zip(&less));
    }
    for (place, (name, _)) in files.iter().enumerate() {
        let mut changed = files.clone();
        changed[place].1.push(b' ');
        keeper.change(&zip(&changed));
        changed[place].1.clear();
        keeper.change(&zip(&changed));
        if name.starts_with("policy/") {
            changed.remove(place);
            keeper.change(&zip(&changed));
        }
    }
    assert!(Package::parse(&honest).is_ok());
}

/// The files of an archive of ours: name and bytes.
fn read(archive: &[u8]) -> Files {
    let (mut rest, mut files) = (archive, Vec::new());
    while rest.starts_with(b"PK\x03\x04") {
        let number = |at: usize| u32::from_le_bytes(*rest[at..].first_chunk().unwrap()) as usize;
        let (name, bytes) = (number(26) & 0xffff, number(22));
        let text = String::from_utf8(rest[30..30 + name].to_vec()).unwrap();
        files.push((text, rest[30 + name..30 + name + bytes].to_vec()));
        rest = &rest[30 + name + bytes..];
    }
    files
}

fn zip(files: &Files) -> Vec<u8> {
    let crc32 = |bytes: &[u8]| {
        bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8)
                .fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        })
    };
    let entry = |(name, bytes): &'_ (String, Vec<u8>)| (name.clone(), bytes.len() as u32, !crc32(bytes));
    let said: Vec<_> = files.iter().map(entry).collect();
    let entries: Vec<_> =
        said.iter().map(|(name, bytes, crc32)| Entry { name, bytes: *bytes, crc32: *crc32 }).collect();
    let mut out = Vec::new();
    for (entry, (_, bytes)) in entries.iter().zip(files) {
        out.extend(entry.local_header());
        out.extend(bytes);
    }
    out.extend(directory(entries));
    out
}
