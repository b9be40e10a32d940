//! When a failed attempt is tried again: exponential pauses with jitter, a deadline and a budget. Pure.

use jiff::{SignedDuration, Timestamp};

/// How one channel's attempts are spaced, and when they end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// Seconds before the second attempt; doubled after each failure.
    pub first_seconds: u64,
    /// Longest pause.
    pub pause_seconds_max: u64,
    /// After this time without success the consignment has failed.
    pub deadline_seconds: u64,
    /// Most attempts; the deadline usually ends first.
    pub attempts_max: u32,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// Try again at this time, not before.
    At(Timestamp),
    /// No more attempts: D.2, and the item stays visible to operators.
    Spent(Spent),
}

/// Why there are no more attempts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spent {
    /// The next attempt would lie past the deadline.
    Deadline,
    /// All attempts were made.
    Attempts,
}

impl Spent {
    /// Stable code for journal and evidence.
    pub fn code(self) -> &'static str {
        match self {
            Self::Deadline => "delivery.retry.deadline",
            Self::Attempts => "delivery.retry.attempts",
        }
    }
}

impl Schedule {
    /// Decides after `attempts` failed ones, the last of which ended at `now`. `first_due` is when the consignment was first due;
    /// `random` is uniform; `retry_after_seconds` is what the channel asked for, and is heeded up to the longest pause.
    ///
    /// The pause is drawn from the upper half of its range, so that many items that failed together come back apart, and none at once.
    pub fn next(
        &self,
        attempts: u32,
        first_due: Timestamp,
        now: Timestamp,
        random: u64,
        retry_after_seconds: Option<u64>,
    ) -> Next {
        if attempts >= self.attempts_max {
            return Next::Spent(Spent::Attempts);
        }
        let doublings = attempts.saturating_sub(1).min(32);
        let pause =
            self.first_seconds.max(1).saturating_mul(1 << doublings).min(self.pause_seconds_max.max(1));
        let pause_millis = pause.saturating_mul(1000);
        let drawn = pause_millis - random % (pause_millis / 2 + 1);
        let asked = retry_after_seconds.unwrap_or(0).min(self.pause_seconds_max).saturating_mul(1000);
        let Some(at) = later(now, drawn.max(asked)) else { return Next::Spent(Spent::Deadline) };
        match later(first_due, self.deadline_seconds.saturating_mul(1000)) {
            Some(deadline) if at > deadline => Next::Spent(Spent::Deadline),
            _ => Next::At(at),
        }
    }
}

fn later(from: Timestamp, millis: u64) -> Option<Timestamp> {
    from.checked_add(SignedDuration::from_millis(i64::try_from(millis).ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule =
        Schedule { first_seconds: 5, pause_seconds_max: 900, deadline_seconds: 3600, attempts_max: 100 };

    fn pause_millis(attempts: u32, random: u64, asked: Option<u64>) -> i64 {
        let now = Timestamp::UNIX_EPOCH;
        match SCHEDULE.next(attempts, now, now, random, asked) {
            Next::At(at) => at.as_millisecond(),
            Next::Spent(spent) => panic!("{spent:?}"),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..=10).map(|attempts| pause_millis(attempts, 0, None) / 1000).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
    }

    #[test]
    fn jitter_stays_in_the_upper_half() {
        for random in [0, 1, 2500, 2501, u64::MAX, 123_456_789] {
            let pause = pause_millis(1, random, None);
            assert!((2500..=5000).contains(&pause), "{pause}");
        }
        assert_eq!(pause_millis(1, 2500, None), 2500);
    }

    #[test]
    fn the_channels_own_wish_is_heeded_within_bounds() {
        assert_eq!(pause_millis(1, 0, Some(60)), 60_000);
        assert_eq!(pause_millis(1, 0, Some(1)), 5000);
        assert_eq!(pause_millis(1, 0, Some(u64::MAX)), 900_000);
    }

    #[test]
    fn deadline_and_budget_end_it() {
        let start = Timestamp::UNIX_EPOCH;
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(SCHEDULE.next(9, start, at(2700), 0, None), Next::At(at(3600)));
        assert_eq!(SCHEDULE.next(9, start, at(2701), 0, None), Next::Spent(Spent::Deadline));
        assert_eq!(SCHEDULE.next(100, start, start, 0, None), Next::Spent(Spent::Attempts));
    }

    #[test]
    fn extreme_values_do_not_overflow() {
        let wild = Schedule {
            first_seconds: u64::MAX,
            pause_seconds_max: u64::MAX,
            deadline_seconds: u64::MAX,
            attempts_max: u32::MAX,
        };
        assert_eq!(
            wild.next(7, Timestamp::UNIX_EPOCH, Timestamp::MAX, 0, None),
            Next::Spent(Spent::Deadline)
        );
    }
}
