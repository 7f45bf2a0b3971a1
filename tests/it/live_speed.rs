//! What a block costs that comes alone, as a node that follows gets it, and what it costs in a catch-up.

use crate::forge::{Forge, import};

/// Accounts of the large state.
const ACCOUNTS: u64 = 20_000;
/// So many that what they cost is not lost in what the process costs besides.
const BLOCKS: u64 = 100;

/// Processor seconds that a follower needs for the blocks one by one, each durable before the next comes; and all that
/// another one needs, its start included, which catches up with the first.
fn live_and_synchronised(mut forge: Forge) -> (f64, f64) {
    let blocks = forge.extend_by(BLOCKS);
    let mut follower = forge.follower();
    follower.start();
    follower.is_phase("following");
    let before = follower.cpu_seconds();
    blocks.iter().for_each(|block| import(&follower, block));
    let live = follower.cpu_seconds() - before;
    let mut late = forge.follower();
    late.follow(&[&follower]).start().reaches(BLOCKS);
    (live, late.cpu_seconds())
}

/// The first systems printed the whole state for each live block, and for none in a catch-up. Processor time, since the
/// disk's own differs: each live block is a commit.
#[test]
fn live_blocks_cost_no_more_on_a_large_state_than_on_a_small_one_and_hardly_more_than_synchronised_ones() {
    let (small, _) = live_and_synchronised(Forge::new());
    let (large, synchronised) = live_and_synchronised(Forge::with_accounts(ACCOUNTS));
    assert!(large < 2.0 * small + 0.3, "{large} s for {BLOCKS} blocks with {ACCOUNTS} accounts, {small} s without");
    assert!(large < 3.0 * synchronised, "{large} s for {BLOCKS} live blocks, {synchronised} s to catch up with them");
}
