//! Alerts: what is wrong is made to happen on a real node, which says so once, in its log, `callboard_syncStatus`, the
//! metrics and at the webhook, and says once that it is over. Clocks are in `clocks`, two seals of one height in
//! `equivocation`, damage in `check_chain`.

use crate::forge::{Forge, import, posted, sign, unsigned, with_header};
use crate::support::http::Http;
use crate::support::node::{Node, SOON};
use crate::support::receiver::Receiver;
use crate::support::until;
use crate::support::wallet::{make_blocks, transfers};
use alloy_consensus::TxLegacy;
use alloy_primitives::{Address, Bytes, TxKind};
use callboard::dev;
use callboard_chain::{Block, Transaction};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Waits until the alarm stands: in the metric, and with this in its sentence in the status.
#[track_caller]
fn stands(node: &Node, name: &str, sentence: &str) {
    until(&format!("{name} is raised with {sentence:?}"), SOON, || {
        let said = node.status()["alerts"].to_string().contains(sentence);
        (said && node.alarm(name)).then_some(())
    });
}

/// Waits until it is over: in both.
#[track_caller]
fn is_over(node: &Node, name: &str, sentence: &str) {
    until(&format!("{name} is over"), SOON, || {
        let said = node.status()["alerts"].to_string().contains(sentence);
        (!said && !node.alarm(name)).then_some(())
    });
}

/// It was raised once and cleared once: a line in the log for each.
#[track_caller]
fn was_said_once(node: &Node, name: &str) {
    let log = fs::read_to_string(node.path("log")).expect("a log");
    let label = format!("alarm=\"{name}\"");
    let lines: Vec<_> = log.lines().filter(|line| line.contains(&label)).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("ERROR") && lines[1].contains("the alarm is over"), "{lines:?}");
}

/// A follower of the authority, which has sealed three blocks; both follow.
fn network() -> (Node, Node) {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 3);
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(3);
    follower.is_phase("following");
    (authority, follower)
}

#[test]
fn a_follower_whose_only_peer_is_killed_says_that_nobody_is_there_until_it_is_back() {
    let (mut authority, follower) = network();
    authority.kill();
    stands(&follower, "no_peers", "no peer is connected");
    authority.start();
    is_over(&follower, "no_peers", "no peer is connected");
    was_said_once(&follower, "no_peers");
}

#[test]
fn a_follower_whose_authority_stands_still_is_stalled_with_an_old_head_until_it_goes_on() {
    let mut authority = Node::authority();
    authority.set("genesis.heartbeat_s", 3).start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.set("alerts.head_age_s", 10).start().is_phase("following");
    authority.pause();
    stands(&follower, "stalled", "the newest block is");
    stands(&follower, "head_age", "alerts.head_age_s allows 10");
    authority.resume();
    is_over(&follower, "head_age", "alerts.head_age_s");
    is_over(&follower, "stalled", "the newest block is");
    was_said_once(&follower, "head_age");
    was_said_once(&follower, "stalled");
}

#[test]
fn a_peer_on_a_dead_branch_is_an_alarm_with_the_proof_and_leaves_a_healthy_node_ready() {
    let mut forge = Forge::with(|config| config.heartbeat_seconds = 60);
    let mut twin = forge.twin();
    let common = forge.extend_by(2);
    assert_eq!(twin.extend_by(2), common);
    let mut dead = forge.follower();
    dead.start();
    common.iter().chain(&[twin.extend(&[])]).for_each(|block| import(&dead, block));
    let mut healthy = forge.follower();
    healthy.start();
    let living = forge.extend_at(wall_seconds(), &[]);
    common.iter().chain(std::slice::from_ref(&living)).for_each(|block| import(&healthy, block));
    healthy.stop();
    healthy.follow(&[&dead]).start();
    stands(&healthy, "dead_branch", &twin.header(3).hash_slow().to_string());
    until("the proof of two seals is kept", SOON, || {
        let kept = healthy.call("callboard_evidence", json!([]))["evidence"].to_string();
        let hashes = [living.hash(), twin.header(3).hash_slow()].map(|hash| hash.to_string());
        hashes.iter().all(|hash| kept.contains(hash)).then_some(())
    });
    healthy.is_phase("following");
    let (code, reason) = healthy.get("/health/ready");
    assert_eq!((code, healthy.hash(3)), (200, living.hash()), "{reason}");
    assert!(!healthy.alarm("diverged"));
}

