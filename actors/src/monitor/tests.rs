use super::*;
use crate::callboard::{Callboard, Delivery, Kind, Origin, Phase, Role};
use crate::guard::{Stop, StopOrder, StopOutcome};
use crate::send::{ActorRegistry, Mailbox};
use actix::Arbiter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[test]
fn a_stage_is_busy_while_its_worker_is() {
    let stages = Stages::new(2);
    let start = Instant::now();
    let work = stages.execute.busy(7);
    std::thread::sleep(Duration::from_millis(5)); // the work that is measured
    drop(work);
    let figures = &stages.figures(start + Duration::from_millis(10))[2];
    assert_eq!((figures.name, figures.items), ("execute", 7));
    assert!(figures.seconds >= 0.005 && figures.busy > 0.3, "{figures:?}");
    assert_eq!(stages.figures(start + Duration::from_millis(10))[0].busy, 0.0);
}

#[test]
fn the_busy_share_is_that_of_all_workers_and_of_recent_time() {
    let (one, two) = (StageMeter::new("one", 1), StageMeter::new("two", 2));
    let start = Instant::now();
    let work = (one.busy(1), two.busy(1));
    std::thread::sleep(Duration::from_millis(4)); // the work that is measured
    drop(work);
    let later = start + Duration::from_secs(1);
    let (one_busy, two_busy) = (one.figures(later).busy, two.figures(later).busy);
    assert!(one_busy > two_busy * 1.5, "{one_busy} is not about twice {two_busy}");
    one.roll(later);
    one.roll(later + WINDOW);
    assert_eq!(one.figures(later + 2 * WINDOW).busy, 0.0);
}

#[test]
fn the_bottleneck_is_the_busiest_stage_or_else_the_network() {
    let figures = |busy: [f64; 3]| {
        let names = ["fetch", "verify", "execute"];
        names
            .into_iter()
            .zip(busy)
            .map(|(name, busy)| StageFigures { name, busy, stalled: 0.0, items: 0, seconds: 0.0 })
            .collect()
    };
    for (busy, expected) in [([0.1, 0.9, 0.95], "execute"), ([0.2, 0.8, 0.7], "verify"), ([0.0, 0.1, 0.4], "fetch")] {
        let figures: Vec<_> = figures(busy);
        assert_eq!(Stages::bottleneck(&figures), expected);
    }
}

#[test]
fn a_stage_that_waits_for_the_next_one_is_stalled_and_not_busy() {
    let stages = Stages::new(1);
    let start = Instant::now();
    let waits = stages.fetch.stalled();
    std::thread::sleep(Duration::from_millis(5)); // the wait that is measured
    drop(waits);
    let figures = stages.fetch.figures(start + Duration::from_millis(10));
    assert!(figures.stalled > 0.3 && figures.busy == 0.0, "{figures:?}");
    assert!(stages.fetch.total_stalled() >= Duration::from_millis(5));
}

fn readings(peers: usize) -> Readings {
    Readings {
        phase: Phase::Following,
        head_age: Duration::ZERO,
        peers,
        refused: 0,
        free_bytes: None,
        pool: (0, 0),
        actors: Vec::new(),
    }
}

fn limits() -> Limits {
    Limits {
        head_age: Duration::from_secs(60),
        rejected_per_minute: 0,
        min_free_bytes: 0,
        pool: (1, 1),
        has_seeds: true,
    }
}

fn nothing_to_see(alarms: Alarms) -> Watching {
    Watching { read: Box::new(|| readings(1)), watch: Watch::new(limits()), alarms }
}

#[actix::test]
async fn the_monitor_raises_and_clears_what_its_readings_say() {
    let (actors, _deaths) = ActorRegistry::new();
    let free = Arc::new(AtomicU64::new(0));
    let alarms = Alarms::default();
    let disk = free.clone();
    let read = move || Readings { free_bytes: Some(disk.load(Relaxed)), ..readings(1) };
    let watching = Watching {
        read: Box::new(read),
        watch: Watch::new(Limits { min_free_bytes: 1, ..limits() }),
        alarms: alarms.clone(),
    };
    let mailbox = Mailbox::open(&Arbiter::current(), actors.actor("Monitor", 8)).await.expect("this arbiter runs");
    mailbox.start(move |_| Monitor::new(actors, Stages::new(1), watching));
    for (bytes, stands) in [(0, true), (u64::MAX, false)] {
        free.store(bytes, Relaxed);
        while alarms.is_raised(Alarm::DiskNearlyFull) != stands {
            tokio::time::sleep(Duration::from_millis(10)).await; // until the next look
        }
    }
}

