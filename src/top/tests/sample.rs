//! Answers of a node, made up.

use crate::top::answers::Answers;
use crate::top::state::State;
use serde_json::{Value, json};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The answers of a follower in this phase.
pub(super) fn answers(phase: &str) -> Answers {
    read(status(phase), actors(), peers(), refusals())
}

/// A node that has just begun: nothing is there.
pub(super) fn empty() -> Answers {
    let status = json!({ "phase": "genesis", "role": "follower", "head": { "height": 0 }, "stages": [], "peers": [], "alerts": [] });
    read(status, json!([]), json!([]), json!([]))
}

pub(super) fn read(status: Value, actors: Value, peers: Value, refusals: Value) -> Answers {
    Answers::read([Ok(status), Ok(actors), Ok(peers), Ok(refusals)]).expect("answers")
}

/// A state that has these answers.
pub(super) fn state(answers: Answers) -> State {
    let mut state = State::new("http://127.0.0.1:8545/".to_owned(), SECOND);
    state.on_time(SECOND);
    state.on_answers(SECOND, Ok(answers));
    state
}

/// The same, and then the node is gone.
pub(super) fn lost(answers: Answers) -> State {
    let mut state = state(answers);
    state.on_time(2 * SECOND);
    state.on_answers(2 * SECOND, Err(refused()));
    state.on_time(3 * SECOND);
    state.on_answers(3 * SECOND, Err(refused()));
    state.on_time(4 * SECOND);
    state
}

fn refused() -> String {
    "Connection refused (os error 111)".to_owned()
}

pub(super) fn status(phase: &str) -> Value {
    let catching_up = phase == "catching-up";
    let head = if catching_up { 12_345 } else { 100_000 };
    let stage = |(name, busy, items, seconds): (&str, f64, u64, f64)| json!({ "name": name, "busy": busy, "items": items, "seconds": seconds, "stalled": busy / 3.0 });
    let stages = [
        ("fetch", 0.31, 12_801, 9.0),
        ("verify", 0.62, 12_600, 31.0),
        ("execute", 0.97, 123_450, 95.0),
        ("root", 0.22, 12_345, 21.0),
        ("commit", 0.05, 12_000, 4.0),
    ];
    let divergence = json!({ "height": 41, "ours": null, "theirs": "0x22", "peer": "02aa", "lastCommonHeight": 40,
        "remedy": "find out which chain is right; to take theirs, stop this node, run `callboard chain rollback --to 40` and start it again" });
    json!({
        "phase": phase, "role": "follower",
        "head": { "height": head, "hash": "0x11", "timestamp": 1 },
        "target": catching_up.then(|| json!({ "height": 100_000, "hash": "0x22", "peer": "02aa" })),
        "behindBlocks": if catching_up { 87_655 } else { 0 },
        "headAgeSeconds": if catching_up { 93_784 } else { 2 },
        "blocksPerSecond": if catching_up { 1_234.5 } else { 0.5 },
        "transactionsPerSecond": if catching_up { 12_345.0 } else { 5.0 },
        "etaSeconds": catching_up.then_some(71),
        "bottleneck": catching_up.then_some("execute"),
        "stages": stages.map(stage),
        "peers": [{ "id": id(2), "url": "http://10.0.0.2:9545", "height": 100_000, "hash": "0x22", "state": if catching_up { "ahead" } else { "agrees" } },
                  { "id": id(3), "url": "http://10.0.0.3:9545", "height": 99_990, "hash": "0x33", "state": "differs" }],
        "divergence": (phase == "diverged").then_some(divergence),
        "alerts": if catching_up { json!([]) } else { json!([
            "the clock of 2 peers differs from this node's by more than 15 s: set the clocks by NTP, and look which of them is wrong",
            "the disk is nearly full\u{1b}[2J: 1 GiB is free in /data; make room"]) },
    })
}

fn id(number: u8) -> String {
    format!("{number:02}").repeat(33)
}

pub(super) fn actors() -> Value {
    let message = |name: &str, share: u64, refused: u64| {
        json!({ "message": name, "depth": share % 7, "handled": 1_000 * share, "refused": refused, "timedOut": refused / 2,
                "perSecond": share as f64, "waitP50Us": 12 * share, "waitP99Us": 1_200 * share, "handleP50Us": 3 * share, "handleP99Us": 45 * share })
    };
    let actor = |(name, load): (&str, u64)| {
        json!({ "actor": name, "state": if name == "Broadcaster" { "starting" } else { "running" },
            "mailboxDepth": load * 11, "mailboxCapacity": 1_024, "handled": 12_345 * load, "refused": if load > 50 { load } else { 0 },
            "perSecond": 13.7 * load as f64, "waitP50Us": 9 * load, "waitP99Us": 1_234 * load, "handleP50Us": 7 * load,
            "handleP99Us": 14_321 * load, "busy": load as f64 / 100.0,
            "messages": [message("ConfirmBlocks", load, 3), message("HeadRequest", load / 2, 0), message("Stop", 0, 0)] })
    };
    let actors = [
        ("ConfirmedState", 97),
        ("BlockStore", 41),
        ("TxPool", 3),
        ("SyncCoordinator", 12),
        ("PeerDiscovery", 1),
        ("Broadcaster", 0),
        ("PeerIntake", 0),
        ("EventStream", 5),
        ("Monitor", 0),
        ("Reconciler", 0),
    ];
    json!(actors.map(actor))
}

pub(super) fn peers() -> Value {
    json!([
        { "id": null, "url": "http://10.0.0.9:9545", "role": null, "direction": null, "state": "waiting", "score": 0,
          "ban": null, "reason": "Connection refused (os error 111)", "height": null, "hash": null },
        { "id": id(2), "url": "http://10.0.0.2:9545", "role": "authority", "direction": "outbound", "state": "connected", "score": 0,
          "ban": null, "reason": null, "height": 100_000, "hash": format!("0x{}", "2f".repeat(32)) },
        { "id": id(3), "url": "http://a-rather-long-name.of-some.example.org:9545", "role": "follower", "direction": "both", "state": "connected",
          "score": -4, "ban": null, "reason": null, "height": 99_990, "hash": format!("0x{}", "3f".repeat(32)) },
        { "id": id(4), "url": null, "role": "follower", "direction": "inbound", "state": "banned", "score": -10,
          "ban": { "until": 5, "reason": "sent a block with a forged seal" }, "reason": null, "height": null, "hash": null },
    ])
}

pub(super) fn refusals() -> Value {
    json!([
        { "height": 12_001, "check": "seal", "message": "block 12001: the seal is not the authority's", "blame": "peer",
          "sender": id(4), "count": 3, "remedy": "nothing is to be done here: the peer is banned" },
        { "height": null, "check": "decoding", "message": "a block that cannot be read: 7 bytes too many", "blame": "peer",
          "sender": null, "count": 1, "remedy": null },
    ])
}
