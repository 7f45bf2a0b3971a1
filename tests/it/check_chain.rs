//! Damage on disk is found, named and repaired: `chain verify`, `chain reconcile`, and the background check.

use crate::forge::{Forge, import, sign, unsigned};
use crate::support::node::{Node, SOON, assert_same_blocks};
use crate::support::until;
use crate::support::wallet::{make_blocks, transfers};
use alloy_primitives::Address;
use callboard::dev;
use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};
use serde_json::{Value, json};
use std::path::Path;

const ACCOUNTS: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("accounts");
const ACCOUNT_TRIE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("account_trie");
const ADDRESSES: TableDefinition<'_, &[u8; 32], u8> = TableDefinition::new("addresses");
const CODE: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("code");
pub(crate) const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const RECEIPTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("receipts");

/// Writes into the database of a stopped node, past everything that keeps it right.
pub(crate) fn damage(database: &Path, change: impl FnOnce(&WriteTransaction)) {
    let database = Database::open(database).expect("opened");
    let write = database.begin_write().expect("begun");
    change(&write);
    write.commit().expect("committed");
}

/// The last byte of a stored value is another one.
fn flipped(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    *value.last_mut().expect("not empty") ^= 1;
    value
}

fn damage_account(node: &Node, address: Address) {
    damage(&node.database(), |write| {
        let mut accounts = write.open_table(ACCOUNTS).expect("table");
        let stored = accounts.get(&*address.0).expect("read").expect("an account").value().to_vec();
        accounts.insert(&*address.0, flipped(&stored).as_slice()).expect("written");
    });
}

/// Damages the node at this path of the state trie.
fn damage_trie(node: &Node, path: &[u8]) {
    damage(&node.database(), |write| {
        let mut nodes = write.open_table(ACCOUNT_TRIE).expect("table");
        let stored = nodes.get(path).expect("read").expect("a node").value().to_vec();
        nodes.insert(path, flipped(&stored).as_slice()).expect("written");
    });
}

pub(crate) fn damage_block(node: &Node, height: u64) {
    damage(&node.database(), |write| {
        let mut blocks = write.open_table(BLOCKS).expect("table");
        let stored = blocks.get(height).expect("read").expect("a block").value().to_vec();
        blocks.insert(height, flipped(&stored).as_slice()).expect("written");
    });
}

/// A chain of nine blocks, and a stopped follower that has it. Account 0 sends in each block; account 3 receives in
/// block 4 only; account 2 is as the genesis made it.
fn chain() -> (Forge, Node) {
    let mut forge = Forge::new();
    for height in 1..=9 {
        let to = if height == 4 { dev::key(3).address() } else { dev::key(1).address() };
        forge.extend(&[sign(unsigned(height - 1, to, 1), &dev::key(0))]);
    }
    let mut node = forge.follower();
    node.start();
    forge.blocks().iter().for_each(|block| import(&node, block));
    node.stop();
    (forge, node)
}

/// It starts, has every block as it was made, the right state, and takes the next block.
#[track_caller]
fn assert_whole(mut forge: Forge, node: &mut Node) {
    node.run(&["chain", "verify"]).succeeded();
    node.start();
    for block in forge.blocks() {
        assert_eq!(node.block(block.height()), *block.bytes());
    }
    import(node, &forge.extend(&[sign(unsigned(9, dev::key(3).address(), 5), &dev::key(0))]));
    assert_eq!(node.balance(dev::key(3).address()), dev::balance() + alloy_primitives::U256::from(6));
    assert_eq!(node.balance(dev::key(2).address()), dev::balance());
}

#[test]
fn a_whole_chain_is_verified_on_a_stopped_and_on_a_running_node() {
    let mut authority = Node::authority();
    authority.set("rpc.admin", "127.0.0.1:0").start();
    make_blocks(&authority, 0, 4);
    authority.receipt(*authority.send(&transfers(0, 4, 20)).last().expect("sent"));
    let head = authority.height();
    let running = authority.run(&["chain", "verify"]).succeeded();
    assert!(running.contains(&format!("0 to {head}")), "{running}");
    let part = authority.run(&["chain", "verify", "--from", "2", "--to", "3", "--json"]).succeeded();
    let expected = json!({ "from": 2, "to": 3, "ok": true, "fault": null, "divergence": null });
    assert_eq!(serde_json::from_str::<Value>(&part).expect("JSON"), expected);
    let public = authority.run(&["chain", "verify", "--rpc", &authority.rpc_url()]).refused(1);
    assert!(public.contains("-32601") && public.contains("admin"), "{public}");
    let ahead = authority.run(&["chain", "verify", "--to", "1000"]).refused(1);
    assert!(ahead.contains("the head is"), "{ahead}");

    authority.stop();
    let stopped = authority.run(&["chain", "verify"]).succeeded();
    assert!(stopped.contains("right"), "{stopped}");
    let whole = authority.run(&["chain", "reconcile", "--full"]);
    assert!(whole.stdout.contains("right"), "{}{}", whole.stdout, whole.stderr);
    authority.unset("rpc.admin").start();
    let off = authority.run(&["chain", "verify"]).refused(1);
    assert!(off.contains("rpc.admin = true"), "{off}");
}

