//! When figures are an alarm: the core. Readings come in at a steady pace, what stands comes out.
//!
//! An alarm is raised when its reading has been bad for its hold, and is over when the reading has been good for its
//! other hold. Between bad and good nothing changes, so that a figure at its limit makes one alarm and not a hundred.

use super::Alarm;
use crate::callboard::Phase;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Seeds are dialled for this long before nobody is there. A restart of the only peer is shorter.
const NO_PEERS_HOLD: Duration = Duration::from_secs(10);
/// A pool that is full for a moment under load is as it should be.
const POOL_HOLD: Duration = Duration::from_secs(5);
/// A pool fuller than this, in percent of either bound, has no room to speak of: some transactions of a batch are refused.
const POOL_FULL_PERCENT: u128 = 95;
/// Below this it has room again.
const POOL_ROOM_PERCENT: u128 = 85;
/// Refusals are counted over this long.
const MINUTE: Duration = Duration::from_secs(60);
/// When in this long no more than their share were refused, it is over; else one burst would be an alarm for a minute.
const QUIET: Duration = Duration::from_secs(15);
/// The authority stops sealing below `store.min_free_bytes`; the alarm comes at this many times as much.
const DISK_FACTOR: u64 = 2;
/// So much more must be free again, at most: without it, a log file that is rotated would clear the alarm and raise it.
const DISK_SLACK: u64 = 64 << 20;
/// Messages of a healthy node wait for milliseconds.
const SLOW_WAIT: Duration = Duration::from_secs(2);
/// Below this they are as they should be again.
const QUICK_WAIT: Duration = Duration::from_secs(1);
/// So long they must be: the quantile of few messages goes up and down.
const QUICK_HOLD: Duration = Duration::from_secs(5);
/// A peer that is connected must stay for this long: one that comes and goes is none.
const PEERS_HOLD: Duration = Duration::from_secs(3);
/// An actor that has work and takes up and ends none of it for this long hangs.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The head may be this old.
    pub head_age: Duration,
    /// So many blocks may be refused in a minute; 0: any number.
    pub rejected_per_minute: u64,
    /// `store.min_free_bytes`; 0: the disk is not watched.
    pub min_free_bytes: u64,
    /// Bounds of the pool: transactions and bytes.
    pub pool: (usize, usize),
    /// Whether peers are to be there.
    pub has_seeds: bool,
}

/// What is so now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    /// What the node is doing.
    pub phase: Phase,
    /// How old the head is.
    pub head_age: Duration,
    /// Connected peers.
    pub peers: usize,
    /// Blocks refused since the start.
    pub refused: u64,
    /// Free on the data folder's disk; `None` where that is not known.
    pub free_bytes: Option<u64>,
    /// In the pool: transactions and bytes.
    pub pool: (usize, usize),
    /// Each actor.
    pub actors: Vec<ActorReading>,
}

/// How an actor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActorReading {
    /// Its name.
    pub actor: &'static str,
    /// Messages that wait or are being answered.
    pub depth: usize,
    /// Messages taken up and messages answered, together: stands still where the actor does.
    pub progress: u64,
    /// What the slowest hundredth of its recent messages waited at least.
    pub wait: Duration,
}

/// One look at one figure.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    /// With a sentence.
    Bad(String),
    /// Neither; what stands goes on standing.
    Between,
    Good,
}

/// Holds one alarm.
#[derive(Debug, Default)]
struct Gate {
    raise_after: Duration,
    clear_after: Duration,
    /// The sentence while it stands.
    standing: Option<String>,
    /// Since when the reading speaks for a change.
    changing: Option<Duration>,
}

impl Gate {
    fn new(raise_after: Duration, clear_after: Duration) -> Self {
        Self { raise_after, clear_after, ..Self::default() }
    }

