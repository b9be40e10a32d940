//! Circuit breaker: a channel that is away is asked by one probe at a time, not by the whole queue. Pure.

use jiff::{SignedDuration, Timestamp};

/// One channel's breaker. Not shared between channels: one that is away must not stop the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Breaker {
    failures_max: u32,
    open_for: SignedDuration,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Timestamp,
        since: Timestamp,
    },
    /// One attempt is under way; a probe whose end is never told frees the breaker at `until`.
    Probing {
        until: Timestamp,
        since: Timestamp,
    },
}

/// Whether an attempt may start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// Yes.
    Go,
    /// No; ask again at this time.
    Wait(Timestamp),
}

/// What a recorded end changed; the caller writes it into the outage register.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Nothing.
    None,
    /// The outage began now.
    Opened,
    /// The outage that began then is over.
    Closed {
        /// Its beginning.
        since: Timestamp,
    },
}

impl Breaker {
    /// Opens after `failures_max` failures in a row, and lets one probe through each `open_seconds`.
    pub fn new(failures_max: u32, open_seconds: u32) -> Self {
        Self {
            failures_max: failures_max.max(1),
            open_for: SignedDuration::from_secs(i64::from(open_seconds.max(1))),
            state: State::Closed { failures: 0 },
        }
    }

    /// Asks for leave to start an attempt. After `Go` the caller tells its end by [`Self::succeeded`] or [`Self::failed`].
    pub fn admit(&mut self, now: Timestamp) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Go,
            State::Open { until, since } | State::Probing { until, since } if now >= until => {
                self.state = State::Probing { until: self.reopens(now), since };
                Admission::Go
            }
            State::Open { until, .. } | State::Probing { until, .. } => Admission::Wait(until),
        }
    }

    /// The channel answered, whatever it said about the item.
    pub fn succeeded(&mut self) -> Change {
        let change = match self.state {
            State::Closed { .. } => Change::None,
            State::Open { since, .. } | State::Probing { since, .. } => Change::Closed { since },
        };
        self.state = State::Closed { failures: 0 };
        change
    }

    /// The channel is away: 429, 5xx, timeout, TLS, no connection.
    pub fn failed(&mut self, now: Timestamp) -> Change {
        match self.state {
            State::Closed { failures } if failures.saturating_add(1) < self.failures_max => {
                self.state = State::Closed { failures: failures + 1 };
                Change::None
            }
            State::Closed { .. } => {
                self.state = State::Open { until: self.reopens(now), since: now };
                Change::Opened
            }
            State::Open { since, .. } | State::Probing { since, .. } => {
                self.state = State::Open { until: self.reopens(now), since };
                Change::None
            }
        }
    }

    /// Since when the channel is away, if it is.
    pub fn away_since(&self) -> Option<Timestamp> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { since, .. } | State::Probing { since, .. } => Some(since),
        }
    }

    fn reopens(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.open_for).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(3, 30);
        for second in 0..2 {
            assert_eq!(breaker.failed(at(second)), Change::None);
        }
        assert_eq!(breaker.succeeded(), Change::None);
        for second in 2..4 {
            assert_eq!(breaker.failed(at(second)), Change::None);
        }
        assert_eq!(breaker.failed(at(4)), Change::Opened);
        assert_eq!(breaker.admit(at(5)), Admission::Wait(at(34)));
        assert_eq!(breaker.away_since(), Some(at(4)));
    }

    #[test]
    fn one_probe_at_a_time() {
        let mut breaker = Breaker::new(1, 30);
        breaker.failed(at(0));
        assert_eq!(breaker.admit(at(29)), Admission::Wait(at(30)));
        assert_eq!(breaker.admit(at(30)), Admission::Go);
        assert_eq!(breaker.admit(at(30)), Admission::Wait(at(60)));
        assert_eq!(breaker.failed(at(31)), Change::None);
        assert_eq!(breaker.admit(at(60)), Admission::Wait(at(61)));
        assert_eq!(breaker.admit(at(61)), Admission::Go);
        assert_eq!(breaker.succeeded(), Change::Closed { since: at(0) });
        assert_eq!(breaker.admit(at(62)), Admission::Go);
    }

    #[test]
    fn a_probe_that_never_ends_frees_the_breaker() {
        let mut breaker = Breaker::new(1, 30);
        breaker.failed(at(0));
        assert_eq!(breaker.admit(at(30)), Admission::Go);
        assert_eq!(breaker.admit(at(60)), Admission::Go);
    }
}
