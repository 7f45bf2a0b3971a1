//! Blocks and transactions between nodes: they arrive, once, over whatever lies between, and nothing is lost without a
//! word.

use crate::forge::{Forge, consistent, import, posted, transfer, with_body};
use crate::support::guest::Guest;
use crate::support::http::Http;
use crate::support::node::{Node, SOON, assert_same_blocks, hex_number};
use crate::support::until;
use crate::support::wallet::{RECIPIENT, address, make_blocks, sign, transfer as unsigned, transfers};
use alloy_consensus::TxLegacy;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use callboard::dev;
use callboard_actors::transport::wire::TransactionResult;
use serde_json::{Value, json};
use std::sync::Barrier;
use std::time::Duration;

/// An authority that runs, and a follower of it that follows.
fn two_nodes() -> (Node, Node) {
    let mut authority = Node::authority();
    authority.start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    (authority, follower)
}

fn transaction_status(node: &Node, hash: B256) -> Value {
    node.try_call("callboard_transactionStatus", json!([hash])).unwrap_or_else(|error| error["message"].clone())
}

/// Waits until a node says this of a transaction.
#[track_caller]
fn is(node: &Node, hash: B256, status: &str) -> Value {
    let mut seen = Value::Null;
    until(&format!("{hash} is {status}"), SOON, || {
        seen = transaction_status(node, hash);
        (seen["status"] == status).then_some(())
    });
    seen
}

/// A transfer that waits for the one before it, so that no block takes it.
fn queued(account: u32) -> Bytes {
    transfers(account, 1, 1).remove(0)
}

#[test]
fn transactions_travel_over_a_line_of_followers_and_blocks_come_back() {
    let (authority, middle) = two_nodes();
    let mut last = Node::follower("last", &[&middle]);
    // It knows nobody but the follower.
    last.set("peers.discovery", false).start().is_phase("following");
    let hashes = last.send(&transfers(1, 0, 30));
    for hash in &hashes {
        assert_eq!(last.receipt(*hash), authority.receipt(*hash));
    }
    assert!(last.routed("ForwardTransaction") >= 30);
    assert!(middle.routed("ForwardTransaction") >= 30, "a follower forwards what a follower brings");
    assert_eq!((authority.routed("ForwardTransaction"), authority.routed("ImportBlock")), (0, 0));
    last.reaches(authority.height());
    assert_same_blocks(&authority, &last);
    assert_eq!(transaction_status(&last, hashes[0])["status"], "included");
}

#[test]
fn a_transaction_that_was_evicted_travels_again_when_it_is_resent() {
    let mut authority = Node::authority();
    authority.set("pool.max_transactions", 1).start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.set("pool.max_transactions", 1).start().is_phase("following");
    let waiting = queued(1);
    let hash = follower.send(std::slice::from_ref(&waiting))[0];
    let seen = is(&authority, hash, "queued");
    assert_eq!((&seen["forwarded"], &seen["acknowledgedBy"]), (&json!(false), &Value::Null));
    let seen = until("it is acknowledged", SOON, || {
        Some(transaction_status(&follower, hash)).filter(|seen| !seen["acknowledgedBy"].is_null())
    });
    assert_eq!((&seen["status"], &seen["forwarded"]), (&json!("queued"), &json!(true)));

    // Worth more, as a block can take it: it pushes the other one out of both pools.
    let dearer = sign(&dev::key(2), TxLegacy { gas_price: 10, ..unsigned(0) });
    let included = follower.send(&[dearer])[0];
    follower.receipt(included);
    for node in [&authority, &follower] {
        assert_eq!(is(node, hash, "dropped")["reason"], "evicted");
    }
    assert_eq!(follower.send(&[waiting]), [hash], "it is not known any more");
    is(&authority, hash, "queued");
}

#[test]
fn an_authority_that_was_restarted_gets_what_is_pending_back_from_its_followers() {
    let (mut authority, follower) = two_nodes();
    let hash = follower.send(&[queued(1)])[0];
    is(&authority, hash, "queued");
    authority.stop();
    authority.start();
    assert_eq!(transaction_status(&authority, hash), format!("unknown transaction: {hash}"));
    is(&authority, hash, "queued");
    // The one before it, and both are confirmed.
    follower.send(&transfers(1, 0, 1));
    assert_eq!(follower.receipt(hash)["status"], "0x1");
}

