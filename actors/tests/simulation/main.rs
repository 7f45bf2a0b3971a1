//! A simulation of whole networks: the real cores and real blocks, in virtual time, out of one seed.
//!
//! What the shells of the actors do around the cores is modelled here; the network, the disks, the clocks and the
//! liars too. Nothing looks at a clock, a hash map's order or another thread, so a seed gives the same run wherever it
//! runs.

mod chain;
mod disk;
mod env;
mod fetch;
mod import;
mod liar;
mod network;
mod node;
mod properties;
mod rng;
mod seal;
mod serve;
mod story;
mod talk;
mod world;

use env::Guard;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use story::Kind;
use world::run;

/// The profile that runs a seed as this build did: with debug assertions or without. Sums overflow loudly in both.
const PROFILE: &str = if cfg!(debug_assertions) { "test" } else { "release" };

/// A long search says how far it has come once in so many seeds.
const TELL_EVERY: u64 = 5_000;

/// Seeds of which one at least fails late without [`Guard::SealedBlocks`].
const LATE_FAILURES: Range<u64> = 0..10;

/// Runs these seeds on two threads; what is wrong with those that fail, with the command that runs each again.
fn failures(seeds: Range<u64>, removed: Option<Guard>) -> Vec<String> {
    search(seeds, removed, 2, |_| {})
}

/// The same, on so many threads; each failure is told at once, too, and how far the search has come.
fn search(seeds: Range<u64>, removed: Option<Guard>, threads: u64, tell: impl Fn(&str) + Sync) -> Vec<String> {
    let next = AtomicU64::new(seeds.start);
    let search = || {
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= seeds.end {
                return failed;
            }
            if seed > seeds.start && seed.is_multiple_of(TELL_EVERY) {
                tell(&format!("{seed} begins"));
            }
            let ending = run(seed, removed, false);
            if let Some(violation) = ending.violation {
                let log = ending.log;
                let line = format!("{violation}\n    just simulate-seed {seed} {PROFILE}    (event log {log:016x})");
                tell(&line);
                failed.push((seed, line));
            }
        }
    };
    let mut failed = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(search)).collect();
        let joined = threads.into_iter().flat_map(|thread| thread.join().expect("a run does not panic"));
        joined.collect::<Vec<_>>()
    });
    failed.sort();
    failed.into_iter().map(|(_, line)| line).collect()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.replace('_', "").parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

fn assert_none(failed: &[String]) {
    assert!(failed.is_empty(), "{} seeds fail:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_property_holds_for_200_seeds() {
    assert_none(&failures(0..200, None));
}

#[test]
#[ignore = "as many seeds as CALLBOARD_SIMULATION_SEEDS says, 100,000 if it does not, from CALLBOARD_SIMULATION_FIRST on"]
fn every_property_holds_for_many_seeds() {
    let first = number("CALLBOARD_SIMULATION_FIRST").unwrap_or(0);
    let seeds = first..first.saturating_add(number("CALLBOARD_SIMULATION_SEEDS").unwrap_or(100_000));
    let threads = number("CALLBOARD_SIMULATION_THREADS").unwrap_or(2);
    assert_none(&search(seeds, None, threads, |said| println!("{said}")));
}

#[test]
#[ignore = "prints the run of the seed CALLBOARD_SIMULATION_SEED"]
fn one_seed() {
    let seed = number("CALLBOARD_SIMULATION_SEED").expect("CALLBOARD_SIMULATION_SEED says which");
    let ending = run(seed, None, true);
    println!("{ending:#?}\nevent log {:016x}", ending.log);
    assert_eq!(ending.violation, None);
}

#[test]
fn one_seed_run_twice_gives_the_same_events() {
    let seeds = 0..Kind::ALL.len() as u64;
    let kinds: Vec<Kind> = seeds.clone().map(Kind::of).collect();
    assert!(Kind::ALL.iter().all(|kind| kinds.contains(kind)), "a kind of story is missing: {kinds:?}");
    let all = || seeds.clone().map(|seed| run(seed, None, false)).collect::<Vec<_>>();
    // On two threads: what a run looks at by mistake is likely to differ there.
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(all);
        (all(), second.join().expect("a run does not panic"))
    });
    for (kind, (first, second)) in kinds.iter().zip(first.iter().zip(&second)) {
        assert_eq!(first, second, "{kind:?}");
    }
    let logs: BTreeSet<u64> = first.iter().map(|ending| ending.log).collect();
    assert_eq!(logs.len(), first.len(), "two seeds gave the same events");
}