    fn on_look(&mut self, now: Duration, look: Look) -> Option<String> {
        let (wants_change, hold) = match (&self.standing, &look) {
            (None, Look::Bad(_)) => (true, self.raise_after),
            (Some(_), Look::Good) => (true, self.clear_after),
            _ => (false, Duration::ZERO),
        };
        if !wants_change {
            self.changing = None;
            if let (Some(_), Look::Bad(sentence)) = (&self.standing, look) {
                self.standing = Some(sentence);
            }
        } else if now.saturating_sub(*self.changing.get_or_insert(now)) >= hold {
            self.changing = None;
            self.standing = if let Look::Bad(sentence) = look { Some(sentence) } else { None };
        }
        self.standing.clone()
    }
}

/// The alarms that are made of figures.
#[derive(Debug)]
pub struct Watch {
    limits: Limits,
    no_peers: Gate,
    head_age: Gate,
    rejections: Gate,
    disk: Gate,
    pool: Gate,
    actors: Gate,
    /// Refusals so far, at earlier looks.
    refused: VecDeque<(Duration, u64)>,
    /// When each actor was last seen to get on, and how far it was.
    progress: BTreeMap<&'static str, (Duration, u64)>,
}

impl Watch {
    /// Nothing stands.
    pub fn new(limits: Limits) -> Self {
        let at_once = || Gate::new(Duration::ZERO, Duration::ZERO);
        Self {
            limits,
            no_peers: Gate::new(NO_PEERS_HOLD, PEERS_HOLD),
            head_age: at_once(),
            rejections: at_once(),
            disk: at_once(),
            pool: Gate::new(POOL_HOLD, POOL_HOLD),
            actors: Gate::new(Duration::ZERO, QUICK_HOLD),
            // Counted from the start of the node, as this is.
            refused: VecDeque::from([(Duration::ZERO, 0)]),
            progress: BTreeMap::new(),
        }
    }

    /// The sentence of each alarm that stands now, `None` for those that do not.
    pub fn on_readings(&mut self, now: Duration, readings: &Readings) -> [(Alarm, Option<String>); 6] {
        let (rejections, actors) = (self.look_at_rejections(now, readings), self.look_at_actors(now, readings));
        let limits = self.limits;
        [
            (Alarm::NoPeers, self.no_peers.on_look(now, peers(limits, readings))),
            (Alarm::HeadAge, self.head_age.on_look(now, head_age(limits, now, readings))),
            (Alarm::Rejections, self.rejections.on_look(now, rejections)),
            (Alarm::DiskNearlyFull, self.disk.on_look(now, disk(limits, readings))),
            (Alarm::PoolFull, self.pool.on_look(now, pool(limits, readings))),
            (Alarm::ActorSlow, self.actors.on_look(now, actors)),
        ]
    }

    fn look_at_rejections(&mut self, now: Duration, readings: &Readings) -> Look {
        let allowed = self.limits.rejected_per_minute;
        if allowed == 0 {
            return Look::Good;
        }
        let total = readings.refused;
        while self.refused.front().is_some_and(|(at, _)| now.saturating_sub(*at) > MINUTE) {
            self.refused.pop_front();
        }
        let since = |entry: Option<&(Duration, u64)>| total.saturating_sub(entry.map_or(total, |(_, count)| *count));
        let in_a_minute = since(self.refused.front());
        let lately = since(self.refused.iter().find(|(at, _)| now.saturating_sub(*at) <= QUIET));
        self.refused.push_back((now, total));
        let share = u128::from(allowed) * QUIET.as_millis() / MINUTE.as_millis();
        if self.rejections.standing.is_some() && u128::from(lately) <= share {
            // What was told of once is not counted again.
            self.refused.drain(..self.refused.len() - 1);
            return Look::Good;
        }
        match in_a_minute {
            count if count > allowed => Look::Bad(with_remedy(
                Alarm::Rejections,
                format!("{count} blocks were refused within a minute, alerts.rejected_per_minute allows {allowed}"),
            )),
            _ if self.rejections.standing.is_some() => Look::Between,
            _ => Look::Good,
        }
    }