#[test]
fn a_divergence_is_an_alarm_until_the_other_chain_is_gone() {
    // A branch is forgotten when its newest block is six heartbeats old beside a fresh one of ours.
    let mut forge = Forge::with(|config| config.heartbeat_seconds = 2);
    let mut twin = forge.twin();
    let mut shown = forge.follower();
    shown.start();
    forge.extend_by(3).iter().for_each(|block| import(&shown, block));
    let mut follower = forge.follower();
    follower.follow(&[&shown]).start();
    follower.reaches(3);
    // Its peer loses all, and takes up another sealed chain.
    shown.stop();
    fs::remove_file(shown.database()).expect("removed");
    shown.start();
    import(&shown, &twin.extend_at(wall_seconds(), &[]));
    stands(&follower, "diverged", "diverged at block 1");
    shown.kill();
    // Nobody shows it any more, and our chain lives.
    let mut newest = 0;
    until("the other chain is forgotten", SOON, || {
        let now = wall_seconds();
        if now > newest {
            newest = now;
            import(&follower, &forge.extend_at(now, &[]));
        }
        (!follower.alarm("diverged")).then_some(())
    });
    is_over(&follower, "diverged", "diverged at block 1");
    was_said_once(&follower, "diverged");
}

#[test]
fn too_many_refused_blocks_in_a_minute_are_an_alarm_until_nobody_sends_them_any_more() {
    let mut forge = Forge::new();
    let mut follower = forge.follower();
    follower.set("alerts.rejected_per_minute", 2).start();
    let block = forge.extend(&[]);
    for gas in 1..=3 {
        let forged = with_header(&block, |header| header.gas_used = gas);
        assert_ne!(follower.post("/rpc/importBlock", &posted(&forged)).0, 200);
    }
    stands(&follower, "rejections", "3 blocks were refused within a minute");
    is_over(&follower, "rejections", "were refused within a minute");
    was_said_once(&follower, "rejections");
    import(&follower, &block);
}

#[test]
fn a_disk_that_fills_up_is_an_alarm_until_there_is_room_again() {
    /// Other programs write less than this meanwhile.
    const MARGIN: u64 = 1 << 30;
    let mut node = Node::authority();
    let folder = node.path("");
    let free = fs4::available_space(&folder).expect("a disk");
    assert!(free > 4 * MARGIN, "this test needs 4 GiB of disk, {free} bytes are free");
    // The alarm comes at twice as much.
    node.set("store.min_free_bytes", (free - MARGIN) / 2).start();
    assert!(!node.alarm("disk_nearly_full"));
    let ballast = fs::File::create(node.path("ballast")).expect("a file");
    fs4::FileExt::allocate(&ballast, 2 * MARGIN).expect("allocated");
    stands(&node, "disk_nearly_full", "store.min_free_bytes");
    drop(ballast);
    fs::remove_file(node.path("ballast")).expect("removed");
    is_over(&node, "disk_nearly_full", "store.min_free_bytes");
    was_said_once(&node, "disk_nearly_full");
}

#[test]
fn a_pool_without_room_is_an_alarm_until_blocks_have_taken_what_it_held() {
    let mut authority = Node::authority();
    authority.set("pool.max_transactions", 20).start();
    // What waits for nonce 0 leaves room for no more than that.
    authority.send(&transfers(0, 1, 19));
    stands(&authority, "pool_full", "the pool is full: 19 of 20 transactions");
    authority.send(&transfers(0, 0, 1));
    is_over(&authority, "pool_full", "the pool is full");
    was_said_once(&authority, "pool_full");
}

/// Creates a contract whose code hashes 64 KiB again and again until the gas is gone.
fn hashes(nonce: u64) -> Transaction {
    let endless = hex::decode("5b620100005f20505f56").expect("code");
    let transaction = TxLegacy {
        gas_limit: 16_000_000,
        to: TxKind::Create,
        input: Bytes::from(endless),
        ..unsigned(nonce, Address::ZERO, 0)
    };
    sign(transaction, &dev::key(0))
}

