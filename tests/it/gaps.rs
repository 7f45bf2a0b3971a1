//! Followers that lack blocks: few, many, all of them, one node or several at once.

use crate::support::node::{Node, assert_same_blocks};
use crate::support::wallet::make_blocks;
use callboard_actors::sync_coordinator::RANGE_BLOCKS as RANGE;
use serde_json::json;
use std::fs;

/// The longest gap, and the length of the chain.
const LONG: u64 = 10_000;

/// The newest blocks are byte for byte the same, and the newest block stands for all below it.
#[track_caller]
fn assert_same_head(one: &Node, other: &Node) {
    let height = one.height();
    assert_eq!(height, other.height());
    assert_eq!(one.block(height), other.block(height));
    let root = |node: &Node| node.call("eth_getBlockByNumber", json!(["latest", false]))["stateRoot"].clone();
    assert_eq!(root(one), root(other));
}

#[test]
fn a_follower_fetches_exactly_the_blocks_it_lacks() {
    let mut authority = Node::authority_over(LONG, 1);
    let whole = authority.path("whole.redb");
    fs::copy(authority.database(), &whole).expect("copied");
    authority.start();
    assert_eq!(authority.height(), LONG);
    for gap in [0, 1, RANGE - 1, RANGE, RANGE + 1, LONG] {
        let mut follower = Node::follower("follower", &[&authority]);
        if gap < LONG {
            fs::create_dir(follower.data("")).expect("data folder");
            fs::copy(&whole, follower.database()).expect("copied");
            follower.run(&["chain", "rollback", "--to", &(LONG - gap).to_string()]).succeeded();
        }
        follower.start().reaches(LONG);
        follower.is_phase("following");
        assert_same_head(&authority, &follower);
        assert_eq!(follower.routed("ImportBlock"), gap, "a gap of {gap}");
    }
}

#[test]
fn whichever_of_three_followers_are_wiped_all_end_at_the_authoritys_head() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 3);
    let mut followers: Vec<Node> = Vec::new();
    for name in ["first", "second", "third"] {
        let mut known: Vec<&Node> = vec![&authority];
        known.extend(&followers);
        let mut follower = Node::follower(name, &known);
        follower.start();
        followers.push(follower);
    }
    let mut sealed = 3;
    for wiped in 0..1u32 << followers.len() {
        for (index, follower) in followers.iter_mut().enumerate() {
            if wiped & (1 << index) != 0 {
                follower.kill();
                fs::remove_dir_all(follower.data("")).expect("wiped");
            }
        }
        make_blocks(&authority, sealed, 2);
        sealed += 2;
        for (index, follower) in followers.iter_mut().enumerate() {
            if wiped & (1 << index) != 0 {
                follower.start();
            }
        }
        for follower in &followers {
            follower.reaches(sealed);
            follower.is_phase("following");
            assert_same_blocks(&authority, follower);
        }
    }
}

#[test]
fn a_seed_that_is_stuck_does_not_hold_back_a_follower_that_knows_another() {
    let mut authority = Node::authority_over(200, 1);
    let mut stuck = Node::follower("stuck", &[]);
    fs::create_dir(stuck.data("")).expect("data folder");
    fs::copy(authority.database(), stuck.database()).expect("copied");
    stuck.run(&["chain", "rollback", "--to", "100"]).succeeded();
    // It knows nobody, so it stays where it is.
    stuck.set("peers.discovery", false).start();
    assert_eq!(stuck.height(), 100);

    authority.start();
    let mut follower = Node::follower("follower", &[&stuck, &authority]);
    follower.start().reaches(200);
    follower.is_phase("following");
    assert_same_head(&authority, &follower);
    assert_eq!(stuck.height(), 100);
}
