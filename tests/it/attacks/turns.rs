//! Row 72: what a flood costs another sender, counted in the flooder's requests that are served before his: no clock is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use epost::signing::SigningLimits;
use erds::{Record, Ticket};

use super::flood::figure;
use crate::house::door::Door;
use crate::house::inside::{Plan, stamper};
use crate::house::scripted::Gate;
use crate::house::{Draft, certificate, until};

/// How many requests the flooder has under way, at any time.
const FLOOD: u64 = 5;
const ROUNDS: usize = 6;

/// One seal is stamped at a time, and each waits for the test: whoever comes finds a line.
#[tokio::test(flavor = "multi_thread")]
async fn row_72_a_flood_goes_before_another_once() {
    let gate = Gate::closed(stamper());
    let signing = SigningLimits { stamps_at_once_max: 1, ..SigningLimits::default() };
    let plan = Plan { stamper: gate.clone(), signing, ..Plan::default() };
    let places = FLOOD as usize;
    let door = Door::with(plan, |listen| {
        (listen.requests_max, listen.requests_per_sender_max) = (4 * places, places);
    })
    .await;
    let door = Arc::new(door);
    let ends = Arc::new(AtomicBool::new(false));
    // As soon as one is answered the next is there: his places are never free.
    let flooders: Vec<_> = (0..FLOOD)
        .map(|who| {
            let (door, ends) = (door.clone(), ends.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !ends.load(Ordering::SeqCst) {
                    number += 1;
                    let answer =
                        door.send(&Draft::submission(&format!("A-{who}-{number}")).sign(), &[]).await;
                    assert_eq!(answer.status, 200, "{answer}");
                }
            })
        })
        .collect();
    let in_line = |count: u64| {
        let door = &door;
        until(move || async move { (figure(door, "epost_seals_waiting") == count).then_some(()) })
    };
    for round in 0..ROUNDS {
        // One of the flooder's is being stamped, the others stand in his line.
        in_line(FLOOD - 1).await;
        let other = tokio::spawn({
            let door = door.clone();
            async move { door.send(&Draft::submission(&format!("B-{round}")).by("bob").sign(), &[]).await }
        });
        while !other.is_finished() {
            // Everybody is there again: one at the stamp, the rest in line. Then one stamp is given.
            let waiting = until(|| async {
                let waiting = figure(&door, "epost_seals_waiting");
                (waiting == FLOOD || other.is_finished()).then_some(waiting)
            });
            waiting.await;
            if !other.is_finished() {
                gate.passes.add_permits(1);
                gate.asked.acquire_many(2).await.unwrap().forget();
                gate.asked.add_permits(1);
            }
        }
        assert_eq!(other.await.unwrap().status, 200);
        let before = served_before(&door, round);
        println!("verdict: {before} of the flooder's {FLOOD} requests were served before the other's");
        assert!(before <= 2, "the one at the stamp, and one turn of the flooder's line: {before}");
    }
    ends.store(true, Ordering::SeqCst);
    gate.passes.add_permits(1000);
    for flooder in flooders {
        flooder.await.unwrap();
    }
}

/// How many of alice's were accepted between bob's request of that round and its acceptance.
fn served_before(door: &Door, round: usize) -> usize {
    let bob = pki::digest::sha256(certificate("bob").der());
    let mut theirs: Vec<(Ticket, bool)> = Vec::new();
    let (mut rounds, mut before) = (0, 0);
    for stored in door.house.records() {
        match stored.record {
            Record::Received(received) => {
                let is_bobs = received.request.message_certificate.0 == bob;
                theirs.push((received.ticket, is_bobs));
                if is_bobs {
                    (rounds, before) = (rounds + 1, 0);
                }
            }
            Record::Accepted(accepted) => {
                let is_bobs = theirs.iter().any(|(ticket, is_bobs)| *is_bobs && *ticket == accepted.ticket);
                if is_bobs && rounds == round + 1 {
                    return before;
                }
                before += 1;
            }
            _ => {}
        }
    }
    panic!("no acceptance of round {round}");
}
