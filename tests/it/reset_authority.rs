//! An authority that is no longer the one it was: its followers say so within seconds, and do not sit on a dead chain.

use crate::support::node::Node;
use crate::support::until;
use crate::support::wallet::{make_blocks, sign, transfer};
use alloy_consensus::TxLegacy;
use alloy_primitives::U256;
use callboard::dev;
use callboard_chain::SealedGenesis;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// From the first answer of the other chain on, within this time: one exchange, on a busy machine.
const WITHIN_AN_EXCHANGE: Duration = Duration::from_secs(15);

/// An authority with its key outside its data folder, and a follower of it that follows; both at this height.
fn network(height: u64) -> (Node, Node) {
    let mut authority = Node::authority_with_keystore();
    authority.start();
    make_blocks(&authority, 0, height);
    let mut follower = Node::follower("follower", &[&authority]);
    follower.set("rpc.admin", "127.0.0.1:0").start().reaches(height);
    follower.is_phase("following");
    (authority, follower)
}

/// What keeps an authority from sealing a height twice, thrown away as a careless operator would.
fn forget_the_mark(authority: &Node) {
    let files = fs::read_dir(authority.path("keystore")).expect("a keystore").map(|file| file.expect("file").path());
    let marks: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "high-water")).collect();
    assert_eq!(marks.len(), 1, "{marks:?}");
    marks.iter().for_each(|path| fs::remove_file(path).expect("removed"));
}

#[track_caller]
fn is_diverged_soon(node: &Node) -> Value {
    until("it is diverged", WITHIN_AN_EXCHANGE, || (node.status()["phase"] == "diverged").then_some(()));
    node.status()["divergence"].clone()
}

/// All that is asked of a node that is diverged says so, with all of this.
#[track_caller]
fn says_everywhere(node: &Node, parts: &[&str]) {
    let (code, reason) = node.get("/health/ready");
    let (reason, alerts) = (reason.to_string(), node.status()["alerts"].to_string());
    assert_eq!(code, 503, "{reason}");
    let sentence = node.run(&["chain", "verify"]).refused(3);
    for part in parts {
        assert!(reason.contains(part), "{part} in {reason}");
        assert!(alerts.contains(part), "{part} in {alerts}");
        assert!(sentence.contains(part), "{part} in {sentence}");
        assert!(node.has_logged(part), "{part} in the log");
    }
    for hash in parts.iter().filter(|part| part.starts_with("0x")) {
        assert_eq!(node.metric_with("callboard_sync_diverged", hash), 1, "{hash} in the metric");
    }
    assert_eq!((node.metric("callboard_sync_diverged"), node.metric_with("callboard_alert", "diverged")), (1, 1));
    assert_eq!(node.get("/health/live").0, 200, "it goes on serving");
}

#[test]
fn an_authority_reset_to_a_new_genesis_makes_a_running_follower_diverged_within_one_exchange() {
    let (mut authority, mut follower) = network(5);
    let old = authority.hash(0);
    let genesis = SealedGenesis::from_json(&authority.peer_get("genesis")).expect("a genesis");
    authority.stop();
    forget_the_mark(&authority);
    fs::remove_dir_all(authority.data("")).expect("wiped");
    // The same key, chain id and addresses.
    authority.set("authority.address", genesis.config().authority.to_string()).start();
    let new = authority.hash(0);
    assert_ne!(new, old);
    let found = is_diverged_soon(&follower);
    let expected =
        [("height", json!(0)), ("lastCommonHeight", Value::Null), ("ours", json!(old)), ("theirs", json!(new))];
    for (key, value) in expected {
        assert_eq!(found[key], value, "{key} of {found}");
    }
    let [peer, remedy] = ["peer", "remedy"].map(|key| found[key].as_str().unwrap_or_default().to_owned());
    assert!(!peer.is_empty() && !remedy.is_empty(), "{found}");
    says_everywhere(&follower, &[&old.to_string(), &new.to_string(), &peer, &remedy]);

    // The other chain lives and grows beyond ours; ours is what it was, and never called healthy.
    for nonce in 0..8 {
        make_blocks(&authority, nonce, 1);
        assert_eq!((&follower.status()["phase"], follower.get("/health/ready").0), (&json!("diverged"), 503));
    }
    assert_eq!((follower.height(), follower.hash(0)), (5, old));
    follower.stop();
    let stopped = follower.run(&["chain", "verify"]).refused(3);
    for part in ["at block 0", &old.to_string(), &new.to_string(), "empty data folder"] {
        assert!(stopped.contains(part), "{part} in {stopped}");
    }
    follower.start();
    is_diverged_soon(&follower);
    says_everywhere(&follower, &[&old.to_string(), &new.to_string()]);
}

#[test]
fn an_authority_restored_without_its_mark_that_seals_other_blocks_at_lower_heights_is_a_divergence() {
    let (mut authority, mut follower) = network(5);
    authority.stop();
    let backup = authority.path("backup.redb");
    fs::copy(authority.database(), &backup).expect("copied");
    authority.start();
    make_blocks(&authority, 5, 5);
    follower.reaches(10);
    let ours = follower.hash(6);
    // While it is restored nobody is there from whom it could take its own blocks back.
    follower.stop();
    authority.kill();
    forget_the_mark(&authority);
    fs::copy(&backup, authority.database()).expect("copied back");
    authority.set("peers.start_wait_s", 1).start();
    let other = TxLegacy { value: U256::from(2), ..transfer(5) };
    authority.receipt(authority.send(&[sign(&dev::key(0), other)])[0]);
    assert_eq!(authority.height(), 6);
    let theirs = authority.hash(6);
    follower.start();
    let found = is_diverged_soon(&follower);
    let named = ["height", "lastCommonHeight", "ours", "theirs"].map(|key| found[key].clone());
    assert_eq!(named, [json!(6), json!(5), json!(ours), json!(theirs)]);
    let peer = found["peer"].as_str().expect("a peer").to_owned();
    says_everywhere(&follower, &[&ours.to_string(), &theirs.to_string(), &peer, "chain rollback --to 5"]);
    assert_eq!((follower.height(), follower.hash(6)), (10, ours), "nothing is thrown away");
}
