//! The two clocks that the proposer compares.

use super::state::Now;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads both clocks at one instant.
pub type ReadClock = Box<dyn Fn() -> Now + Send>;

/// The wall clock, and one that nobody can set and that counts from here on.
pub fn system_clock() -> ReadClock {
    let started = since_boot();
    Box::new(move || {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic: since_boot().saturating_sub(started), wall }
    })
}

/// Goes on while the host is suspended, as the wall clock does: `CLOCK_MONOTONIC`, which [`std::time::Instant`] reads,
/// stands still then, and an authority that wakes up would take its wall clock for one that was moved.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    // Neither is ever negative, and nanoseconds are below a second.
    Duration::new(u64::try_from(at.tv_sec).unwrap_or_default(), u32::try_from(at.tv_nsec).unwrap_or_default())
}

/// There a host that was suspended is an alarm until the node is restarted.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn since_boot() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_on_alike() {
        let read = system_clock();
        let first = read();
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        let second = read();
        let passed = second.monotonic.saturating_sub(first.monotonic);
        assert!(passed >= Duration::from_millis(20) && passed < Duration::from_secs(20), "{passed:?}");
        assert!(second.wall.abs_diff(first.wall + passed) < Duration::from_secs(1), "{first:?} {second:?}");
    }
}
