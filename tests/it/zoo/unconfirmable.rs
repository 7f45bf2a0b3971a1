//! A block under the authority's valid seal that no node can confirm: nobody's lie.

use super::peer::{BadPeer, Chain, each_block};
use super::trial::{ALLOWANCE, HONEST_MEMORY, Trial, stayed_small};
use crate::forge::{Forge, import, sealed_again, with_header};
use crate::support::node::SOON;
use crate::support::until;
use alloy_primitives::B256;
use callboard_chain::Block;
use serde_json::json;

#[test]
fn a_sealed_block_with_a_wrong_state_root_stalls_the_follower_which_goes_on_serving_and_blames_no_peer() {
    let falsify = |block: &Block| match block.height() {
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

/// Blocks as short as these come, are verified and are executed many at a time.
#[test]
fn a_falsified_state_root_amid_many_small_blocks_is_refused_by_name_and_the_honest_block_is_taken_in_its_place() {
    let mut forge = Forge::new();
    let honest = forge.extend_by(60);
    let falsify = |block: &Block| match block.height() {
        30 => sealed_again(&with_header(block, |header| header.state_root = B256::repeat_byte(0xee))),
        _ => block.clone(),
    };
    let bad = BadPeer::start(Chain::forged(&forge), each_block(falsify));
    let mut follower = forge.follower();
    follower.set("peers.seeds", vec![bad.url()]).start();
    follower.is_phase("stalled");
    follower.reaches(29);
    assert_eq!((follower.height(), follower.routed("ImportBlock")), (29, 29), "and nothing above what was refused");
    assert_eq!(follower.hash(29), honest[28].hash());
    let refused = follower.call("callboard_rejections", json!([{ "limit": 1 }]));
    let refused = refused.as_array().expect("a list").first().expect("a refusal").clone();
    let said = [&refused["height"], &refused["check"], &refused["blame"], &refused["actual"]];
    let actual = json!(B256::repeat_byte(0xee));
    assert_eq!((said[0], said[1], said[2]), (&30.into(), &"stateRoot".into(), &"local".into()), "{refused}");
    assert!([said[3], &refused["expected"]].contains(&&actual), "{refused}");
    for block in &honest[29..] {
        import(&follower, block);
    }
    assert_eq!((follower.height(), follower.hash(60)), (60, honest[59].hash()));
    stayed_small(&follower, HONEST_MEMORY + ALLOWANCE);
}