#[test]
fn a_transaction_that_the_authority_refuses_is_dropped_by_the_follower_with_the_reason() {
    let mut authority = Node::authority();
    authority.set("pool.senders", vec![address(0)]).start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    let hash = follower.send(&transfers(1, 0, 1))[0];
    let seen = is(&follower, hash, "refused");
    let reason = seen["reason"].as_str().expect("a reason");
    assert!(reason.contains(&address(1)) && reason.contains("not on this node's list"), "{seen}");
    assert!(seen["by"].is_string(), "{seen}");
    assert_eq!(is(&authority, hash, "refused")["by"], Value::Null);
    assert_eq!(follower.call("eth_getTransactionByHash", json!([hash])), Value::Null);
    assert_eq!(follower.call("txpool_status", json!([])), json!({ "pending": "0x0", "queued": "0x0" }));
    make_blocks(&authority, 0, 1);
}

#[test]
fn a_confirmed_transaction_is_refused_over_rpc_by_gossip_and_inside_a_block() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let confirmed = transfer(0, 0, 1);
    let raw: Bytes = confirmed.encoded_2718().into();
    import(&node, &forge.extend(std::slice::from_ref(&confirmed)));
    let balance = node.balance(address(1));

    let error = node.try_call("eth_sendRawTransaction", json!([raw])).expect_err("refused");
    assert_eq!(error["message"], "nonce too low: next nonce 1, tx nonce 0");

    let guest = Guest::of(&node, 7);
    let TransactionResult::Refused { reason, later, confirmed: height } = guest.submit(&raw) else {
        panic!("it was not refused")
    };
    assert_eq!(reason, "already confirmed in block 1: nonce too low: next nonce 1, tx nonce 0");
    assert_eq!((later, height), (false, Some(1)));
    // One that no block has, and that comes too late all the same.
    let TransactionResult::Refused { reason, confirmed: None, .. } =
        guest.submit(&transfer(0, 0, 2).encoded_2718().into())
    else {
        panic!("it was not refused, or called confirmed")
    };
    assert_eq!(reason, "nonce too low: next nonce 1, tx nonce 0");

    let honest = forge.extend(&[transfer(0, 1, 5)]);
    let again = consistent(&with_body(&honest, vec![confirmed]));
    let (status, answer) = node.post("/rpc/importBlock", &posted(&again));
    assert_eq!((status, &answer["error"]["check"]), (422, &json!("execution")), "{answer}");
    let message = answer["error"]["message"].as_str().expect("a sentence");
    assert!(message.contains("nonce too low"), "{message}");

    assert_eq!((node.height(), node.balance(address(1))), (1, balance));
    import(&node, &honest);
    assert_eq!(node.balance(address(1)), balance + U256::from(5));
}

#[test]
fn the_same_block_posted_twice_at_once_is_imported_once() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    for block in forge.extend_by(12) {
        let (both, body) = (Barrier::new(2), posted(&block));
        let post = || {
            both.wait();
            node.post("/rpc/importBlock", &body)
        };
        let mut answers: Vec<_> = std::thread::scope(|scope| {
            let posts = [scope.spawn(post), scope.spawn(post)];
            posts.into_iter().map(|post| post.join().expect("no panic")).collect()
        });
        let answer = |imported| {
            let (height, hash) = (block.height(), block.hash());
            (200, json!({ "success": true, "imported": imported, "height": height, "hash": hash }))
        };
        answers.sort_by_key(|(_, answer)| answer["imported"] == true);
        assert_eq!(answers, [answer(false), answer(true)]);
        assert_eq!(node.height(), block.height());
        let passport = until("its passport", SOON, || {
            let explained = node.call("callboard_explainBlock", json!([block.height()]));
            Some(explained["confirmed"]["passport"].clone()).filter(|passport| !passport.is_null())
        });
        for time in ["receivedAt", "verifiedAt", "executedAt", "durableAt"] {
            assert!(passport[time].is_f64(), "the second post took the first one's {time}: {passport}");
        }
    }
    assert_eq!((node.routed("ImportBlock"), node.routed("IgnoreBlock")), (12, 12));
}

#[test]
fn a_block_that_a_peer_pushes_is_relayed_to_the_others_and_never_back() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let (sender, other) = (Guest::of(&node, 7), Guest::of(&node, 8));
    let (mut to_sender, mut to_other) = (sender.follow(0), other.follow(0));
    // Who has got block 0 hears of every later one.
    assert_eq!((to_sender.next().height(), to_other.next().height()), (0, 0));
    let blocks = forge.extend_by(3);
    sender.push(&blocks[0]);
    assert_eq!(to_other.next(), blocks[0], "with its transactions");
    sender.push(&blocks[0]);
    import(&node, &blocks[1]);
    assert_eq!(to_other.next(), blocks[1]);
    assert_eq!(to_sender.next(), blocks[1], "its own block did not come back");
    // One is lost on the way: nothing breaks, and the next one after the gap is closed is taken.
    sender.push(&forge.extend_by(1)[0]);
    import(&node, &blocks[2]);
    assert_eq!((to_other.next(), to_sender.next()), (blocks[2].clone(), blocks[2].clone()));
    // A block is sent before it is counted.
    until("three relays are counted", SOON, || (node.routed("RelayBlock") == 3).then_some(()));
    assert_eq!(node.routed("BroadcastBlock"), 0);
}

