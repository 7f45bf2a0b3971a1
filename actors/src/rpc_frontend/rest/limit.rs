//! The import limiter: so many blocks a second, in the order in which they came.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Longest a block waits for its turn.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Gives out turns a fixed interval apart (the generic cell rate algorithm without bursts). Pure: the caller
/// brings the time and does the waiting.
#[derive(Debug)]
pub(super) struct Pacer {
    interval: Duration,
    next: Option<Instant>,
    /// Turns before `next` that were given back.
    free: BTreeSet<Instant>,
}

/// There is no turn within [`LONGEST_WAIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany {
    /// When to ask again.
    pub(super) retry_after: Duration,
}

impl Pacer {
    pub(super) fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        Self { interval, next: None, free: BTreeSet::new() }
    }

    /// Takes a turn; answers when it is.
    pub(super) fn take(&mut self, now: Instant) -> Result<Instant, TooMany> {
        self.free = self.free.split_off(&now);
        let fresh = self.next.map_or(now, |next| next.max(now));
        let turn = self.free.first().copied().unwrap_or(fresh);
        let wait = turn - now;
        if wait > LONGEST_WAIT {
            return Err(TooMany { retry_after: wait - LONGEST_WAIT });
        }
        if !self.free.remove(&turn) {
            self.next = Some(turn + self.interval);
        }
        Ok(turn)
    }

    /// Gives a turn back that is not used; whoever comes next gets it.
    pub(super) fn give_back(&mut self, turn: Instant) {
        if !self.interval.is_zero() {
            self.free.insert(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_blocks_at_twenty_a_second_take_about_five_seconds() {
        let (mut pacer, now) = (Pacer::new(20), Instant::now());
        let turns: Vec<_> = (0..100).map(|_| pacer.take(now)).collect();
        assert_eq!(turns[0], Ok(now));
        assert_eq!(turns[99], Ok(now + Duration::from_millis(99 * 50)));
    }

    #[test]
    fn who_would_wait_longer_than_ten_seconds_is_told_when_to_come_back() {
        let (mut pacer, now) = (Pacer::new(1), Instant::now());
        for _ in 0..=10 {
            assert!(pacer.take(now).is_ok());
        }
        assert_eq!(pacer.take(now), Err(TooMany { retry_after: Duration::from_secs(1) }));
        let later = now + Duration::from_secs(1);
        assert_eq!(pacer.take(later), Ok(later + Duration::from_secs(10)), "a refusal takes no turn");
    }

    #[test]
    fn no_limit_never_waits() {
        let (mut pacer, now) = (Pacer::new(0), Instant::now());
        assert!((0..10_000).all(|_| pacer.take(now) == Ok(now)));
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let (mut pacer, now) = (Pacer::new(10), Instant::now());
        assert_eq!(pacer.take(now), Ok(now));
        let later = now + Duration::from_secs(60);
        assert_eq!(pacer.take(later), Ok(later));
        assert_eq!(pacer.take(later), Ok(later + Duration::from_millis(100)));
    }

    #[test]
    fn a_turn_that_is_given_back_goes_to_who_comes_next_while_it_lies_ahead() {
        let (mut pacer, now) = (Pacer::new(1), Instant::now());
        let turns: Vec<_> = (0..=10).map(|_| pacer.take(now).unwrap()).collect();
        assert!(pacer.take(now).is_err());
        pacer.give_back(turns[3]);
        pacer.give_back(turns[7]);
        assert_eq!([pacer.take(now), pacer.take(now)], [Ok(turns[3]), Ok(turns[7])]);
        pacer.give_back(turns[2]);
        let later = turns[2] + Duration::from_millis(1);
        assert_eq!(pacer.take(later), Ok(turns[10] + Duration::from_secs(1)), "a turn that has passed is gone");
    }
}
