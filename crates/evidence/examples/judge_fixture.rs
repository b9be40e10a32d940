//! Makes what `tests/judges/run` judges, without the service: two sealed proofs, an ERDS evidence of each event and a package, their
//! anchors and revocation lists, and the same with a revoked seal.
//!
//!     cargo run -p evidence --example judge_fixture -- DIR

#[path = "../tests/support/sealing.rs"]
mod sealing;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use erds::Record;
use evidence::event::LogEntry;
use evidence::package::SealedFile;
use jiff::Timestamp;
use sealing::{ANNEX, DOCUMENT, Desk, events, evidence_of, received};
use support::{House, SEAL_SERIAL};

fn main() {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("usage: judge_fixture DIR");
        std::process::exit(3);
    };
    let directory = Path::new(&directory);
    // A little ago, so that no judge meets a time from its future.
    let now = Timestamp::now().as_second() - 5;
    let house = House::build(now);
    lay(directory, &house, &[]);
    lay(&directory.join("revoked"), &house, &[(SEAL_SERIAL, now - 3600)]);
    println!("{}", directory.display());
}

/// One directory of the layout that `tests/judges/judge` documents.
fn lay(directory: &Path, house: &House, revoked: &[(u32, i64)]) {
    let put = |name: &str, bytes: &[u8]| fs::write(directory.join(name), bytes).unwrap();
    fs::create_dir_all(directory.join("crls")).unwrap();
    for (number, crl) in house.crls(revoked).into_iter().enumerate() {
        put(&format!("crls/{number}.crl"), &crl);
    }
    put("seal-anchors.pem", &house.seal_root.pem());
    put("tsa-anchors.pem", &house.tsa_root.pem());
    fs::create_dir_all(directory.join("documents")).unwrap();
    put("documents/letter.txt", DOCUMENT);
    put("documents/table.csv", ANNEX);
    let desk = Desk::new(house.clone());
    let (recorded, mut contents) = desk.item();
    contents.crls = house.crls(revoked);
    put("Package.asice", &desk.package(&recorded, &contents));
    let sealed = |name: &str, file: SealedFile| {
        put(&format!("{name}.xml"), &file.xml);
        put(&format!("{name}.p7s"), &file.p7s);
    };
    sealed("Receipt", contents.receipt);
    sealed("ProofOfDispatch", contents.dispatch.unwrap());
    for (event, record) in events(desk.at) {
        // What follows on an acceptance is recorded behind it.
        let begins = matches!(record, Record::Received(_) | Record::Refused(_));
        let request = if begins { None } else { Some(desk.append(received(desk.at))) };
        let recorded = desk.append(record);
        let name = format!("Evidence-{}.xml", event.number());
        let entry = LogEntry::of(request.as_ref().unwrap_or(&recorded));
        put(&name, &desk.evidence(&recorded, &evidence_of(event, desk.at, entry, &recorded)));
    }
}
