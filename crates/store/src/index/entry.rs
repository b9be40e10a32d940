//! What each record makes of an item.

use erds::record::Control;
use erds::{Event, Record, State, Status};
use jiff::Timestamp;

use super::Item;

/// An item with what only the index needs.
pub(super) struct Entry {
    pub(super) item: Item,
    pub(super) state: State,
    pub(super) attempts: u32,
    pub(super) queued_at: Option<Timestamp>,
    pub(super) due_at: Option<Timestamp>,
    pub(super) last_position: u64,
}

/// Why a record cannot follow on what came before.
#[derive(Debug, thiserror::Error)]
pub(super) enum Contradiction {
    #[error(transparent)]
    Transition(#[from] erds::IllegalTransition),
    #[error("accepted or withdrawn already, or not accepted yet")]
    Acceptance,
}

impl Entry {
    /// What a Received begins.
    pub(super) fn first(position: u64, received: &erds::record::Received) -> Self {
        Self {
            item: Item {
                ticket: received.ticket,
                institution: received.request.sender.cbe.digits().to_owned(),
                token_key: received.token_key.map(|key| key.0),
                received: position,
                received_at: received.request.received_at,
                accepted: None,
                withdrawn: false,
                consigned: None,
                dispatched: None,
                erased: None,
                status: Status::Pending,
                channel: received.channel,
                folder: received.folder.as_ref().map(|folder| folder.digits().to_owned()),
                proof_to_mailbox: received.proof_to_mailbox,
            },
            state: State::Due,
            attempts: 0,
            queued_at: None,
            due_at: None,
            last_position: position,
        }
    }

    /// What the record makes of the item; on an error it is not to be saved.
    pub(super) fn follow(&mut self, position: u64, record: &Record) -> Result<(), Contradiction> {
        let begins = matches!(record, Record::Accepted(_) | Record::Withdrawn(_));
        let open = self.item.accepted.is_none() && !self.item.withdrawn;
        let requeues = matches!(record, Record::Control(control) if control.action == REQUEUED);
        match record {
            Record::Control(_) if !requeues => return Ok(()),
            _ if begins != open || (!begins && self.item.accepted.is_none()) => {
                return Err(Contradiction::Acceptance);
            }
            Record::Accepted(accepted) => {
                self.item.accepted = Some(position);
                self.item.channel = accepted.channel;
                (self.queued_at, self.due_at) = (Some(accepted.at), Some(accepted.at));
            }
            Record::Withdrawn(_) => self.item.withdrawn = true,
            Record::Attempted(attempted) => {
                // A seal that failed is tried again too: the consignment itself stays where it is.
                if self.state != State::Consigned {
                    self.state = self.state.apply(Event::AttemptFailed)?;
                }
                self.attempts = attempted.attempt;
                self.due_at = Some(attempted.next_at);
            }
            Record::Consigned(consigned) => {
                self.state = self.state.apply(Event::Consigned)?;
                self.item.consigned = Some(position);
                self.attempts = consigned.attempt;
                self.due_at = Some(consigned.consigned_at);
            }
            Record::ConsignmentFailed(failed) => {
                self.state = self.state.apply(Event::Failed)?;
                self.attempts = failed.attempts;
                self.due_at = None;
            }
            Record::Dispatched(_) => {
                self.state = self.state.apply(Event::ProofSealed)?;
                self.item.dispatched = Some(position);
                self.due_at = None;
            }
            Record::Accessed(_) => self.state = self.state.apply(Event::Accessed)?,
            Record::ExpiredUnread(_) => self.state = self.state.apply(Event::ExpiredUnread)?,
            Record::Control(Control { at, .. }) => {
                self.state = self.state.apply(Event::Requeued)?;
                self.attempts = 0;
                (self.queued_at, self.due_at) = (Some(*at), Some(*at));
            }
            Record::Received(_)
            | Record::Refused(_)
            | Record::HandedOver(_)
            | Record::Evidenced(_)
            | Record::Packaged(_)
            | Record::Removed(_)
            | Record::Consulted(_)
            | Record::Erased(_) => {}
        }
        Ok(())
    }
}

/// The act of an operator who puts a failed item back in the queue.
pub const REQUEUED: &str = "item.requeued";
