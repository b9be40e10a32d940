//! The courier: takes accepted items to their channel, again and again until there is an end, and seals what became of them.
//!
//! What a crash leaves: an attempt that was not recorded is made again under the same idempotency key; a Consigned without its proof is
//! sealed later, from the record.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use delivery::breaker::{Admission, Breaker};
use delivery::retry::{Next, Schedule};
use delivery::{ContentSource, Item, ItemPart, Outcome};
use erds::record::{self, Hex32, bounded};
use erds::{ChannelName, FaultCode, Record, Submission, Ticket};
use evidence::dispatch::{DispatchDescription, ProofOfDispatchContent};
use jiff::Timestamp;
use journal::{Appended, Entry, Frame, Recorded, Stored};
use pki::digest::sha256;
use store::index::{Due, Stage};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::admission::accept::describe;
use crate::service::{Failure, Service};

mod lay;
mod reads;

/// Delivers until `stop` turns true; items under way are then left to their end or to the next start.
pub async fn run(service: Arc<Service>, mut stop: watch::Receiver<bool>) {
    // Dropped, and so ended, with this task.
    let mut polls = JoinSet::new();
    for channel in service.channels() {
        polls.spawn(reads::run(service.clone(), channel.name(), stop.clone()));
    }
    let courier = Arc::new(Courier {
        slots: service
            .channels()
            .iter()
            .map(|channel| channel.name())
            .chain([ChannelName::Batch])
            .map(|channel| (channel, slots(&service)))
            .collect(),
        under_way: Mutex::default(),
        breakers: Mutex::default(),
        service,
    });
    loop {
        courier.start_due();
        tokio::select! {
            _ = stop.changed() => return,
            () = courier.service.courier_woken() => {}
            () = tokio::time::sleep(courier.pause()) => {}
        }
    }
}

fn slots(service: &Service) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(service.settings().delivery.concurrency_max))
}

struct Courier {
    service: Arc<Service>,
    /// Of each channel its own: one that is away or slow must not stop the other.
    slots: HashMap<ChannelName, Arc<Semaphore>>,
    under_way: Mutex<HashMap<(Ticket, ChannelName), Option<Timestamp>>>,
    breakers: Mutex<HashMap<ChannelName, Breaker>>,
}

impl Courier {
    /// How long nothing is due; a wake-up ends it.
    fn pause(&self) -> Duration {
        let next = self.service.index().next_due_at().ok().flatten();
        let millis = next.map_or(LOOK_MILLIS, |at| at.duration_since(self.service.now()).as_millis());
        let held = !self.under_way().is_empty();
        // What is due but held back (under way, breaker open) is looked at again soon, not at once.
        let least = if held { HELD_MILLIS } else { SOON_MILLIS };
        Duration::from_millis(u64::try_from(millis.clamp(least, LOOK_MILLIS)).unwrap_or(1000))
    }

    fn start_due(self: &Arc<Self>) {
        let now = self.service.now();
        for (channel, slots) in &self.slots {
            for stage in [Stage::Seal, Stage::Consign] {
                self.start(*channel, slots, stage, now);
            }
        }
    }

    fn start(self: &Arc<Self>, channel: ChannelName, slots: &Arc<Semaphore>, stage: Stage, now: Timestamp) {
        let free = slots.available_permits();
        if free == 0 {
            return; // whoever ends wakes us
        }
        // What is under way is due too, and may stand before.
        let limit = free + self.under_way().len();
        let due = match self.service.index().due(channel, stage, now, limit) {
            Ok(due) => due,
            Err(error) => return tracing::error!(event = "courier.index", %error),
        };
        for due in due {
            if self.held(&due, now) {
                continue;
            }
            let Ok(slot) = slots.clone().try_acquire_owned() else { return };
            if stage == Stage::Consign && self.breaker(channel, |breaker| breaker.admit(now)) != Admission::Go
            {
                return;
            }
            self.under_way().insert((due.ticket, channel), None);
            let courier = self.clone();
            tokio::spawn(async move {
                let ticket = due.ticket;
                let again_at = match courier.deliver(due).await {
                    Ok(()) => None,
                    Err(failure) => {
                        tracing::error!(event = "courier.failed", ticket = ticket.as_str(), %failure);
                        Some(courier.service.now())
                    }
                };
                match again_at {
                    // Our own failure: the record says nothing of it, so the pause is kept here.
                    Some(at) => courier.under_way().insert((ticket, channel), Some(at)),
                    None => courier.under_way().remove(&(ticket, channel)),
                };
                drop(slot);
                courier.service.wake_courier();
            });
        }
    }

