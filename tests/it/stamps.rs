//! When a checkpoint is time-stamped: the first at once, the next when the last is old enough, and after a failure not before a pause.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use epost::stamp::{self, Stamps};
use jiff::{SignedDuration, Timestamp};
use journal::checkpoint::LogKey;
use journal::tiles::Publisher;
use pki::tsp;

use crate::house::House;
use crate::house::inside::{ORIGIN, Plan, stamper};
use crate::house::scripted::Gate;

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_is_due_a_day_after_the_last_and_after_a_failure_by_a_pause() {
    let now = Arc::new(AtomicI64::new(Timestamp::now().as_second()));
    let told = now.clone();
    let clock = Arc::new(move || Timestamp::from_second(told.load(Ordering::SeqCst)).unwrap());
    let gate = Gate::open(stamper());
    let clock_limits = epost::config::Clock { skew_seconds_max: u32::MAX, ..Default::default() };
    let plan = Plan { clock, clock_limits, stamper: gate.clone(), ..Plan::default() };
    let house = House::open(plan).await.unwrap();
    let pem = pki::ed25519::Ed25519Key::random().and_then(|key| key.to_pem()).unwrap();
    let key = LogKey::from_pem(ORIGIN, &pem).unwrap();
    let mut publisher = Publisher::open(Arc::new(house.disk.clone()), Path::new("t"), key).unwrap();
    let folder = Path::new("t/stamps");
    let open = || Stamps::open(Arc::new(house.disk.clone()), Path::new("t"), DAY);
    let mut publish = async || {
        house.service.record_act("test", "something new").await.unwrap();
        publisher.publish(house.service.journal()).unwrap().unwrap().clone()
    };

    let first = publish().await;
    assert!(open().stamp(&house.service, &first).await.unwrap(), "the first at once");
    let response = stamp::read(&house.disk, &stamp::response_path(folder, first.size())).unwrap();
    let gen_time = tsp::parse_response(&response).unwrap().tst_info().gen_time;
    assert_eq!(
        stamp::read(&house.disk, &stamp::note_path(folder, first.size())).unwrap(),
        first.note().as_bytes()
    );

    // The clock has whole seconds: the last before the day is over, and the first after.
    let due = (gen_time + DAY).as_second() + i64::from((gen_time + DAY).subsec_nanosecond() > 0);
    let second = publish().await;
    for (at, stamps) in [(due - 1, false), (due, true)] {
        now.store(at, Ordering::SeqCst);
        assert_eq!(open().stamp(&house.service, &second).await.unwrap(), stamps, "{at}");
    }
    assert_eq!(stamp::sizes(&house.disk, folder).unwrap(), [first.size(), second.size()]);

    let third = publish().await;
    gate.passes.close();
    let mut stamps = open();
    now.store(due + 2 * DAY.as_secs(), Ordering::SeqCst);
    assert!(stamps.stamp(&house.service, &third).await.is_err());
    for (pause_seconds, asked) in [(599, false), (600, true)] {
        now.store(due + 2 * DAY.as_secs() + pause_seconds, Ordering::SeqCst);
        assert_eq!(stamps.stamp(&house.service, &third).await.is_err(), asked, "{pause_seconds}");
    }
    house.stop().await;
}
