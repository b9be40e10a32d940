//! One byte changed, anywhere in the data folder: the start refuses it and says what to do, or mends it, or the reading of all that is stored
//! tells of it. What it answers is never another than it was.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::RealDisk;
use epost::config::Config;
use epost::run::Running;
use epost::scrub::{Pace, once};
use epost::service::Service;
use erds::{Status, Ticket};
use journal::audit::Audit;
use journal::checkpoint::LogKey;
use journal::tiles::Published;
use tokio::sync::watch;

use crate::folder::copy;
use crate::house::draft::submission;
use crate::house::{Draft, Sandbox, file, until};

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Outcome {
    /// The start says what is wrong, and what to do.
    Refused,
    /// Reading all that is stored, or `epost journal verify`, tells.
    Told,
    /// All is as it was: mended, or a byte that says nothing.
    Same,
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_byte_in_any_file_never_changes_an_answer() {
    let sandbox = Sandbox::start_tuned(|config| {
        config.data.segment_bytes_max = 20_000;
        config.data.stamp_hours = 24;
    })
    .await;
    let mut tickets = Vec::new();
    for (token, bytes) in [("A", 900), ("B", 200_000), ("C", 900)] {
        let files = [file(1, bytes)];
        let ticket = sandbox.ask(&Draft::of(&submission(token, &files), &files)).await.receipt().ticket;
        sandbox.status(&ticket, Status::Sent).await;
        tickets.push(ticket);
    }
    let mut config = Config::read(&sandbox.layout().config).unwrap();
    config.data.segment_bytes_max = 20_000;
    config.listen.address = "127.0.0.1:0".parse().unwrap();
    config.listen.operator_address = None;
    let checkpoint = config.data.directory.join("tlog/checkpoint");
    until(|| async { stamped(&config).then_some(()) }).await;
    until(|| async {
        let signed = std::fs::read_to_string(&checkpoint).unwrap_or_default();
        let size = signed.lines().nth(1)?.parse::<u64>().ok()?;
        (size == sandbox.service().journal().size()).then_some(())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    copy(&sandbox.layout().data, &whole);
    // Started and stopped once more: the database is then in one file.
    config.data.directory = whole.clone();
    let running = epost::run::start(&config, None).await.unwrap();
    let expected = answers(&running.service, &tickets);
    running.stop().await;

    let mut seen: BTreeMap<String, BTreeSet<Outcome>> = BTreeMap::new();
    for path in one_of_each_kind(files(&whole), &whole) {
        let name = path.strip_prefix(&whole).unwrap().to_owned();
        for at in places(&path, &tickets) {
            let data = folder.path().join("spoilt");
            let _ = std::fs::remove_dir_all(&data);
            copy(&whole, &data);
            flip(&data.join(&name), at);
            config.data.directory = data;
            let case = format!("byte {at} of {}", name.display());
            let outcome = match epost::run::start(&config, None).await {
                Err(error) => {
                    let text = error.to_string();
                    let remedies = [
                        "epost journal repair",
                        "restore it from the backup",
                        "the next start makes it again",
                    ];
                    assert!(remedies.iter().any(|remedy| text.contains(remedy)), "{case}: {text}");
                    Outcome::Refused
                }
                Ok(running) => judge(&config, running, &tickets, &expected, &case).await,
            };
            seen.entry(kind(&name)).or_default().insert(outcome);
        }
    }
    use Outcome::{Refused, Same, Told};
    let is = |kind: &str, outcomes: &[Outcome]| {
        let found: Vec<_> = seen[kind].iter().copied().collect();
        assert_eq!(found, outcomes, "{kind}");
    };
    is("journal/seg", &[Refused, Told]);
    is("journal/sum", &[Same]);
    is("journal/keys", &[Same]);
    is("content", &[Told]);
    // Between its fields a slot has bytes that say nothing, and the file has slots of requests whose keys nobody promised.
    is("keys/keys", &[Refused, Told, Same]);
    is("index.sqlite", &[Told, Same]);
    is("crls", &[Same]);
    is("tlog/checkpoint", &[Refused]);
    is("tlog/tile", &[Same]);
    sandbox.stop().await;
}

async fn judge(
    config: &Config,
    running: Running,
    tickets: &[Ticket],
    expected: &Answers,
    case: &str,
) -> Outcome {
    let (_go_on, stop) = watch::channel(false);
    let read = once(&running.service, Pace::new(NonZeroU64::MAX, stop)).await.unwrap().unwrap();
    let now = answers(&running.service, tickets);
    for (what, was) in expected {
        let is = &now[what];
        // A failure of ours is no answer; nor is one that is told of.
        assert!(is == was || is.starts_with("failed: ") || read.wrong > 0, "{case}: {what}: {is}, was {was}");
    }
    running.stop().await;
    match read.wrong == 0 && now == *expected && verifies(config) {
        true => Outcome::Same,
        false => Outcome::Told,
    }
}

type Answers = BTreeMap<String, String>;

/// What is answered by the data folder: how each item stands, and its proofs.
fn answers(service: &Arc<Service>, tickets: &[Ticket]) -> Answers {
    let mut told = Answers::new();
    for ticket in tickets {
        let item = service.index().item(*ticket);
        let item = item.map_or_else(|error| format!("failed: {error}"), |item| format!("{item:?}"));
        told.insert(format!("index of {ticket}"), item);
        for (what, proof) in
            [("receipt", service.stored_receipt(*ticket)), ("dispatch", service.stored_dispatch(*ticket))]
        {
            let text = match proof {
                Ok(proof) => {
                    format!("{:?} {:?}", pki::digest::sha256(&proof.xml), pki::digest::sha256(&proof.p7s))
                }
                Err(failure) => format!("failed: {failure}"),
            };
            told.insert(format!("{what} of {ticket}"), text);
        }
    }
    told
}

fn verifies(config: &Config) -> bool {
    let key =
        LogKey::from_pem(&config.data.origin, &std::fs::read(config.data.log_key.as_ref().unwrap()).unwrap());
    let tlog = config.data.directory.join("tlog");
    let published = Published::open(Arc::new(RealDisk), &tlog, key.unwrap().verifier()).unwrap().unwrap();
    let mut audit = Audit::new(Arc::new(RealDisk), &tlog, published);
    let dir = config.data.directory.join("journal");
    let read = journal::verify(&RealDisk, &dir, &config.data.origin, &mut |stored| audit.record(stored));
    read.is_ok() && audit.finish().is_ok()
}

fn stamped(config: &Config) -> bool {
    std::fs::read_dir(config.data.directory.join("tlog/stamps")).is_ok_and(|found| found.count() >= 2)
}

/// What kind of file it is: its folder, and what it ends with.
fn kind(name: &Path) -> String {
    let mut parts = name.iter().map(|part| part.to_str().unwrap());
    let top = parts.next().unwrap();
    match (top, name.extension().and_then(|extension| extension.to_str()), parts.next()) {
        ("journal" | "keys", Some(extension), _) => format!("{top}/{extension}"),
        ("tlog", _, Some(below)) => format!("tlog/{below}"),
        _ => top.to_owned(),
    }
}

/// The first and the last of each, but of the stamps, which `epost journal verify` judges.
fn one_of_each_kind(files: Vec<PathBuf>, folder: &Path) -> BTreeSet<PathBuf> {
    let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in files {
        kinds.entry(kind(path.strip_prefix(folder).unwrap())).or_default().push(path);
    }
    kinds.remove("tlog/stamps");
    kinds.into_values().flat_map(|of_kind| [of_kind[0].clone(), of_kind[of_kind.len() - 1].clone()]).collect()
}

/// The beginning, the end and some between; of the database, where it names an item.
fn places(path: &Path, tickets: &[Ticket]) -> BTreeSet<usize> {
    let bytes = std::fs::read(path).unwrap();
    let last = bytes.len().saturating_sub(1);
    let places: BTreeSet<usize> = match path.file_name().unwrap().to_str().unwrap() {
        "index.sqlite" => {
            let names = |window: &[u8]| tickets.iter().any(|ticket| ticket.as_str().as_bytes() == window);
            let named =
                bytes.windows(tickets[0].as_str().len()).enumerate().filter(|(_, window)| names(window));
            named.map(|(at, _)| at).chain([0, 30, last]).collect()
        }
        // The header, each field of the first and the last slot, what lies between.
        "items.keys" => {
            let fields = [0, 14, 20, 40, 75, 100].map(|at| at + SLOT_BYTES);
            let of_last = [5, 30, 70].map(|at| bytes.len() - SLOT_BYTES + at);
            fields.into_iter().chain(of_last).chain([9]).collect()
        }
        // Behind the head lie buckets that a start need not read: who meets a damaged one ends the process (the tests of journal).
        name if name.starts_with("0") && name.ends_with(".keys") => BTreeSet::from([9, 40]),
        _ => BTreeSet::from([9, 40, 100, last / 2, last]),
    };
    places.into_iter().filter(|at| *at <= last && !bytes.is_empty()).collect()
}

/// A slot of the key file.
const SLOT_BYTES: usize = 128;

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}
