//! The proposer's core: when to build. Pure: time comes in, effects go out.

use std::time::Duration;

/// When blocks are sealed.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Least time between two blocks; zero means as soon as a transaction is pending.
    pub interval: Duration,
    /// Seal a block every interval although nothing is pending.
    pub empty_blocks: bool,
    /// With nothing to include, seal a block this long after the last one.
    pub heartbeat: Duration,
}

/// Wall and monotonic time at one instant, as the shell reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the process's own start, also while the host is suspended; never goes back.
    pub monotonic: Duration,
    /// Since the unix epoch.
    pub wall: Duration,
}

/// What the core wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Build and seal a block.
    Build {
        /// Unix seconds, not below the head's.
        timestamp: u64,
        /// Whether the block is due although it should turn out to be empty.
        may_be_empty: bool,
    },
    /// Clocks disagree: nothing is sealed until they agree again.
    ClockDisagrees {
        /// How far the wall clock has moved against the monotonic one since the start.
        skew: Duration,
    },
    /// They agree again.
    ClockAgrees,
}

/// The wall clock may move this far against the monotonic clock before the proposer refuses to seal: more than
/// clock discipline ever steps, far less than a heartbeat.
pub(super) const MAX_CLOCK_SKEW: Duration = Duration::from_secs(30);

/// What the proposer knows between two inputs.
#[derive(Debug)]
pub struct State {
    schedule: Schedule,
    started: Now,
    permitted: bool,
    building: bool,
    head_timestamp: u64,
    head_height: u64,
    /// Nothing is sealed before the head has this height.
    held_through: u64,
    head_since: Duration,
    retry_after: Duration,
    skew_reported: bool,
}

/// After a failed build the next try waits at least this long, so that a lasting fault does not spin.
const RETRY_DELAY: Duration = Duration::from_millis(500);

impl State {
    /// Starts at a head of this height and timestamp, not permitted to propose.
    pub fn new(schedule: Schedule, now: Now, head_height: u64, head_timestamp: u64) -> Self {
        Self {
            schedule,
            started: now,
            permitted: false,
            building: false,
            head_timestamp,
            head_height,
            held_through: 0,
            head_since: now.monotonic,
            retry_after: Duration::ZERO,
            skew_reported: false,
        }
    }

    /// The sync coordinator says whether this node may propose now.
    pub fn on_permission(&mut self, permitted: bool) {
        self.permitted = permitted;
    }

    /// A block of this height carries our seal, and we lack it: nothing is sealed before it is the head.
    pub fn on_hold(&mut self, height: u64) {
        self.held_through = self.held_through.max(height);
    }

    /// A block became the durable head, sealed here or taken back from a peer.
    pub fn on_head(&mut self, now: Now, height: u64, timestamp: u64) {
        self.head_height = height;
        self.head_timestamp = timestamp;
        self.head_since = now.monotonic;
        self.building = false;
    }

    /// Building or sealing failed.
    pub fn on_build_failed(&mut self, now: Now) {
        self.building = false;
        self.retry_after = now.monotonic.saturating_add(RETRY_DELAY);
    }

    /// What was pending was in the head already, and nothing else is due.
    pub fn on_nothing_to_seal(&mut self) {
        self.building = false;
    }

    /// Time has passed or the pool has changed; `pending` says whether a transaction could be included.
    pub fn on_tick(&mut self, now: Now, pending: bool) -> Option<Effect> {
        let skew = self.clock_skew(now);
        let reported = std::mem::replace(&mut self.skew_reported, skew.is_some());
        match skew {
            Some(skew) => return (!reported).then_some(Effect::ClockDisagrees { skew }),
            None if reported => return Some(Effect::ClockAgrees),
            None => {}
        }
        let may_be_empty = self.is_empty_block_due(now);
        let due = may_be_empty || (pending && self.is_interval_over(now));
        let held = self.head_height < self.held_through;
        if !self.permitted || held || self.building || now.monotonic < self.retry_after || !due {
            return None;
        }
        self.building = true;
        Some(Effect::Build { timestamp: now.wall.as_secs().max(self.head_timestamp), may_be_empty })
    }

    fn is_interval_over(&self, now: Now) -> bool {
        self.since_head(now) >= self.schedule.interval
    }

    fn is_empty_block_due(&self, now: Now) -> bool {
        self.is_interval_over(now) && (self.schedule.empty_blocks || self.is_heartbeat_due(now))
    }

    /// The heartbeat counts from the head's own timestamp, so that a restarted authority does not owe a block.
    fn is_heartbeat_due(&self, now: Now) -> bool {
        let age = now.wall.saturating_sub(Duration::from_secs(self.head_timestamp));
        self.since_head(now) >= self.schedule.heartbeat || age >= self.schedule.heartbeat
    }

    fn since_head(&self, now: Now) -> Duration {
        now.monotonic.saturating_sub(self.head_since)
    }

