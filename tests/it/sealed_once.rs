//! No height is sealed twice, and only the authority seals.

use crate::support::node::{Node, SOON, assert_same_blocks};
use crate::support::until;
use crate::support::wallet::{make_blocks, sign, transfer, transfers};
use alloy_consensus::TxLegacy;
use alloy_primitives::{Bytes, U256};
use callboard::dev;
use serde_json::{Value, json};
use std::fs;

/// An authority with its key outside its data folder, and a follower; both with five blocks. Each knows the other.
fn network() -> (Node, Node) {
    let (mut authority, follower) = documented_network();
    authority.follow(&[&follower]);
    (authority, follower)
}

/// The same as the book describes it: only the follower knows the other, and nobody can dial it.
fn documented_network() -> (Node, Node) {
    let mut authority = Node::authority_with_keystore();
    authority.start();
    make_blocks(&authority, 0, 5);
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(5);
    (authority, follower)
}

/// The same with ten blocks, where the authority has ended and its database been put back to five.
fn network_with_an_older_database() -> (Node, Node) {
    with_an_older_database(network())
}

fn with_an_older_database((mut authority, follower): (Node, Node)) -> (Node, Node) {
    authority.stop();
    let copy = authority.path("older.redb");
    fs::copy(authority.database(), &copy).expect("copied");
    authority.start();
    make_blocks(&authority, 5, 5);
    follower.reaches(10);
    authority.kill();
    fs::copy(&copy, authority.database()).expect("copied back");
    (authority, follower)
}

/// The authority takes all blocks back that the follower has, and only then goes on, at a new height.
#[track_caller]
fn assert_taken_back(authority: &Node, follower: &Node, nonce: u64) {
    let before = follower.hashes();
    authority.is_phase("following");
    assert_eq!(authority.hashes(), before);
    make_blocks(authority, nonce, 2);
    follower.reaches(before.len() as u64 + 1);
    assert_eq!(follower.hashes()[..before.len()], before);
    assert_same_blocks(authority, follower);
    follower.is_phase("following");
}

#[test]
fn an_authority_killed_during_production_never_seals_a_height_again() {
    let mut authority = Node::authority();
    authority.set("authority.block_interval_ms", 5).set("authority.empty_blocks", true).start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start();
    for round in 0..3u64 {
        let before = authority.height();
        authority.send(&transfers(round as u32, 0, 100));
        authority.reaches(before + 15 + 7 * round);
        authority.kill();
        let seen = follower.hashes();
        authority.start();
        authority.reaches(seen.len() as u64 + 1);
        let now = authority.hashes();
        assert_eq!(now[..seen.len()], seen, "what the follower had is what the authority has");
    }
    authority.stop();
    authority.set("authority.empty_blocks", false).start();
    follower.reaches(authority.height());
    assert_same_blocks(&authority, &follower);
    follower.is_phase("following");
}

#[test]
fn an_authority_with_an_older_database_takes_its_own_blocks_back_before_it_seals() {
    let (mut authority, follower) = network_with_an_older_database();
    authority.start();
    assert_taken_back(&authority, &follower, 10);
    assert_eq!(authority.routed("ImportBlock"), 5);
    // Whatever either of them ever met: no height has two seals.
    for node in [&authority, &follower] {
        assert_eq!(node.call("callboard_evidence", json!([]))["evidence"], json!([]));
        assert_eq!((node.metric("callboard_equivocations"), node.status()["alerts"].clone()), (0, json!([])));
    }
}

#[test]
fn an_authority_that_can_dial_nobody_gets_the_blocks_its_older_database_lacks_back_from_its_follower() {
    let (mut authority, follower) = with_an_older_database(documented_network());
    authority.start();
    assert_taken_back(&authority, &follower, 10);
    assert_eq!(authority.routed("ImportBlock"), 5);
    for node in [&authority, &follower] {
        assert_eq!((node.metric("callboard_equivocations"), node.status()["alerts"].clone()), (0, json!([])));
    }
}

