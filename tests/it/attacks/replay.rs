//! Row 52: time passes. What tells a repeat outlives the accepted age, the process, and the content itself.

use std::sync::Arc;

use disk::ForgetfulDisk;
use epost::config;
use epost::retention::{Retention, RunAsked};
use erds::Record;
use jiff::{SignedDuration, Timestamp, Unit};

use crate::house::inside::{Plan, stamper_of};
use crate::house::scripted::Gate;
use crate::house::{Draft, House, Signed, until};

/// What the house takes: `timestamp_lifetime_seconds_max` and `clock_skew_seconds_max` after Created.
const ACCEPTED: SignedDuration = SignedDuration::from_secs(600 + 60);
/// Every term of the default retention has ended.
const YEARS: SignedDuration = SignedDuration::from_hours(24 * 4018);

fn years_later() -> Timestamp {
    Timestamp::now() + YEARS
}

/// The next process on this disk, whose clock stands still.
async fn at(disk: &ForgetfulDisk, now: Timestamp) -> House {
    let plan = Plan { disk: disk.clone(), clock: Arc::new(move || now), ..Plan::default() };
    House::open(plan).await.unwrap()
}

/// A message with a Token, one without, and one that was refused; each with what it got.
async fn first(disk: &ForgetfulDisk, created: Timestamp) -> Vec<(Signed, Vec<u8>)> {
    let house = House::open(Plan { disk: disk.clone(), delivers: true, ..Plan::default() }).await.unwrap();
    let mut answered = Vec::new();
    for (token, attached) in [("T", true), ("", true), ("wrong", false)] {
        let mut draft = Draft { signed_at: created, lifetime_seconds: 600, ..Draft::submission(token) };
        if !attached {
            draft.attachments.clear();
        }
        let signed = draft.sign();
        let answer = house.send(&signed).await;
        assert_eq!(answer.status, if attached { 200 } else { 500 }, "{answer}");
        answered.push((signed, what(&answer)));
    }
    until(|| async { (house.service.index().counts().unwrap().sent == 2).then_some(()) }).await;
    house.stop().await;
    answered
}

/// The receipt's bytes, or the fault's: both are stored.
fn what(answer: &crate::house::Answered) -> Vec<u8> {
    if answer.status == 200 { answer.receipt().p7s } else { answer.body.clone() }
}

fn items(house: &House) -> usize {
    house.records().iter().filter(|stored| matches!(stored.record, Record::Received(_))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_52_a_key_outlives_the_accepted_age_and_the_process() {
    let disk = ForgetfulDisk::new();
    let created = Timestamp::now().round(Unit::Second).unwrap();
    let sent = first(&disk, created).await;
    // The last second in which a replay could be taken for new: it is the same one, in every process.
    for _ in 0..2 {
        let house = at(&disk, created + ACCEPTED).await;
        for (signed, expected) in &sent {
            let again = house.send(signed).await;
            println!(
                "verdict: at the accepted age: {}",
                if what(&again) == *expected { "the first answer" } else { "another" }
            );
            assert_eq!(what(&again), *expected, "{again}");
        }
        assert_eq!(items(&house), 2);
        house.stop().await;
    }
    // One second on it is refused by its age, before anybody looks for a key.
    let house = at(&disk, created + ACCEPTED + SignedDuration::from_secs(1)).await;
    for (signed, _) in &sent {
        assert_eq!(house.verdict(&house.send(signed).await), "SOA-01001 wss.timestamp.stale");
    }
    assert_eq!(items(&house), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_52_what_was_erased_is_not_taken_again_even_by_a_clock_set_back() {
    let disk = ForgetfulDisk::new();
    let created = Timestamp::now().round(Unit::Second).unwrap();
    let sent = first(&disk, created).await;
    let plan = Plan {
        disk: disk.clone(),
        clock: Arc::new(years_later),
        stamper: Gate::open(stamper_of(years_later)),
        ..Plan::default()
    };
    let house = House::open(plan).await.unwrap();
    let retention = Retention::new(house.service.clone(), config::Retention::default());
    let due = retention.plan().await.unwrap();
    let asked = RunAsked { as_of: due.as_of, plan: due.digest() };
    assert_eq!(retention.run(None, Some(&asked)).await.unwrap().erased, 3);
    for (signed, _) in &sent {
        assert_eq!(house.verdict(&house.send(signed).await), "SOA-01001 wss.timestamp.stale");
    }
    // The Token too is known for good, and the message may be signed anew.
    let anew = Draft { signed_at: years_later(), ..Draft::submission("T") };
    assert_eq!(house.verdict(&house.ask(&anew).await), "REPO_B02 item.erased");
    house.stop().await;
    let house = at(&disk, created).await;
    let told = ["REPO_B02 item.erased", "REPO_B02 item.erased", "EPOST_B07 content.part-missing"];
    for ((signed, _), expected) in sent.iter().zip(told) {
        assert_eq!(house.verdict(&house.send(signed).await), expected);
    }
    assert_eq!(items(&house), 2);
}
