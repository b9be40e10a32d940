//! The e-Box misbehaves; by its own count every item lies in a box once, or never and the sender hears why.

use std::sync::Arc;

use delivery::Channel;
use epost::dev::sandbox::{CITIZEN_WITHOUT_EBOX, MANDATARY, MANDATARY_QUALITY};
use erds::{ChannelName, Record, Status};
use serde_json::{Value, json};

use crate::house::draft::{citizen, submission};
use crate::house::inside::Plan;
use crate::house::scripted::{Boxes, Counting, Silent};
use crate::house::{Draft, House, Sandbox, file, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_under_one_key() {
    for fault in [
        json!({"kind": "status-503"}),
        json!({"kind": "status-500", "count": 2}),
        json!({"kind": "status-429"}),
        json!({"kind": "token-away"}),
        json!({"kind": "unauthorized"}),
        json!({"kind": "lost-answer"}),
    ] {
        let sandbox = Sandbox::start().await;
        sandbox.ebox_fault(fault.clone()).await;
        let mut draft = Draft::submission("T");
        draft.replace("ACTIVATED", "BYPASS"); // the fault is for the delivery, not for the question before it
        let receipt = sandbox.ask(&draft).await.receipt();
        let proof = sandbox.status(&receipt.ticket, Status::Sent).await;
        assert!(proof.is_some(), "{fault}");
        one_item(&sandbox.ebox_received().await, &fault);
        sandbox.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_an_error() {
    let sandbox = Sandbox::start().await;
    sandbox.ebox_fault(json!({"kind": "status-400"})).await;
    let receipt = sandbox.ask(&Draft::submission("T")).await.receipt();
    assert_eq!(
        sandbox.status(&receipt.ticket, Status::Error).await,
        None,
        "no proof of what was not dispatched"
    );
    let received = sandbox.ebox_received().await;
    assert_eq!(
        (received["posts"].as_u64(), received["items"].as_u64()),
        (Some(1), Some(0)),
        "no retry: {received}"
    );
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_opened_his_box_was_sent_to_all_the_same() {
    let sandbox = Sandbox::start().await;
    sandbox.ebox_fault(json!({"kind": "no-digital-user"})).await;
    let receipt = sandbox.ask(&Draft::submission("T")).await.receipt();
    sandbox.status(&receipt.ticket, Status::Sent).await;
    let flagged =
        |record: &Record| matches!(record, Record::Consigned(consigned) if consigned.no_digital_user);
    assert!(sandbox.records().iter().any(|stored| flagged(&stored.record)));
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_delivered_is_told_before_there_is_a_ticket() {
    let sandbox = Sandbox::start().await;
    let files = [file(1, 100)];
    let mut item = submission("T", &files);
    item.recipient = citizen(CITIZEN_WITHOUT_EBOX);
    let answer = sandbox.ask(&Draft::of(&item, &files)).await;
    assert!(sandbox.verdict(&answer).starts_with("EPOST_B02 "), "{answer}");
    let mut preferred = Draft::to_known_enterprise("T");
    preferred.replace("ACTIVATED", "PREFERRED");
    let answer = sandbox.ask(&preferred).await;
    assert!(sandbox.verdict(&answer).starts_with("EPOST_B03 "), "{answer}");
    let answer = sandbox.ask(&Draft::to_enterprise("T", MANDATARY, MANDATARY_QUALITY)).await;
    assert!(sandbox.verdict(&answer).starts_with("EPOST_B09 "), "{answer}");
    sandbox.ebox_fault(json!({"kind": "profile-away", "count": 10})).await;
    let signed = Draft::submission("T").sign();
    let answer = sandbox.send(&signed).await;
    assert!(sandbox.verdict(&answer).starts_with("SOA-02002 "), "{answer}");
    assert_eq!(answer.fault().unwrap().retry, Some(true));
    sandbox.ebox_fault(json!({"kind": "profile-away", "count": 0})).await;
    assert_eq!(sandbox.verdict(&sandbox.send(&signed).await), "accepted", "the same bytes, once it is back");
    let received =
        sandbox.records().iter().filter(|stored| matches!(stored.record, Record::Received(_))).count();
    assert_eq!(received, 1, "the others had no ticket");
    sandbox.stop().await;
}

#[track_caller]
fn one_item(received: &Value, fault: &Value) {
    assert_eq!(received["items"].as_u64(), Some(1), "{fault}: {received}");
    assert_eq!(received["postsByKey"].as_object().unwrap().len(), 1, "one key: {fault}: {received}");
    assert_eq!(received["postsWithoutKey"].as_u64(), Some(0), "{fault}: {received}");
    assert!(
        received["keysPerItem"].as_object().unwrap().values().all(|keys| keys == 1),
        "{fault}: {received}"
    );
}

/// More items than consignments may be under way at once wait for a channel that never answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_away_does_not_stop_the_other() {
    let boxes = Boxes::default();
    let counting = |name| Counting { name, boxes: boxes.clone() };
    let channels: Vec<Arc<dyn Channel>> = vec![
        Arc::new(Silent(counting(ChannelName::EboxCitizen))),
        Arc::new(counting(ChannelName::EboxEnterprise)),
    ];
    let house = House::open(Plan { channels: Some(channels), delivers: true, ..Plan::default() });
    let house = house.await.unwrap();
    for number in 0..=house.service.settings().delivery.concurrency_max {
        house.ask(&Draft::submission(&format!("citizen-{number}"))).await.receipt();
    }
    let receipt = house.ask(&Draft::to_known_enterprise("enterprise")).await.receipt();
    until(|| async { boxes.items().contains(&receipt.ticket).then_some(()) }).await;
    assert_eq!(boxes.posts(), 1);
    house.stop().await;
}
