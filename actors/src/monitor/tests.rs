use super::*;
use crate::callboard::{Callboard, Delivery, Kind, Origin, Phase, Role};
use crate::guard::{Stop, StopOrder, StopOutcome};
use crate::send::{ActorRegistry, Mailbox};
use actix::Arbiter;
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
        names.into_iter().zip(busy).map(|(name, busy)| StageFigures { name, busy, items: 0, seconds: 0.0 }).collect()
    };
    for (busy, expected) in [([0.1, 0.9, 0.95], "execute"), ([0.2, 0.8, 0.7], "verify"), ([0.0, 0.1, 0.4], "fetch")] {
        let figures: Vec<_> = figures(busy);
        assert_eq!(Stages::bottleneck(&figures), expected);
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
    mailbox.start(move |_| Monitor::new(actors, stages));
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
