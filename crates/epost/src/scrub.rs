//! Reads all that is stored again and again, slowly: bytes that have changed are found while a backup still has them as they were.
//!
//! A round reads every record against the tree's root as it was when the round began, opens all that belongs to it, puts each package that
//! was given together again, and asks the index whether it says the same. It ends as a record of the journal, whatever it found.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use erds::record::{Control, bounded};
use erds::{Record, Status, Ticket};
use jiff::SignedDuration;
use journal::merkle::Tree;
use journal::{Entry, Stored, UniqueKey};
use pki::digest::sha256;
use serde::{Deserialize, Serialize};
use store::index::Item;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::config::Scrub;
use crate::service::{Failure, Opened, Part, Service, open_parts};

/// What a round found; the detail of its record.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Records read.
    pub records: u64,
    /// Parts opened to their last byte.
    pub opened: u64,
    /// Parts that nobody can read: erased, or withdrawn.
    pub absent: u64,
    /// Records and parts that are not what was written, or gone without a record of it.
    pub wrong: u64,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

/// How fast a round reads, and whether it is to end.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second_max: NonZeroU64,
    stop: watch::Receiver<bool>,
    begun: Instant,
    bytes: u64,
}

impl Pace {
    /// From now on.
    pub fn new(bytes_per_second_max: NonZeroU64, stop: watch::Receiver<bool>) -> Self {
        Self { bytes_per_second_max, stop, begun: Instant::now(), bytes: 0 }
    }

    /// Waits until so many bytes more may be read; false: it is to end.
    fn pass(&mut self, bytes: u64) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        let due = Duration::from_secs_f64(self.bytes as f64 / self.bytes_per_second_max.get() as f64);
        loop {
            if *self.stop.borrow() {
                return false;
            }
            match due.checked_sub(self.begun.elapsed()) {
                Some(wait) if !wait.is_zero() => std::thread::sleep(wait.min(LOOK_EVERY)),
                _ => return true,
            }
        }
    }
}

/// Begins a round whenever the newest is `setup.days` old; 0: never.
pub async fn run(service: Arc<Service>, setup: Scrub, mut stop: watch::Receiver<bool>) {
    loop {
        let ended = match due(&service, setup.days) {
            Ok(true) => once(&service, Pace::new(setup.bytes_per_second_max, stop.clone())).await.map(drop),
            Ok(false) => Ok(()),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = ended {
            tracing::error!(event = "scrub.failed", %failure);
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(ASK_EVERY) => {}
        }
    }
}

/// Whether the newest round is so many days old. The journal's first record counts as one.
///
/// # Errors
/// Ours: the journal cannot be read.
pub fn due(service: &Service, days: u32) -> Result<bool, Failure> {
    if days == 0 || service.journal().size() == 0 {
        return Ok(false);
    }
    let last = service.journal().find(&key(service.last_numbered(key)?))?;
    let since = service.journal().read(last.unwrap_or(0))?.record.at();
    Ok(service.now().duration_since(since) >= SignedDuration::from_hours(24 * i64::from(days)))
}

/// Reads all that is stored, tells of each thing that is wrong, and records what was found; none: it was to end before.
///
/// # Errors
/// Ours: it could not be recorded.
pub async fn once(service: &Arc<Service>, pace: Pace) -> Result<Option<Round>, Failure> {
    let reader = service.clone();
    let read = tokio::task::spawn_blocking(move || round(&reader, pace)).await;
    let Some(found) = read.map_err(|error| Failure::store(&error.to_string()))? else { return Ok(None) };
    record(service, &found).await?;
    Ok(Some(found))
}

fn round(service: &Service, mut pace: Pace) -> Option<Round> {
    let (size, root) = service.journal().root();
    let (mut found, mut tree) = (Round::default(), Tree::default());
    for position in 0..size {
        match service.journal().read(position) {
            Ok(stored) => {
                tree.push(stored.leaf_hash);
                if let Some(what) = unlike(service, &stored) {
                    found.tell(service, position, "index", &what);
                }
                parts(service, &stored, &mut pace, &mut found);
                package(service, &stored, &mut pace, &mut found);
            }
            Err(error) => found.tell(service, position, "record", &error.to_string()),
        }
        found.records += 1;
        if !pace.pass(RECORD_BYTES) {
            return None;
        }
    }
    let index = service.data().1.join(crate::service::INDEX);
    match store::index::disagreement(&index) {
        Ok(None) => {}
        Ok(Some(what)) => found.tell(service, size, "index", &format!("{what}; {REBUILD}")),
        Err(error) => found.tell(service, size, "index", &format!("{error}; {REBUILD}")),
    }
    if found.wrong == 0 && tree.root() != root {
        found.tell(service, size, "tree", "the records lead to another root than the log's");
    }
    Some(found)
}

fn parts(service: &Service, stored: &Stored, pace: &mut Pace, found: &mut Round) {
    let keys = |ticket| service.keys().open_key(ticket);
    let (position, mut read) = (stored.position, |bytes| pace.pass(bytes));
    let mut each = |Part { ticket, name: part, opened }: Part<'_>| {
        match opened {
            Ok(Opened::Whole) => found.opened += 1,
            Ok(gone) => match promised(service, ticket) {
                Ok(false) => found.absent += 1,
                Ok(true) if gone == Opened::KeyGone => found.tell(service, position, part, "its key is gone"),
                Ok(true) => found.tell(service, position, part, "its file is gone"),
                Err(failure) => found.tell(service, position, part, &failure.to_string()),
            },
            Err(what) => found.tell(service, position, part, &what),
        }
        Ok::<_, std::convert::Infallible>(())
    };
    let Ok(()) = open_parts(stored, &keys, service.content(), &mut read, &mut each);
}

