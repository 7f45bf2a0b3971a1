//! Which blocks go together.

use crate::sync_coordinator::batch::{Batch, Weight, take_batch};
use crate::sync_coordinator::staging::Staging;
use crate::testing::key;
use alloy_consensus::Header;
use callboard_chain::Block;

fn empty(number: u64, gas_used: u64) -> Block {
    Block::sealed(Header { number, gas_used, ..Header::default() }, Vec::new(), &key(1))
}

/// Block n stands at height n; those of which `alone` says yes go alone.
fn batches(blocks: Vec<Block>, alone: impl Fn(&Block) -> bool) -> Vec<Vec<u64>> {
    let mut staging = Staging::new(1);
    blocks.into_iter().rev().for_each(|block| staging.put(block.height(), block));
    let mut batches = Vec::new();
    loop {
        let batch = take_batch(&mut staging, |block| (!alone(block)).then(|| Weight::of(block)));
        if batch.is_empty() {
            return batches;
        }
        assert!(batch.iter().all(|(height, block)| *height == block.height()));
        batches.push(batch.into_iter().map(|(height, _)| height).collect());
    }
}

#[test]
fn many_empty_blocks_go_together_in_height_order_and_never_more_than_a_batch_holds() {
    let batches = batches((1..=150).map(|number| empty(number, 0)).collect(), |_| false);
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 22]);
    assert!(batches.concat().into_iter().eq(1..=150));
}

#[test]
fn blocks_that_compute_for_long_go_alone_although_they_are_short() {
    let gas = [0, 6_000_000, 6_000_000, 30_000_000, 0, 0];
    let blocks = (1..).zip(gas).map(|(number, gas)| empty(number, gas)).collect();
    assert_eq!(batches(blocks, |_| false), [vec![1, 2], vec![3], vec![4], vec![5, 6]]);
}

#[test]
fn a_block_that_goes_alone_waits_for_those_before_it_and_those_after_it_for_it() {
    let blocks = (1..=5).map(|number| empty(number, 0)).collect();
    assert_eq!(batches(blocks, |block| block.height() == 3), [vec![1, 2], vec![3], vec![4, 5]]);
}

#[test]
fn a_block_that_has_not_come_ends_the_batch_before_it() {
    let blocks = [1, 2, 4].map(|number| empty(number, 0)).into();
    assert_eq!(batches(blocks, |_| false), [[1, 2]]);
}

#[test]
fn a_long_block_goes_alone_and_leaves_no_room() {
    let mut batch = Batch::default();
    assert!(batch.room() > 0);
    assert!(batch.add(Weight::of_bytes(8 << 20)), "the first goes, whatever it weighs");
    assert_eq!(batch.room(), 0);
    assert!(!batch.add(Weight::of_bytes(1)));
    let mut batch = Batch::default();
    let added = std::iter::repeat_with(|| batch.add(Weight::of_bytes(1 << 10))).take_while(|added| *added).count();
    assert_eq!(added, 48, "48 KiB");
    assert_eq!(batch.room(), 0);
}
