//! `cargo bench --bench propagation [-- BLOCKS]`: how live followers are, all processes on one machine.
//!
//! Five processes, an authority and four followers, in a line, a star and a mesh: from a block being sealed, and from its being
//! durable on the authority, which is when it leaves, to its being durable on the last follower, by the passports of the
//! blocks (`callboard_explainBlock`). Then, while the authority fills its blocks, the largest `behindBlocks` that one follower says
//! of itself, and, by the passports again, the most blocks that were durable on the authority and not yet on it.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/forge.rs"]
mod forge;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "common/statistics.rs"]
mod statistics;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use serde_json::json;
use statistics::quantile;
use std::time::{Duration, Instant};
use support::node::Node;
use support::until;
use support::wallet::transfers;

/// Who knows whom, beside the authority at 0: the seeds of followers 1 to 4.
const NETWORKS: [(&str, [&[usize]; 4]); 3] = [
    ("line", [&[0], &[1], &[2], &[3]]),
    ("star", [&[0], &[0], &[0], &[0]]),
    ("mesh", [&[0], &[0, 1], &[0, 1, 2], &[0, 1, 2, 3]]),
];
/// Transfers a block at full load needs more than any machine makes of it.
const LOAD: u64 = 40_000;
/// Transfers in one batch.
const BATCH: usize = 1_000;
/// Followers hear of everything within this time.
const WITHIN: Duration = Duration::from_secs(60);

fn main() {
    // `cargo bench` adds a flag of its own, and `cargo test` runs this without one: then there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let blocks = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(200);
    println!("{blocks} blocks of one transfer, to durable on the last of four followers");
    println!("{:<8}  {:<22}  {:>10}  {:>10}  {:>10}", "network", "from", "median ms", "p99 ms", "largest");
    for (name, seeds) in NETWORKS {
        for (from, delays) in ["sealed", "durable on authority"].into_iter().zip(delays(seeds, blocks)) {
            let at = |share: f64| quantile(delays.iter().copied(), share);
            println!("{name:<8}  {from:<22}  {:>10.0}  {:>10.0}  {:>10.0}", at(0.5), at(0.99), at(1.0));
        }
    }
    let FullLoad { transactions, seconds, said, lacked } = full_load();
    println!(
        "full load: {transactions} transfers confirmed in {seconds:.1} s; largest behindBlocks that the follower said: {said}; \
         most blocks it lacked at one time: {lacked}"
    );
}

/// Milliseconds of each block, since it was sealed and since it was durable on the authority.
fn delays(seeds: [&[usize]; 4], blocks: u64) -> [Vec<f64>; 2] {
    let mut nodes = vec![Node::authority()];
    nodes[0].start();
    for (seeds, name) in seeds.into_iter().zip(["first", "second", "third", "fourth"]) {
        let known: Vec<&Node> = seeds.iter().map(|index| &nodes[*index]).collect();
        let mut follower = Node::follower(name, &known);
        // Only who is a seed is a peer.
        follower.set("peers.discovery", false).start().is_phase("following");
        nodes.push(follower);
    }
    let first = nodes[0].height() + 1;
    for (number, transfer) in transfers(0, 0, blocks).into_iter().enumerate() {
        let hash = nodes[0].send(&[transfer])[0];
        nodes[0].receipt(hash);
        // Every block is alone on its way.
        nodes.iter().for_each(|node| node.reaches(first + number as u64));
    }
    let last: Vec<f64> = (first..first + blocks)
        .map(|height| nodes[1..].iter().map(|node| durable(node, height)).fold(f64::MIN, f64::max))
        .collect();
    ["executedAt", "durableAt"].map(|moment| {
        let began = (first..).map(|height| passport(&nodes[0], height, moment));
        last.iter().zip(began).map(|(last, began)| (last - began) * 1_000.0).collect()
    })
}

/// When the block became durable on the node, unix seconds.
fn durable(node: &Node, height: u64) -> f64 {
    passport(node, height, "durableAt")
}

fn passport(node: &Node, height: u64, moment: &str) -> f64 {
    let answer = node.call("callboard_explainBlock", json!([height]));
    answer["confirmed"]["passport"][moment].as_f64().expect("a passport")
}

/// What was seen at full load.
struct FullLoad {
    /// Transfers confirmed.
    transactions: u64,
    seconds: f64,
    /// The largest `behindBlocks` of the follower.
    said: u64,
    /// The most blocks that the authority had and the follower had not.
    lacked: usize,
}

fn full_load() -> FullLoad {
    let mut authority = Node::authority();
    authority
        .set("authority.block_interval_ms", 100)
        .set("pool.max_transactions", LOAD)
        .set("pool.max_per_sender", LOAD);
    authority.start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    let senders: Vec<_> = (0..4).map(|account| transfers(account, 0, LOAD / 4)).collect();
    let before = authority.height();
    let began = Instant::now();
    let mut behind = 0;
    let mut look = || {
        let said = follower.status()["behindBlocks"].as_u64().expect("a number");
        behind = behind.max(said);
    };
    for start in (0..senders[0].len()).step_by(BATCH) {
        for sender in &senders {
            authority.send(&sender[start..(start + BATCH).min(sender.len())]);
            look();
        }
    }
    until("everything is confirmed", WITHIN, || {
        look();
        let pool = authority.call("txpool_status", json!([]));
        (pool["pending"] == "0x0").then_some(())
    });
    let seconds = began.elapsed().as_secs_f64();
    follower.reaches(authority.height());
    assert!(authority.height() > before);
    let heights = before + 1..=authority.height();
    let times: Vec<_> = heights.map(|height| (durable(&authority, height), durable(&follower, height))).collect();
    let lacked_at = |at: f64| times.iter().filter(|(there, here)| *there <= at && at < *here).count();
    let lacked = times.iter().map(|(there, _)| lacked_at(*there)).max().unwrap_or_default();
    FullLoad { transactions: LOAD, seconds, said: behind, lacked }
}
