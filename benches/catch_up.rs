//! `cargo bench --bench catch_up [-- BLOCKS TRANSFERS [RUNS]]`: how fast a follower that starts from nothing catches up,
//! two processes on one machine, every block fully verified. Default: 1,000 blocks of 10 transfers, 3 runs.
//!
//! The chain is built once, by the same code that an authority runs. An authority serves it; a follower in an empty
//! folder fetches genesis and blocks. Measured from the follower's start to the durable head, and from the first to
//! the last block alone.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/forge.rs"]
mod forge;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};
use support::node::Node;
use support::{chain, until};

/// A run that takes longer than this has failed.
const WITHIN: Duration = Duration::from_secs(600);

fn main() {
    // `cargo bench` adds a flag of its own, and `cargo test` runs this without one: then there is nothing to measure.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse::<u64>().ok());
    let (blocks, transfers, runs) =
        (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(10), numbers.next().unwrap_or(3));
    let mut authority = Node::authority();
    chain::build(&authority.path(""), blocks, transfers).expect("a chain");
    authority.set("genesis.heartbeat_s", 3_600).start();
    println!("{blocks} blocks of {transfers} transfers, {runs} runs");
    println!("{:>4}  {:>10}  {:>10}  {:>10}  {:>10}", "run", "seconds", "syncing", "blocks/s", "tx/s");
    for run in 1..=runs {
        let mut follower = Node::follower("follower", &[&authority]);
        let began = Instant::now();
        follower.start();
        let listens = Instant::now();
        until("it catches up", WITHIN, || (follower.status()["head"]["height"] == blocks).then_some(()));
        let (all, syncing) = (began.elapsed().as_secs_f64(), listens.elapsed().as_secs_f64().max(0.001));
        let (blocks_per_second, transfers_per_second) =
            (blocks as f64 / syncing, (blocks * transfers) as f64 / syncing);
        println!("{run:>4}  {all:>10.2}  {syncing:>10.2}  {blocks_per_second:>10.0}  {transfers_per_second:>10.0}");
        for stage in follower.status()["stages"].as_array().into_iter().flatten() {
            println!(
                "      {:<8} {:>8.2} s",
                stage["name"].as_str().unwrap_or(""),
                stage["seconds"].as_f64().unwrap_or(0.0)
            );
        }
    }
}
