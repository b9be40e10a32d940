//! All that is stored is read again: what has changed or gone is found, told and recorded.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use epost::scrub::{Pace, Round, due, once};
use epost::service::Service;
use erds::Record;
use tokio::sync::watch;

use crate::backup::Place;

/// All that is stored, read once.
pub async fn round(service: &Arc<Service>) -> Round {
    let (_go_on, stop) = watch::channel(false);
    once(service, Pace::new(NonZeroU64::MAX, stop)).await.unwrap().unwrap()
}

impl Place {
    async fn scrub(&self) -> Round {
        round(self.sandbox.service()).await
    }

    fn segment(&self) -> PathBuf {
        self.config.data.directory.join("journal/00000000000000000000.seg")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_over_what_is_whole_finds_nothing_and_is_recorded() {
    let place = Place::new().await;
    place.send("A", 900).await;
    place.send("B", 200_000).await;
    let records = place.sandbox.records().len() as u64;
    let found = place.scrub().await;
    assert_eq!((found.records, found.wrong, found.absent, &found.first), (records, 0, 0, &None));
    assert!(found.opened > 8, "messages, receipts, proofs, and the part in a file of its own: {found:?}");
    let Record::Control(act) = place.sandbox.records().pop().unwrap().record else { panic!() };
    assert_eq!((act.action.as_str(), serde_json::from_str(&act.detail).ok()), ("scrub.ended", Some(found)));
    assert!(!due(place.sandbox.service(), 0).unwrap() && !due(place.sandbox.service(), 1).unwrap());
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_has_changed_or_is_gone_is_named() {
    let place = Place::new().await;
    let ticket = place.send("A", 200_000).await;
    let folder = place.config.data.directory.join("content").join(ticket.as_str());
    let path = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let name = path.file_name().unwrap().to_str().unwrap();
    let whole = std::fs::read(&path).unwrap();
    for at in [0, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        let found = place.scrub().await;
        assert_eq!(found.wrong, 1, "byte {at}: {found:?}");
        assert!(found.first.unwrap().contains(name));
    }
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(place.scrub().await.wrong, 1, "cut");
    std::fs::remove_file(&path).unwrap();
    assert!(place.scrub().await.first.unwrap().ends_with(&format!("{name}: its file is gone")));
    std::fs::write(&path, whole).unwrap();
    assert_eq!(place.scrub().await.wrong, 0);
    let service = place.sandbox.service();
    let told = service.metrics().scrape(service, &[]).unwrap();
    assert!(told.contains("epost_security_events_total{kind=\"stored-bytes\"} 5"), "{told}");

    place.record_erasure(ticket).await;
    std::fs::remove_file(&path).unwrap();
    let found = place.scrub().await;
    assert_eq!((found.wrong, found.absent), (0, 1), "it was erased, on record");
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_has_changed_is_named() {
    let place = Place::new().await;
    place.send("A", 900).await;
    let before = std::fs::read(place.segment()).unwrap();
    // Within the first record: behind the segment's head, before the second record.
    let mut flipped = before.clone();
    flipped[300] ^= 1;
    std::fs::write(place.segment(), &flipped).unwrap();
    let found = place.scrub().await;
    assert!(found.wrong >= 1 && found.first.as_ref().unwrap().starts_with("record 0"), "{found:?}");
    place.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_ends_with_the_service() {
    let place = Place::new().await;
    place.send("A", 900).await;
    let records = place.sandbox.records().len();
    let (go_on, stop) = watch::channel(false);
    let round = once(place.sandbox.service(), Pace::new(NonZeroU64::MIN, stop));
    let (ended, _) = tokio::join!(round, async { go_on.send(true).unwrap() });
    assert_eq!(ended.unwrap(), None, "at a byte a second it would take an hour");
    assert_eq!(place.sandbox.records().len(), records, "nothing is recorded of it");
    place.sandbox.stop().await;
}
