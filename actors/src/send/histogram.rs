//! Durations counted in log-scaled buckets, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Linear steps within each power of two: a quantile is at most an eighth too high.
const STEPS: usize = 8;
/// Powers of two from 1 µs to 2^27 µs (134 s).
const OCTAVES: usize = 27;
/// One bucket below 1 µs, `STEPS` an octave, one above the last.
const BUCKETS: usize = 1 + OCTAVES * STEPS + 1;
/// Prometheus gets every second octave: 1 µs, 4 µs, … 67 s.
const EXPORTED_OCTAVE_STEP: usize = 2;

/// Counts durations from 1 µs to 134 s; shorter and longer ones fall into the end buckets.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    total_nanos: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], total_nanos: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        self.buckets[bucket(duration)].fetch_add(1, Relaxed);
        self.total_nanos.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The counts now. Not atomic over all buckets: an observation in progress may be in one figure and not yet in
    /// the other.
    pub fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot {
            buckets: self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect(),
            total_nanos: self.total_nanos.load(Relaxed),
        }
    }
}

/// The counts of a [`Histogram`] at one moment, or between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramSnapshot {
    buckets: Box<[u64]>,
    total_nanos: u64,
}

impl Default for HistogramSnapshot {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), total_nanos: 0 }
    }
}

impl HistogramSnapshot {
    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets).map(|(now, then)| now.saturating_sub(*then)).collect();
        Self { buckets, total_nanos: self.total_nanos.saturating_sub(earlier.total_nanos) }
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        for (ours, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *ours = ours.saturating_add(*theirs);
        }
        self.total_nanos = self.total_nanos.saturating_add(other.total_nanos);
    }

    /// How many durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum, seconds.
    pub fn total_seconds(&self) -> f64 {
        Duration::from_nanos(self.total_nanos).as_secs_f64()
    }

    /// An upper bound of the duration that `quantile` (0 to 1) of all stay below, µs; 0 where nothing was counted.
    pub fn quantile_micros(&self, quantile: f64) -> u64 {
        let count = self.count();
        if count == 0 {
            return 0;
        }
        let rank = ((count as f64 * quantile).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        let at = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= rank
        });
        upper_micros(at.unwrap_or(BUCKETS - 1))
    }

    /// Prometheus buckets: (upper bound in seconds, count within this bucket), the last one open.
    pub fn prometheus_buckets(&self) -> Vec<(f64, u64)> {
        let mut out = Vec::with_capacity(OCTAVES / EXPORTED_OCTAVE_STEP + 2);
        let mut from = 0;
        for octave in (0..OCTAVES).step_by(EXPORTED_OCTAVE_STEP) {
            let to = 1 + octave * STEPS;
            out.push((Duration::from_micros(1 << octave).as_secs_f64(), self.buckets[from..to].iter().sum()));
            from = to;
        }
        out.push((f64::INFINITY, self.buckets[from..].iter().sum()));
        out
    }
}

fn bucket(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 {
        return 0;
    }
    let octave = micros.ilog2() as usize;
    if octave >= OCTAVES {
        return BUCKETS - 1;
    }
    // The three bits below the leading one, taken from nanoseconds so that the first octaves have steps as well.
    let within = (duration.as_nanos() - (1000 << octave)) * STEPS as u128 / (1000 << octave);
    1 + octave * STEPS + (within as usize).min(STEPS - 1)
}

/// The upper bound of a bucket, rounded up to whole µs.
fn upper_micros(bucket: usize) -> u64 {
    if bucket == 0 {
        return 1;
    }
    let (octave, step) = ((bucket - 1) / STEPS, (bucket - 1) % STEPS);
    ((1u64 << octave) * (STEPS + step + 1) as u64).div_ceil(STEPS as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_bounds_at_most_an_eighth_too_high() {
        for micros in [1u64, 2, 3, 7, 8, 9, 100, 999, 1_000, 65_535, 65_536, 1_000_000, 99_000_000] {
            let histogram = Histogram::default();
            histogram.observe(Duration::from_micros(micros));
            let answer = histogram.snapshot().quantile_micros(0.5);
            assert!(answer >= micros, "{answer} is below {micros}");
            assert!(answer <= micros + micros / STEPS as u64 + 1, "{answer} is too far above {micros}");
        }
    }

    #[test]
    fn the_99th_percentile_sees_two_slow_ones_in_a_hundred() {
        let histogram = Histogram::default();
        (0..98).for_each(|_| histogram.observe(Duration::from_micros(10)));
        (0..2).for_each(|_| histogram.observe(Duration::from_millis(50)));
        let snapshot = histogram.snapshot();
        assert!(snapshot.quantile_micros(0.5) <= 12);
        assert!(snapshot.quantile_micros(0.99) >= 50_000);
    }

    #[test]
    fn ends_of_the_scale_hold_everything_else() {
        let histogram = Histogram::default();
        histogram.observe(Duration::ZERO);
        histogram.observe(Duration::from_secs(100_000));
        histogram.observe(Duration::MAX);
        assert_eq!(histogram.snapshot().count(), 3);
        assert_eq!(histogram.snapshot().buckets[0], 1);
        assert_eq!(histogram.snapshot().buckets[BUCKETS - 1], 2);
    }

    #[test]
    fn prometheus_buckets_hold_every_observation_in_the_right_place() {
        let histogram = Histogram::default();
        for micros in [0, 1, 3, 4, 5, 1_000, 70_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let buckets = histogram.snapshot().prometheus_buckets();
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 7);
        assert_eq!(buckets[0], (0.000_001, 1));
        assert_eq!(buckets[1], (0.000_004, 2));
        assert_eq!(buckets[2], (0.000_016, 2));
        assert_eq!(buckets.last().expect("there are buckets"), &(f64::INFINITY, 1));
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn difference_of_two_snapshots_is_what_happened_between() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_secs(1));
        let earlier = histogram.snapshot();
        histogram.observe(Duration::from_micros(5));
        let between = histogram.snapshot().since(&earlier);
        assert_eq!(between.count(), 1);
        assert!(between.quantile_micros(0.99) < 10);
    }
}