/// What was given once is given again, the same bytes: also by this version of the program.
fn package(service: &Service, stored: &Stored, pace: &mut Pace, found: &mut Round) {
    let Record::Packaged(record) = &stored.record else { return };
    let failure = match Handle::current().block_on(service.package_again(stored)) {
        Ok(package) => {
            pace.pass(package.len() as u64);
            return;
        }
        Err(failure) => failure,
    };
    // Asked only now: it may have been erased meanwhile.
    let what = match promised(service, Some(record.ticket)) {
        Ok(false) => return,
        Ok(true) => failure,
        Err(unknown) => unknown,
    };
    found.tell(service, stored.position, "package", &what.to_string());
}

/// What the index, which is derived but answers for the records, says otherwise than this one.
fn unlike(service: &Service, stored: &Stored) -> Option<String> {
    let (position, record) = (stored.position, &stored.record);
    let says = |item: &Item| match record {
        Record::Received(received) => {
            (item.received, item.received_at) == (position, received.request.received_at)
                && item.institution == received.request.sender.cbe.digits()
                && item.token_key == received.token_key.map(|key| key.0)
                && (item.channel, item.proof_to_mailbox) == (received.channel, received.proof_to_mailbox)
                && item.folder.as_deref() == received.folder.as_ref().map(|folder| folder.digits())
        }
        Record::Accepted(_) => item.accepted == Some(position),
        Record::Withdrawn(_) => item.withdrawn,
        Record::Consigned(_) => item.consigned.is_some(),
        Record::Dispatched(_) => item.dispatched == Some(position) && item.status == Status::Sent,
        _ => true,
    };
    let of_items = matches!(
        record,
        Record::Received(_)
            | Record::Accepted(_)
            | Record::Withdrawn(_)
            | Record::Consigned(_)
            | Record::Dispatched(_)
    );
    let ticket = record.ticket().filter(|_| of_items)?;
    // A record is in the journal a moment before it is indexed.
    if service.index().next_position().is_ok_and(|next| position >= next) {
        return None;
    }
    let listed = |events: &[u64]| events.len() == EVENTS_MAX || events.contains(&position);
    match (service.index().item(ticket), service.index().history(ticket, 0, EVENTS_MAX)) {
        (Ok(Some(item)), Ok(events)) if says(&item) && listed(&events) => None,
        _ => Some(format!("it says otherwise of {ticket} than the record; {REBUILD}")),
    }
}

/// Whether it belongs to an item that was accepted and never erased.
fn promised(service: &Service, ticket: Option<Ticket>) -> Result<bool, Failure> {
    let Some(ticket) = ticket else { return Ok(true) };
    let item = service.index().item(ticket)?;
    Ok(item.is_some_and(|item| item.accepted.is_some() && item.erased.is_none()))
}

impl Round {
    fn tell(&mut self, service: &Service, position: u64, part: &str, what: &str) {
        tracing::error!(event = "security.stored-bytes", position, part, what);
        service.metrics().breach("stored-bytes");
        self.wrong += 1;
        if self.first.is_none() {
            tracing::error!(event = "alarm.stored-bytes", position, part, what);
            self.first = Some(bounded(&format!("record {position}, {part}: {what}")));
        }
    }
}

async fn record(service: &Service, found: &Round) -> Result<(), Failure> {
    let detail = serde_json::to_string(found).map_err(|error| Failure::store(&error.to_string()))?;
    let record =
        Record::Control(Control { at: service.now(), action: ACTION.to_owned(), ticket: None, detail });
    let unique_keys = vec![key(service.last_numbered(key)? + 1)];
    service.append(Entry { record, frames: Vec::new(), unique_keys }).await?;
    let Round { records, opened, absent, wrong, .. } = found;
    tracing::info!(event = "scrub.ended", records, opened, absent, wrong);
    Ok(())
}

fn key(number: u64) -> UniqueKey {
    UniqueKey(sha256(format!("{ACTION}\0{number}").as_bytes()))
}

const ACTION: &str = "scrub.ended";
const REBUILD: &str = "stop the service, and let `epost index rebuild` make it again";
/// Events of an item among which a record is looked for; behind so many it is not.
const EVENTS_MAX: usize = 10_000;
/// What a record's own bytes count as.
const RECORD_BYTES: u64 = 1024;
const LOOK_EVERY: Duration = Duration::from_millis(100);
const ASK_EVERY: Duration = Duration::from_secs(600);