    /// Whether an item is under way, or failed by our own fault a moment ago.
    fn held(&self, due: &Due, now: Timestamp) -> bool {
        let mut under_way = self.under_way();
        match under_way.get(&(due.ticket, due.channel)) {
            None => false,
            Some(None) => true,
            Some(Some(failed_at)) if now.duration_since(*failed_at).as_secs() < OWN_FAILURE_SECONDS => true,
            Some(Some(_)) => {
                under_way.remove(&(due.ticket, due.channel));
                false
            }
        }
    }

    async fn deliver(&self, due: Due) -> Result<(), Failure> {
        let service = &self.service;
        let item = service.index().item(due.ticket)?;
        let item = item.ok_or_else(|| Failure::store("an item in the queue that is not in the index"))?;
        // Once for all that follows: with its frames it is what most of a delivery reads.
        let stored = Arc::new(service.journal().read(item.received)?);
        let submission = service.submission_of(&stored)?;
        let Record::Received(received) = &stored.record else {
            return Err(Failure::journal("an item without its Received"));
        };
        if due.channel == ChannelName::Batch {
            return self.lay(&due, &item, received, &submission).await;
        }
        let consigned = match (due.stage, item.consigned) {
            (Stage::Seal, Some(position)) => service.journal().recorded(position)?,
            _ => {
                let content =
                    Content { service: service.clone(), ticket: due.ticket, received: stored.clone() };
                match self.consign(&due, &to_deliver(due.ticket, received, &submission), &content).await? {
                    Some(consigned) => consigned,
                    None => return Ok(()),
                }
            }
        };
        self.seal(&due, received, &submission, &consigned).await
    }

    /// One attempt; its Consigned, or none where the item waits or has failed.
    async fn consign(&self, due: &Due, item: &Item, content: &Content) -> Result<Option<Recorded>, Failure> {
        let service = &self.service;
        let channel = service.channel(due.channel)?;
        let outcome = channel.consign(item, content).await;
        self.tell_breaker(due.channel, &outcome);
        let attempt = due.attempts + 1;
        let idempotency_key = delivery::ebox::idempotency_key(&due.ticket, due.channel).to_string();
        let consigned =
            |message_id: String, at, answer: &pki::digest::Digest, no_digital_user, expires_at| {
                Record::Consigned(record::Consigned {
                    ticket: due.ticket,
                    consigned_at: at,
                    channel: due.channel,
                    attempt,
                    idempotency_key: idempotency_key.clone(),
                    message_id,
                    answer_digest: Hex32(answer.as_bytes().try_into().unwrap_or_default()),
                    no_digital_user,
                    expires_at,
                })
            };
        let record = match outcome {
            Outcome::Consigned(done) => consigned(
                done.message_id,
                done.consigned_at,
                &done.answer_digest,
                done.no_digital_user,
                done.expires_at,
            ),
            Outcome::AlreadyPublished { message_id: Some(message_id), answer_digest, at } => {
                consigned(message_id, at, &answer_digest, false, None)
            }
            Outcome::AlreadyPublished { message_id: None, .. } => {
                tracing::error!(
                    event = "alarm.courier.answer-lost",
                    ticket = due.ticket.as_str(),
                    channel = due.channel.as_str()
                );
                self.again(due, attempt, &idempotency_key, "answer-lost", None)
            }
            Outcome::Failed { code, message, .. } => {
                tracing::warn!(event = "courier.refused", ticket = due.ticket.as_str(), code = %code.escape_debug(), message = %message.escape_debug());
                self.failed(due, attempt, &code)
            }
            Outcome::Retry(away) => {
                self.again(due, attempt, &idempotency_key, away.code, away.retry_after_seconds)
            }
            Outcome::Unauthorised(away) | Outcome::Ours(away) => {
                tracing::error!(event = "alarm.courier", ticket = due.ticket.as_str(), code = away.code, detail = %away.detail.escape_debug());
                self.again(due, attempt, &idempotency_key, away.code, None)
            }
        };
        let placed = matches!(record, Record::Consigned(_));
        match service.append(Entry { record, frames: Vec::new(), unique_keys: Vec::new() }).await? {
            Appended::Recorded(recorded) if placed => Ok(Some(recorded)),
            _ => Ok(None),
        }
    }

