//! The shapes that scripts outside the project are written against, as real nodes answer them: every member and its kind.
//! A member more is a change of the interface too: it belongs into this file and into the CHANGELOG.

use crate::forge::{Forge, import, posted, transfer, with_body};
use crate::support::node::{Node, SOON};
use crate::support::until;
use crate::support::wallet::{RECIPIENT, address, make_blocks, transfers};
use alloy_primitives::B256;
use callboard_actors::callboard::{Delivery, Kind, Origin};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How an answer differs from a shape; empty where it does not. In a shape a string names a kind, with `?` where it may be
/// null; `[shape]` is a list of at least one, `[shape, "*"]` one that may be empty; an object has these members and no
/// others. Under `"="` are strings of which it is one, under `"|"` shapes of which it has one, under `"?"` the shape that it
/// has where it is not null.
fn differences(at: &str, value: &Value, shape: &Value) -> Vec<String> {
    let other = |what: &str| vec![format!("{at} is {value}, not {what}")];
    match shape {
        Value::String(kind) => match kind.strip_suffix('?') {
            Some(_) if value.is_null() => Vec::new(),
            optional => {
                let kind = optional.unwrap_or(kind);
                if is_kind(kind, value) { Vec::new() } else { other(kind) }
            }
        },
        Value::Array(shapes) => {
            let Some(values) = value.as_array() else { return other("a list") };
            let may_be_empty = shapes.get(1).is_some_and(|mark| mark == "*");
            if values.is_empty() && !may_be_empty {
                return other("a list with something in it");
            }
            let each = values.iter().enumerate();
            each.flat_map(|(index, value)| differences(&format!("{at}/{index}"), value, &shapes[0])).collect()
        }
        Value::Object(members) if members.contains_key("=") => {
            let allowed = members["="].as_array().expect("a list of words");
            if allowed.contains(value) { Vec::new() } else { other(&members["="].to_string()) }
        }
        Value::Object(members) if members.contains_key("|") => {
            let shapes = members["|"].as_array().expect("a list of shapes");
            let found: Vec<_> = shapes.iter().map(|shape| differences(at, value, shape)).collect();
            if found.iter().any(Vec::is_empty) { Vec::new() } else { found.concat() }
        }
        Value::Object(members) if members.contains_key("?") => match value {
            Value::Null => Vec::new(),
            value => differences(at, value, &members["?"]),
        },
        Value::Object(members) => {
            let Some(object) = value.as_object() else { return other("an object") };
            let names = |object: &serde_json::Map<_, _>| object.keys().cloned().collect::<BTreeSet<String>>();
            let (has, wanted) = (names(object), names(members));
            let mut found: Vec<_> = wanted.difference(&has).map(|name| format!("{at}/{name} is missing")).collect();
            found.extend(has.difference(&wanted).map(|name| format!("{at}/{name} is new")));
            let both = wanted.intersection(&has);
            found.extend(both.flat_map(|name| differences(&format!("{at}/{name}"), &object[name], &members[name])));
            found
        }
        exact if exact == value => Vec::new(),
        exact => other(&exact.to_string()),
    }
}

