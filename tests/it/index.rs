//! The index is derived: made again from the journal it says the same, whatever it said before.

use std::path::Path;

use epost::command::index::rebuild;
use epost::config::Config;
use erds::{Record, Status};
use soap::message::{ItemName, ProofKind};
use store::index::Index;

use crate::folder::copy;
use crate::house::{Draft, Sandbox};

#[tokio::test(flavor = "multi_thread")]
async fn made_again_it_is_equal_as_an_ordered_dump() {
    let sandbox = Sandbox::start().await;
    let draft = Draft::submission("T");
    sandbox.tsa_fault(serde_json::json!({"kind": "down", "count": 1})).await;
    assert_eq!(sandbox.ask(&draft).await.code(), "SOA-02002");
    let receipt = sandbox.ask(&draft).await.receipt();
    assert_eq!(sandbox.ask(&draft).await.receipt(), receipt, "a duplicate");
    let mut other = Draft::submission("T");
    other.replace("Letter 1", "Letter one");
    assert_eq!(sandbox.ask(&other).await.code(), "EPOST_B04");
    let second = sandbox.ask(&Draft::submission("U")).await.receipt();
    for ticket in [&receipt.ticket, &second.ticket] {
        sandbox.status(ticket, Status::Sent).await;
    }
    let by_ticket = ItemName::Ticket(receipt.ticket);
    sandbox.ask(&Draft::proof(&by_ticket, ProofKind::Receipt)).await.proof_reply();
    sandbox.ask(&Draft::evidence(&by_ticket, ProofKind::Dispatch)).await.proof_reply();
    let package = sandbox.ask(&Draft::package(&by_ticket, ProofKind::Dispatch)).await.proof_reply();
    assert!(package.package.is_some());
    let kinds: Vec<_> = sandbox.records().iter().map(|stored| stored.record.kind()).collect();
    for kind in [
        "received",
        "refused",
        "accepted",
        "withdrawn",
        "consigned",
        "dispatched",
        "consulted",
        "control",
        "evidenced",
        "packaged",
    ] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    let grown = sandbox.service().index().dump().unwrap();
    assert_eq!(grown.lines().count(), 1 + kinds.iter().filter(|kind| **kind == "received").count());

    let mut config = Config::read(&sandbox.layout().config).unwrap();
    let error = rebuild(&config).unwrap_err().to_string();
    assert!(error.contains("journal.locked") && error.contains("stop that one first"), "{error}");
    assert_eq!(sandbox.service().index().dump().unwrap(), grown, "refused, it is as it was");

    let folder = tempfile::tempdir().unwrap();
    copy(&sandbox.layout().data, folder.path());
    config.data.directory = folder.path().to_owned();
    let path = folder.path().join("index.sqlite");
    for spoil in [absent, half, lying] {
        spoil(&path, &sandbox.records().iter().map(|stored| stored.record.clone()).collect::<Vec<_>>());
        let rebuilt = rebuild(&config).unwrap();
        assert_eq!((rebuilt.records, rebuilt.counts.sent), (kinds.len() as u64, 2));
        assert_eq!(Index::open(Some(&path)).unwrap().dump().unwrap(), grown);
    }
    sandbox.stop().await;
}

fn absent(path: &Path, _records: &[Record]) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    assert!(!path.exists());
}

fn half(path: &Path, records: &[Record]) {
    let index = Index::open(Some(path)).unwrap();
    index.clear().unwrap();
    for (position, record) in (0..).zip(&records[..records.len() / 2]) {
        index.apply(position, record).unwrap();
    }
}

/// It says that it has seen all, and lacks every dispatch.
fn lying(path: &Path, records: &[Record]) {
    let index = Index::open(Some(path)).unwrap();
    index.clear().unwrap();
    let control = records.iter().find(|record| matches!(record, Record::Control(_))).unwrap();
    for (position, record) in (0..).zip(records) {
        let told = if matches!(record, Record::Dispatched(_)) { control } else { record };
        index.apply(position, told).unwrap();
    }
    assert_eq!(index.counts().unwrap().sent, 0);
}