    /// The record of an attempt after which another follows, or of the end of all attempts.
    fn again(
        &self,
        due: &Due,
        attempt: u32,
        key: &str,
        outcome: &str,
        retry_after_seconds: Option<u64>,
    ) -> Record {
        let now = self.service.now();
        match self.schedule().next(
            attempt,
            due.accepted_at,
            now,
            self.service.draw_number(),
            retry_after_seconds,
        ) {
            Next::At(next_at) => Record::Attempted(record::Attempted {
                ticket: due.ticket,
                at: now,
                channel: due.channel,
                attempt,
                idempotency_key: key.to_owned(),
                outcome: bounded(outcome),
                next_at,
            }),
            Next::Spent(spent) => {
                tracing::error!(
                    event = "alarm.courier.given-up",
                    ticket = due.ticket.as_str(),
                    reason = spent.code()
                );
                self.failed(due, attempt, spent.code())
            }
        }
    }

    fn failed(&self, due: &Due, attempts: u32, reason: &str) -> Record {
        Record::ConsignmentFailed(record::ConsignmentFailed {
            ticket: due.ticket,
            at: self.service.now(),
            channel: due.channel,
            attempts,
            reason: bounded(reason),
        })
    }

    /// Seals the proof of dispatch; with no time-stamp to be had the item stays PENDING and is sealed later.
    async fn seal(
        &self,
        due: &Due,
        received: &record::Received,
        submission: &Submission,
        recorded: &Recorded,
    ) -> Result<(), Failure> {
        let service = &self.service;
        let Record::Consigned(consigned) = recorded.record() else {
            return Err(Failure::journal("a proof of something that was not consigned"));
        };
        let proof = ProofOfDispatchContent {
            environment: service.settings().environment,
            item: describe(due.ticket, &received.request.sender, submission)?,
            dispatch: DispatchDescription {
                channel: due.channel,
                message_id: consigned.message_id.clone(),
                received_at: received.request.received_at,
                consigned_at: consigned.consigned_at,
                answer_sha256: consigned.answer_digest.0,
            },
        };
        let (sealed, tsa) = match service.seal(recorded, &proof.to_xml()).await {
            Ok(sealed) => sealed,
            Err(failure) => {
                tracing::error!(event = "alarm.courier.unsealed", ticket = due.ticket.as_str(), %failure);
                let next_at = service.now() + jiff::SignedDuration::from_secs(SEAL_AGAIN_SECONDS);
                let record = Record::Attempted(record::Attempted {
                    ticket: due.ticket,
                    at: service.now(),
                    channel: due.channel,
                    attempt: due.attempts + 1,
                    idempotency_key: consigned.idempotency_key.clone(),
                    outcome: failure.code().to_owned(),
                    next_at,
                });
                service.append(Entry { record, frames: Vec::new(), unique_keys: Vec::new() }).await?;
                return Ok(());
            }
        };
        let record = Record::Dispatched(record::Dispatched {
            ticket: due.ticket,
            at: service.now(),
            channel: due.channel,
            consigned_position: recorded.position(),
            proof_xml_sha256: Hex32(sha256(sealed.xml())),
            proof_p7s_sha256: Hex32(sha256(sealed.p7s())),
            tsa,
            gen_time: sealed.gen_time(),
        });
        let frames = self.proof_frames(due.ticket, sealed.xml(), sealed.p7s())?;
        service.append(Entry { record, frames, unique_keys: Vec::new() }).await?;
        tracing::info!(event = "item.sent", ticket = due.ticket.as_str(), channel = due.channel.as_str());
        Ok(())
    }