#[test]
fn a_damaged_account_is_named_and_repaired_from_the_last_height_whose_state_is_right() {
    let (forge, mut node) = chain();
    let address = dev::key(3).address();
    damage_account(&node, address);
    let named = node.run(&["chain", "verify"]).refused(1);
    assert!(named.contains(&address.to_string()), "{named}");
    let done = node.run(&["chain", "reconcile", "--json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let done: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(
        (&done["lastGoodHeight"], &done["executed"], &done["height"]),
        (&json!(3), &json!(6), &json!(9)),
        "{done}"
    );
    assert!(done["fault"].as_str().is_some_and(|fault| fault.contains(&address.to_string())), "{done}");
    assert_whole(forge, &mut node);
}

#[test]
fn an_authority_whose_state_is_damaged_seals_nothing_more_until_it_is_repaired() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 3);
    authority.stop();
    damage_account(&authority, dev::key(2).address());
    authority.start();
    authority.is_phase("stalled");
    // The same after a restart, before anything was looked at again.
    authority.stop().set("sync.reconcile_every_s", 0).start();
    authority.is_phase("stalled");
    let (status, answer) = authority.get("/health/ready");
    assert!(status == 503 && answer.to_string().contains("callboard chain reconcile"), "{answer}");
    let sent = authority.send(&transfers(0, 3, 1))[0];
    assert_eq!(authority.call("eth_getTransactionReceipt", json!([sent])), Value::Null);
    assert_eq!(authority.height(), 3);
    authority.stop();
    authority.run(&["chain", "reconcile"]).succeeded();
    authority.start();
    make_blocks(&authority, 3, 1);
    assert_eq!(authority.height(), 4);
}

#[test]
fn a_damaged_account_that_no_block_has_touched_is_repaired_from_the_genesis() {
    let (forge, mut node) = chain();
    damage_account(&node, dev::key(2).address());
    let done = node.run(&["chain", "reconcile"]);
    assert!(done.code == 0 && done.stdout.contains("9 blocks again"), "{}{}", done.stdout, done.stderr);
    assert_whole(forge, &mut node);
}

#[test]
fn a_damaged_trie_node_is_repaired_and_no_block_is_executed_for_it() {
    // The root, without which the node does not even start, and one below it.
    for path in [&[][..], &[9]] {
        let (forge, mut node) = chain();
        let path = if path.is_empty() { Vec::new() } else { first_child(&node) };
        damage_trie(&node, &path);
        if path.is_empty() {
            let sentence = node.ended().refused(1);
            assert!(sentence.contains("damaged"), "{sentence}");
        }
        let done = node.run(&["chain", "reconcile"]);
        assert!(done.code == 0 && done.stdout.contains("0 blocks again"), "{}{}", done.stdout, done.stderr);
        assert_whole(forge, &mut node);
    }
}

/// The path of the first trie node below the root.
fn first_child(node: &Node) -> Vec<u8> {
    let mut path = Vec::new();
    damage(&node.database(), |write| {
        let nodes = write.open_table(ACCOUNT_TRIE).expect("table");
        let mut range = nodes.range::<&[u8]>(&[][..]..).expect("read");
        path = range.nth(1).expect("a second node").expect("read").0.value().to_vec();
    });
    path
}

#[test]
fn damaged_receipts_are_found_by_a_full_check_and_repaired() {
    let (forge, mut node) = chain();
    damage(&node.database(), |write| {
        let mut receipts = write.open_table(RECEIPTS).expect("table");
        let other = receipts.get(0).expect("read").expect("receipts").value().to_vec();
        receipts.insert(6, other.as_slice()).expect("written");
    });
    let named = node.run(&["chain", "verify"]).refused(1);
    assert!(named.contains("block 6") && named.contains("receipts"), "{named}");
    let done = node.run(&["chain", "reconcile", "--full"]);
    assert!(done.code == 0 && done.stdout.contains("4 blocks again"), "{}{}", done.stdout, done.stderr);
    assert_whole(forge, &mut node);
}

