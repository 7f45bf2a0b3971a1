//! A follower whose operator has decided for another chain by `chain rollback`: it does not take the old one back from
//! whomever it meets first, unless he says so.

use crate::forge::{Forge, import, posted, transfer};
use crate::support::node::{Node, SOON};
use crate::support::until;
use alloy_primitives::B256;
use callboard_chain::Block;
use serde_json::{Value, json};

/// The chain to block 8, and another block 6 under the same authority's seal, with one on it, and a third that nobody has
/// yet: two nodes have the one and the other, and a follower of both is on the wrong one and says so.
struct Twins {
    right: Node,
    wrong: Node,
    follower: Node,
    chain: Vec<B256>,
    twin: Vec<Block>,
}

fn twins() -> Twins {
    let mut forge = Forge::new();
    let mut other = forge.twin();
    assert_eq!(other.extend_by(5), forge.extend_by(5));
    forge.extend_by(3);
    let mut twin = vec![other.extend(&[transfer(1, 0, 7)]), other.extend(&[])];
    let node = |blocks: &[Block]| {
        let mut node = forge.follower();
        node.start();
        blocks.iter().for_each(|block| import(&node, block));
        node
    };
    let (right, wrong) = (node(&forge.blocks()), node(&other.blocks()));
    let mut follower = node(&other.blocks());
    follower.stop();
    follower.follow(&[&wrong, &right]).start().is_phase("diverged");
    twin.push(other.extend(&[]));
    let chain = forge.blocks().iter().map(Block::hash).collect();
    Twins { right, wrong, follower, chain, twin }
}

/// The operator does what the node has told him, with `right` out of reach.
fn rolled_back() -> Twins {
    let mut twins = twins();
    let follower = &mut twins.follower;
    until("where the chains part is said", SOON, || {
        (follower.status()["divergence"]["lastCommonHeight"] == 5).then_some(())
    });
    follower.stop();
    twins.right.stop();
    let done = follower.run(&["chain", "rollback", "--to", "5", "--json"]).succeeded();
    let given_up = json!({ "height": 6, "hash": twins.twin[0].hash() });
    let expected = json!({ "from": 7, "to": 5, "hash": twins.chain[4], "givenUp": given_up });
    assert_eq!(serde_json::from_str::<Value>(&done).expect("JSON"), expected);
    twins
}

/// How the peer that has the other chain stands to the follower's.
fn sees_the_other_as(follower: &Node, state: &str) {
    until(&format!("a peer is {state}"), SOON, || {
        let peers = follower.status()["peers"].clone();
        peers.as_array()?.iter().any(|peer| peer["state"] == state).then_some(())
    });
}

#[test]
fn a_follower_that_was_rolled_back_meets_the_old_chain_first_and_ends_on_the_other_one() {
    let Twins { mut right, wrong, mut follower, chain, twin } = rolled_back();
    // A start and a restart with nobody else there.
    for _ in 0..2 {
        follower.start();
        sees_the_other_as(&follower, "accepted");
        assert_eq!(follower.height(), 5);
        follower.stop();
    }
    follower.start();
    let (status, answer) = follower.post("/rpc/importBlock", &posted(&twin[0]));
    assert_eq!((status, &answer["error"]["check"]), (422, &json!("givenUp")), "{answer}");
    right.start();
    follower.reaches(8);
    assert_eq!(follower.hashes()[1..], chain);
    follower.is_phase("following");
    assert_eq!(follower.status()["divergence"], json!(null));
    sees_the_other_as(&follower, "accepted");
    assert_eq!(wrong.height(), 7);
}

#[test]
fn who_accepts_the_other_chain_as_dead_gives_nothing_of_their_own_up_in_a_later_rollback() {
    let Twins { right, mut wrong, mut follower, chain, twin } = twins();
    until("where the chains part is said", SOON, || {
        (follower.status()["divergence"]["lastCommonHeight"] == 5).then_some(())
    });
    follower.stop();
    follower.run(&["chain", "accept", "6", &chain[5].to_string()]).succeeded();
    let done = follower.run(&["chain", "rollback", "--to", "4", "--json"]).succeeded();
    assert_eq!(serde_json::from_str::<Value>(&done).expect("JSON")["givenUp"], json!(null));
    // The dead branch is the first to be met, and all there is: what is common is taken, and no more.
    wrong.stop();
    follower.start().reaches(5);
    sees_the_other_as(&follower, "accepted");
    assert_eq!(follower.height(), 5);
    wrong.start();
    follower.reaches(7);
    assert_eq!((follower.hash(7), wrong.height(), right.height()), (twin[1].hash(), 7, 8));
    // He was wrong, and says so: above its head that branch may be fetched again.
    follower.stop();
    follower.run(&["chain", "rollback", "--to", "5"]).succeeded();
    let done = follower.run(&["chain", "accept", "6", &chain[5].to_string()]).succeeded();
    assert!(done.contains("not given up any more"), "{done}");
    wrong.stop();
    follower.start().reaches(8);
    assert_eq!(follower.hash(8), chain[7]);
}

#[test]
fn what_a_rollback_gave_up_is_taken_back_when_the_operator_accepts_it() {
    let Twins { right: _right, wrong, mut follower, chain, twin } = rolled_back();
    let (ours, other) = (twin[0].hash().to_string(), chain[5].to_string());
    let unknown = follower.run(&["chain", "accept", "6", &other]);
    assert!(unknown.code != 0 && unknown.stderr.contains("no rollback has given"), "{}", unknown.stderr);
    let done = follower.run(&["chain", "accept", "6", &ours]).succeeded();
    assert!(done.contains("not given up any more"), "{done}");
    follower.start().reaches(7);
    assert_eq!((follower.hash(7), wrong.height()), (twin[1].hash(), 7));
}

#[test]
fn a_rollback_without_a_divergence_gives_nothing_up_and_of_two_decisions_the_last_counts() {
    let Twins { mut right, wrong, mut follower, chain, twin } = rolled_back();
    right.start();
    follower.start().reaches(8);
    follower.is_phase("following");
    follower.stop();
    // Nothing differs: the same blocks are fetched again.
    let again = follower.run(&["chain", "rollback", "--to", "4"]).succeeded();
    assert!(!again.contains("given up"), "{again}");
    follower.start().reaches(8);
    assert_eq!(follower.hashes()[1..], chain);
    // The branch that was given up lives on, and the operator has learned that it was the right one.
    import(&wrong, &twin[2]);
    follower.is_phase("diverged");
    until("where the chains part is said", SOON, || {
        (follower.status()["divergence"]["lastCommonHeight"] == 5).then_some(())
    });
    follower.stop();
    let back = follower.run(&["chain", "rollback", "--to", "5"]).succeeded();
    assert!(back.contains("given up") && back.contains(&chain[5].to_string()), "{back}");
    right.stop();
    follower.start().reaches(8);
    assert_eq!(follower.hashes()[6..], twin.iter().map(Block::hash).collect::<Vec<_>>());
    right.start();
    sees_the_other_as(&follower, "accepted");
    follower.is_phase("following");
}