    fn look_at_actors(&mut self, now: Duration, readings: &Readings) -> Look {
        let mut slowest: Option<(Duration, String)> = None;
        let is_quick = readings.actors.iter().all(|reading| reading.wait < QUICK_WAIT);
        for reading in &readings.actors {
            let ActorReading { actor, depth, progress, wait } = *reading;
            let seen = self.progress.entry(actor).or_insert((now, progress));
            if depth == 0 || seen.1 != progress {
                *seen = (now, progress);
            }
            let still = now.saturating_sub(seen.0);
            let (time, what) = if still >= STUCK_AFTER {
                let what =
                    format!("{actor} has {depth} messages and got on with none of them for {} s", still.as_secs());
                (still, what)
            } else {
                (wait, format!("messages wait up to {:.1} s for {actor}", wait.as_secs_f64()))
            };
            if (time >= SLOW_WAIT) && slowest.as_ref().is_none_or(|(slow, _)| time > *slow) {
                slowest = Some((time, what));
            }
        }
        match slowest {
            Some((_, what)) => Look::Bad(with_remedy(Alarm::ActorSlow, what)),
            None if is_quick => Look::Good,
            None => Look::Between,
        }
    }
}

fn with_remedy(alarm: Alarm, what: String) -> String {
    format!("{what}; {}", alarm.remedy())
}

/// A node that learns its chain or catches up has an old head by nature: there, `stalled` says when it is wrong. One that was
/// not running has one, too: what counts is how long it runs without a newer block.
fn head_age(limits: Limits, now: Duration, readings: &Readings) -> Look {
    let waits = matches!(readings.phase, Phase::Genesis | Phase::Replaying | Phase::CatchingUp);
    let age = readings.head_age.as_secs();
    match (readings.head_age.min(now).as_secs(), limits.head_age.as_secs()) {
        (lately, allowed) if lately > allowed && !waits => Look::Bad(with_remedy(
            Alarm::HeadAge,
            format!("the newest block is {age} s old, alerts.head_age_s allows {allowed}"),
        )),
        (lately, allowed) if lately > allowed => Look::Between,
        _ => Look::Good,
    }
}

fn peers(limits: Limits, readings: &Readings) -> Look {
    if readings.peers > 0 || !limits.has_seeds {
        return Look::Good;
    }
    Look::Bad(with_remedy(Alarm::NoPeers, "no peer is connected though seeds are configured".to_owned()))
}

fn disk(limits: Limits, readings: &Readings) -> Look {
    let wanted = limits.min_free_bytes.saturating_mul(DISK_FACTOR);
    match readings.free_bytes {
        None => Look::Between,
        Some(free) if free < wanted => Look::Bad(with_remedy(
            Alarm::DiskNearlyFull,
            format!(
                "the disk of node.data_dir has {free} bytes free; below store.min_free_bytes = {} an authority stops sealing",
                limits.min_free_bytes
            ),
        )),
        Some(free) if free < wanted.saturating_add((wanted / 10).min(DISK_SLACK)) => Look::Between,
        Some(_) => Look::Good,
    }
}