#[test]
fn a_node_that_catches_up_relays_nothing() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 20);
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(20);
    follower.is_phase("following");
    assert_eq!((follower.routed("ImportBlock"), follower.routed("RelayBlock")), (20, 0));
    make_blocks(&authority, 20, 2);
    follower.reaches(22);
    assert_eq!(follower.routed("RelayBlock"), 2);
}

#[test]
fn a_follower_that_stands_still_costs_nobody_else_anything_and_gets_on_afterwards() {
    let (mut authority, mut follower) = two_nodes();
    let mut still = Node::follower("still", &[&authority]);
    still.start().is_phase("following");
    authority.stop();
    // It dials them both, too: to bring them transactions.
    authority.follow(&[&follower, &still]).start().is_phase("following");
    still.is_phase("following");
    follower.is_phase("following");
    still.pause();
    // The Go seed hung for good after 515 to 1,778.
    for batch in transfers(1, 0, 1_000).chunks(100) {
        authority.send(batch);
    }
    let mut last = B256::ZERO;
    for batch in transfers(2, 0, 1_000).chunks(100) {
        last = *follower.send(batch).last().expect("sent");
    }
    assert_eq!(follower.receipt(last)["status"], "0x1");
    until("all are confirmed", SOON, || (follower.balance(RECIPIENT) == U256::from(2_000)).then_some(()));
    authority.stop();
    authority.start();
    still.resume();
    still.reaches(authority.height());
    still.is_phase("following");
    assert_same_blocks(&authority, &still);
    follower.stop();
}

/// Row 4 of what broke the seeds, as far as streams of blocks go.
#[test]
fn a_reader_that_stops_reading_blocks_stops_nobody() {
    let mut authority = Node::authority();
    authority.set("authority.block_interval_ms", 5).start();
    let guest = Guest::of(&authority, 7);
    let mut unread = guest.follow(0);
    assert_eq!(unread.next().height(), 0);
    let bulky = |nonce| {
        let input = Bytes::from(vec![1; 100_000]);
        sign(&dev::key(1), TxLegacy { gas_limit: 5_000_000, input, ..unsigned(nonce) })
    };
    // 20 MB: more than queue and sockets hold.
    let mut hash = B256::ZERO;
    for nonce in 0..200 {
        let raw = bulky(nonce);
        hash = authority.send(std::slice::from_ref(&raw))[0];
        assert_eq!(hash, keccak256(&raw));
    }
    authority.receipt(hash);
    let head = authority.height();
    let begun = std::time::Instant::now();
    authority.stop();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    authority.start();
    let guest = Guest::of(&authority, 7);
    let mut again = guest.follow(1);
    assert!((1..=head).all(|height| again.next().height() == height), "nothing is lost to it");
}

#[test]
fn a_follower_that_stops_names_the_transactions_that_nobody_has_acknowledged() {
    let (mut authority, mut follower) = two_nodes();
    let acknowledged = follower.send(&[queued(1)])[0];
    is(&authority, acknowledged, "queued");
    until("it is acknowledged", SOON, || {
        (!transaction_status(&follower, acknowledged)["acknowledgedBy"].is_null()).then_some(())
    });
    authority.stop();
    let lost = follower.send(&transfers(2, 0, 1))[0];
    follower.stop();
    let log = follower.log();
    let said = log.lines().find(|line| line.contains("nobody has acknowledged")).expect("a warning");
    assert!(said.contains(&lost.to_string()) && !said.contains(&acknowledged.to_string()), "{said}");
    follower.start();
    assert_eq!(transaction_status(&follower, lost), format!("unknown transaction: {lost}"));
}

