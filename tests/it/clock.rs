//! The clock (N2): a proof's time-stamp and our clock agree, or there is no proof; what the clock does stands in the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use epost::clock;
use epost::config::Clock;
use erds::Record;
use jiff::{SignedDuration, Timestamp};
use journal::Stored;
use tokio::sync::watch;

use crate::house::inside::Plan;
use crate::house::{Draft, House, Sandbox, until};

/// A clock that is so many seconds ahead of the authority's.
#[derive(Clone, Default)]
struct Moved(Arc<AtomicI64>);

impl Moved {
    fn by(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn plan(&self) -> Plan {
        let moved = self.clone();
        let clock_limits = Clock { skew_seconds_warn: 20, skew_seconds_max: 40, ..Clock::default() };
        Plan { clock: Arc::new(move || moved.now()), clock_limits, ..Plan::default() }
    }
}

/// The control acts of this name, each by what it says.
fn acts(records: &[Stored], name: &str) -> Vec<serde_json::Value> {
    let act = |stored: &Stored| match &stored.record {
        Record::Control(act) if act.action == name => Some(serde_json::from_str(&act.detail).unwrap()),
        _ => None,
    };
    records.iter().filter_map(act).collect()
}

/// Seconds past a limit leave room for the test's own time and the second that a genTime may lack.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_from_the_authoritys_is_told_and_then_seals_nothing() {
    let moved = Moved::default();
    let house = House::open(moved.plan()).await.unwrap();
    let ask = async |seconds: i64| {
        moved.by(seconds);
        let mut draft = Draft::submission(&format!("T{seconds}-{}", house.records().len()));
        draft.signed_at = moved.now();
        let answer = house.ask(&draft).await;
        let fault = answer.fault().map(|fault| (fault.code, fault.retry));
        if fault.is_some() {
            assert_eq!(house.verdict(&answer), "SOA-02002 clock.skew");
        }
        fault
    };
    let refused = Some(("SOA-02002".to_owned(), Some(true)));
    for (seconds, expected) in [
        (0, None),
        (19, None),
        (-38, None),
        (-43, refused.clone()),
        (43, refused.clone()),
        (39, None),
        (43, refused),
        (0, None),
    ] {
        assert_eq!(ask(seconds).await, expected, "{seconds} s ahead");
    }
    let (accepted, withdrawn) = house.accepted_and_withdrawn();
    assert_eq!((accepted.len(), withdrawn.len()), (5, 3), "what was not sealed is withdrawn");
    let told: Vec<_> =
        acts(&house.records(), "clock.skew").iter().map(|act| act["standing"].clone()).collect();
    // Back at 39 it is too near the limit of 40 to take it back.
    assert_eq!(told, ["doubtful", "wrong", "agrees"], "each change once");
    let probe = |id| epost::watch::local(&house.service).into_iter().find(|probe| probe.id == id).unwrap();
    assert_eq!(probe("clock").problem, None);
    ask(50).await;
    assert!(probe("clock").problem.unwrap().contains("nothing is sealed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_before_a_start_is_told() {
    let moved = Moved::default();
    let house = House::open(moved.plan()).await.unwrap();
    house.ask(&Draft::submission("T")).await.receipt();
    let disk = house.disk.clone();
    house.stop().await;
    let looked = async |seconds: i64| {
        moved.by(seconds);
        let house = House::open(Plan { disk: disk.clone(), ..moved.plan() }).await.unwrap();
        house.service.record_act("service.start", "a test's").await.unwrap();
        let (stop, stopped) = watch::channel(false);
        stop.send(true).unwrap();
        let service = house.service.clone();
        let limits = Clock { synchronised_command: vec!["true".to_owned()], ..Clock::default() };
        let looking = tokio::spawn(clock::watch(service, limits, stopped));
        // Once it was asked, the start was judged.
        until(|| async { (!acts(&house.records(), "clock.synchronisation").is_empty()).then_some(()) }).await;
        looking.abort();
        let set = acts(&house.records(), "clock.set");
        house.stop().await;
        set
    };
    let set = looked(-3600).await;
    let by = set[0]["by_seconds"].as_f64().unwrap();
    assert!(set.len() == 1 && (-3600.0..-3000.0).contains(&by), "{set:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_while_serving_is_told_each_time() {
    let moved = Moved::default();
    let house = House::open(moved.plan()).await.unwrap();
    let (_go_on, stopped) = watch::channel(false);
    let limits =
        Clock { check_seconds: 1, synchronised_command: vec!["true".to_owned()], ..Clock::default() };
    let looking = tokio::spawn(clock::watch(house.service.clone(), limits, stopped));
    // Its first look, from which it counts, is over once who keeps the clock was asked.
    until(|| async { (!acts(&house.records(), "clock.synchronisation").is_empty()).then_some(()) }).await;
    let mut by = Vec::new();
    for (count, seconds) in [(1, -3600), (2, 7200)] {
        moved.by(seconds);
        until(|| async { (acts(&house.records(), "clock.set").len() == count).then_some(()) }).await;
        by.push(acts(&house.records(), "clock.set").pop().unwrap()["by_seconds"].as_f64().unwrap());
    }
    assert!((-3610.0..-3590.0).contains(&by[0]) && (10_790.0..10_810.0).contains(&by[1]), "{by:?}");
    // Set as it was when it was wrong, it seals nothing, whoever set it.
    let mut draft = Draft::submission("T");
    draft.signed_at = moved.now();
    let answer = house.ask(&draft).await;
    assert_eq!(house.verdict(&answer), "SOA-02002 clock.skew");
    looking.abort();
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_the_clock_is_asked() {
    for (command, figure) in [("true", "1"), ("false", "0")] {
        let tuned =
            |config: &mut epost::config::Config| config.clock.synchronised_command = vec![command.into()];
        let sandbox = Sandbox::start_tuned(tuned).await;
        let told = until(|| async { acts(&sandbox.records(), "clock.synchronisation").pop() }).await;
        assert_eq!(told["in_order"], command == "true");
        let (_, _, text) = sandbox.watch("/metrics").await;
        assert!(text.contains(&format!("\nepost_clock_synchronised {figure}\n")), "{text}");
        assert!(text.contains("\nepost_clock_skew_seconds 0"), "{text}");
        sandbox.stop().await;
    }
}
