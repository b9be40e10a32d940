//! The day's report on the log: made once a day that is over, from the journal of a service that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use epost::report::schedule::make_missing;
use erds::Record;
use jiff::{SignedDuration, Timestamp};

use crate::house::inside::Plan;
use crate::house::{Draft, House};

#[tokio::test(flavor = "multi_thread")]
async fn each_day_that_is_over_has_one() {
    let ahead_days = Arc::new(AtomicI64::new(0));
    let told = ahead_days.clone();
    let now = move || Timestamp::now() + SignedDuration::from_hours(24 * told.load(Ordering::SeqCst));
    let house = House::open(Plan { clock: Arc::new(now.clone()), ..Plan::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let setup = epost::config::Report::default();
    let make = async || make_missing(&house.service, folder.path(), &setup).await.unwrap();
    house.service.record_act("service.start", "").await.unwrap();
    let mut wrong = Draft::submission("T");
    wrong.attachments[0].bytes[5] ^= 1;
    assert_eq!(house.ask(&wrong).await.code(), "FILE_B01");
    house.ask(&Draft::submission("T")).await.receipt();
    assert_eq!(make().await, [], "no day is over, and none before has records");

    ahead_days.store(1, Ordering::SeqCst);
    let day = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    assert_eq!((make().await, make().await), (vec![day], vec![]), "once");
    let read = |name: String| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let report: serde_json::Value = serde_json::from_str(&read(format!("report-{day}.json"))).unwrap();
    let of_day = &report["days"][day.to_string()];
    assert_eq!((&of_day["received"], &of_day["accepted"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(of_day["refused"]["FILE_B01 content.digest-mismatch"], 1, "{report}");
    assert!(read(format!("report-{day}.txt")).contains("Personal data: none"));

    // The next two have no records of requests, and say so.
    ahead_days.store(3, Ordering::SeqCst);
    assert_eq!(make().await.len(), 2);
    let next = read(format!("report-{}.txt", day.tomorrow().unwrap().tomorrow().unwrap()));
    assert!(next.contains("nothing was recorded while serving"), "{next}");
    let acts = house
        .records()
        .into_iter()
        .filter(|stored| matches!(&stored.record, Record::Control(act) if act.action == "report.made"));
    assert_eq!(acts.count(), 3, "each stands in the journal");
    // A folder that cannot be written is an error that names it.
    let gone = folder.path().join("gone");
    let error = make_missing(&house.service, &gone, &setup).await.unwrap_err().to_string();
    assert!(error.starts_with("report.folder: ") && error.contains("gone"), "{error}");
}
