//! The import limiter: so many blocks a second, in the order in which they came.

use std::time::{Duration, Instant};

/// Longest a block waits for its turn.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Gives out turns a fixed interval apart (the generic cell rate algorithm without bursts). Pure: the caller
/// brings the time and does the waiting.
#[derive(Debug)]
pub(super) struct Pacer {
    interval: Duration,
    next: Option<Instant>,
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
        Self { interval, next: None }
    }

    /// Takes a turn; answers how long to wait for it.
    pub(super) fn take(&mut self, now: Instant) -> Result<Duration, TooMany> {
        let turn = self.next.map_or(now, |next| next.max(now));
        let wait = turn - now;
        if wait > LONGEST_WAIT {
            return Err(TooMany { retry_after: wait - LONGEST_WAIT });
        }
        self.next = Some(turn + self.interval);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_blocks_at_twenty_a_second_take_about_five_seconds() {
        let (mut pacer, now) = (Pacer::new(20), Instant::now());
        let waits: Vec<_> = (0..100).map(|_| pacer.take(now)).collect();
        assert_eq!(waits[0], Ok(Duration::ZERO));
        assert_eq!(waits[99], Ok(Duration::from_millis(99 * 50)));
    }

    #[test]
    fn who_would_wait_longer_than_ten_seconds_is_told_when_to_come_back() {
        let (mut pacer, now) = (Pacer::new(1), Instant::now());
        for _ in 0..=10 {
            assert!(pacer.take(now).is_ok());
        }
        assert_eq!(pacer.take(now), Err(TooMany { retry_after: Duration::from_secs(1) }));
        assert_eq!(pacer.take(now + Duration::from_secs(1)), Ok(Duration::from_secs(10)), "a refusal takes no turn");
    }

    #[test]
    fn no_limit_never_waits() {
        let (mut pacer, now) = (Pacer::new(0), Instant::now());
        assert!((0..10_000).all(|_| pacer.take(now) == Ok(Duration::ZERO)));
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let (mut pacer, now) = (Pacer::new(10), Instant::now());
        assert_eq!(pacer.take(now), Ok(Duration::ZERO));
        let later = now + Duration::from_secs(60);
        assert_eq!(pacer.take(later), Ok(Duration::ZERO));
        assert_eq!(pacer.take(later), Ok(Duration::from_millis(100)));
    }
}
