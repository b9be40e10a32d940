//! The record survives: the power is cut at every operation of the disk in turn, and every operation fails in two ways. Whatever a
//! sender was answered is found again byte for byte, and nothing that was not accepted lies in a box.
//!
//! Killing the process alone would prove nothing: the page cache lives on. The disk here forgets whatever was not synced.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use disk::{Fault, ForgetfulDisk};
use erds::{Record, Ticket, Token};
use journal::Stored;
use pki::algorithm::SignatureAlgorithm;
use pki::certificate::Certificate;
use soap::message::{ItemName, ProofKind};

use crate::house::ebox::EboxStandIn;
use crate::house::inside::{JOURNAL, ORIGIN, Plan};
use crate::house::reply::Proof;
use crate::house::scripted::Boxes;
use crate::house::{Draft, House, file, until};

const SENDERS: usize = 3;

/// What senders hold after some requests: the token, and the receipt if one was answered.
type Held = Vec<(String, Option<Proof>)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_power_goes_out_at_every_operation() {
    let operations = operations_of_a_load().await;
    assert!(operations > 20, "{operations}");
    for number in 1..=operations {
        let (disk, boxes, held) = load_with(number, Fault::PowerCut).await;
        for seed in [0, number, number + 1000] {
            // Each world goes its own way from the moment of the cut; the boxes are told apart by copying them.
            reopened(
                disk.after_power_cut(seed),
                boxes.copy(),
                &held,
                &format!("cut at {number}, seed {seed}"),
            )
            .await;
        }
    }
    println!("{} cases: the power cut at each of {operations} operations, three worlds each", 3 * operations);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_failure_then_a_power_cut() {
    let operations = operations_of_a_load().await;
    for fault in [Fault::NotPersisted, Fault::PersistedButReportedFailed] {
        for number in 1..=operations {
            let (disk, boxes, held) = load_with(number, fault).await;
            for seed in [0, number] {
                let what = format!("{fault:?} at {number}, seed {seed}");
                reopened(disk.after_power_cut(seed), boxes.copy(), &held, &what).await;
            }
        }
    }
    println!(
        "{} cases: each of {operations} operations fails in two ways, then two power cuts",
        4 * operations
    );
}

/// Without a power cut the page cache lives on, with what was written and not synced.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_failure_then_a_restart() {
    let operations = operations_of_a_load().await;
    for fault in [Fault::NotPersisted, Fault::PersistedButReportedFailed] {
        for number in 1..=operations {
            let (disk, boxes, held) = load_with(number, fault).await;
            disk.fail_at(0, fault); // what did not go wrong so far goes right from here on
            reopened(disk, boxes, &held, &format!("{fault:?} at {number}")).await;
        }
    }
    println!("{} cases: each of {operations} operations fails in two ways, then a restart", 2 * operations);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_post_and_its_record_an_item_lies_in_one_box_once() {
    let house = House::new().await;
    let (disk, boxes) = (house.disk.clone(), house.boxes.clone());
    let receipt = house.ask(&Draft::submission("T")).await.receipt();
    house.stop().await;
    boxes.cut_after_post(&disk);
    let house = House::open(plan(disk.clone(), boxes.clone())).await.unwrap();
    until(|| async { (boxes.posts() == 1).then_some(()) }).await;
    until(|| async { house.service.record_act("test", "").await.is_err().then_some(()) }).await;
    house.stop().await;

    let disk = disk.after_power_cut(0);
    let house = House::open(plan(disk, boxes.clone())).await.unwrap();
    until(|| async { (house.service.index().counts().unwrap().sent == 1).then_some(()) }).await;
    assert_eq!((boxes.items(), boxes.posts()), (vec![receipt.ticket], 2), "posted again, under the same key");
    assert_eq!(boxes.files(), [file(1, 900), file(2, 700)]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_post_and_its_record_the_ebox_counts_one_item_under_one_key() {
    let ebox = EboxStandIn::start().await;
    let disk = ForgetfulDisk::new();
    let channels = Some(vec![ebox.channel(Some(disk.clone()))]);
    let delivering = || plan(disk.clone(), Boxes::default());
    let house = House::open(Plan { channels, ..delivering() }).await.unwrap();
    house.ask(&Draft::submission("T")).await.receipt();
    until(|| async { house.service.record_act("test", "").await.is_err().then_some(()) }).await;
    house.stop().await;
    assert_eq!(
        ebox.received().await["items"].as_u64(),
        Some(1),
        "the post was taken before the power went out"
    );

    let disk = disk.after_power_cut(0);
    let plan = Plan { channels: Some(vec![ebox.channel(None)]), ..plan(disk, Boxes::default()) };
    let house = House::open(plan).await.unwrap();
    until(|| async { (house.service.index().counts().unwrap().sent == 1).then_some(()) }).await;
    let received = ebox.received().await;
    assert_eq!((received["items"].as_u64(), received["posts"].as_u64()), (Some(1), Some(2)), "{received}");
    assert_eq!(received["postsByKey"].as_object().unwrap().len(), 1, "{received}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sync_has_returned_before_the_answers_first_byte() {
    for inline_bytes_max in [64 * 1024, 16] {
        let house = House::open(Plan { inline_bytes_max, ..Plan::default() }).await.unwrap();
        house.ask(&Draft::submission("T")).await.receipt();
        house.disk.mark("answered");
        let log = house.disk.log();
        let answered = log.iter().position(|operation| operation.kind == "mark").unwrap();
        let before = &log[..answered];
        let in_journal = |path: &Path| path.starts_with(JOURNAL);
        let written = before
            .iter()
            .rposition(|operation| operation.kind == "write" && in_journal(&operation.path))
            .unwrap();
        let segment = &before[written].path;
        let synced =
            before.iter().rposition(|operation| operation.kind == "sync_data" && operation.path == *segment);
        assert!(synced > Some(written), "Accepted is written at {written} and synced at {synced:?}");
        assert!(matches!(house.records().last().unwrap().record, Record::Accepted(_)));
        // The rest of what the receipt speaks of: item key and content, each synced after its last write.
        for folder in ["data/keys", "data/content"] {
            let files: BTreeSet<_> = before
                .iter()
                .filter(|o| o.kind == "write" && o.path.starts_with(folder))
                .map(|o| &o.path)
                .collect();
            for path in files {
                let last = |kind: &str| before.iter().rposition(|o| o.kind == kind && o.path == *path);
                assert!(last("sync_data") > last("write"), "{}", path.display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_accepts_nothing_and_loses_nothing() {
    let house = House::new().await;
    let receipt = house.ask(&Draft::submission("before")).await.receipt();
    house.disk.set_capacity_bytes(1);
    let answer = house.ask(&Draft::submission("T")).await;
    assert!(matches!(answer.code().as_str(), "SOA-02002"), "{answer}");
    house.disk.set_capacity_bytes(u64::MAX);
    let disk = house.disk.after_power_cut(0);
    let house = House::open(plan(disk, Boxes::default())).await.unwrap();
    assert_eq!(house.ask(&Draft::submission("before")).await.receipt(), receipt);
    house.ask(&Draft::submission("T")).await.receipt();
    house.stop().await;
}

fn plan(disk: ForgetfulDisk, boxes: Boxes) -> Plan {
    // The second part is too large for the journal here: both ways of keeping content are cut.
    Plan { disk, boxes, delivers: true, inline_bytes_max: 800, ..Plan::default() }
}

/// How many operations the load costs when nothing goes wrong; a few more, because no two runs are alike.
async fn operations_of_a_load() -> u64 {
    let (disk, _, held) = load_with(u64::MAX, Fault::PowerCut).await;
    assert!(held.iter().all(|(_, receipt)| receipt.is_some()));
    disk.operations() + 5
}

/// Opens a house, some senders send at once and come again once, and something goes wrong at one operation.
async fn load_with(number: u64, fault: Fault) -> (ForgetfulDisk, Boxes, Held) {
    let (disk, boxes) = (ForgetfulDisk::new(), Boxes::default());
    disk.fail_at(number, fault);
    let tokens: Vec<_> = (0..SENDERS).map(|sender| format!("T-{sender}")).collect();
    let Ok(house) = House::open(plan(disk.clone(), boxes.clone())).await else {
        return (disk, boxes, tokens.into_iter().map(|token| (token, None)).collect());
    };
    let house = Arc::new(house);
    let sends: Vec<_> = tokens
        .iter()
        .map(|token| {
            let (house, token) = (house.clone(), token.clone());
            tokio::spawn(async move {
                let answer = house.ask(&Draft::submission(&token)).await;
                (token, (answer.status == 200).then(|| answer.receipt()))
            })
        })
        .collect();
    let mut held = Vec::new();
    for send in sends {
        held.push(send.await.unwrap());
    }
    if number == u64::MAX {
        until(|| async { (house.service.index().counts().unwrap().sent == SENDERS as u64).then_some(()) })
            .await;
    }
    let house = Arc::into_inner(house).unwrap();
    house.stop().await;
    (disk, boxes, held)
}

/// After the restart everything that was answered is there, and everything that was not may come again.
async fn reopened(disk: ForgetfulDisk, boxes: Boxes, held: &Held, what: &str) {
    let house = match House::open(plan(disk.clone(), boxes.clone())).await {
        Ok(house) => house,
        Err(error) => panic!("{what}: {error}"),
    };
    let unfinished = house.service.index().unfinished().unwrap();
    assert!(unfinished.is_empty(), "{what}: sealed or withdrawn before the door opens: {unfinished:?}");
    for (token, receipt) in held {
        let Some(receipt) = receipt else { continue };
        let stored =
            house.service.stored_receipt(receipt.ticket).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((&stored.xml, &stored.p7s), (&receipt.xml, &receipt.p7s), "{what}");
        let by_token = ItemName::Token(Token::parse(token).unwrap());
        let reply = house.ask(&Draft::proof(&by_token, ProofKind::Receipt)).await.proof_reply();
        assert_eq!(reply.ticket, receipt.ticket, "{what}");
    }
    for (token, receipt) in held {
        let again = house.ask(&Draft::submission(token)).await;
        assert_eq!(again.status, 200, "{what}: {token}: {again}");
        let again = again.receipt();
        assert!(receipt.as_ref().is_none_or(|receipt| *receipt == again), "{what}: the same receipt");
    }
    until(|| async { (house.service.index().counts().unwrap().sent == SENDERS as u64).then_some(()) }).await;

    let (accepted, withdrawn) = house.accepted_and_withdrawn();
    let mut delivered = boxes.items();
    assert!(withdrawn.iter().all(|ticket| !delivered.contains(ticket)), "{what}: withdrawn, and in a box");
    let mut accepted: Vec<Ticket> = accepted;
    accepted.sort_by_key(|ticket| ticket.as_str().to_owned());
    delivered.sort_by_key(|ticket| ticket.as_str().to_owned());
    assert_eq!(accepted, delivered, "{what}: what was accepted lies in a box, once, and nothing else does");
    assert_eq!(accepted.len(), SENDERS, "{what}: one item a token");
    assert_eq!(boxes.files().len(), 2 * SENDERS, "{what}");

    let mut signatures = 0;
    let each = &mut |stored: &Stored| {
        verify_signature(&house, stored).map(|verified| signatures += u32::from(verified))
    };
    journal::verify(&disk, Path::new(JOURNAL), ORIGIN, each)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(signatures as usize >= SENDERS, "{what}");
    house.stop().await;
}

/// The sender's signature, from the record alone; whether the record has one.
fn verify_signature(house: &House, stored: &Stored) -> Result<bool, String> {
    let request = match &stored.record {
        Record::Received(received) => &received.request,
        Record::Consulted(consulted) => &consulted.request,
        _ => return Ok(false),
    };
    let decode = |text: &str| base64_simd::STANDARD.decode_to_vec(text).map_err(|error| error.to_string());
    let certificate = house.service.open_frame(stored, "certificate").map_err(|error| error.to_string())?;
    let certificate = Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
    assert_eq!(certificate.fingerprint(), request.message_certificate.0);
    let algorithm =
        SignatureAlgorithm::from_xmldsig_uri(&request.signature_algorithm).ok_or("an unknown algorithm")?;
    let (signed, value) = (decode(&request.signed_info)?, decode(&request.signature_value)?);
    certificate.public_key().verify(algorithm, &signed, &value).map_err(|error| format!("{error:?}"))?;
    Ok(true)
}
