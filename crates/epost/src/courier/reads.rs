//! Was it read? Each channel is asked by poll, in a task of its own: a slow one stalls no dispatch and no other channel.
//!
//! What is asked for is the index's word: items SENT and neither opened nor expired. After a restart the same items are asked for
//! again; only the window's begin is then as wide as it can truly be said to be.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use delivery::{Published, ReadStatus};
use erds::record::{self, Consigned};
use erds::{ChannelName, Record, Ticket};
use jiff::{SignedDuration, Timestamp};
use journal::Entry;
use store::index::Item;
use tokio::sync::watch;

use crate::service::{Failure, Service};

/// Polls until `stop` turns true; not at all where `read_poll_seconds` is 0.
pub(super) async fn run(service: Arc<Service>, channel: ChannelName, mut stop: watch::Receiver<bool>) {
    let pause = Duration::from_secs(service.settings().delivery.read_poll_seconds);
    if pause.is_zero() {
        return;
    }
    let mut reads = Reads { service, channel, unread_at: HashMap::new() };
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            ended = reads.round() => if let Err(failure) = ended {
                tracing::warn!(event = "courier.reads-unknown", channel = channel.as_str(), %failure);
            }
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Reads {
    service: Arc<Service>,
    channel: ChannelName,
    /// When the last poll that found the item unread began: it cannot have been opened before.
    unread_at: HashMap<Ticket, Timestamp>,
}

impl Reads {
    /// Asks once for every item that may still be opened.
    async fn round(&mut self) -> Result<(), Failure> {
        let seconds = self.service.settings().delivery.read_poll_end_seconds;
        let age = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let oldest = self.service.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        let (mut after, mut asked) = (None, HashSet::new());
        loop {
            let items = self.service.index().unread(self.channel, oldest, after, ITEMS_MAX)?;
            let Some(last) = items.last() else { break };
            after = Some(last.ticket);
            asked.extend(items.iter().map(|item| item.ticket));
            self.ask(items).await?;
        }
        // What is not asked for any more is forgotten.
        self.unread_at.retain(|ticket, _| asked.contains(ticket));
        Ok(())
    }

    async fn ask(&mut self, items: Vec<Item>) -> Result<(), Failure> {
        let (mut asked, mut by_id) = (Vec::new(), HashMap::new());
        for item in items {
            let consigned = self.consigned(&item)?;
            // Whose box it was is erased with the item: then nobody can be asked any more.
            let Ok(submission) = self.service.stored_submission(&item) else { continue };
            let message_id = consigned.message_id.clone();
            asked.push(Published { message_id: message_id.clone(), recipient: submission.recipient });
            by_id.insert(message_id, (item, consigned));
        }
        let began_at = self.service.now();
        let found = match self.service.channel(self.channel)?.poll_read(&asked).await {
            Ok(found) => found,
            Err(error) => {
                let channel = self.channel.as_str();
                tracing::warn!(event = "courier.reads-unknown", channel, failure = %error.to_string().escape_debug());
                return Ok(());
            }
        };
        for status in found {
            // Taken out: a channel that names an item twice gives one fact all the same.
            let Some((item, consigned)) = by_id.remove(&status.message_id) else { continue };
            match self.fact(&item, &consigned, &status) {
                Some(record) => {
                    self.service
                        .append(Entry { record, frames: Vec::new(), unique_keys: Vec::new() })
                        .await?;
                }
                None => {
                    self.unread_at.insert(item.ticket, began_at);
                }
            }
        }
        Ok(())
    }

    /// What the answer proves: opened, or kept to its date and not opened; none: neither yet.
    fn fact(&self, item: &Item, consigned: &Consigned, status: &ReadStatus) -> Option<Record> {
        let (ticket, at, channel) = (item.ticket, status.asked_at, self.channel);
        if status.read {
            let begin = self.unread_at.get(&ticket).copied().unwrap_or(item.received_at);
            return Some(Record::Accessed(record::Accessed {
                ticket,
                at,
                channel,
                not_before: Some(begin.min(at)), // a clock may have been set back
            }));
        }
        let expired = status.expires_at.or(consigned.expires_at).is_some_and(|end| end <= at);
        expired.then_some(Record::ExpiredUnread(record::ExpiredUnread { ticket, at, channel }))
    }

    fn consigned(&self, item: &Item) -> Result<Consigned, Failure> {
        let absent = || Failure::journal("a dispatched item without its Consigned");
        match self.service.journal().read(item.consigned.ok_or_else(absent)?)?.record {
            Record::Consigned(consigned) => Ok(consigned),
            _ => Err(absent()),
        }
    }
}

/// Items asked for in one question.
const ITEMS_MAX: usize = 100;
