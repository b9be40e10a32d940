//! No token is used that was not checked in full, and no slow authority stalls anybody else.

use epost::dev::tsa::Lie;
use erds::{Record, Status};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::house::inside::Plan;
use crate::house::{Draft, House, Sandbox};

#[tokio::test(flavor = "multi_thread")]
async fn row_79_no_lying_token_ends_in_a_receipt() {
    let sandbox = Sandbox::start().await;
    // One honest token first: what the stand-in replays.
    let honest = sandbox.ask(&Draft::submission("honest")).await.receipt();
    sandbox.status(&honest.ticket, Status::Sent).await;
    for lie in Lie::ALL {
        sandbox.tsa_fault(json!({"kind": lie})).await;
        refused(&sandbox, &format!("{lie:?}")).await;
    }
    for kind in ["reject", "waiting", "garbage", "truncated", "oversized", "html", "down"] {
        sandbox.tsa_fault(json!({"kind": kind})).await;
        refused(&sandbox, kind).await;
    }
    let accepted =
        sandbox.records().iter().filter(|stored| matches!(stored.record, Record::Accepted(_))).count();
    assert_eq!(accepted, 1, "the honest one alone");
    let after = sandbox.ask(&Draft::submission("reject")).await.receipt();
    sandbox.status(&after.ticket, Status::Sent).await;
    let received = sandbox.ebox_received().await;
    assert_eq!(received["items"].as_u64(), Some(2), "nothing that was withdrawn is in a box: {received}");
    sandbox.stop().await;
}

async fn refused(sandbox: &Sandbox, token: &str) {
    let answer = sandbox.ask(&Draft::submission(token)).await;
    let fault = answer.fault().unwrap_or_else(|| panic!("{token} ended in a receipt"));
    assert_eq!((fault.code.as_str(), fault.retry), ("SOA-02002", Some(true)), "{token}: {answer}");
    assert_eq!(sandbox.verdict(&answer), "SOA-02002 tsa.none-answered", "{token}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_dispatch_waits_for_an_honest_time_stamp() {
    let sandbox = Sandbox::start().await;
    sandbox.ebox_fault(json!({"kind": "latency", "delay_ms": 1500})).await;
    let receipt = sandbox.ask(&Draft::submission("T")).await.receipt();
    sandbox.tsa_fault(json!({"kind": "wrong_nonce"})).await;
    crate::house::until(|| async {
        let records = sandbox.records();
        records.iter().any(|stored| matches!(&stored.record, Record::Attempted(_))).then_some(())
    })
    .await;
    let (answer, proof) = sandbox.ask(&Draft::status(&receipt.ticket)).await.status_answer();
    assert_eq!((answer.status, proof), (Status::Pending, None), "in the box, and not SENT without its proof");
    sandbox.status(&receipt.ticket, Status::Sent).await;
    let received = sandbox.ebox_received().await;
    assert_eq!((received["items"].as_u64(), received["posts"].as_u64()), (Some(1), Some(1)), "{received}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_time_stamp_and_a_slow_ebox_stall_no_status() {
    let sandbox = Sandbox::start().await;
    let item = sandbox.ask(&Draft::submission("before")).await.receipt();
    sandbox.status(&item.ticket, Status::Sent).await;
    sandbox.tsa_fault(json!({"kind": "slow", "count": 40, "delay_ms": 3000})).await;
    sandbox.ebox_fault(json!({"kind": "latency", "count": 40, "delay_ms": 3000})).await;
    let slow: Vec<_> = (0..20)
        .map(|number| {
            let signed = Draft::submission(&format!("slow-{number}")).sign();
            let (content_type, body) = signed.http();
            let request =
                sandbox.client("alice").post(sandbox.url(signed.path)).header("content-type", content_type);
            tokio::spawn(request.body(body).send())
        })
        .collect();
    crate::house::until(|| async {
        let records = sandbox.records();
        (records.iter().filter(|stored| matches!(stored.record, Record::Received(_))).count() > 10)
            .then_some(())
    })
    .await;
    let (answer, _) = sandbox.ask(&Draft::status(&item.ticket)).await.status_answer();
    assert_eq!(answer.status, Status::Sent);
    assert!(slow.iter().any(|slow| !slow.is_finished()), "the status came while others still waited");
    for slow in slow {
        assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    }
    sandbox.stop().await;
}

/// seal.lag_seconds_max is 60 here; the stamp's own second and the test's own time lie between the two.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_stamp_that_comes_too_late_after_reception_is_on_no_receipt() {
    let told = async |late_seconds: i64| {
        let clock = move || Timestamp::now() - SignedDuration::from_secs(late_seconds);
        let clock_limits = epost::config::Clock { skew_seconds_max: 120, ..Default::default() };
        let house = House::open(Plan { clock: std::sync::Arc::new(clock), clock_limits, ..Plan::default() })
            .await
            .unwrap();
        let mut draft = Draft::submission("T");
        draft.signed_at = clock();
        let answer = house.ask(&draft).await;
        (answer.fault().map(|fault| (fault.code, fault.retry)), house.accepted_and_withdrawn())
    };
    let (fault, (accepted, withdrawn)) = told(40).await;
    assert_eq!((fault, accepted.len(), withdrawn.len()), (None, 1, 0));
    let (fault, (accepted, withdrawn)) = told(62).await;
    assert_eq!(fault, Some(("SOA-02002".to_owned(), Some(true))));
    assert_eq!((accepted.len(), withdrawn.len()), (0, 1));
}
