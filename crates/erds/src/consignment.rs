//! The life of one consignment: an item on its way to one recipient by one channel.
//!
//! Source: design.md 4; ETSI EN 319 522-1 events D.1, D.2, D.6, E.1.

use serde::{Deserialize, Serialize};

/// Where a consignment stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Accepted, not yet in the box.
    Due,
    /// The channel confirmed the placing; its proof is not sealed yet.
    Consigned,
    /// The proof of dispatch is sealed (D.1).
    Dispatched,
    /// The channel reported the first opening (D.6).
    Accessed,
    /// The content was taken out (E.1). An end.
    HandedOver,
    /// Kept to its date and never opened: no failure of delivery. An end.
    ExpiredUnread,
    /// Given up (D.2): an operator may put it back in the queue.
    Failed,
}

/// What can happen to a consignment.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A try failed and another will follow.
    AttemptFailed,
    /// The channel confirmed the placing.
    Consigned,
    /// The proof of dispatch was sealed.
    ProofSealed,
    /// The channel reported the first opening.
    Accessed,
    /// The recipient's system took the content out.
    HandedOver,
    /// The date passed unread.
    ExpiredUnread,
    /// Refused for good, or budget or deadline spent.
    Failed,
    /// An operator puts it back in the queue.
    Requeued,
}

/// The event cannot happen in that state: our fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{event:?} cannot follow on {state:?}")]
pub struct IllegalTransition {
    /// Where it stood.
    pub state: State,
    /// What was said to happen.
    pub event: Event,
}

impl IllegalTransition {
    /// The stable dotted code.
    pub fn code(&self) -> &'static str {
        "consignment.transition"
    }
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Due,
        Self::Consigned,
        Self::Dispatched,
        Self::Accessed,
        Self::HandedOver,
        Self::ExpiredUnread,
        Self::Failed,
    ];

    /// The one way on.
    ///
    /// # Errors
    /// [`IllegalTransition`]: our fault; the state stays what it was.
    pub fn apply(self, event: Event) -> Result<Self, IllegalTransition> {
        match (self, event) {
            (Self::Due, Event::AttemptFailed) => Ok(Self::Due),
            (Self::Due, Event::Consigned) => Ok(Self::Consigned),
            (Self::Due, Event::Failed) => Ok(Self::Failed),
            (Self::Consigned, Event::ProofSealed) => Ok(Self::Dispatched),
            (Self::Dispatched, Event::Accessed) => Ok(Self::Accessed),
            (Self::Dispatched | Self::Accessed, Event::HandedOver) => Ok(Self::HandedOver),
            (Self::Dispatched, Event::ExpiredUnread) => Ok(Self::ExpiredUnread),
            (Self::Failed, Event::Requeued) => Ok(Self::Due),
            (state, event) => Err(IllegalTransition { state, event }),
        }
    }

    /// What getStatus answers. SENT only once the proof of dispatch is sealed.
    pub fn status(self) -> Status {
        match self {
            Self::Due | Self::Consigned => Status::Pending,
            Self::Dispatched | Self::Accessed | Self::HandedOver | Self::ExpiredUnread => Status::Sent,
            Self::Failed => Status::Error,
        }
    }
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AttemptFailed,
        Self::Consigned,
        Self::ProofSealed,
        Self::Accessed,
        Self::HandedOver,
        Self::ExpiredUnread,
        Self::Failed,
        Self::Requeued,
    ];
}

/// The status of an item on the wire.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Accepted, on its way.
    Pending,
    /// In the box, and its proof sealed.
    Sent,
    /// Given up.
    Error,
}

impl Status {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Sent => "SENT",
            Self::Error => "ERROR",
        }
    }

    /// The status of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Sent, Self::Error].into_iter().find(|status| status.as_str() == name)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows are states, columns the events in the order of `Event::ALL`; `.` is refused.
    const GOLDEN: &str = "\
Due           Due Consigned . . . . Failed .
Consigned     . . Dispatched . . . . .
Dispatched    . . . Accessed HandedOver ExpiredUnread . .
Accessed      . . . . HandedOver . . .
HandedOver    . . . . . . . .
ExpiredUnread . . . . . . . .
Failed        . . . . . . . Due
";

    #[test]
    fn whole_matrix() {
        let mut table = String::new();
        for state in State::ALL {
            table.push_str(&format!("{:<13}", format!("{state:?}")));
            for event in Event::ALL {
                match state.apply(event) {
                    Ok(next) => table.push_str(&format!(" {next:?}")),
                    Err(error) => {
                        assert_eq!(error, IllegalTransition { state, event });
                        table.push_str(" .");
                    }
                }
            }
            table.push('\n');
        }
        assert_eq!(table, GOLDEN);
    }

    #[test]
    fn sent_needs_the_proof() {
        let sent: Vec<State> =
            State::ALL.into_iter().filter(|state| state.status() == Status::Sent).collect();
        assert_eq!(sent, [State::Dispatched, State::Accessed, State::HandedOver, State::ExpiredUnread]);
        assert_eq!(State::Consigned.status(), Status::Pending);
        for status in [Status::Pending, Status::Sent, Status::Error] {
            assert_eq!(Status::from_name(status.as_str()), Some(status));
        }
    }
}