    fn clock_skew(&self, now: Now) -> Option<Duration> {
        let monotonic = now.monotonic.saturating_sub(self.started.monotonic);
        let expected = self.started.wall.saturating_add(monotonic);
        let skew = now.wall.abs_diff(expected);
        (skew > MAX_CLOCK_SKEW).then_some(skew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(millis: u64) -> Now {
        let since = Duration::from_millis(millis);
        Now { monotonic: since, wall: HOUR + since }
    }

    fn permitted(interval_ms: u64, empty_blocks: bool) -> State {
        let schedule =
            Schedule { interval: Duration::from_millis(interval_ms), empty_blocks, heartbeat: Duration::from_secs(60) };
        let mut state = State::new(schedule, at(0), 0, 3_600);
        state.on_permission(true);
        state
    }

    #[test]
    fn nothing_is_built_without_permission() {
        let mut state = permitted(0, true);
        state.on_permission(false);
        assert_eq!(state.on_tick(at(120_000), true), None);
    }

    #[test]
    fn a_pending_transaction_waits_for_the_interval_and_no_longer() {
        let mut state = permitted(1_000, false);
        assert_eq!(state.on_tick(at(999), true), None);
        assert_eq!(state.on_tick(at(1_000), true), Some(Effect::Build { timestamp: 3_601, may_be_empty: false }));
    }

    #[test]
    fn with_interval_zero_a_pending_transaction_is_built_at_once() {
        let mut state = permitted(0, false);
        assert_eq!(state.on_tick(at(0), false), None);
        assert_eq!(state.on_tick(at(1), true), Some(Effect::Build { timestamp: 3_600, may_be_empty: false }));
    }

    #[test]
    fn only_one_block_is_built_at_a_time() {
        let mut state = permitted(0, true);
        assert!(state.on_tick(at(1), true).is_some());
        assert_eq!(state.on_tick(at(2), true), None);
        state.on_head(at(3), 1, 3_600);
        assert!(state.on_tick(at(4), true).is_some());
    }

    #[test]
    fn an_idle_chain_gets_a_block_every_heartbeat() {
        let mut state = permitted(1_000, false);
        assert_eq!(state.on_tick(at(59_999), false), None);
        assert!(state.on_tick(at(60_000), false).is_some());
    }

    #[test]
    fn only_a_heartbeat_or_empty_blocks_allow_a_block_to_be_empty() {
        let may_be_empty = |effect| matches!(effect, Some(Effect::Build { may_be_empty: true, .. }));
        assert!(!may_be_empty(permitted(1_000, false).on_tick(at(1_000), true)));
        assert!(may_be_empty(permitted(1_000, false).on_tick(at(60_000), true)));
        assert!(may_be_empty(permitted(1_000, true).on_tick(at(1_000), true)));
    }

    #[test]
    fn after_a_block_that_would_have_been_empty_the_next_transaction_is_built_at_once() {
        let mut state = permitted(0, false);
        assert!(state.on_tick(at(1), true).is_some());
        state.on_nothing_to_seal();
        assert_eq!(state.on_tick(at(2), false), None);
        assert!(state.on_tick(at(3), true).is_some());
    }

    #[test]
    fn the_heartbeat_counts_from_the_heads_timestamp_across_a_restart() {
        let mut state = permitted(1_000, false);
        state.on_head(at(0), 1, 3_600 - 59);
        assert_eq!(state.on_tick(at(500), false), None);
        assert!(state.on_tick(at(1_000), false).is_some());
    }

    #[test]
    fn the_timestamp_is_never_below_the_heads() {
        let mut state = permitted(0, true);
        state.on_head(at(0), 1, 9_999);
        assert_eq!(state.on_tick(at(1), true), Some(Effect::Build { timestamp: 9_999, may_be_empty: true }));
    }

    #[test]
    fn a_failed_build_is_tried_again_after_a_pause() {
        let mut state = permitted(0, true);
        assert!(state.on_tick(at(1), true).is_some());
        state.on_build_failed(at(2));
        assert_eq!(state.on_tick(at(3), true), None);
        assert!(state.on_tick(at(502), true).is_some());
    }

    #[test]
    fn nothing_is_sealed_below_a_block_of_ours_that_we_lack() {
        let mut state = permitted(0, true);
        state.on_hold(3);
        state.on_hold(2);
        assert_eq!(state.on_tick(at(1), true), None);
        state.on_head(at(2), 2, 3_600);
        assert_eq!(state.on_tick(at(3), true), None);
        state.on_head(at(4), 3, 3_600);
        assert!(state.on_tick(at(5), true).is_some());
    }

    #[test]
    fn clocks_that_disagree_stop_sealing_and_are_reported_once() {
        let mut state = permitted(0, true);
        let jumped = Now { wall: HOUR + Duration::from_secs(32), ..at(1_000) };
        assert_eq!(state.on_tick(jumped, true), Some(Effect::ClockDisagrees { skew: Duration::from_secs(31) }));
        assert_eq!(state.on_tick(jumped, true), None);
        assert_eq!(state.on_tick(at(2_000), true), Some(Effect::ClockAgrees));
        assert!(matches!(state.on_tick(at(2_000), true), Some(Effect::Build { .. })));
    }

    #[test]
    fn a_host_that_was_suspended_is_no_alarm_and_its_authority_seals_at_once() {
        let mut state = permitted(1_000, false);
        assert!(matches!(state.on_tick(at(8 * 3_600_000), false), Some(Effect::Build { may_be_empty: true, .. })));
    }

    #[test]
    fn clocks_are_compared_although_nothing_is_due_and_nothing_may_be_sealed() {
        let mut state = permitted(1_000, false);
        state.on_permission(false);
        let back = Now { wall: HOUR - Duration::from_secs(31), ..at(0) };
        assert_eq!(state.on_tick(back, false), Some(Effect::ClockDisagrees { skew: Duration::from_secs(31) }));
        assert_eq!(state.on_tick(at(1), false), Some(Effect::ClockAgrees));
        assert_eq!(state.on_tick(at(2), false), None);
    }

    #[test]
    fn a_wall_clock_that_was_set_for_good_is_taken_after_a_restart() {
        let later = Now { wall: 2 * HOUR, ..at(0) };
        let schedule = Schedule { interval: Duration::ZERO, empty_blocks: true, heartbeat: HOUR };
        let mut restarted = State::new(schedule, later, 0, 3_600);
        restarted.on_permission(true);
        let next = Now { wall: 2 * HOUR + Duration::from_millis(1), ..at(1) };
        assert!(matches!(restarted.on_tick(next, true), Some(Effect::Build { timestamp: 7_200, .. })));
    }
}
