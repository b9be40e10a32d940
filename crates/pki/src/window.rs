//! From when until when an answer stays the same.

use jiff::{SignedDuration, Timestamp};

/// The first and the last instant at which something holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Window {
    first: Timestamp,
    last: Timestamp,
}

impl Window {
    pub(crate) const ALWAYS: Self = Self { first: Timestamp::MIN, last: Timestamp::MAX };

    pub(crate) fn contains(&self, at: Timestamp) -> bool {
        self.first <= at && at <= self.last
    }

    /// Cut to the times on the same side as `at` of an instant from which on something holds.
    pub(crate) fn keep_side_of_begin(&mut self, begin: Timestamp, at: Timestamp) {
        if begin <= at {
            self.first = self.first.max(begin);
        } else {
            self.last = self.last.min(begin.saturating_sub(TICK).unwrap_or(begin));
        }
    }

    /// Cut to the times on the same side as `at` of the last instant at which something holds.
    pub(crate) fn keep_side_of_last(&mut self, last: Timestamp, at: Timestamp) {
        if at <= last {
            self.last = self.last.min(last);
        } else {
            self.first = self.first.max(last.saturating_add(TICK).unwrap_or(last));
        }
    }

    /// Cut to the times that both hold.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }
}

/// The least by which two instants differ.
const TICK: SignedDuration = SignedDuration::from_nanos(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_keeps_its_instant() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let cut = |cut: fn(&mut Window, Timestamp, Timestamp), of, now| {
            let mut window = Window::ALWAYS;
            cut(&mut window, at(of), at(now));
            (window.contains(at(of) - TICK), window.contains(at(of)), window.contains(at(of) + TICK))
        };
        assert_eq!(cut(Window::keep_side_of_begin, 5, 4), (true, false, false));
        assert_eq!(cut(Window::keep_side_of_begin, 5, 5), (false, true, true));
        assert_eq!(cut(Window::keep_side_of_last, 5, 5), (true, true, false));
        assert_eq!(cut(Window::keep_side_of_last, 5, 6), (false, false, true));
    }
}