#[test]
fn a_transaction_behind_a_gap_says_on_both_nodes_which_nonces_are_missing() {
    let (authority, follower) = two_nodes();
    let all = transfers(1, 0, 11);
    follower.send(&all[..7]);
    let last = follower.send(&all[10..])[0];
    let missing = json!({ "nonces": [{ "from": 7, "to": 9 }] });
    for node in [&authority, &follower] {
        until("nonces 7 to 9 are missing", SOON, || {
            (transaction_status(node, last)["waitingFor"] == missing).then_some(())
        });
    }
    until("it is acknowledged", SOON, || {
        (!transaction_status(&follower, last)["acknowledgedBy"].is_null()).then_some(())
    });
    let why = |node: &Node| node.run(&["tx", "why", "--rpc", &node.rpc_url(), &last.to_string()]).succeeded();
    let told = why(&follower);
    for line in ["waiting for  nonce 7-9", "arrived over this node's RPC", "  forwarded to 0", "  acknowledged by 0"] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    assert!(told.ends_with("what to do: send the sender's transactions with nonce 7-9, which are missing\n"), "{told}");
    assert!(why(&authority).contains("arrived from peer 0"), "{}", why(&authority));

    follower.send(&all[7..10]);
    for node in [&authority, &follower] {
        let seen = is(node, last, "included");
        assert_eq!((&seen["waitingFor"], &seen["timeline"][0]["step"]), (&Value::Null, &json!("included")));
        let block = node
            .call("eth_getBlockByNumber", json!([format!("{:#x}", seen["height"].as_u64().expect("a height")), false]));
        assert_eq!(seen["timeline"][0]["at"], hex_number(&block["timestamp"]));
        assert!(why(node).ends_with(&format!("what to do: nothing, it is in block {}\n", seen["height"])));
    }
}

#[test]
fn what_the_operator_of_the_authority_drops_is_not_brought_back_by_a_follower() {
    let mut authority = Node::authority();
    authority.set("rpc.admin", "127.0.0.1:0").start();
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().is_phase("following");
    let waiting = queued(1);
    let hash = follower.send(std::slice::from_ref(&waiting))[0];
    is(&authority, hash, "queued");
    let addresses = std::fs::read(authority.data("addresses.json")).expect("it says where it listens");
    let addresses: Value = serde_json::from_slice(&addresses).expect("JSON");
    let admin = format!("http://{}/", addresses["admin"].as_str().expect("an address"));
    let drop = json!({ "jsonrpc": "2.0", "id": 1, "method": "callboard_dropTransaction", "params": [hash] });
    let (_, answer) = Http::new().post(&admin, &drop).expect("answered");
    assert_eq!(answer["result"], json!({ "dropped": true }), "{answer}");

    // The follower forwards it again, and hears.
    let seen = is(&follower, hash, "refused");
    assert!(
        seen["reason"].as_str().is_some_and(|reason| reason.contains("the operator of this node has dropped")),
        "{seen}"
    );
    let seen = is(&authority, hash, "dropped");
    assert_eq!(seen["reason"], "operator");
    let told = authority.run(&["tx", "why", "--rpc", &authority.rpc_url(), &hash.to_string()]).succeeded();
    assert!(told.contains("dropped: operator") && told.contains("kept out for the same reason"), "{told}");

    assert_eq!(authority.send(&[waiting]), [hash], "whoever sends it there means it");
    is(&authority, hash, "queued");
}

#[test]
fn a_transaction_that_breaks_a_rule_can_be_asked_for_where_it_was_refused() {
    let mut authority = Node::authority();
    authority.start();
    let raw = sign(&dev::key(1), TxLegacy { gas_limit: 20_999, ..unsigned(0) });
    let error = authority.try_call("eth_sendRawTransaction", json!([raw])).expect_err("too little gas");
    let seen = is(&authority, keccak256(&raw), "refused");
    assert_eq!((&seen["reason"], &seen["by"]), (&error["message"], &Value::Null));
    let guest = Guest::of(&authority, 7);
    let raw = sign(&dev::key(1), TxLegacy { gas_limit: 20_998, ..unsigned(0) });
    assert!(matches!(guest.submit(&raw), TransactionResult::Refused { later: false, .. }));
    let seen = is(&authority, keccak256(&raw), "refused");
    assert!(seen["timeline"][0]["from"].as_str().is_some_and(|from| from != "rpc"), "{seen}");
}

#[test]
fn a_free_transaction_is_replaced_by_the_command_line_with_a_price_of_1_wei() {
    let mut authority = Node::authority();
    authority.start();
    // It waits for the one before it.
    let old = authority.send(&[queued(1)])[0];
    let url = authority.rpc_url();
    let from = address(1);
    let replace = ["tx", "send", "--rpc", &url, "--dev", "--from", &from, "--to", &from, "--nonce", "1"];
    let printed = authority.run(&[&replace[..], &["--gas-price", "1"]].concat()).succeeded();
    let new: B256 = printed.trim().parse().expect("a hash");
    let seen = is(&authority, old, "dropped");
    assert_eq!((&seen["reason"], &seen["timeline"][2]["by"]), (&json!("replaced"), &json!(new)));
    is(&authority, new, "queued");
}
