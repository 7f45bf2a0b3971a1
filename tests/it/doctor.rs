//! `callboard doctor`: the proof of two seals for third parties, and a look at everything around a node.

use crate::forge::{Forge, import, posted, sealed_again, with_header};
use crate::support::node::{Node, SOON};
use crate::support::{Place, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A running follower that was handed two blocks 2, and their hashes.
fn with_evidence() -> (Node, [String; 2]) {
    let mut forge = Forge::new();
    let blocks = forge.extend_by(3);
    let mut follower = forge.follower();
    follower.start();
    blocks.iter().for_each(|block| import(&follower, block));
    let second = sealed_again(&with_header(&blocks[1], |header| header.timestamp += 1));
    follower.post("/rpc/importBlock", &posted(&second));
    until("the proof is kept", SOON, || (follower.metric("callboard_equivocations") == 1).then_some(()));
    (follower, [blocks[1].hash(), second.hash()].map(|hash| hash.to_string()))
}

/// What `doctor` finds, by what was looked at.
fn found(node: &Node, code: i32, arguments: &[&str]) -> Value {
    let finished = node.run(&[&["doctor", "--json"], arguments].concat());
    assert_eq!(finished.code, code, "{}{}", finished.stdout, finished.stderr);
    serde_json::from_str(&finished.stdout).expect("JSON")
}

#[track_caller]
fn assert_found(findings: &Value, level: &str, check: &str, text: &str) {
    let is = |finding: &Value| {
        let about = format!("{} {}", finding["found"], finding["remedy"]);
        finding["level"] == level && finding["check"] == check && about.contains(text)
    };
    assert!(findings.as_array().expect("a list").iter().any(is), "{level} {check} {text}: {findings:#}");
}

#[test]
fn anybody_can_check_what_a_running_or_stopped_node_has_met() {
    let (mut follower, [first, second]) = with_evidence();
    let third_party = Place::new();
    let mut files = Vec::new();
    for name in ["running.json", "stopped.json"] {
        let file = third_party.path(name).display().to_string();
        follower.run(&["doctor", "--evidence", &file]).succeeded();
        let checked = third_party.run(&["doctor", "--check", name]).succeeded();
        let proven = format!("sealed two blocks of height 2: {first} and {second}");
        assert!(checked.starts_with("proves that 0x") && checked.contains(&proven), "{checked}");
        files.push(fs::read_to_string(&file).expect("written"));
        if name == "running.json" {
            follower.stop();
        }
    }
    assert_eq!(files[0], files[1]);
    let existing = third_party.path("stopped.json").display().to_string();
    let sentence = follower.run(&["doctor", "--evidence", &existing]).refused(1);
    assert!(sentence.contains("stopped.json"), "no file is overwritten: {sentence}");

    // Another height under the same seals, another block, half of the file: nothing is proven.
    let claims_another_height = files[0].replace("\"height\": 2", "\"height\": 3");
    let names_another_block = files[0].replace(&second, &first);
    for tampered in [claims_another_height, names_another_block, files[0][..files[0].len() / 2].to_owned()] {
        third_party.write("tampered.json", &tampered);
        let sentence = third_party.run(&["doctor", "--check", "tampered.json"]).refused(1);
        assert!(sentence.contains("tampered.json"), "{sentence}");
    }
}

#[test]
fn a_node_that_met_nothing_wrong_writes_no_evidence() {
    let mut authority = Node::authority();
    authority.start();
    let file = authority.path("evidence.json");
    let printed = authority.run(&["doctor", "--evidence", &file.display().to_string()]).succeeded();
    assert!(printed.contains("no two sealed blocks") && !file.exists(), "{printed}");
}

#[test]
fn a_healthy_node_has_no_complaints_and_a_stopped_one_is_told_what_it_lacks() {
    let mut authority = Node::authority();
    authority.start().is_phase("following");
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    let findings = found(&follower, 0, &[]);
    assert_found(&findings, "ok", "phase", "following");
    assert_found(&findings, "ok", "seed", &authority.peer_url());
    assert_found(&findings, "ok", "clock", "s ahead of this machine");
    assert_found(&findings, "ok", "node key", "private");
    assert_found(&findings, "warn", "genesis", "not pinned");

    authority.stop();
    follower.stop();
    fs::set_permissions(follower.data("node.key"), fs::Permissions::from_mode(0o644)).expect("changed");
    follower.set("genesis.hash", format!("0x{}", "11".repeat(32)));
    let findings = found(&follower, 1, &[]);
    assert_found(&findings, "fail", "genesis", "correct the pin");
    assert_found(&findings, "warn", "node key", "chmod 600");
    assert_found(&findings, "warn", "node", "no node answers");
    assert_found(&findings, "warn", "seed", "take it out of peers.seeds");
}

#[test]
fn what_stops_a_node_is_a_failure_with_the_remedy() {
    let (follower, _) = with_evidence();
    let findings = found(&follower, 1, &[]);
    assert_found(&findings, "fail", "alert", "sealed two blocks of height 2");
    let mut crowded = Node::new("crowded");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    crowded.set("rpc.listen", holder.local_addr().expect("address").to_string());
    crowded.set("store.min_free_bytes", json!(u64::MAX / 4));
    let findings = found(&crowded, 1, &[]);
    assert_found(&findings, "fail", "rpc.listen", "choose another address");
    assert_found(&findings, "fail", "disk", "store.min_free_bytes");
    crowded.set("rpc.listen", "nowhere");
    assert_found(&found(&crowded, 1, &[]), "fail", "configuration", "nowhere");
}