/// All that an authority knows: its database, what it remembers, and its high-water file.
fn snapshot(authority: &Node) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = fs::read_dir(authority.path("keystore")).expect("keystore").map(|file| file.expect("file").path());
    let mark = files.filter(|path| path.extension().is_some_and(|end| end == "high-water"));
    let paths = mark.chain([authority.database(), authority.data("node.redb")]);
    paths.map(|path| (path.clone(), fs::read(path).expect("read"))).collect()
}

/// As [`documented_network`], ended, with ten blocks, and the authority put back to where it had five.
fn restored_network() -> (Node, Node) {
    let (mut authority, follower) = documented_network();
    until("the authority has heard of its guest", SOON, || {
        let actors = authority.call("callboard_actors", json!([]));
        let sync = actors.as_array()?.iter().find(|actor| actor["actor"] == "SyncCoordinator")?;
        sync["messages"].as_array()?.iter().find(|message| message["message"] == "GuestStatus").map(drop)
    });
    authority.stop();
    let snapshot = snapshot(&authority);
    authority.start();
    make_blocks(&authority, 5, 5);
    follower.reaches(10);
    authority.kill();
    snapshot.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("written"));
    (authority, follower)
}

/// A transaction that makes another block 6.
fn other_transaction() -> Bytes {
    sign(&dev::key(0), TxLegacy { value: U256::from(2), ..transfer(5) })
}

#[test]
fn an_authority_restored_with_its_mark_hears_of_its_newer_blocks_from_its_follower_before_it_seals() {
    let (mut authority, follower) = restored_network();
    authority.set("peers.start_wait_s", 30).start();
    authority.send(&[other_transaction()]);
    assert_taken_back(&authority, &follower, 10);
    for node in [&authority, &follower] {
        assert_eq!((node.metric("callboard_equivocations"), node.status()["divergence"].clone()), (0, json!(null)));
    }
}

#[test]
fn an_authority_that_sealed_over_its_newer_blocks_hears_of_it_from_its_follower_and_stops() {
    let (mut authority, mut follower) = restored_network();
    let old = follower.hash(6);
    follower.stop();
    authority.set("peers.start_wait_s", 1).start();
    authority.receipt(authority.send(&[other_transaction()])[0]);
    follower.start();
    authority.is_phase("diverged");
    follower.is_phase("diverged");
    // It cannot ask its follower where the chains part: that one says so.
    let found = until("it knows where", SOON, || {
        Some(authority.status()["divergence"].clone()).filter(|found| found["lastCommonHeight"] == 5)
    });
    assert_eq!((&found["height"], &found["theirs"]), (&json!(6), &json!(old)), "{found}");
    let proven = |evidence: &Value| evidence["height"] == 6 && evidence["second"]["hash"] == json!(old);
    until("the proof is kept", SOON, || {
        let kept = authority.call("callboard_evidence", json!([]))["evidence"].clone();
        kept.as_array().expect("a list").iter().any(proven).then_some(())
    });
}

#[test]
fn an_authority_with_an_older_database_finds_the_block_that_no_peer_has_in_its_high_water_file() {
    let (mut authority, mut follower) = network();
    authority.stop();
    let copy = authority.path("older.redb");
    fs::copy(authority.database(), &copy).expect("copied");
    authority.start();
    make_blocks(&authority, 5, 4);
    follower.reaches(9);
    follower.stop();
    make_blocks(&authority, 9, 1);
    let sealed = authority.hashes();
    authority.kill();
    fs::copy(&copy, authority.database()).expect("copied back");
    authority.start();
    follower.start();
    authority.reaches(10);
    assert_eq!(authority.hashes()[..sealed.len()], sealed);
    follower.reaches(10);
    assert_taken_back(&authority, &follower, 10);
}