/// A block whose execution takes about this long in this build on this machine.
fn slow_block(forge: &mut Forge, node: &Node, takes: Duration) -> Block {
    const SAMPLE: u64 = 4;
    let sample: Vec<_> = (0..SAMPLE).map(hashes).collect();
    let begun = Instant::now();
    import(node, &forge.extend(&sample));
    // Built here and executed there.
    let each = begun.elapsed() / (2 * SAMPLE as u32);
    let count = u64::try_from(takes.as_nanos() / each.as_nanos().max(1)).expect("few").clamp(1, 120);
    forge.extend(&(SAMPLE..SAMPLE + count).map(hashes).collect::<Vec<_>>())
}

#[test]
fn an_actor_whose_messages_wait_for_seconds_is_an_alarm_until_they_do_not() {
    let mut forge = Forge::with(|config| config.gas_limit = 2_000_000_000);
    let mut follower = forge.follower();
    follower.start();
    let block = slow_block(&mut forge, &follower, Duration::from_secs(6));
    // While the first is executed, the others wait for ConfirmedState.
    let url = format!("{}/rpc/importBlock", follower.rpc_url());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| Http::new().post(&url, &posted(&block)).expect("an answer"));
        }
    });
    stands(&follower, "actor_slow", "for ConfirmedState");
    is_over(&follower, "actor_slow", "for ConfirmedState");
    was_said_once(&follower, "actor_slow");
}

#[test]
fn the_webhook_hears_of_each_alarm_once_although_it_answers_500_at_first_and_the_log_keeps_its_secret() {
    let receiver = Receiver::start(&["500 Not Now", "200 OK"]);
    let (mut authority, mut follower) = network();
    follower.stop();
    follower.set("alerts.webhook", format!("{}/T0P-SECRET?key=T0P-SECRET", receiver.url)).start();
    follower.is_phase("following");
    authority.kill();
    let (first, again) = (receiver.next(SOON), receiver.next(SOON));
    assert_eq!(first, again, "the same again after the 500");
    let at = first["at"].as_u64().expect("unix seconds");
    assert!(wall_seconds() - at < 60, "{first}");
    let expected = json!({
        "name": "no_peers",
        "state": "raised",
        "sentence": first["sentence"],
        "remedy": callboard_actors::monitor::Alarm::NoPeers.remedy(),
        "at": at,
        "node": "follower",
        "chain": { "id": 1337, "genesis": follower.hash(0) },
    });
    assert_eq!(first, expected);
    assert!(first["sentence"].as_str().expect("a sentence").starts_with("no peer is connected"), "{first}");
    authority.start();
    let cleared = receiver.next(SOON);
    assert_eq!((&cleared["name"], &cleared["state"]), (&json!("no_peers"), &json!("cleared")));
    until("both are counted", SOON, || {
        (follower.metric_with("callboard_webhook_notices_total", "delivered") == 2).then_some(())
    });
    assert!(!follower.has_logged("T0P-SECRET"));
    follower.stop();
}

#[test]
fn a_webhook_that_is_no_url_is_refused_without_its_secret_being_said() {
    for url in ["hooks.example/T0P-SECRET", "ftp://hooks.example/T0P-SECRET", "https://"] {
        let mut node = Node::authority();
        let said = node.set("alerts.webhook", url).refused();
        assert!(said.contains("alerts.webhook") && said.contains("must be an http or https URL"), "{said}");
        assert!(!said.contains("T0P-SECRET"), "{said}");
    }
}

#[test]
fn what_the_operator_switched_off_is_no_alarm() {
    let mut authority = Node::authority();
    authority.set("genesis.heartbeat_s", 3).start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.set("alerts.stall", false).set("alerts.no_peers", false).set("alerts.head_age_s", 25).start();
    follower.is_phase("following");
    authority.kill();
    // By then the others would have been raised: after 9 s without a block, and 10 s without a peer.
    stands(&follower, "head_age", "alerts.head_age_s allows 25");
    assert_eq!(follower.status()["phase"], "stalled");
    assert!(!follower.alarm("no_peers") && !follower.alarm("stalled"));
}

fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