fn is_kind(kind: &str, value: &Value) -> bool {
    let is_hex = |digits: Option<usize>| {
        let hex = value.as_str().and_then(|text| text.strip_prefix("0x"));
        hex.is_some_and(|hex| {
            digits.is_none_or(|digits| hex.len() == digits) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let is_text = |is: fn(&str) -> bool| value.as_str().is_some_and(is);
    match kind {
        "count" => value.is_u64(),
        "number" => value.is_number(),
        "bool" => value.is_boolean(),
        "text" => is_text(|text| !text.is_empty()),
        "hash" => is_hex(Some(64)),
        "address" => is_hex(Some(40)),
        "bytes" => is_hex(None),
        "wei" => is_text(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())),
        "time" => is_text(|text| text.len() == 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z')),
        "node" => is_text(|text| text.len() == 66 && text.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "url" => is_text(|text| text.starts_with("http://127.0.0.1:")),
        exact => value == exact,
    }
}

#[track_caller]
fn has_shape(what: &str, value: &Value, shape: &Value) {
    let found = differences("", value, shape);
    assert!(found.is_empty(), "{what}:\n  {}\n{value:#}", found.join("\n  "));
}

/// An answer of a REST route, which has this status.
#[track_caller]
fn get(node: &Node, path: &str, status: u16, shape: &Value) -> Value {
    let (answered, value) = node.get(path);
    assert_eq!(answered, status, "{path}: {value}");
    has_shape(path, &value, shape);
    value
}

/// An authority with blocks, and a follower that has them.
fn two_nodes() -> (Node, Node) {
    let mut authority = Node::authority();
    authority.start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    make_blocks(&authority, 0, 2);
    follower.reaches(authority.height());
    (authority, follower)
}

fn sync_status() -> Value {
    json!({
        "phase": { "=": ["genesis", "replaying", "catching-up", "following", "stalled", "diverged"] },
        "role": { "=": ["authority", "follower"] },
        "head": { "height": "count", "hash": "hash", "timestamp": "count" },
        "target": { "?": { "height": "count", "hash": "hash", "peer": "node" } },
        "behindBlocks": "count",
        "headAgeSeconds": "count",
        "blocksPerSecond": "number",
        "transactionsPerSecond": "number",
        "etaSeconds": "count?",
        "bottleneck": "text?",
        "stages": [{ "name": { "=": ["fetch", "verify", "execute", "root", "commit"] },
                     "busy": "number", "stalled": "number", "items": "count", "seconds": "number" }],
        "peers": [{ "id": "node", "url": "text", "height": "count?", "hash": "hash?",
                    "state": { "=": ["agrees", "ahead", "differs", "unknown"] } }, "*"],
        "divergence": { "?": { "height": "count", "ours": "hash?", "theirs": "hash", "peer": "text",
                               "lastCommonHeight": "count?", "remedy": "text" } },
        "lastRejection": "text?",
        "lastReconciled": { "?": { "height": "count", "at": "count", "ok": "bool" } },
        "alerts": ["text", "*"],
    })
}

fn actors() -> Value {
    let figures = json!({
        "handled": "count", "refused": "count", "perSecond": "number", "waitP50Us": "count", "waitP99Us": "count",
        "handleP50Us": "count", "handleP99Us": "count",
    });
    let with = |more: Value| {
        let mut all = figures.as_object().expect("an object").clone();
        all.extend(more.as_object().expect("an object").clone());
        Value::Object(all)
    };
    let message = with(json!({ "message": "text", "depth": "count", "timedOut": "count" }));
    json!([with(json!({
        "actor": "text", "state": "text", "mailboxDepth": "count", "mailboxCapacity": "count", "busy": "number",
        "messages": [message, "*"],
    }))])
}

fn routes() -> Value {
    let names = |all: Value| json!({ "=": all });
    let (origins, kinds) = (names(json!(Origin::ALL)), names(json!(Kind::ALL)));
    let delivery = names(json!(Delivery::ALL));
    json!({
        "table": [{ "origin": origins, "kind": kinds, "role": { "=": ["authority", "follower"] }, "phase": "text",
                    "routes": [delivery, "*"] }],
        "counts": [{ "origin": origins, "kind": kinds, "route": delivery, "count": "count" }],
    })
}

fn peers() -> Value {
    json!([{
        "id": "node?", "url": "url?", "urls": ["url", "*"], "seed": "bool",
        "role": { "?": { "=": ["authority", "follower"] } },
        "direction": { "?": { "=": ["outbound", "inbound", "both"] } },
        "state": { "=": ["connected", "inbound", "dialling", "waiting", "refused", "banned"] },
        "score": "number", "ban": { "?": { "until": "count", "reason": "text" } }, "reason": "text?",
        "height": "count?", "hash": "hash?", "since": "count?", "clockSkewSeconds": "number?",
    }])
}

fn transaction(time: &str) -> Value {
    json!({
        "tx_hash": "hash", "hash": "hash", "block_height": "count", "index": "count", "sender": "address",
        "recipient": "address?", "value": "wei", "nonce": "count", "data": "bytes", "timestamp": time,
        "status": { "=": ["confirmed", "failed"] },
    })
}

/// A block of blocks-range without what `include_tx=false` leaves out.
fn bare_block() -> Value {
    json!({
        "height": "count", "hash": "hash", "parent_hash": "hash", "timestamp": "time", "proposer": "address",
        "state_root": "hash", "tx_count": "count",
    })
}

fn whole_block() -> Value {
    let mut block = bare_block();
    block["raw"] = json!("bytes");
    block["transactions"] = json!([transaction("time"), "*"]);
    block
}

fn refusal() -> Value {
    json!({ "success": false, "error": "text" })
}

#[test]
fn the_state_of_a_node_has_the_members_that_scripts_read() {
    let (authority, follower) = two_nodes();
    // It has heard of the authority's head.
    until("they agree", SOON, || (follower.status()["peers"][0]["state"] == "agrees").then_some(()));
    for node in [&authority, &follower] {
        until("it shows its peer", SOON, || (node.call("callboard_peers", json!([])) != json!([])).then_some(()));
        for (method, route, shape) in [
            ("callboard_syncStatus", Some("/rpc/sync"), sync_status()),
            ("callboard_actors", Some("/rpc/actors"), actors()),
            ("callboard_peers", Some("/rpc/peers"), peers()),
            ("callboard_routes", None, routes()),
        ] {
            has_shape(method, &node.call(method, json!([])), &shape);
            route.map(|route| get(node, route, 200, &shape));
        }
        get(node, "/health/live", 200, &json!({ "status": "live" }));
        get(node, "/health/ready", 200, &json!({ "status": "ready" }));
    }
    let names = |node: &Node| {
        let actors = node.call("callboard_actors", json!([]));
        actors.as_array().expect("a list").iter().map(|actor| actor["actor"].clone()).collect::<Vec<_>>()
    };
    assert!(names(&authority).contains(&json!("Proposer")) && !names(&follower).contains(&json!("Proposer")));
}

#[test]
fn blocks_transactions_and_accounts_have_the_members_that_scripts_read() {
    let (_authority, node) = two_nodes();
    let head =
        json!({ "height": "count", "hash": "hash", "timestamp": "time", "tx_count": "count", "state_root": "hash" });
    get(&node, "/rpc/head", 200, &head);
    let range = |block: Value| json!({ "success": true, "blocks": [block], "count": "count", "next": "count?" });
    let page = get(&node, "/rpc/blocks-range?start=0&end=2", 200, &range(whole_block()));
    assert_eq!((&page["count"], &page["next"]), (&json!(3), &Value::Null), "both ends are included");
    get(&node, "/rpc/blocks-range?start=0&end=2&include_tx=false", 200, &range(bare_block()));
    let short = get(&node, "/rpc/blocks-range?start=0&end=2&limit=1", 200, &range(whole_block()));
    assert_eq!((&short["count"], &short["next"]), (&json!(1), &json!(1)));
    get(&node, "/rpc/blocks-range?start=2&end=1", 400, &refusal());

    let list =
        |time| json!({ "success": true, "transactions": [transaction(time)], "count": "count", "next": "text?" });
    for account in [address(0), RECIPIENT.to_string()] {
        let page = get(&node, &format!("/rpc/transactions?address={account}&limit=1"), 200, &list("time"));
        assert!(page["next"].is_string());
        let page = node.call("callboard_getTransactionsByAddress", json!([account, { "limit": 1 }]));
        has_shape("callboard_getTransactionsByAddress", &page, &list("count"));
    }
    get(&node, "/rpc/transactions", 400, &refusal());
    let hash = node.get(&format!("/rpc/transactions?address={}", address(0))).1["transactions"][0]["hash"].clone();
    let hash = hash.as_str().expect("a hash");
    for path in ["transactions", "transaction"] {
        let found = json!({ "success": true, "transaction": transaction("time") });
        get(&node, &format!("/rpc/{path}/{hash}"), 200, &found);
        let missing = json!({ "success": false, "error": "Transaction not found" });
        get(&node, &format!("/rpc/{path}/{}", B256::repeat_byte(0x11)), 404, &missing);
    }
    let account = json!({ "address": "address", "balance": "wei", "nonce": "count" });
    get(&node, &format!("/rpc/accounts/{}", address(0)), 200, &account);
    get(&node, &format!("/rpc/accounts/{}", B256::ZERO), 400, &refusal());

    let (status, sent) = node.post("/rpc/transactions", &json!({ "raw": transfers(1, 0, 1)[0] }));
    assert_eq!(status, 200, "{sent}");
    has_shape("POST /rpc/transactions", &sent, &json!({ "success": true, "hash": "hash" }));
    let (status, refused) = node.post("/rpc/transactions", &json!({ "raw": "0x00" }));
    assert!((400..500).contains(&status), "{status}");
    has_shape("POST /rpc/transactions", &refused, &refusal());
}

#[test]
fn an_import_is_answered_in_the_shape_of_its_outcome() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let [first, second, third] = [0, 1, 2].map(|nonce| forge.extend(&[transfer(0, nonce, 1)]));
    let post = |body: &Value, status, shape: &Value| {
        let (answered, value) = node.post("/rpc/importBlock", body);
        assert_eq!(answered, status, "{value}");
        has_shape("importBlock", &value, shape);
    };
    let done = |imported: bool| json!({ "success": true, "imported": imported, "height": 1, "hash": "hash" });
    post(&posted(&first), 200, &done(true));
    post(&posted(&first), 200, &done(false));
    let failed = |check: &str, blame: &str| {
        let error = json!({ "check": check, "expected": "text", "actual": "text", "message": "text", "blame": blame });
        json!({ "success": false, "error": error })
    };
    let damaged = with_body(&second, vec![transfer(0, 1, 2)]);
    post(&posted(&damaged), 422, &failed("transactionsRoot", "peer"));
    post(&posted(&third), 409, &failed("parent", "nobody"));
    post(&json!({ "height": 2 }), 422, &failed("body_missing", "peer"));

    let passed = json!({
        "check": "text", "stage": "text", "demands": "text", "outcome": { "=": ["passed"] }, "passed": true,
    });
    let failed = json!({
        "check": "text", "stage": "text", "demands": "text", "outcome": { "=": ["failed"] }, "passed": false,
        "at": "number", "expected": "hash", "actual": "hash",
    });
    let rejection = json!({
        "height": 2, "hash": "hash", "check": "transactionsRoot", "expected": "hash", "actual": "hash", "message": "text",
        "blame": "peer", "sender": "text", "url": "text?", "path": "importBlock", "time": "number", "bytes": "count",
        "count": "count", "lastTime": "number",
        "finding": "text?", "remedy": "text",
        "checks": [{ "|": [passed, failed] }],
    });
    // A refusal is written down a moment after its answer.
    let of_body = until("the refusal is kept", SOON, || {
        let rejections = node.call("callboard_rejections", json!([{ "limit": 100 }]));
        let rejections = rejections.as_array().expect("a list");
        rejections.iter().find(|rejection| rejection["check"] == "transactionsRoot").cloned()
    });
    has_shape("callboard_rejections", &of_body, &rejection);
}

#[test]
fn a_diverged_node_says_where_and_is_not_ready() {
    let forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let [ours, theirs] = [1, 2].map(|value| forge.twin().extend(&[transfer(0, 0, value)]));
    import(&node, &ours);
    node.stop();
    let mut other = forge.follower();
    other.start();
    import(&other, &theirs);
    node.follow(&[&other]).start();
    node.is_phase("diverged");
    let status = node.status();
    has_shape("callboard_syncStatus", &status, &sync_status());
    let divergence = &status["divergence"];
    assert_eq!((&divergence["height"], &divergence["lastCommonHeight"]), (&json!(1), &json!(0)));
    assert_eq!((&divergence["ours"], &divergence["theirs"]), (&json!(ours.hash()), &json!(theirs.hash())));
    get(&node, "/health/ready", 503, &json!({ "status": "not ready", "reason": "text" }));
}

#[test]
fn a_shape_notices_what_is_missing_what_is_new_and_what_is_of_another_kind() {
    let shape = json!({ "a": "count", "list": [{ "b": "hash?" }], "word": { "=": ["x"] } });
    let count = |value: Value| differences("", &value, &shape).len();
    assert_eq!(count(json!({ "a": 1, "list": [{ "b": null }], "word": "x" })), 0);
    assert_eq!(count(json!({ "a": 1, "list": [{ "b": null }], "word": "y" })), 1);
    assert_eq!(count(json!({ "a": 1, "list": [], "word": "x" })), 1);
    assert_eq!(count(json!({ "a": -1, "list": [{ "b": "0x" }], "word": "x" })), 2);
    assert_eq!(count(json!({ "list": [{}, { "c": 1, "b": null }], "word": "x" })), 3);
    assert_eq!(count(json!({})), 3);
    let either = json!({ "|": [{ "a": "count" }, "hash"] });
    assert_eq!(differences("", &json!({ "a": 1 }), &either), [""; 0]);
    assert_eq!(differences("", &json!({ "a": "b" }), &either).len(), 2);
}