/// The key under which a transaction of block `height` is listed for the address.
fn listed(address: Address, height: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..20].copy_from_slice(address.as_slice());
    key[20..28].copy_from_slice(&height.to_be_bytes());
    key
}

#[test]
fn a_damaged_look_up_by_address_is_found_by_a_full_check_and_repaired() {
    // Another role, and no entry.
    for role in [Some(7), None] {
        let (forge, mut node) = chain();
        let address = dev::key(3).address();
        damage(&node.database(), |write| {
            let mut addresses = write.open_table(ADDRESSES).expect("table");
            let key = listed(address, 4);
            match role {
                Some(role) => drop(addresses.insert(&key, role).expect("written").expect("an entry")),
                None => drop(addresses.remove(&key).expect("removed").expect("an entry")),
            }
        });
        let named = node.run(&["chain", "verify"]).refused(1);
        assert!(named.contains("block 4") && named.contains(&address.to_string()), "{named}");
        let done = node.run(&["chain", "reconcile", "--full"]);
        assert!(done.code == 0 && done.stdout.contains("6 blocks again"), "{}{}", done.stdout, done.stderr);
        assert_whole(forge, &mut node);
    }
}

#[test]
fn a_row_of_the_look_up_by_address_that_belongs_to_no_block_is_named_and_removed() {
    // Of a block that has the transaction under other addresses, of a transaction that it has not, and above the head.
    for (height, index) in [(4, 0), (4, 1), (20, 0)] {
        let (forge, mut node) = chain();
        let address = dev::key(2).address();
        damage(&node.database(), |write| {
            let mut key = listed(address, height);
            key[28..].copy_from_slice(&u32::to_be_bytes(index));
            write.open_table(ADDRESSES).expect("table").insert(&key, 2).expect("written");
        });
        let named = node.run(&["chain", "verify"]).refused(1);
        let row = format!("{address} as recipient of transaction {index} of block {height}");
        assert!(named.contains(&row), "{named}");
        let done = node.run(&["chain", "reconcile", "--full"]);
        assert!(done.code == 0 && done.stdout.contains("blocks again"), "{}{}", done.stdout, done.stderr);
        assert_whole(forge, &mut node);
    }
}

#[test]
fn damaged_code_is_never_answered_and_is_found_by_every_check_and_repaired() {
    let (mut forge, mut node) = chain();
    // The code `5b` (a jump destination), which no block runs.
    let deploy = alloy_consensus::TxLegacy {
        to: alloy_primitives::TxKind::Create,
        input: vec![0x60, 0x5b, 0x60, 0, 0x53, 0x60, 1, 0x60, 0, 0xf3].into(),
        gas_limit: 100_000,
        ..unsigned(9, Address::ZERO, 0)
    };
    let block = forge.extend(&[sign(deploy, &dev::key(0))]);
    node.start();
    import(&node, &block);
    let contract = dev::key(0).address().create(9);
    assert_eq!(node.call("eth_getCode", json!([contract, "latest"])), json!("0x5b"));
    node.stop();
    damage(&node.database(), |write| {
        let mut code = write.open_table(CODE).expect("table");
        let hash = *alloy_primitives::keccak256([0x5b]);
        let stored = code.get(&hash).expect("read").expect("the code").value().to_vec();
        code.insert(&hash, flipped(&stored).as_slice()).expect("written");
    });
    node.set("sync.reconcile_every_s", 1).start();
    let error = node.try_call("eth_getCode", json!([contract, "latest"])).expect_err("damaged");
    assert!(error.to_string().contains("code"), "{error}");
    let wrong = until("an alarm", SOON, || {
        let last = node.status()["lastReconciled"].clone();
        (last["ok"] == false).then_some(last)
    });
    assert!(wrong["fault"].as_str().is_some_and(|fault| fault.contains(&contract.to_string())), "{wrong}");
    node.stop();
    let named = node.run(&["chain", "verify"]).refused(1);
    assert!(named.contains("table code, the code for hash"), "{named}");
    let done = node.run(&["chain", "reconcile"]);
    assert!(done.code == 0 && done.stdout.contains("blocks again"), "{}{}", done.stdout, done.stderr);
    node.start();
    assert_eq!(node.call("eth_getCode", json!([contract, "latest"])), json!("0x5b"));
}

