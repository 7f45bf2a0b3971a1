//! What operators' scripts do: read the head, get each block from blocks-range, post it to importBlock.

use crate::catch_up::Stand;
use crate::connection::Connection;
use crate::statistics::median;
use crate::support::chain::Failure;
use crate::support::node::Node;
use crate::workload::ALL;
use std::time::Instant;

pub(crate) fn run(runs: usize) -> Result<(), Failure> {
    let stand = Stand::new(ALL[0], None)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{} blocks of 1 transaction through blocks-range and importBlock, one by one", stand.workload().blocks);
    println!("{:>10}  {:>8}  {:>9}", "blocks/s", "seconds", "imported");
    let mut speeds = Vec::new();
    for _ in 0..runs {
        let mut follower = Node::follower("follower", &[]);
        std::fs::copy(stand.genesis(), follower.path("genesis.json"))?;
        follower.set("genesis.file", "genesis.json").start();
        let (seconds, blocks, imported) = runtime.block_on(copy(&stand.rpc(), &follower.rpc_url()))?;
        if follower.status()["head"]["height"] != blocks {
            return Err("the follower does not have all blocks".into());
        }
        let share = imported as f64 * 100.0 / blocks as f64;
        println!("{:>10.0}  {seconds:>8.2}  {share:>7.1} %", blocks as f64 / seconds);
        speeds.push(blocks as f64 / seconds);
    }
    println!("median: {:.0} blocks/s", median(speeds));
    Ok(())
}

/// Seconds, blocks, and how many of them were imported.
async fn copy(from: &str, to: &str) -> Result<(f64, u64, u64), Failure> {
    let (mut from, mut to) = (Connection::open(from).await?, Connection::open(to).await?);
    let began = Instant::now();
    let head = from.request("GET", "/rpc/head", "");
    let end = from.json(&head).await?["height"].as_u64().ok_or("no height")?;
    let mut imported = 0;
    for height in 1..=end {
        let path = format!("/rpc/blocks-range?start={height}&end={height}&include_tx=true");
        let request = from.request("GET", &path, "");
        let block = from.json(&request).await?["blocks"][0].to_string();
        let request = to.request("POST", "/rpc/importBlock", &block);
        imported += u64::from(to.json(&request).await?["imported"] == true);
    }
    Ok((began.elapsed().as_secs_f64(), end, imported))
}
