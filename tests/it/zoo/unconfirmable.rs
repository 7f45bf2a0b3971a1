//! A block under the authority's valid seal that no node can confirm: nobody's lie.

use super::peer::each_block;
use super::trial::{ALLOWANCE, HONEST_MEMORY, Trial};
use crate::forge::{sealed_again, with_header};
use crate::support::node::SOON;
use crate::support::until;
use alloy_primitives::B256;

#[test]
fn a_sealed_block_with_a_wrong_state_root_stalls_the_follower_which_goes_on_serving_and_blames_no_peer() {
    let falsify = |block: &callboard_chain::Block| match block.height() {
        3 => sealed_again(&with_header(block, |header| header.state_root = B256::repeat_byte(0xee))),
        _ => block.clone(),
    };
    let trial = Trial::against([each_block(falsify)]);
    let follower = &trial.follower;
    follower.is_phase("stalled");
    follower.reaches(2);
    let (code, reason) = follower.get("/health/ready");
    assert_eq!(code, 503);
    assert!(reason.to_string().contains("this node or the authority is wrong"), "{reason}");
    let bad = trial.peers[0].url();
    trial.says_of(&bad, "is connected, and not banned", |peer| peer["state"] == "connected" && peer["ban"].is_null());
    until("what is durable is served", SOON, || (follower.hash(2) == trial.authority.hash(2)).then_some(()));
    assert_eq!(follower.block(2), trial.authority.block(2));
    assert_eq!(follower.height(), 2);
    trial.stayed_small(HONEST_MEMORY + ALLOWANCE);
}
