//! Two validly sealed chains, real processes: said with heights, hashes and remedy, on every way out; and `chain accept`.

use crate::check_chain::damage_block;
use crate::forge::{Forge, import, transfer};
use crate::support::node::{Node, SOON};
use crate::support::until;
use callboard_store::{NodeStore, ToldDivergence};
use serde_json::{Value, json};

/// One chain to block 5, then two. A node that shows the one, and a follower of it that is on the other.
struct Fork {
    shown: Node,
    follower: Node,
    theirs: String,
    ours: String,
}

fn fork() -> Fork {
    let mut forge = Forge::new();
    let mut twin = forge.twin();
    let common = forge.extend_by(5);
    assert_eq!(twin.extend_by(5), common);
    let shown_blocks = forge.extend_by(3);
    let our_blocks = [twin.extend(&[transfer(1, 0, 7)]), twin.extend(&[])];
    let mut shown = forge.follower();
    shown.start();
    common.iter().chain(&shown_blocks).for_each(|block| import(&shown, block));
    let mut follower = forge.follower();
    follower.start();
    common.iter().chain(&our_blocks).for_each(|block| import(&follower, block));
    follower.stop();
    follower.follow(&[&shown]);
    Fork { shown, follower, theirs: shown_blocks[0].hash().to_string(), ours: our_blocks[0].hash().to_string() }
}

#[test]
fn a_follower_on_another_sealed_chain_says_so_everywhere_with_heights_hashes_and_remedy() {
    let Fork { shown, mut follower, theirs, ours } = fork();
    follower.start().is_phase("diverged");
    let status = follower.status();
    let found = &status["divergence"];
    let expected =
        [("height", json!(6)), ("lastCommonHeight", json!(5)), ("ours", json!(ours)), ("theirs", json!(theirs))];
    for (key, value) in expected {
        assert_eq!(found[key], value, "{key} of {found}");
    }
    let remedy = found["remedy"].as_str().expect("a remedy");
    assert!(
        remedy.contains("chain rollback --to 5") && remedy.contains(&format!("chain accept 6 {theirs}")),
        "{remedy}"
    );
    assert_eq!(status["peers"][0]["state"], "differs");
    let (code, reason) = follower.get("/health/ready");
    let reason = reason.to_string();
    assert_eq!(code, 503);
    let peer = found["peer"].as_str().expect("a peer");
    for said in [ours.as_str(), &theirs, peer, "rollback --to 5", "block 6"] {
        assert!(reason.contains(said), "{said} in {reason}");
        assert!(status["alerts"].to_string().contains(said), "{said} in the alerts");
        assert!(follower.has_logged(said), "{said} in the log");
    }
    let labels = [("height", "6"), ("ours", &ours), ("theirs", &theirs), ("peer", peer), ("remedy", remedy)];
    for (name, value) in labels {
        let label = format!("{name}=\"{value}\"");
        assert_eq!(follower.metric_with("callboard_sync_diverged", &label), 1, "{label} in the metric");
    }
    assert_eq!(follower.metric_with("callboard_alert", "diverged"), 1);
    assert_eq!((follower.height(), shown.height()), (7, 8), "nobody has changed its chain");

    // It is said of the stopped node, too, whatever comes of the check itself.
    follower.stop();
    let says = |more: &[&str], other: &str| {
        let sentence = follower.run(&[&["chain", "verify"], more].concat()).refused(3);
        for part in ["diverged at block 6", &ours, &theirs, "rollback --to 5", other] {
            assert!(sentence.contains(part), "{part} in {sentence}");
        }
    };
    says(&[], "the stored blocks are right");
    says(&["--to", "1000"], "the head is");
    damage_block(&follower, 4);
    says(&[], "chain reconcile --full");
    let told = follower.run(&["chain", "verify", "--json"]);
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert!(told["ok"] == false && told["fault"].is_string(), "{told}");
    assert_eq!((&told["divergence"]["height"], &told["divergence"]["theirs"]), (&json!(6), &json!(theirs)));
}

/// Where the chains part is what a rollback decides about: without that, the same blocks may be wanted again.
#[test]
fn a_node_that_was_stopped_before_it_knew_where_the_chains_part_says_so_and_decides_nothing_by_a_rollback() {
    let Fork { follower, theirs, ours, .. } = fork();
    let hash = |text: &str| text.parse().expect("a hash");
    let told = ToldDivergence { height: 6, is_first: false, ours: Some(hash(&ours)), theirs: hash(&theirs) };
    let store = NodeStore::open(follower.data("node.redb")).expect("opened");
    store.put_divergence(Some(&told)).expect("written");
    drop(store);
    let sentence = follower.run(&["chain", "verify"]).refused(3);
    for part in [&ours, &theirs, "where the chains part is not known yet"] {
        assert!(sentence.contains(part), "{part} in {sentence}");
    }
    let done = follower.run(&["chain", "rollback", "--to", "5", "--json"]).succeeded();
    let done: Value = serde_json::from_str(&done).expect("JSON");
    assert_eq!((&done["to"], &done["givenUp"]), (&json!(5), &Value::Null));
}

#[test]
fn an_accepted_fork_is_no_divergence_and_is_not_followed() {
    let Fork { shown, mut follower, theirs, ours } = fork();
    follower.start().is_phase("diverged");
    let accept =
        |node: &Node, height: &str, hash: &str| node.run(&["chain", "accept", height, hash, "--config", "node.toml"]);
    let in_use = accept(&follower, "6", &theirs);
    assert_ne!(in_use.code, 0);
    assert!(in_use.stderr.contains("in use") || in_use.stderr.contains("running"), "{}", in_use.stderr);
    follower.stop();
    let own = accept(&follower, "6", &ours);
    assert!(own.code != 0 && own.stderr.contains("is block 6 of this chain"), "{}", own.stderr);
    let above = accept(&follower, "8", &theirs);
    assert!(above.code != 0 && above.stderr.contains("ends at block 7"), "{}", above.stderr);
    let done = accept(&follower, "6", &theirs);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    follower.start().is_phase("following");
    until("the peer is known", SOON, || (follower.status()["peers"][0]["state"] == "accepted").then_some(()));
    assert_eq!(follower.status()["divergence"], Value::Null);
    assert_eq!(follower.get("/health/ready").0, 200);
    assert_eq!((follower.height(), shown.height()), (7, 8));
}

#[test]
fn a_seed_that_was_made_anew_from_a_new_genesis_is_a_divergence_without_a_common_height() {
    let (old, new) = (Forge::new(), Forge::with_name("made anew"));
    let mut seed = new.follower();
    seed.start();
    let mut follower = old.follower();
    follower.follow(&[&seed]);
    follower.start().is_phase("diverged");
    let found = &follower.status()["divergence"];
    assert_eq!((&found["height"], &found["lastCommonHeight"]), (&json!(0), &Value::Null));
    assert_eq!(found["ours"], json!(old.genesis.hash()));
    assert_eq!(found["theirs"], json!(new.genesis.hash()));
    assert_eq!(follower.get("/health/ready").0, 503);
}
