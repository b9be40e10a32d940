//! Turns at something scarce: so many at once, so many that wait, each sender's in its own line and the lines served in a circle.
//!
//! Whoever asks for the hundredth time waits behind himself, not before others. Nobody's line gets longer than the room that is left
//! after it, so that a newcomer finds a place to wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// As many wait as may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Full;

/// The turns at one thing.
#[derive(Debug)]
pub(super) struct Turns {
    waiting_max: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Only those in which somebody waits; the front one is served next.
    lines: VecDeque<Line>,
}

#[derive(Debug)]
struct Line {
    whose: String,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// One turn; the next one's when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<Turns>);

impl Turns {
    pub(super) fn new(at_once_max: usize, waiting_max: usize) -> Arc<Self> {
        let state = State { free: at_once_max.max(1), lines: VecDeque::new() };
        Arc::new(Self { waiting_max, state: Mutex::new(state) })
    }

    /// Waits for a turn. Who gives up waiting takes no turn.
    pub(super) async fn take(self: &Arc<Self>, whose: &str) -> Result<Turn, Full> {
        let turn = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Turn(self.clone()));
            }
            state.queue(whose, self.waiting_max)?
        };
        // Never lost: whoever drops a line's end hands over a turn first.
        turn.await.map_err(|_| Full)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().lines.iter().map(|line| line.waiting.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue(&mut self, whose: &str, waiting_max: usize) -> Result<oneshot::Receiver<Turn>, Full> {
        for line in &mut self.lines {
            line.waiting.retain(|waiting| !waiting.is_closed());
        }
        self.lines.retain(|line| !line.waiting.is_empty());
        let all: usize = self.lines.iter().map(|line| line.waiting.len()).sum();
        let place = self.lines.iter().position(|line| line.whose == whose);
        let mine = place.and_then(|place| self.lines.get(place)).map_or(0, |line| line.waiting.len());
        if mine + 1 > waiting_max.saturating_sub(all) {
            return Err(Full);
        }
        let (give, turn) = oneshot::channel();
        match place.and_then(|place| self.lines.get_mut(place)) {
            Some(line) => line.waiting.push_back(give),
            None => self.lines.push_back(Line { whose: whose.to_owned(), waiting: [give].into() }),
        }
        Ok(turn)
    }

    /// Who is next: the first of the front line, which then goes to the end.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(mut line) = self.lines.pop_front() {
            let next = std::iter::from_fn(|| line.waiting.pop_front()).find(|waiting| !waiting.is_closed());
            if next.is_some() {
                if !line.waiting.is_empty() {
                    self.lines.push_back(line);
                }
                return next;
            }
        }
        self.free += 1;
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.0.lock().next();
        if let Some(next) = next {
            // One who gave up this very moment gives it back, and so passes it on.
            drop(next.send(Turn(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::future::{BoxFuture, FutureExt};

    use super::*;

    type Waiting = BoxFuture<'static, Result<Turn, Full>>;

    /// Asks, and is not answered yet.
    fn ask(turns: &Arc<Turns>, whose: &'static str) -> Waiting {
        let turns = turns.clone();
        let mut waiting = async move { turns.take(whose).await }.boxed();
        assert!(poll(&mut waiting).is_none());
        waiting
    }

    fn poll(waiting: &mut Waiting) -> Option<Result<Turn, Full>> {
        match waiting.poll_unpin(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn lines_are_served_in_a_circle_and_each_in_its_order() {
        let turns = Turns::new(1, 100);
        let mut turn = turns.take("first").now_or_never().unwrap().unwrap();
        let asked = ["a", "a", "a", "a", "b", "a", "c", "b"];
        let mut waiting: Vec<_> = asked.iter().map(|whose| ask(&turns, whose)).collect();
        for expected in [0, 4, 6, 1, 7, 2, 3, 5] {
            drop(turn);
            let mut served = waiting.iter_mut().enumerate().filter_map(|(n, one)| Some((n, poll(one)?)));
            let (number, taken) = served.next().unwrap();
            assert_eq!((number, served.count()), (expected, 0));
            turn = taken.unwrap();
            waiting[number] = std::future::pending().boxed();
        }
        drop(turn);
        assert_eq!((turns.waiting(), turns.lock().free), (0, 1));
    }

    #[test]
    fn nobody_s_line_is_longer_than_what_is_left_for_others() {
        let turns = Turns::new(1, 4);
        let held = turns.take("first").now_or_never().unwrap().unwrap();
        let full = |whose| turns.take(whose).now_or_never().is_some_and(|taken| taken.is_err());
        let mine = [ask(&turns, "a"), ask(&turns, "a")];
        assert!(full("a"), "two wait and two places are left: one more is one too many");
        let others = [ask(&turns, "b"), ask(&turns, "c")];
        assert!(full("d"), "four wait");
        // Who gave up frees the place at once.
        drop(mine);
        let late = [ask(&turns, "d"), ask(&turns, "e")];
        assert!(full("f"));
        drop((others, late));
        drop(held);
        assert_eq!(turns.lock().free, 1, "and nobody who gave up took a turn along");
    }

    #[test]
    fn who_gives_up_with_the_turn_in_hand_passes_it_on() {
        let turns = Turns::new(1, 4);
        let held = turns.take("first").now_or_never().unwrap().unwrap();
        let (given_up, mut next) = (ask(&turns, "a"), ask(&turns, "b"));
        drop(held);
        assert!(poll(&mut next).is_none(), "it is a's");
        drop(given_up);
        assert!(poll(&mut next).unwrap().is_ok());
    }
}
