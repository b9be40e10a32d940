//! Sent again: the same item meets what became of the first one, whatever happened between.

use std::sync::Arc;

use erds::{Record, Status};

use crate::house::draft::submission;
use crate::house::inside::{Plan, stamper};
use crate::house::scripted::Gate;
use crate::house::{Draft, House, Sandbox, file, until};

#[tokio::test(flavor = "multi_thread")]
async fn row_52_the_same_bytes_and_the_same_content_get_the_same_receipt() {
    let sandbox = Sandbox::start().await;
    let draft = Draft::submission("T");
    let signed = draft.sign();
    let receipt = sandbox.send(&signed).await.receipt();
    sandbox.status(&receipt.ticket, Status::Sent).await;
    assert_eq!(sandbox.send(&signed).await.receipt(), receipt, "the same bytes");
    assert_eq!(sandbox.ask(&draft).await.receipt(), receipt, "signed anew");
    let mut other_ids = draft.clone();
    for attachment in &mut other_ids.attachments {
        let new = attachment.content_id.replace("sender.example", "other.example");
        other_ids.payload = other_ids.payload.replace(&attachment.content_id, &new);
        attachment.content_id = new;
    }
    assert_eq!(sandbox.ask(&other_ids).await.receipt(), receipt, "with new Content-IDs, as CXF draws them");
    let received = sandbox.ebox_received().await;
    println!("verdict: accepted; items in boxes after three resends: {}", received["items"]);
    assert_eq!((received["items"].as_u64(), sandbox.tsa_issued().await), (Some(1), 2), "{received}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_53_a_token_with_other_content_is_refused() {
    let house = House::new().await;
    house.ask(&Draft::submission("T")).await.receipt();
    let mut title = Draft::submission("T");
    title.replace("Letter 1", "Letter one");
    let other = [file(1, 900)];
    for draft in [title, Draft::of(&submission("T", &other), &other), Draft::to_known_enterprise("T")] {
        let answer = house.ask(&draft).await;
        assert_eq!(house.verdict(&answer), "EPOST_B04 submission.token-reused");
    }
    let answer = house.ask(&Draft::submission("T").by("bob")).await;
    assert_eq!(house.verdict(&answer), "accepted", "a Token is its institution's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_token_is_no_key() {
    let house = House::new().await;
    let draft = Draft::submission("");
    let signed = draft.sign();
    let first = house.send(&signed).await.receipt();
    assert_ne!(house.ask(&draft).await.receipt().ticket, first.ticket, "signed anew, it is another item");
    assert_eq!(house.send(&signed).await.receipt(), first, "the same signed message is the same item");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_with_a_token_in_flight_waits_for_the_first() {
    let gate = Gate::closed(stamper());
    let house = Arc::new(House::open(Plan { stamper: gate.clone(), ..Plan::default() }).await.unwrap());
    let send = || {
        let house = house.clone();
        tokio::spawn(async move { house.ask(&Draft::submission("T")).await.receipt() })
    };
    let first = send();
    gate.asked.acquire().await.unwrap().forget();
    let others: Vec<_> = (0..4).map(|_| send()).collect();
    let mut other_content = Draft::submission("T");
    other_content.replace("Letter 0", "Letter X");
    let other_content = tokio::spawn({
        let house = house.clone();
        async move { house.ask(&other_content).await.code() }
    });
    assert!(!first.is_finished() && others.iter().all(|other| !other.is_finished()));
    gate.passes.add_permits(100);
    let receipt = first.await.unwrap();
    for other in others {
        assert_eq!(other.await.unwrap(), receipt);
    }
    assert_eq!(other_content.await.unwrap(), "EPOST_B04", "known once the first has its receipt");
    assert_eq!(gate.asked.available_permits(), 0, "one time-stamp was asked for");
    assert_eq!(house.accepted_and_withdrawn(), (vec![receipt.ticket], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_first_is_withdrawn_the_one_that_waits_tries_itself() {
    let gate = Gate::closed(stamper());
    let house = Arc::new(House::open(Plan { stamper: gate.clone(), ..Plan::default() }).await.unwrap());
    let signed = Draft::submission("T").sign();
    let send = || {
        let (house, signed) = (house.clone(), signed.clone());
        tokio::spawn(async move { house.send(&signed).await })
    };
    let both = [send(), send()];
    gate.asked.acquire().await.unwrap().forget();
    gate.passes.close(); // away from here on
    for answered in both {
        let fault = answered.await.unwrap().fault().unwrap();
        assert_eq!((fault.code.as_str(), fault.retry), ("SOA-02002", Some(true)));
    }
    let (accepted, withdrawn) = house.accepted_and_withdrawn();
    assert_eq!((accepted.len(), withdrawn.len()), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_80_without_a_time_stamp_nothing_is_accepted_and_the_same_bytes_may_come_again() {
    let sandbox = Sandbox::start().await;
    sandbox.tsa_fault(serde_json::json!({"kind": "down", "count": 2})).await;
    let signed = Draft::submission("T").sign();
    for _ in 0..2 {
        let answer = sandbox.send(&signed).await;
        let fault = answer.fault().unwrap();
        assert_eq!((fault.code.as_str(), fault.retry), ("SOA-02002", Some(true)), "{answer}");
        assert_eq!(sandbox.verdict(&answer), "SOA-02002 tsa.none-answered");
    }
    let receipt = sandbox.send(&signed).await.receipt();
    sandbox.status(&receipt.ticket, Status::Sent).await;
    let withdrawn =
        sandbox.records().iter().filter(|stored| matches!(stored.record, Record::Withdrawn(_))).count();
    let received = sandbox.ebox_received().await;
    assert_eq!(
        (withdrawn, received["items"].as_u64()),
        (2, Some(1)),
        "nothing withdrawn was delivered: {received}"
    );
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_who_hangs_up_finds_his_receipt() {
    let sandbox = Sandbox::start().await;
    sandbox.tsa_fault(serde_json::json!({"kind": "slow", "delay_ms": 400})).await;
    let signed = Draft::submission("T").sign();
    let (content_type, body) = signed.http();
    let hasty = sandbox
        .client("alice")
        .post(sandbox.url(signed.path))
        .header("content-type", content_type)
        .body(body);
    let hung_up = tokio::spawn(hasty.send());
    until(|| async {
        sandbox.records().iter().any(|stored| matches!(stored.record, Record::Received(_))).then_some(())
    })
    .await;
    hung_up.abort();
    let receipt = sandbox.send(&signed).await.receipt();
    let received =
        sandbox.records().iter().filter(|stored| matches!(stored.record, Record::Received(_))).count();
    assert_eq!(received, 1, "the first request went on to its end: {receipt:?}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_refused_for_its_form_is_told_the_same_again_whoever_replays_it() {
    let house = House::new().await;
    let mut draft = Draft::submission("T");
    draft.replace(epost::dev::sandbox::CITIZEN, "00000000000");
    let signed = draft.sign();
    let captured = crate::house::Signed { tls: "bob".to_owned(), ..signed.clone() };
    let replay = async || {
        let answer = house.send(&captured).await;
        assert_eq!(house.verdict(&answer), "SOA-01001 tls.peer.other-sender");
        answer
    };
    let replays = [replay().await, replay().await];
    assert_ne!(replays[0].body, replays[1].body, "nothing was kept for another's connection");
    let first = house.send(&signed).await;
    let verdict = house.verdict(&first);
    assert!(verdict.starts_with("EPOST_B"), "his own fault, though another came first: {verdict}");
    replay().await;
    assert_eq!(house.send(&signed).await.body, first.body, "the same Id, byte for byte");
    assert_eq!(house.records().len(), 5, "each request is in the journal");
    draft.signed_at = jiff::Timestamp::now();
    assert_ne!(house.ask(&draft).await.body, first.body, "signed anew, it is another message");
}