#[test]
fn an_authority_with_an_older_database_and_no_peer_seals_nothing_and_says_so() {
    let (mut authority, mut follower) = network_with_an_older_database();
    follower.stop();
    authority.set("peers.start_wait_s", 1).start();
    authority.is_phase("stalled");
    let (status, answer) = authority.get("/health/ready");
    let reason = answer.to_string();
    assert_eq!(status, 503);
    assert!(reason.contains("its head 5 is below 10"), "{reason}");
    authority.send(&transfers(0, 5, 1));
    follower.start();
    authority.reaches(10);
    assert_taken_back(&authority, &follower, 10);
}

#[test]
fn an_authority_with_a_wiped_data_directory_takes_its_own_blocks_back_before_it_seals() {
    let (mut authority, follower) = network();
    fs::copy(authority.data("genesis.json"), authority.path("genesis.json")).expect("copied");
    authority.kill();
    fs::remove_dir_all(authority.data("")).expect("wiped");
    let sentence = authority.refused();
    assert!(sentence.contains("high-water") && sentence.contains("genesis.file"), "{sentence}");
    assert!(!authority.data("").exists(), "no second chain is begun");
    authority.set("genesis.file", "genesis.json").start();
    assert_taken_back(&authority, &follower, 5);
    assert_eq!(authority.routed("ImportBlock"), 5);
}

#[test]
fn an_authority_forks_knowingly_only_at_its_head_and_keeps_what_it_gave_up_as_evidence() {
    let (mut authority, mut follower) = network();
    let given_up = authority.hash(5);
    authority.stop();
    follower.stop();
    for (node, height, said) in [(&authority, "3", "the head is 5"), (&follower, "5", "this node is a follower")] {
        let finished = node.run(&["node", "--abandon-after", height]);
        assert_eq!(finished.code, 2, "{}", finished.stderr);
        assert!(finished.stderr.contains("--abandon-after") && finished.stderr.contains(said), "{}", finished.stderr);
    }

    let config = authority.path("node.toml").display().to_string();
    let rollback = ["chain", "rollback", "--config", &config, "--to", "3", "--abandon-after", "3"];
    authority.run(&rollback).succeeded();
    // Without the flag it waits for its own blocks.
    authority.follow(&[]).start();
    authority.is_phase("stalled");
    authority.stop();
    authority.arguments(&["--abandon-after", "3"]).start();
    make_blocks(&authority, 3, 1);
    let other = TxLegacy { value: U256::from(2), ..transfer(4) };
    authority.receipt(authority.send(&[sign(&dev::key(0), other)])[0]);
    let log = authority.log();
    assert!(log.contains("heights will be sealed twice"), "{log}");
    let name = format!("abandoned-5-{given_up:x}");
    let files = fs::read_dir(authority.path("keystore")).expect("keystore");
    let names: Vec<_> = files.map(|file| file.expect("file").file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().any(|file| file.ends_with(&name)), "{names:?}");

    // A follower of the old branch proves it to everybody.
    follower.follow(&[&authority]).start();
    follower.is_phase("diverged");
    let evidence = until("the proof is kept", SOON, || {
        let kept = follower.call("callboard_evidence", json!([]))["evidence"].clone();
        kept.as_array().expect("a list").iter().find(|evidence| evidence["height"] == 5).cloned()
    });
    assert_eq!(
        [&evidence["first"]["hash"], &evidence["second"]["hash"]],
        [&json!(given_up), &json!(authority.hash(5))]
    );
}

/// How its one peer's chain stands to its own.
#[track_caller]
fn sees_its_peer_as(node: &Node, state: &str) {
    until(&format!("its peer {state}"), SOON, || (node.status()["peers"][0]["state"] == state).then_some(()));
}

