//! From the start of a process to its readiness, after an orderly stop and after SIGKILL, with few and with many blocks.

use crate::statistics::median;
use crate::support::chain::Failure;
use crate::support::node::Node;
use crate::support::until;
use crate::workload::ALL;
use std::time::{Duration, Instant};

/// Blocks of the short chain and of the long one.
const HEIGHTS: [u64; 2] = [1_000, 100_000];
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn run(runs: usize) -> Result<(), Failure> {
    let empty = ALL.into_iter().find(|workload| workload.transactions == 0).ok_or("a workload of empty blocks")?;
    let mut nodes = Vec::new();
    for blocks in HEIGHTS {
        let mut node = Node::authority();
        crate::workload::Workload { blocks, ..empty }.build(&node.path(""))?;
        node.set("genesis.heartbeat_s", 3_600);
        nodes.push(node);
    }
    println!("{:<12}  {:>14}  {:>14}  {:>6}", "after", "1,000 blocks", "100,000 blocks", "ratio");
    for (name, end) in [("a stop", Node::stop as fn(&mut Node) -> &mut Node), ("SIGKILL", Node::kill)] {
        let mut seconds = [Vec::new(), Vec::new()];
        for _ in 0..runs {
            for (node, seconds) in nodes.iter_mut().zip(&mut seconds) {
                // The state that this end leaves behind.
                end(node.start());
                let began = Instant::now();
                node.start();
                until("ready", WITHIN, || (node.get("/health/ready").0 == 200).then_some(()));
                seconds.push(began.elapsed().as_secs_f64());
                node.kill();
            }
        }
        let [short, long] = seconds.map(median);
        println!("{name:<12}  {:>11.0} ms  {:>11.0} ms  {:>6.2}", short * 1e3, long * 1e3, long / short);
    }
    Ok(())
}