#[test]
fn a_full_repair_finds_what_is_damaged_below_the_height_it_would_begin_at() {
    let (forge, mut node) = chain();
    // The state after block 9 is wrong since block 4; the receipts of block 2 are wrong, too.
    damage_account(&node, dev::key(3).address());
    damage(&node.database(), |write| {
        let mut receipts = write.open_table(RECEIPTS).expect("table");
        let other = receipts.get(0).expect("read").expect("receipts").value().to_vec();
        receipts.insert(2, other.as_slice()).expect("written");
    });
    let done = node.run(&["chain", "reconcile", "--full", "--json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let done: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!((&done["lastGoodHeight"], &done["executed"]), (&json!(1), &json!(8)), "{done}");
    assert_whole(forge, &mut node);
}

#[test]
fn nobody_can_open_the_database_until_the_repaired_one_is_in_its_place() {
    let (_forge, node) = chain();
    damage_account(&node, dev::key(3).address());
    let file = node.path("node.toml");
    let sources = callboard::configuration::Sources { file: Some(file), ..Default::default() };
    let configuration = callboard::configuration::Configuration::load(&sources).expect("a configuration");
    let (mut tried, database) = (0, node.database());
    callboard::repair::reconcile(&configuration, false, &mut |said| {
        tried += 1;
        let opened = Database::open(&database).map(drop);
        assert!(matches!(opened, Err(redb::DatabaseError::DatabaseAlreadyOpen)), "while {said:?}: {opened:?}");
    })
    .expect("repaired");
    assert!(tried > 3, "{tried}");
    drop(Database::open(&database).expect("free again"));
}

#[test]
fn what_a_killed_check_or_repair_has_left_is_removed_at_the_next_start() {
    let (_forge, mut node) = chain();
    let mine = ["verify-12.redb", "chain.redb.repair"];
    let others = ["verify-it.redb", "verified.redb"];
    for name in mine.iter().chain(&others) {
        std::fs::write(node.data(name), b"left").expect("written");
    }
    node.start();
    assert!(mine.iter().all(|name| !node.data(name).exists()));
    assert!(others.iter().all(|name| node.data(name).exists()), "they are somebody else's");
}

#[test]
fn a_chain_that_cannot_be_repaired_says_so_and_stays_as_it_was() {
    let (_forge, node) = chain();
    damage_account(&node, dev::key(3).address());
    damage_block(&node, 6);
    let (files, bytes) = (list(&node), tables(&node));
    let done = node.run(&["chain", "reconcile"]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let sentence = done.stderr.lines().last().expect("a sentence");
    assert!(sentence.contains("block 6") && sentence.contains("it is as it was"), "{sentence}");
    assert_eq!((list(&node), tables(&node)), (files, bytes));
}

fn list(node: &Node) -> Vec<String> {
    let files = std::fs::read_dir(node.data("")).expect("folder");
    let mut names: Vec<_> = files.map(|file| file.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Every account and every block as they are stored.
fn tables(node: &Node) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    damage(&node.database(), |write| {
        let accounts = write.open_table(ACCOUNTS).expect("table");
        for row in accounts.range::<&[u8; 20]>(..).expect("read") {
            let (key, value) = row.expect("read");
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        let blocks = write.open_table(BLOCKS).expect("table");
        for row in blocks.range::<u64>(..).expect("read") {
            let (key, value) = row.expect("read");
            rows.push((key.value().to_be_bytes().to_vec(), value.value().to_vec()));
        }
    });
    rows
}

#[test]
fn the_background_check_finds_a_right_state_right_and_a_damaged_one_out() {
    let (_forge, mut node) = chain();
    node.set("sync.reconcile_every_s", 1).start();
    let reconciled = |node: &Node| {
        let last = node.status()["lastReconciled"].clone();
        Some(last).filter(|last| !last.is_null())
    };
    let last = until("a round", SOON, || reconciled(&node));
    assert_eq!((&last["height"], &last["ok"]), (&json!(9), &json!(true)), "{last}");
    assert_eq!(node.metric("callboard_reconciled_height"), 9);
    let actors = node.call("callboard_actors", json!([]));
    assert!(actors.as_array().expect("actors").iter().any(|actor| actor["actor"] == "Reconciler"), "{actors}");
    node.stop();

    let address = dev::key(2).address();
    damage_account(&node, address);
    node.start();
    let last = until("an alarm", SOON, || reconciled(&node).filter(|last| last["ok"] == false));
    assert!(last["fault"].as_str().is_some_and(|fault| fault.contains(&address.to_string())), "{last}");
    let status = node.status();
    assert!(status["alerts"].to_string().contains("chain reconcile"), "{status}");
    let (code, reason) = node.get("/health/ready");
    assert!(code == 503 && reason.to_string().contains("damaged"), "{reason}");
    assert_eq!(node.metric("callboard_reconcile_faults_total"), 1);
    assert!(node.log().contains("the stored chain is damaged"), "{}", node.log());
}

#[test]
fn the_background_check_finds_a_row_of_the_look_up_by_address_that_belongs_to_no_block() {
    let (_forge, mut node) = chain();
    let address = dev::key(2).address();
    damage(&node.database(), |write| {
        write.open_table(ADDRESSES).expect("table").insert(&listed(address, 4), 2).expect("written");
    });
    node.set("sync.reconcile_every_s", 1).start();
    let fault = until("an alarm", SOON, || node.status()["lastReconciled"]["fault"].as_str().map(str::to_owned));
    assert!(fault.contains(&format!("{address} as recipient of transaction 0 of block 4")), "{fault}");
}

#[test]
fn a_divergence_makes_verify_fail_although_the_blocks_are_right() {
    let mut forge = Forge::new();
    let mut other = forge.twin();
    let mut ours = forge.follower();
    ours.set("rpc.admin", "127.0.0.1:0").start();
    forge.extend_by(3).iter().for_each(|block| import(&ours, block));
    let mut theirs = other.follower();
    theirs.start();
    import(&theirs, &other.extend(&[sign(unsigned(0, dev::key(3).address(), 7), &dev::key(0))]));
    other.extend_by(3).iter().for_each(|block| import(&theirs, block));
    ours.stop();
    ours.follow(&[&theirs]).start();
    ours.is_phase("diverged");
    let hash = forge.header(1).hash_slow().to_string();
    let parts = ["diverged at block 1", "last common height 0", "chain rollback --to 0", &hash];
    let says_all = |sentence: &str| {
        for part in parts {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
    };
    says_all(&ours.run(&["chain", "verify"]).refused(3));
    ours.stop();
    let stopped = ours.run(&["chain", "verify"]).refused(3);
    says_all(&stopped);
    assert!(stopped.contains("blocks are right"), "{stopped}");

    // Whoever may not have the blocks verified is told of the divergence all the same.
    ours.unset("rpc.admin").start();
    ours.is_phase("diverged");
    let public = ours.run(&["chain", "verify", "--rpc", &ours.rpc_url()]).refused(3);
    says_all(&public);
    assert!(public.contains("not verified") && public.contains("-32601"), "{public}");
    let own = ours.run(&["chain", "verify"]).refused(3);
    says_all(&own);
    assert!(own.contains("rpc.admin = true"), "{own}");

    // The operator has decided.
    ours.stop();
    let theirs = other.header(1).hash_slow().to_string();
    ours.run(&["chain", "accept", "1", &theirs]).succeeded();
    ours.run(&["chain", "verify"]).succeeded();
}

#[test]
fn an_authority_rolls_back_only_when_it_says_that_it_gives_its_blocks_up() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 4);
    let hash = authority.hash(2);
    authority.stop();
    for arguments in
        [&["chain", "rollback", "--to", "2"][..], &["chain", "rollback", "--to", "2", "--abandon-after", "3"]]
    {
        let sentence = authority.run(arguments).refused(2);
        assert!(sentence.contains("--abandon-after 2"), "{sentence}");
    }
    let done = authority.run(&["chain", "rollback", "--to", "2", "--abandon-after", "2"]).succeeded();
    assert!(done.contains("from 4 to 2") && done.contains(&hash.to_string()), "{done}");
    authority.run(&["chain", "verify"]).succeeded();
    let above = authority.run(&["chain", "rollback", "--to", "3", "--abandon-after", "3"]).refused(1);
    assert!(above.contains("the head is 2"), "{above}");
}

#[test]
fn a_follower_that_rolls_back_fetches_the_blocks_again() {
    let mut authority = Node::authority();
    authority.start();
    make_blocks(&authority, 0, 4);
    let mut follower = Node::follower("follower", &[&authority]);
    follower.start().reaches(4);
    follower.stop();
    follower.run(&["chain", "rollback", "--to", "1"]).succeeded();
    follower.run(&["chain", "verify"]).succeeded();
    follower.start().reaches(4);
    assert_same_blocks(&authority, &follower);
}