/// The registries of four nodes in one process.
#[test]
fn the_figures_of_nodes_in_one_process_are_apart() {
    let node = |number: u64| {
        let (actors, _deaths) = ActorRegistry::new();
        let (stages, callboard) = (Stages::new(1), Callboard::new(Role::Follower));
        let metrics = Metrics::of(actors, stages.clone(), callboard.clone());
        let alarms = Alarms::new(&metrics);
        (0..number).for_each(|_| callboard.count(Origin::Peer, Kind::Block, Delivery::ImportBlock));
        drop(stages.commit.busy(number));
        if number == 3 {
            alarms.raise(Alarm::NoPeers, "nobody".to_owned());
        }
        (metrics, stages)
    };
    let nodes: Vec<_> = (1..=4).map(node).collect();
    for (number, (metrics, stages)) in (1..).zip(&nodes) {
        let (text, stands) = (metrics.encode(), u8::from(number == 3));
        assert!(text.contains(&format!("callboard_blocks_imported_total{{origin=\"peer\"}} {number}\n")), "{text}");
        assert!(text.contains(&format!("callboard_alert{{name=\"no_peers\"}} {stands}\n")), "{text}");
        assert_eq!(stages.figures(Instant::now())[4].items, number);
    }
}

#[actix::test]
async fn metrics_are_encoded_as_prometheus_text() {
    let (actors, _deaths) = ActorRegistry::new();
    let stages = Stages::new(1);
    let callboard = Callboard::new(Role::Follower);
    callboard.set_phase(Phase::Following);
    callboard.count(Origin::Peer, Kind::Block, Delivery::ImportBlock);
    let metrics = Metrics::of(actors.clone(), stages.clone(), callboard);
    let mailbox = Mailbox::open(&Arbiter::current(), actors.actor("Monitor", 8)).await.expect("this arbiter runs");
    let order = StopOrder::new().then(mailbox.inbox::<Stop>(), Duration::from_secs(20));
    let alarms = Alarms::new(&metrics);
    mailbox.start(move |_| Monitor::new(actors, stages, nothing_to_see(alarms)));
    assert_eq!(order.stop().await, [("Monitor", StopOutcome::Stopped)]);
    let counter = prometheus_client::metrics::counter::Counter::<u64>::default();
    metrics.register(|registry| registry.register("callboard_other", "Of another module", counter.clone()));
    counter.inc();

    let text = metrics.encode();
    for line in [
        "callboard_actor_messages_total{actor=\"Monitor\",message=\"Stop\",outcome=\"handled\"} 1",
        "callboard_actor_messages_total{actor=\"Monitor\",message=\"Stop\",outcome=\"refused\"} 0",
        "callboard_actor_wait_seconds_bucket{le=\"+Inf\",actor=\"Monitor\",message=\"Stop\"} 1",
        "callboard_actor_handle_seconds_count{actor=\"Monitor\",message=\"Stop\"} 1",
        "callboard_actor_mailbox_depth{actor=\"Monitor\"} 0",
        "callboard_sync_stage_seconds_total{stage=\"commit\"} 0.0",
        "callboard_sync_stage_stalled_seconds_total{stage=\"fetch\"} 0.0",
        "callboard_route_total{origin=\"peer\",kind=\"block\",route=\"ImportBlock\"} 1",
        "callboard_blocks_imported_total{origin=\"peer\"} 1",
        "callboard_blocks_imported_total{origin=\"operator\"} 0",
        "callboard_sync_phase{phase=\"following\"} 1",
        "callboard_sync_phase{phase=\"stalled\"} 0",
        "callboard_other_total 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