fn pool(limits: Limits, readings: &Readings) -> Look {
    let percent = |part: usize, whole: usize| (part as u128 * 100).checked_div(whole as u128).unwrap_or(100);
    let (transactions, bytes) = readings.pool;
    let (most, most_bytes) = limits.pool;
    match percent(transactions, most).max(percent(bytes, most_bytes)) {
        full if full >= POOL_FULL_PERCENT => Look::Bad(with_remedy(
            Alarm::PoolFull,
            format!("the pool is full: {transactions} of {most} transactions, {bytes} of {most_bytes} bytes"),
        )),
        full if full >= POOL_ROOM_PERCENT => Look::Between,
        _ => Look::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        head_age: Duration::from_secs(180),
        rejected_per_minute: 10,
        min_free_bytes: 1_000,
        pool: (100, 10_000),
        has_seeds: true,
    };

    fn healthy() -> Readings {
        Readings {
            phase: Phase::Following,
            head_age: Duration::from_secs(1),
            peers: 1,
            refused: 0,
            free_bytes: Some(1 << 40),
            pool: (0, 0),
            actors: vec![actor(0, 0, 0)],
        }
    }

    fn actor(depth: usize, progress: u64, wait_ms: u64) -> ActorReading {
        ActorReading { actor: "TxPool", depth, progress, wait: Duration::from_millis(wait_ms) }
    }

    /// Looks every half second.
    struct Looker {
        watch: Watch,
        now: Duration,
    }

    impl Looker {
        fn new(limits: Limits) -> Self {
            Self { watch: Watch::new(limits), now: Duration::ZERO }
        }

        fn look(&mut self, readings: &Readings) -> Vec<(Alarm, String)> {
            self.now += Duration::from_millis(500);
            let alarms = self.watch.on_readings(self.now, readings);
            alarms.into_iter().filter_map(|(alarm, sentence)| Some((alarm, sentence?))).collect()
        }

        /// The alarms that stand after looking at the same for so long.
        fn for_seconds(&mut self, seconds: u64, readings: &Readings) -> Vec<Alarm> {
            let mut names = Vec::new();
            for _ in 0..seconds * 2 {
                names = self.look(readings).into_iter().map(|(alarm, _)| alarm).collect();
            }
            names
        }
    }

    #[test]
    fn a_healthy_node_has_no_alarm() {
        assert_eq!(Looker::new(LIMITS).for_seconds(120, &healthy()), []);
    }

    #[test]
    fn nobody_there_is_an_alarm_after_its_hold_and_over_when_somebody_stays_and_none_without_seeds() {
        let alone = Readings { peers: 0, ..healthy() };
        let mut looker = Looker::new(LIMITS);
        assert_eq!(looker.for_seconds(9, &alone), []);
        // Somebody was there for a moment: it begins anew.
        looker.look(&healthy());
        assert_eq!(looker.for_seconds(9, &alone), []);
        assert_eq!(looker.for_seconds(2, &alone), [Alarm::NoPeers]);
        // One that comes and goes makes no row of alarms.
        for _ in 0..10 {
            assert_eq!(looker.for_seconds(2, &healthy()), [Alarm::NoPeers]);
            assert_eq!(looker.for_seconds(1, &alone), [Alarm::NoPeers]);
        }
        assert_eq!(looker.for_seconds(4, &healthy()), []);
        assert_eq!(Looker::new(Limits { has_seeds: false, ..LIMITS }).for_seconds(60, &alone), []);
    }

    #[test]
    fn an_old_head_is_an_alarm_but_not_while_catching_up() {
        let old = |phase| Readings { head_age: Duration::from_secs(181), phase, ..healthy() };
        let mut looker = Looker::new(LIMITS);
        // It was not running: its head is as old as that.
        assert_eq!(looker.for_seconds(180, &old(Phase::Following)), []);
        for phase in [Phase::Genesis, Phase::Replaying, Phase::CatchingUp] {
            assert_eq!(looker.look(&old(phase)), []);
        }
        let found = looker.look(&old(Phase::Stalled));
        assert!(found[0].1.starts_with("the newest block is 181 s old, alerts.head_age_s allows 180; "), "{found:?}");
        // It goes on standing while the node catches up.
        assert_eq!(looker.for_seconds(1, &old(Phase::CatchingUp)), [Alarm::HeadAge]);
        assert_eq!(looker.look(&Readings { head_age: Duration::from_secs(180), ..healthy() }), []);
    }

    #[test]
    fn more_refusals_in_a_minute_than_allowed_are_one_alarm_until_it_is_quiet() {
        let refused = |refused| Readings { refused, ..healthy() };
        let mut looker = Looker::new(LIMITS);
        assert_eq!(looker.for_seconds(30, &refused(6)), []);
        assert_eq!(looker.for_seconds(1, &refused(10)), [], "ten are allowed");
        let found = looker.look(&refused(11));
        assert!(found[0].1.starts_with("11 blocks were refused within a minute, "), "{found:?}");
        assert_eq!(looker.for_seconds(13, &refused(11)), [Alarm::Rejections]);
        assert_eq!(looker.for_seconds(2, &refused(11)), []);
        // What was told of is not counted again, what is new is.
        assert_eq!(looker.for_seconds(1, &refused(21)), []);
        assert_eq!(looker.for_seconds(1, &refused(22)), [Alarm::Rejections]);
    }

    #[test]
    fn blocks_that_were_refused_before_the_first_look_count() {
        let found = Looker::new(LIMITS).look(&Readings { refused: 11, ..healthy() });
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn ten_refusals_a_minute_for_ever_are_no_alarm_and_eleven_are_one() {
        let alarms_of = |every_s: u64| {
            let (mut looker, mut stood, mut changes) = (Looker::new(LIMITS), false, 0);
            for second in 0..600 {
                let stands = !looker.for_seconds(1, &Readings { refused: second / every_s, ..healthy() }).is_empty();
                changes += u32::from(stands != stood);
                stood = stands;
            }
            changes
        };
        assert_eq!(alarms_of(6), 0);
        assert_eq!(alarms_of(5), 1, "raised, and it goes on standing");
    }

    #[test]
    fn any_number_of_refusals_is_none_where_that_is_allowed() {
        let mut looker = Looker::new(Limits { rejected_per_minute: 0, ..LIMITS });
        looker.look(&healthy());
        assert_eq!(looker.look(&Readings { refused: 1_000_000, ..healthy() }), []);
    }

    #[test]
    fn a_disk_is_nearly_full_before_sealing_stops_and_has_room_a_little_above() {
        let free = |bytes| Readings { free_bytes: Some(bytes), ..healthy() };
        let mut looker = Looker::new(LIMITS);
        assert_eq!(looker.look(&free(2_000)), []);
        assert_eq!(looker.for_seconds(1, &free(1_999)), [Alarm::DiskNearlyFull]);
        assert_eq!(looker.for_seconds(1, &free(2_199)), [Alarm::DiskNearlyFull]);
        assert_eq!(looker.for_seconds(1, &Readings { free_bytes: None, ..healthy() }), [Alarm::DiskNearlyFull]);
        assert_eq!(looker.look(&free(2_200)), []);
        assert_eq!(looker.look(&free(2_000)), [], "it is not raised again in between");
        assert_eq!(Looker::new(Limits { min_free_bytes: 0, ..LIMITS }).look(&free(0)), []);
    }

    #[test]
    fn a_pool_is_full_by_number_or_bytes_when_it_stays_so() {
        for full in [(95, 0), (0, 9_500)] {
            let full = Readings { pool: full, ..healthy() };
            let mut looker = Looker::new(LIMITS);
            assert_eq!(looker.for_seconds(4, &full), []);
            assert_eq!(looker.for_seconds(2, &full), [Alarm::PoolFull]);
            assert_eq!(looker.for_seconds(20, &Readings { pool: (85, 0), ..healthy() }), [Alarm::PoolFull]);
            assert_eq!(looker.for_seconds(4, &healthy()), [Alarm::PoolFull]);
            assert_eq!(looker.for_seconds(2, &healthy()), []);
        }
    }

    #[test]
    fn an_actor_is_slow_when_messages_wait_long_or_nothing_gets_on() {
        let mut looker = Looker::new(LIMITS);
        assert_eq!(looker.look(&Readings { actors: vec![actor(3, 1, 1_999)], ..healthy() }), []);
        let found = looker.look(&Readings { actors: vec![actor(3, 2, 2_500)], ..healthy() });
        assert!(found[0].1.starts_with("messages wait up to 2.5 s for TxPool; "), "{found:?}");
        // The quantile of few messages goes up and down.
        for wait in [1_999, 500, 2_001, 1_000, 900] {
            let now_and_then = Readings { actors: vec![actor(3, 2, wait)], ..healthy() };
            assert_eq!(looker.for_seconds(2, &now_and_then), [Alarm::ActorSlow], "{wait}");
        }
        assert_eq!(looker.for_seconds(6, &healthy()), []);
        // It hangs: nothing was measured, and nothing gets on.
        let hangs = Readings { actors: vec![actor(2, 7, 0)], ..healthy() };
        assert_eq!(looker.for_seconds(10, &hangs), []);
        let found = looker.look(&hangs);
        assert!(found[0].1.starts_with("TxPool has 2 messages and got on with none of them for 10 s; "), "{found:?}");
        assert_eq!(looker.for_seconds(6, &Readings { actors: vec![actor(0, 8, 0)], ..healthy() }), []);
        // One that has nothing to do is not slow.
        assert_eq!(looker.for_seconds(60, &healthy()), []);
    }
}