/// Found late, among faults, liars and several nodes: what is told of the seed is enough to see the same again.
#[test]
fn a_seed_that_fails_late_is_told_and_fails_the_same_way_when_it_is_run_again() {
    let told = Mutex::new(Vec::new());
    let removed = Some(Guard::SealedBlocks);
    let failed = search(LATE_FAILURES, removed, 2, |line| told.lock().expect("no thread panics").push(line.to_owned()));
    let line = failed.first().expect("one of these seeds fails without the guard");
    assert!(told.lock().expect("no thread panics").contains(line), "it was not told at once: {line}");
    let (violation, replay) = line.split_once("\n    just simulate-seed ").expect("how to run it again");
    let seed = replay.split(' ').next().and_then(|seed| seed.parse().ok()).expect("the seed");
    let (_, log) = replay.split_once("(event log ").expect("the hash of its events");
    // As it is looked at: event by event.
    let again = run(seed, removed, true);
    assert_eq!(again.violation.as_deref(), Some(violation));
    assert_eq!(format!("{:016x})", again.log), log);
    assert!(again.lasted > Duration::from_secs(10), "it failed at once: {again:?}");
}

#[test]
fn a_run_that_panics_is_told_with_its_seed_and_its_event_log_and_the_others_go_on() {
    let failed = failures(0..3, Some(Guard::NoPanic));
    assert_eq!(failed.len(), 3, "{failed:#?}");
    for (seed, line) in failed.iter().enumerate() {
        let log = run(seed as u64, Some(Guard::NoPanic), false).log;
        let expected = format!("just simulate-seed {seed} {PROFILE}    (event log {log:016x})");
        assert!(line.contains("panicked: no guard against this panic") && line.contains(&expected), "{line}");
    }
}

/// Whether the properties notice in any of these runs that the guard is gone, and say so in these words.
fn notices(guard: Guard, said: &str, mut seeds: impl Iterator<Item = u64>) {
    let violations = seeds.by_ref().filter_map(|seed| run(seed, Some(guard), false).violation);
    let mut others = Vec::new();
    for violation in violations {
        if violation.contains(said) {
            return;
        }
        others.push(violation);
    }
    panic!("without {guard:?} nothing says {said:?}, but {others:#?}");
}

#[test]
fn announcing_a_block_before_it_is_durable_is_noticed() {
    notices(Guard::DurableBeforeAnnounced, "has lost it", 0..60);
}

#[test]
fn sealing_without_the_high_water_mark_is_noticed() {
    let older_databases = (0..1_000).filter(|seed| Kind::of(*seed) == Kind::Restored);
    notices(Guard::HighWater, "the authority sealed", older_databases);
}

#[test]
fn believing_a_height_that_no_seal_bears_out_is_noticed() {
    notices(Guard::SealedHeads, "and the authority at", 0..60);
}

#[test]
fn importing_a_block_without_the_authoritys_seal_is_noticed() {
    notices(Guard::SealedBlocks, "agreement", 0..60);
}

#[test]
fn taking_an_old_block_from_whoever_brings_it_is_noticed() {
    let beside_a_dead_branch = (0..4_000).filter(|seed| Kind::of(*seed) == Kind::DeadBranch);
    notices(Guard::LivingBranch, "was shown a living head", beside_a_dead_branch);
}

#[test]
fn overlooking_a_block_that_differs_is_noticed() {
    notices(Guard::Differences, "says it is in sync, and differs", 0..60);
}
