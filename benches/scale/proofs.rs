//! Inclusion proofs from the published tiles.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use disk::RealDisk;
use journal::Journal;
use journal::checkpoint::LogKey;
use journal::merkle::verify_inclusion;
use journal::tiles::{Published, Publisher};
use pki::ed25519::Ed25519Key;

use crate::scattered;

pub(crate) fn measure(journal: &Journal, tlog: &Path) {
    let pem = Ed25519Key::random().unwrap().to_pem().unwrap();
    let key = || LogKey::from_pem("bench", &pem).unwrap();
    let begun = Instant::now();
    let mut publisher = Publisher::open(Arc::new(RealDisk), tlog, key()).unwrap();
    publisher.publish(journal).unwrap();
    println!("  {:<44} {:>9} ms", "all published, tiles and checkpoint", begun.elapsed().as_millis());

    let published = Published::open(Arc::new(RealDisk), tlog, key().verifier()).unwrap().unwrap();
    let size = journal.size();
    let recent = size.min(RECENT);
    of("proofs of the newest half million, tiles read", &published, |number| size - recent + number % recent);
    of("proofs of the newest half million", &published, |number| size - recent + scattered(number, recent));
    of("proofs of any record, tiles read", &published, |number| scattered(number, size));
    of("proofs of any record", &published, |number| scattered(number + PROOFS, size));
    let root = published.checkpoint().root();
    for position in (0..1000).map(|number| scattered(number, size)) {
        let recorded = journal.recorded(position).unwrap();
        let proof = published.inclusion(position).unwrap();
        assert!(verify_inclusion(&recorded.leaf_hash(), position, size, &proof, &root));
    }
}

/// One thread; of its CPU time too, on a machine that does something else.
fn of(what: &str, published: &Published, position: impl Fn(u64) -> u64) {
    let (begun, cpu) = (Instant::now(), benches::cpu());
    for number in 0..PROOFS {
        black_box(published.inclusion(position(number)).unwrap());
    }
    let speed = PROOFS as f64 / begun.elapsed().as_secs_f64();
    let of_cpu = PROOFS as f64 / (benches::cpu() - cpu).as_secs_f64();
    println!("  {what:<44} {speed:>9.0}/s by one thread, {of_cpu:.0}/s of its CPU time");
}

const PROOFS: u64 = 1_000_000;
/// Whose lowest tiles are held.
const RECENT: u64 = 500_000;
