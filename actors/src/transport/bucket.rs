//! Token buckets: so much at once, so much a second.

use std::time::{Duration, Instant};

/// What a bucket holds and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// What may be spent at once.
    pub(crate) burst: u64,
    /// What comes back in a second; at least 1.
    pub(crate) per_second: u64,
}

/// One spender's bucket. Full at first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    left: u64,
    since: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst, since: now }
    }

    /// Spends `cost`, or nothing where there is less. What costs more than a full bucket holds empties a full one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant, cost: u64) -> bool {
        self.refill(rate, now);
        match self.left.checked_sub(cost.min(rate.burst)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Whether there is nothing to remember of it.
    pub(crate) fn is_full(&self, rate: Rate, now: Instant) -> bool {
        self.left.saturating_add(refilled(rate, self.since, now)) >= rate.burst
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let refill = refilled(rate, self.since, now);
        if refill == 0 {
            return;
        }
        self.left = self.left.saturating_add(refill).min(rate.burst);
        // Whole tokens only: what is left of the time counts for the next one.
        self.since += Duration::from_micros(refill.saturating_mul(1_000_000) / rate.per_second);
        if self.left == rate.burst {
            self.since = now;
        }
    }
}

fn refilled(rate: Rate, since: Instant, now: Instant) -> u64 {
    let micros = now.saturating_duration_since(since).as_micros();
    let tokens = micros.saturating_mul(u128::from(rate.per_second)) / 1_000_000;
    u64::try_from(tokens).unwrap_or(u64::MAX).min(rate.burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 10, per_second: 4 };

    #[test]
    fn burst_is_spent_at_once_and_comes_back_with_time() {
        let now = Instant::now();
        let mut bucket = Bucket::full(RATE, now);
        assert_eq!((0..100).filter(|_| bucket.take(RATE, now, 1)).count(), 10);
        assert!(!bucket.take(RATE, now + Duration::from_millis(249), 1));
        assert!(bucket.take(RATE, now + Duration::from_millis(250), 1));
        assert!(!bucket.take(RATE, now + Duration::from_millis(499), 1), "the time was used up");
        assert!(!bucket.is_full(RATE, now + Duration::from_secs(2)));
        assert!(bucket.is_full(RATE, now + Duration::from_secs(3)));
    }

    #[test]
    fn what_costs_more_than_a_bucket_holds_waits_for_a_full_one() {
        let now = Instant::now();
        let mut bucket = Bucket::full(RATE, now);
        assert!(bucket.take(RATE, now, 1_000));
        assert!(!bucket.take(RATE, now + Duration::from_secs(2), 1_000));
        assert!(bucket.take(RATE, now + Duration::from_secs(3), 1_000));
    }

    #[test]
    fn many_small_looks_do_not_slow_the_refill() {
        let now = Instant::now();
        let mut bucket = Bucket::full(RATE, now);
        bucket.take(RATE, now, 10);
        let taken = (0..10_000).filter(|step| bucket.take(RATE, now + Duration::from_millis(*step), 1)).count();
        assert_eq!(taken, 39);
    }
}
