//! How far a peer's clock is from this node's, by the time it says in its status.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Measurements of which the median counts: one slow answer, or one step of a clock that is being set, is no skew.
const SAMPLES: usize = 5;
/// An answer that took longer says too little: it may be wrong by half of that.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(4);

/// Unix milliseconds by this node's wall clock.
pub fn wall_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// One question for the time and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSample {
    /// The peer's clock less ours, milliseconds: positive where it is ahead.
    pub ahead_ms: i64,
    /// How long the answer took.
    pub round_trip: Duration,
}

impl ClockSample {
    /// As NTP does: the peer's `theirs` is taken for the middle of the time between question and answer, so that it is
    /// wrong by half the round trip at most. Both in unix milliseconds.
    pub fn new(asked: u64, round_trip: Duration, theirs: u64) -> Self {
        let half = u64::try_from(round_trip.as_millis() / 2).unwrap_or(u64::MAX);
        let difference = i128::from(theirs) - i128::from(asked.saturating_add(half));
        // What does not fit is 292 million years.
        let limit = i128::from(i64::MAX);
        let ahead_ms = i64::try_from(difference.clamp(-limit, limit)).unwrap_or_default();
        Self { ahead_ms, round_trip }
    }
}

impl ClockSample {
    /// What a node says of its clock while it asks, which came at `received`. It is as old as the way was long, so that
    /// the node seems to be behind by that much; both in unix milliseconds.
    pub fn one_way(received: u64, theirs: u64) -> Self {
        Self::new(received, Duration::ZERO, theirs)
    }
}

/// The last measurements of one peer's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockSkew(VecDeque<i64>);

impl ClockSkew {
    /// Takes a measurement in; one that took too long is left out.
    pub fn add(&mut self, sample: ClockSample) {
        if sample.round_trip > MAX_ROUND_TRIP {
            return;
        }
        if self.0.len() == SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(sample.ahead_ms);
    }

    /// Their median in seconds, positive where the peer's clock is ahead; `None` before there are three.
    pub fn seconds(&self) -> Option<f64> {
        let mut sorted: Vec<_> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        (sorted.len() > SAMPLES / 2).then(|| sorted[sorted.len() / 2] as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ahead_ms: i64) -> ClockSample {
        ClockSample { ahead_ms, round_trip: Duration::from_millis(20) }
    }

    #[test]
    fn the_peers_time_is_that_of_the_middle_of_the_round_trip() {
        let round_trip = Duration::from_millis(400);
        assert_eq!(ClockSample::new(10_000, round_trip, 10_200).ahead_ms, 0);
        assert_eq!(ClockSample::new(10_000, round_trip, 40_200).ahead_ms, 30_000);
        assert_eq!(ClockSample::new(40_000, round_trip, 10_200).ahead_ms, -30_000);
        assert_eq!(ClockSample::new(0, round_trip, u64::MAX).ahead_ms, i64::MAX);
        assert_eq!(ClockSample::new(u64::MAX, round_trip, 0).ahead_ms, -i64::MAX);
    }

    #[test]
    fn the_skew_is_the_median_of_the_last_five_and_one_wild_answer_is_none() {
        let mut skew = ClockSkew::default();
        skew.add(sample(60_000));
        skew.add(sample(100));
        assert_eq!(skew.seconds(), None);
        skew.add(sample(200));
        assert_eq!(skew.seconds(), Some(0.2));
        for _ in 0..2 {
            skew.add(sample(31_000));
        }
        assert_eq!(skew.seconds(), Some(31.0));
        (0..5).for_each(|_| skew.add(sample(0)));
        assert_eq!(skew.seconds(), Some(0.0), "what was before is forgotten");
    }

    #[test]
    fn an_answer_that_took_too_long_is_left_out() {
        let mut skew = ClockSkew::default();
        (0..5).for_each(|_| skew.add(ClockSample { ahead_ms: 9, round_trip: Duration::from_secs(5) }));
        assert_eq!(skew.seconds(), None);
    }
}