#[test]
fn an_authority_that_forked_knowingly_stays_on_its_new_branch_beside_a_follower_of_the_old_one() {
    let (mut authority, follower) = network();
    let old = follower.hashes();
    authority.stop();
    let config = authority.path("node.toml").display().to_string();
    authority.run(&["chain", "rollback", "--config", &config, "--to", "3", "--abandon-after", "3"]).succeeded();
    authority.arguments(&["--abandon-after", "3"]).start();
    sees_its_peer_as(&authority, "accepted");
    authority.is_phase("following");
    // Handed in, they are not taken back either.
    for (height, check) in [(4, "givenUp"), (5, "givenUp")] {
        let (status, answer) = authority.post("/rpc/importBlock", &json!({ "raw": follower.block(height) }));
        assert_eq!((status, &answer["error"]["check"]), (422, &json!(check)), "{answer}");
    }
    assert_eq!(authority.height(), 3);
    // Nor does a start without the flag take them back, before the new branch has begun and afterwards.
    for height in [3, 4] {
        authority.stop().start();
        sees_its_peer_as(&authority, "accepted");
        authority.is_phase("following");
        make_blocks(&authority, height, 1);
    }
    assert_eq!(authority.height(), 5);
    assert_eq!(authority.hash(3), old[3]);
    assert!((4..=5).all(|height| authority.hash(height) != old[height as usize]));
    assert_eq!((authority.routed("ImportBlock"), &authority.status()["divergence"]), (0, &json!(null)));
    // The follower says so, and what to do.
    follower.is_phase("diverged");
    let found = until("it knows where", SOON, || {
        Some(follower.status()["divergence"].clone()).filter(|found| found["lastCommonHeight"] == 3)
    });
    assert!(found["remedy"].as_str().expect("a remedy").contains("rollback --to 3"), "{found}");
    // The highest block that was given up proves by itself that its height was sealed twice.
    until("the proof is kept", SOON, || {
        let kept = authority.call("callboard_evidence", json!([]))["evidence"].clone();
        let of = |height: u64| {
            kept.as_array().expect("a list").iter().find(|evidence| evidence["height"] == height).cloned()
        };
        of(5).filter(|evidence| evidence["second"]["hash"] == json!(old[5]))
    });
}

#[test]
fn an_authority_that_gives_up_blocks_its_older_database_lacks_takes_none_of_them_back() {
    let (mut authority, follower) = network_with_an_older_database();
    let old = follower.hashes();
    authority.arguments(&["--abandon-after", "5"]).start();
    sees_its_peer_as(&authority, "accepted");
    make_blocks(&authority, 5, 1);
    authority.stop().start();
    sees_its_peer_as(&authority, "accepted");
    make_blocks(&authority, 6, 1);
    assert_eq!((authority.height(), authority.routed("ImportBlock")), (7, 0));
    assert_ne!(authority.hash(6), old[6]);
    follower.is_phase("diverged");
}

#[test]
fn a_node_without_the_key_never_seals() {
    let mut authority = Node::authority();
    authority.set("genesis.heartbeat_s", 1).start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    authority.stop();
    let height = follower.height();
    follower.send(&transfers(0, 0, 3));
    // Three heartbeats later it says that nobody seals, and it does not do so itself.
    follower.is_phase("stalled");
    assert_eq!(follower.height(), height);
    assert_eq!(follower.routed("BroadcastBlock"), 0);
    let actors = follower.call("callboard_actors", json!([])).to_string();
    assert!(actors.contains("ConfirmedState") && !actors.contains("Proposer"), "{actors}");
}

#[test]
fn a_follower_never_creates_a_genesis() {
    let mut authority = Node::authority();
    authority.start();
    let mut follower = Node::follower("follower", &[&authority]);
    authority.stop();
    follower.spawn();
    until("it has asked twice", SOON, || (follower.log().matches("no genesis yet").count() >= 2).then_some(()));
    assert!(!follower.database().exists() && !follower.data("genesis.json").exists());
    authority.start();
    follower.listens();
    assert_eq!(follower.hash(0), authority.hash(0));
}
