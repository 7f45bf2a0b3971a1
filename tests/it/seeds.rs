//! Seeds that are down, or accept and never answer, cost a node nothing else.

use crate::support::node::{Node, SOON};
use crate::support::until;
use crate::support::wallet::{make_blocks, transfers};
use serde_json::json;
use std::net::TcpListener;

/// An address where every connection is accepted and nothing is ever answered.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        // Kept open until the tests end.
        let _connections: Vec<_> = listener.incoming().collect();
    });
    url
}

/// A port that is free now.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").to_string()
}

/// An authority with three blocks, and a follower that has them; the follower is stopped.
fn synced() -> (Node, Node) {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 3);
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(3);
    follower.stop();
    (authority, follower)
}

#[test]
fn a_complete_follower_starts_and_serves_although_its_seed_is_down_and_follows_when_it_comes_up() {
    let (mut authority, mut follower) = synced();
    authority.stop();
    follower.start();
    assert_eq!(follower.height(), 3);
    assert_eq!(follower.get("/rpc/blocks-range?start=0&end=10").1["count"], 4);
    until("it says that its seed does not answer", SOON, || {
        let peers = follower.call("callboard_peers", json!([]));
        let seed = peers.as_array()?.first()?.clone();
        (seed["state"] != "connected" && seed["reason"].as_str()?.contains("refused")).then_some(())
    });
    authority.start();
    make_blocks(&authority, 3, 2);
    follower.reaches(5);
    follower.is_phase("following");
}

/// The system looks the name up. Where it has an address besides at which nobody listens, the others are tried.
#[test]
fn a_seed_that_is_given_by_a_name_is_fetched_from_and_followed_and_found_again_after_its_restart() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 3);
    let seed = authority.peer_url().replace("127.0.0.1", "localhost");
    let mut follower = Node::follower("follower", &[]);
    follower.set("peers.seeds", vec![seed.clone()]).start().reaches(3);
    follower.is_phase("following");
    until("the seed is known by its name", SOON, || {
        let peers = follower.call("callboard_peers", json!([]));
        let is_meant = |peer: &serde_json::Value| {
            let url = peer["url"].as_str().map(|url| url.trim_end_matches('/'));
            url == Some(&*seed) && peer["seed"] == true && peer["state"] == "connected"
        };
        peers.as_array()?.iter().any(is_meant).then_some(())
    });
    authority.stop().start();
    make_blocks(&authority, 3, 2);
    follower.reaches(5);
    assert_eq!(follower.hash(5), authority.hash(5));
}

#[test]
fn a_seed_that_never_answers_does_not_hold_up_a_complete_follower() {
    let (authority, mut follower) = synced();
    follower.set("peers.seeds", [silent()].to_vec()).start();
    assert_eq!(follower.height(), 3);
    follower.stop();
    follower.set("peers.seeds", vec![silent(), authority.peer_url()]).start();
    make_blocks(&authority, 3, 2);
    follower.reaches(5);
    follower.stop();
}

#[test]
fn a_seed_that_never_answers_does_not_keep_a_new_follower_from_the_genesis_of_another() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 3);
    let mut follower = Node::follower("follower", &[]);
    follower.set("peers.seeds", vec![silent(), authority.peer_url()]).start().reaches(3);
}

#[test]
fn a_new_follower_whose_only_seed_never_answers_says_so_and_stops_when_told() {
    let mut follower = Node::follower("follower", &[]);
    follower.set("peers.seeds", vec![silent()]).set("rpc.listen", free_address());
    follower.spawn().rpc_answers();
    let error = follower.try_call("eth_blockNumber", json!([])).expect_err("there is no block");
    assert_eq!((&error["code"], &error["message"]), (&json!(-32000), &json!("genesis not known yet")));
    assert_eq!(follower.status()["phase"], "genesis");
    follower.stop();
}

#[test]
fn an_authority_seals_although_its_peer_never_answers() {
    let mut authority = Node::authority();
    authority.set("peers.seeds", vec![silent()]).set("peers.start_wait_s", 1).start();
    authority.receipt(authority.send(&transfers(0, 0, 1))[0]);
    authority.stop();
}
