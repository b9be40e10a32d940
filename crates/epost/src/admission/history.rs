//! getDeliveryHistory: what became of the caller's own item, event by event, a bounded page at a time.

use std::sync::Arc;

use delivery::retry::Spent;
use erds::record::bounded;
use erds::{ChannelName, Record, Refusal, Ticket};
use soap::message::ProofKind;
use soap::message::v2::{
    DeliveryEvent, DeliveryHistory, EventCode, EventSource, write_get_delivery_history_response,
};

use store::index::Item;

use super::facts::SignedMessage;
use super::{Arrived, Reply};
use crate::service::{Failure, Service};

impl Service {
    pub(super) async fn get_delivery_history(
        self: &Arc<Self>,
        arrived: &Arc<Arrived>,
        message: SignedMessage,
        ticket: Ticket,
        first: u64,
    ) -> Result<Reply, Refusal> {
        let item = self.owned(self.index().item(ticket).map_err(Failure::from)?, &message)?;
        let (events, more) = tokio::task::block_in_place(|| self.events(&item, first))?;
        self.record_read(arrived, &message, Some(ticket)).await?;
        let history = DeliveryHistory { ticket, status: item.status, events, more };
        Ok(self.signed(message.version, 200, &write_get_delivery_history_response(&history))?)
    }

    /// The events from number `first` on, which is 1 or more, and whether there are others behind them.
    fn events(&self, item: &Item, first: u64) -> Result<(Vec<DeliveryEvent>, bool), Failure> {
        let mut positions =
            self.index().history(item.ticket, first.saturating_sub(1), PAGE_EVENTS_MAX + 1)?;
        let more = positions.len() > PAGE_EVENTS_MAX;
        positions.truncate(PAGE_EVENTS_MAX);
        let events: Result<_, Failure> = (first..)
            .zip(positions)
            .map(|(number, position)| {
                let record = self.journal().read(position)?.record;
                let told = event(number, &record).ok_or_else(|| {
                    Failure::journal(&format!("a {} record as an event of an item", record.kind()))
                })?;
                let of_batch = told.channel == Some(ChannelName::Batch);
                Ok(DeliveryEvent { folder: item.folder.clone().filter(|_| of_batch), ..told })
            })
            .collect();
        Ok((events?, more))
    }
}

/// The record as its item's owner is told it; none for records that are no event.
fn event(number: u64, record: &Record) -> Option<DeliveryEvent> {
    let own = |code| DeliveryEvent {
        number,
        at: record.at(),
        code,
        source: EventSource::Own,
        channel: None,
        external_id: None,
        attempt: None,
        not_before: None,
        reason: None,
        proof: None,
        folder: None,
    };
    let by = |code, channel: ChannelName| DeliveryEvent { channel: Some(channel), ..own(code) };
    Some(match record {
        Record::Received(_) => own(EventCode::Received),
        Record::Accepted(accepted) => by(EventCode::Accepted, accepted.channel),
        Record::Attempted(attempted) => DeliveryEvent {
            attempt: Some(attempted.attempt),
            reason: Some(attempted.outcome.clone()),
            ..by(EventCode::AttemptFailed, attempted.channel)
        },
        Record::Consigned(consigned) => DeliveryEvent {
            source: source(consigned.channel),
            external_id: Some(bounded(&consigned.message_id)),
            attempt: Some(consigned.attempt),
            ..by(EventCode::Consigned, consigned.channel)
        },
        Record::ConsignmentFailed(failed) => {
            let spent = [Spent::Deadline, Spent::Attempts].iter().any(|spent| spent.code() == failed.reason);
            DeliveryEvent {
                source: if spent { EventSource::Own } else { EventSource::Channel },
                attempt: Some(failed.attempts),
                reason: Some(failed.reason.clone()),
                ..by(EventCode::Failed, failed.channel)
            }
        }
        Record::Dispatched(dispatched) => by(EventCode::Dispatched, dispatched.channel),
        Record::Accessed(accessed) => DeliveryEvent {
            source: EventSource::Channel,
            not_before: accessed.not_before,
            ..by(EventCode::Accessed, accessed.channel)
        },
        Record::ExpiredUnread(expired) => by(EventCode::ExpiredUnread, expired.channel),
        Record::HandedOver(taken) => by(EventCode::HandedOver, taken.channel),
        Record::Consulted(read) => DeliveryEvent {
            proof: Some(read.proof.as_deref().and_then(ProofKind::from_name)?),
            ..own(EventCode::ProofHandedOut)
        },
        Record::Control(act) if act.action == store::index::REQUEUED => own(EventCode::Requeued),
        Record::Control(_)
        | Record::Withdrawn(_)
        | Record::Refused(_)
        | Record::Evidenced(_)
        | Record::Packaged(_)
        | Record::Removed(_)
        | Record::Erased(_) => return None,
    })
}

/// Whose word it is that an item was placed: of a folder, which is here, our own.
fn source(channel: ChannelName) -> EventSource {
    match channel {
        ChannelName::Batch => EventSource::Own,
        ChannelName::EboxCitizen | ChannelName::EboxEnterprise => EventSource::Channel,
    }
}

/// Events of one answer; the next page goes on behind the last of them.
const PAGE_EVENTS_MAX: usize = 100;
