//! Was it read? What the channel says by poll stands in the journal as a fact of its own; the status stays SENT.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use delivery::{
    Channel, ContentSource, Facts, InquireError, Item, Outcome, PollError, Published, ReadStatus,
};
use erds::{ChannelName, EboxCheck, Recipient, Record, Refusal, Status, Submission, Ticket};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::house::ebox::EboxStandIn;
use crate::house::inside::Plan;
use crate::house::scripted::{Boxes, Counting};
use crate::house::{Draft, House, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_box_read_later_is_told_once_with_its_window() {
    let ebox = EboxStandIn::start().await;
    ebox.fault(json!({"kind": "read-later", "count": 1, "delay_ms": 1500})).await;
    let house = house(Plan::default(), ebox.channel(None)).await;
    let ticket = house.ask(&Draft::submission("T")).await.receipt().ticket;
    let found = until(async || found(&house, ticket).pop()).await;
    let Record::Accessed(accessed) = &found else { panic!("{found:?}") };
    let sent = house.records().into_iter().find_map(|stored| match stored.record {
        Record::Dispatched(dispatched) => Some(dispatched.at),
        _ => None,
    });
    assert!(accessed.not_before.unwrap() < accessed.at && sent.unwrap() < accessed.at, "{accessed:?}");
    assert_eq!(status(&house, ticket), Status::Sent);
    // Another start finds it in the journal: nobody is asked again.
    let disk = house.disk.clone();
    house.stop().await;
    let polled = Polled::new(Answer::Read);
    let house = self::house(Plan { disk, ..Plan::default() }, polled.clone()).await;
    let other = house.ask(&Draft::submission("U")).await.receipt().ticket;
    until(async || self::found(&house, other).pop()).await;
    assert_eq!(self::found(&house, ticket), [found]);
    let asked = polled.asked.lock().unwrap();
    assert!(
        !asked.iter().any(|message_id| message_id != &format!("message-{}", other.as_str())),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_to_its_date_and_unread_is_no_failure() {
    let polled = Polled::new(Answer::UnreadUntil(SignedDuration::from_hours(1)));
    let house = house(Plan::default(), polled.clone()).await;
    let ticket = house.ask(&Draft::submission("T")).await.receipt().ticket;
    until(async || (polled.polls.load(Ordering::SeqCst) > 1).then_some(())).await;
    assert_eq!(found(&house, ticket), [], "its date is to come");
    // A restart forgets nothing: it is asked for again, and its date passes at this very second.
    let disk = house.disk.clone();
    house.stop().await;
    let polled = Polled::new(Answer::UnreadUntil(SignedDuration::ZERO));
    let house = self::house(Plan { disk, ..Plan::default() }, polled).await;
    let fact = until(async || found(&house, ticket).pop()).await;
    assert!(matches!(fact, Record::ExpiredUnread(_)), "{fact:?}");
    assert_eq!(status(&house, ticket), Status::Sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_never_answers_the_question_stalls_no_dispatch() {
    let polled = Polled::new(Answer::Never);
    let house = house(Plan::default(), polled.clone()).await;
    let first = house.ask(&Draft::submission("T")).await.receipt().ticket;
    until(async || (polled.polls.load(Ordering::SeqCst) == 1).then_some(())).await;
    let second = house.ask(&Draft::submission("U")).await.receipt().ticket;
    until(async || (status(&house, second) == Status::Sent).then_some(())).await;
    assert!(polled.hangs.load(Ordering::SeqCst), "the question is still open");
    assert_eq!((found(&house, first), found(&house, second)), (Vec::new(), Vec::new()));
}

async fn house(plan: Plan, channel: Arc<dyn Channel>) -> House {
    House::open(Plan { channels: Some(vec![channel]), delivers: true, read_poll_seconds: 1, ..plan })
        .await
        .unwrap()
}

fn status(house: &House, ticket: Ticket) -> Status {
    house.service.index().item(ticket).unwrap().unwrap().status
}

/// What the journal says of the item's reading.
fn found(house: &House, ticket: Ticket) -> Vec<Record> {
    let records = house.records().into_iter().map(|stored| stored.record);
    let told = |record: &Record| matches!(record, Record::Accessed(_) | Record::ExpiredUnread(_));
    records.filter(|record| told(record) && record.ticket() == Some(ticket)).collect()
}

#[derive(Clone, Copy)]
enum Answer {
    Read,
    UnreadUntil(SignedDuration),
    Never,
}

/// A counting channel that answers each question for what was read in one way, every answer twice.
struct Polled {
    inner: Counting,
    answer: Answer,
    polls: AtomicU32,
    hangs: AtomicBool,
    asked: Mutex<Vec<String>>,
}

impl Polled {
    fn new(answer: Answer) -> Arc<Self> {
        let inner = Counting { name: ChannelName::EboxCitizen, boxes: Boxes::default() };
        let (polls, hangs) = (AtomicU32::new(0), AtomicBool::new(false));
        Arc::new(Self { inner, answer, polls, hangs, asked: Mutex::default() })
    }
}

#[async_trait]
impl Channel for Polled {
    fn name(&self) -> ChannelName {
        self.inner.name()
    }

    async fn inquire(&self, recipient: &Recipient, check: EboxCheck) -> Result<Facts, InquireError> {
        self.inner.inquire(recipient, check).await
    }

    fn can_carry(&self, submission: &Submission, part_bytes: &[u64]) -> Result<(), Refusal> {
        self.inner.can_carry(submission, part_bytes)
    }

    async fn consign(&self, item: &Item, content: &dyn ContentSource) -> Outcome {
        self.inner.consign(item, content).await
    }

    async fn poll_read(&self, asked: &[Published]) -> Result<Vec<ReadStatus>, PollError> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        self.asked.lock().unwrap().extend(asked.iter().map(|published| published.message_id.clone()));
        let asked_at = Timestamp::now();
        let (read, expires_at) = match self.answer {
            Answer::Read => (true, None),
            Answer::UnreadUntil(left) => (false, Some(asked_at + left)),
            Answer::Never => {
                self.hangs.store(true, Ordering::SeqCst);
                std::future::pending().await
            }
        };
        let twice = asked.iter().chain(asked);
        let told = |published: &Published| ReadStatus {
            message_id: published.message_id.clone(),
            read,
            expires_at,
            asked_at,
        };
        Ok(twice.map(told).collect())
    }
}
