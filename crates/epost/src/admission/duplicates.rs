//! Repeats: the same message, or the same Token, meets what became of the first one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use erds::{Record, Ticket};
use journal::{Position, UniqueKey};
use tokio::sync::watch;

use super::facts::keyed;
use crate::service::{Failure, Service};

/// What became of the request that holds a key.
pub enum Fate {
    /// A receipt was given, or is being made: the item of this ticket.
    Item {
        /// Its Received record.
        received: Position,
        /// Its ticket.
        ticket: Ticket,
    },
    /// It was refused; the record holds the fault.
    Refused(Position),
}

impl Service {
    /// The key to claim, or the fate of who holds it.
    ///
    /// A Withdrawn request frees its keys: the next attempt claims the key that follows from the withdrawn record's position, so that
    /// the log stays as it is and two racing resends still meet at one key.
    pub(super) fn claim(&self, base: [u8; 32]) -> Result<Result<UniqueKey, Fate>, Failure> {
        let mut key = base;
        loop {
            let Some(position) = self.journal().find(&UniqueKey(key))? else {
                return Ok(Ok(UniqueKey(key)));
            };
            match self.journal().read(position)?.record {
                Record::Received(received) if self.index().is_withdrawn(received.ticket)? => {
                    key = keyed("after-withdrawn", &[&key, &position.to_be_bytes()]);
                }
                Record::Received(received) => {
                    return Ok(Err(Fate::Item { received: position, ticket: received.ticket }));
                }
                Record::Refused(_) => return Ok(Err(Fate::Refused(position))),
                other => {
                    return Err(Failure::journal(&format!("a {} record holds a unique key", other.kind())));
                }
            }
        }
    }
}

/// Acceptances under way: a second request with the same Token waits for the first.
#[derive(Default)]
pub struct InFlight(Mutex<HashMap<Ticket, watch::Sender<()>>>);

/// Held while an acceptance is under way; dropping it wakes who waits.
pub struct UnderWay<'a> {
    in_flight: &'a InFlight,
    ticket: Ticket,
}

impl InFlight {
    /// Says that an acceptance begins; hold the result until its end is recorded and indexed.
    pub fn begin(&self, ticket: Ticket) -> UnderWay<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(ticket, watch::Sender::new(()));
        UnderWay { in_flight: self, ticket }
    }

    /// Waits until the acceptance of `ticket`, if one is under way, has ended.
    pub async fn wait(&self, ticket: Ticket) {
        let receiver = {
            let under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.get(&ticket).map(watch::Sender::subscribe)
        };
        if let Some(mut receiver) = receiver {
            // Nothing is ever sent: the error says that the sender was dropped.
            let _ = receiver.changed().await;
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.ticket);
    }
}