    fn proof_frames(&self, ticket: Ticket, xml: &[u8], p7s: &[u8]) -> Result<Vec<Frame>, Failure> {
        let absent = || Failure::broken(FaultCode::RepoT01, "key.absent", ticket.as_str());
        let key = self.service.keys().open_key(ticket)?.ok_or_else(absent)?;
        Ok(vec![
            self.service.frame(ticket, &key, "dispatch.xml", xml)?,
            self.service.frame(ticket, &key, "dispatch.p7s", p7s)?,
        ])
    }

    fn tell_breaker(&self, channel: ChannelName, outcome: &Outcome) {
        let now = self.service.now();
        let change = match outcome.channel_answered() {
            Some(true) => self.breaker(channel, Breaker::succeeded),
            Some(false) => self.breaker(channel, |breaker| breaker.failed(now)),
            None => return,
        };
        tracing::debug!(event = "channel.breaker", channel = channel.as_str(), ?change);
    }

    fn breaker<T>(&self, channel: ChannelName, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        act(breakers
            .entry(channel)
            .or_insert_with(|| Breaker::new(BREAKER_FAILURES_MAX, BREAKER_OPEN_SECONDS)))
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashMap<(Ticket, ChannelName), Option<Timestamp>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn schedule(&self) -> Schedule {
        let setup = &self.service.settings().delivery;
        Schedule {
            first_seconds: setup.retry_first_seconds,
            pause_seconds_max: setup.retry_pause_seconds_max,
            deadline_seconds: setup.deadline_seconds,
            attempts_max: u32::MAX,
        }
    }
}

fn to_deliver(ticket: Ticket, received: &record::Received, submission: &Submission) -> Item {
    let part = |(stated, facts): (&erds::Part, &record::PartFacts)| ItemPart {
        name: facts.name.clone(),
        file_name: stated.download_file_name.clone(),
        mime: stated.mime.clone(),
        bytes: facts.length_bytes,
        sha256: match stated.digest.method {
            erds::DigestMethod::Sha256 => stated.digest.value.as_slice().try_into().ok(),
            _ => None,
        },
    };
    Item {
        ticket,
        sender_cbe: received.request.sender.cbe.clone(),
        sender_application: received.request.sender.application.clone(),
        recipient: submission.recipient.clone(),
        title: submission.document.title.clone(),
        document_type: submission.document.document_type.clone().unwrap_or_default(),
        language: submission.document.language,
        parts: submission.parts().zip(&received.parts).map(part).collect(),
    }
}

/// An item's files, decrypted as they are read: from the store, or from the journal's frames where they are small.
struct Content {
    service: Arc<Service>,
    ticket: Ticket,
    received: Arc<Stored>,
}

impl ContentSource for Content {
    fn open(&self, part: &str) -> std::io::Result<Box<dyn Read + Send>> {
        self.service.open_part(self.ticket, &self.received, part).map_err(std::io::Error::other)
    }
}

const LOOK_MILLIS: i128 = 5_000;
const SOON_MILLIS: i128 = 5;
const HELD_MILLIS: i128 = 100;
const OWN_FAILURE_SECONDS: i64 = 5;
const SEAL_AGAIN_SECONDS: i64 = 10;
const BREAKER_FAILURES_MAX: u32 = 5;
const BREAKER_OPEN_SECONDS: u32 = 30;
