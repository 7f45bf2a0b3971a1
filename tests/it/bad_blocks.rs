//! Blocks that are wrong, posted to a real follower: each is refused by the right check, nothing changes, and the
//! honest block is taken afterwards.

use crate::forge::*;
use crate::support::node::Node;
use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use callboard::dev;
use callboard_chain::verify::mix_hash;
use callboard_chain::{Block, Seal};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// A follower with block 1, and block 2 (two transfers of account 0) to falsify.
struct Bench {
    node: Node,
    parent: Header,
    honest: Block,
    before: Value,
    refused: u64,
}

impl Bench {
    fn new() -> Self {
        let mut forge = Forge::new();
        let mut node = forge.follower();
        node.start();
        let first = forge.extend(&[transfer(0, 0, 1)]);
        import(&node, &first);
        let honest = forge.extend(&[transfer(0, 1, 5), transfer(0, 2, 7)]);
        let before = node.get("/rpc/head").1;
        assert_eq!(before["height"], 1);
        Self { node, parent: forge.header(1), honest, before, refused: 0 }
    }

    /// Posts a body that is refused with this status by this check, and looks that nothing changed.
    #[track_caller]
    fn refused_body(&mut self, what: &str, body: &Value, status: u16, check: &str) -> Value {
        let (answered, refusal) = self.node.post("/rpc/importBlock", body);
        assert_eq!(answered, status, "{what}: {refusal}");
        self.unharmed(what);
        assert_eq!(refusal["success"], false, "{what}: {refusal}");
        let error = refusal["error"].clone();
        assert_eq!(error["check"], check, "{what}: {error}");
        assert!(!error["message"].as_str().expect("a sentence").is_empty(), "{what}");
        error
    }

    #[track_caller]
    fn refused(&mut self, what: &str, block: &Block, status: u16, check: &str, blame: &str) -> Value {
        self.refused += 1;
        let error = self.refused_body(what, &posted(block), status, check);
        assert_eq!(error["blame"], blame, "{what}: {error}");
        error
    }

    #[track_caller]
    fn refused_bytes(&mut self, what: &str, bytes: &[u8]) {
        self.refused += 1;
        let body = json!({ "raw": Bytes::copy_from_slice(bytes) });
        let error = self.refused_body(what, &body, 422, "decode");
        assert_eq!(error["blame"], "peer", "{what}: {error}");
    }

    #[track_caller]
    fn unharmed(&self, what: &str) {
        assert_eq!(self.node.get("/rpc/head"), (200, self.before.clone()), "{what}");
    }

    /// The node still follows, takes the honest block, and has counted every refusal.
    #[track_caller]
    fn goes_on(&self) {
        self.goes_on_in("following");
    }

    #[track_caller]
    fn goes_on_in(&self, phase: &str) {
        self.node.is_phase(phase);
        import(&self.node, &self.honest);
        let (_, head) = self.node.get("/rpc/head");
        assert_eq!(head["hash"], json!(self.honest.hash()));
        assert_eq!(head["state_root"], json!(self.honest.header().state_root));
        assert_eq!(self.node.routed("ImportBlock"), 2);
        assert_eq!(self.node.metric("callboard_block_rejections_total"), self.refused);
    }
}

type Falsify = fn(&mut Header, &Header);

/// A field, how it is falsified, and what says no once the authority has sealed it so: status, check, blame.
const FIELDS: [(&str, Falsify, u16, &str, &str); 24] = [
    // The mix hash is made of the parent's hash, and no longer fits it.
    ("parentHash", |header, _| header.parent_hash = OTHER, 422, "mixHash", "local"),
    ("sha3Uncles", |header, _| header.ommers_hash = OTHER, 422, "sha3Uncles", "local"),
    ("miner", |header, _| header.beneficiary = Address::repeat_byte(0xee), 422, "miner", "local"),
    ("stateRoot", |header, _| header.state_root = OTHER, 422, "stateRoot", "local"),
    ("transactionsRoot", |header, _| header.transactions_root = OTHER, 422, "transactionsRoot", "peer"),
    ("receiptsRoot", |header, _| header.receipts_root = OTHER, 422, "receiptsRoot", "local"),
    ("logsBloom", |header, _| header.logs_bloom = Bloom::repeat_byte(1), 422, "logsBloom", "local"),
    ("difficulty", |header, _| header.difficulty = U256::ONE, 422, "difficulty", "local"),
    ("a number above", |header, _| header.number += 1, 409, "parent", "nobody"),
    ("the largest number", |header, _| header.number = u64::MAX, 409, "parent", "nobody"),
    ("the head's number", |header, _| header.number -= 1, 422, "hash", "nobody"),
    ("gasLimit", |header, _| header.gas_limit += 1, 422, "gasLimit", "local"),
    ("gasUsed", |header, _| header.gas_used += 1, 422, "gasUsed", "local"),
    ("more gas than the limit", |header, _| header.gas_used = header.gas_limit + 1, 422, "gasUsed", "local"),
    ("timestamp", |header, parent| header.timestamp = parent.timestamp - 1, 422, "timestamp", "local"),
    ("extraData", |header, _| header.extra_data = OTHER.into(), 422, "extraData", "peer"),
    ("mixHash", |header, _| header.mix_hash = OTHER, 422, "mixHash", "local"),
    ("nonce", |header, _| header.nonce = B64::repeat_byte(1), 422, "nonce", "local"),
    ("baseFeePerGas", |header, _| header.base_fee_per_gas = Some(1), 422, "baseFeePerGas", "local"),
    ("withdrawalsRoot", |header, _| header.withdrawals_root = Some(OTHER), 422, "withdrawalsRoot", "local"),
    ("blobGasUsed", |header, _| header.blob_gas_used = Some(131_072), 422, "blobGasUsed", "local"),
    ("excessBlobGas", |header, _| header.excess_blob_gas = Some(1), 422, "excessBlobGas", "local"),
    (
        "parentBeaconBlockRoot",
        |header, _| header.parent_beacon_block_root = Some(OTHER),
        422,
        "parentBeaconBlockRoot",
        "local",
    ),
    ("requestsHash", |header, _| header.requests_hash = Some(OTHER), 422, "requestsHash", "local"),
];
const OTHER: B256 = B256::repeat_byte(0xee);

#[test]
fn block_with_one_falsified_field_under_its_old_seal_is_refused_by_its_seal() {
    let mut bench = Bench::new();
    for (field, falsify, ..) in FIELDS {
        let falsified = with_header(&bench.honest, |header| falsify(header, &bench.parent));
        assert_ne!(falsified.hash(), bench.honest.hash(), "{field}");
        bench.refused(field, &falsified, 422, "seal", "peer");
    }
    bench.goes_on();
}

/// What a wrong authority seals is refused by the check that it fails, and the right block is taken all the same.
#[test]
fn block_with_one_falsified_field_that_the_authority_sealed_is_refused_by_that_fields_check() {
    let mut bench = Bench::new();
    for (field, falsify, status, check, blame) in FIELDS {
        let falsified = with_header(&bench.honest, |header| falsify(header, &bench.parent));
        let error = bench.refused(field, &sealed_again(&falsified), status, check, blame);
        let both = [&error["expected"], &error["actual"]].map(|side| side.as_str().expect("text"));
        assert!(both.iter().all(|side| !side.is_empty()) && both[0] != both[1], "{field}: {error}");
    }
    let wrong_parent = with_header(&bench.honest, |header| {
        header.parent_hash = OTHER;
        header.mix_hash = mix_hash(OTHER);
    });
    let error = bench.refused("another parent", &sealed_again(&wrong_parent), 422, "parentHash", "nobody");
    let parent = bench.before["hash"].as_str().expect("a hash").to_owned();
    assert_eq!((error["expected"].as_str(), error["actual"].as_str()), (Some(&*parent), Some(&*OTHER.to_string())));
    // The authority's seal is under two blocks of heights that this node has.
    bench.goes_on_in("diverged");
}

#[test]
fn header_without_a_field_or_with_one_too_many_is_refused() {
    let mut bench = Bench::new();
    // Optional fields stand in order, so the last one can be missing, and later ones added.
    let missing = with_header(&bench.honest, |header| header.requests_hash = None);
    bench.refused("no requestsHash", &sealed_again(&missing), 422, "requestsHash", "local");
    let added = with_header(&bench.honest, |header| header.block_access_list_hash = Some(OTHER));
    bench.refused("blockAccessListHash", &sealed_again(&added), 422, "blockAccessListHash", "local");
    let added = with_header(&added, |header| header.slot_number = Some(1));
    bench.refused("slotNumber", &sealed_again(&added), 422, "blockAccessListHash", "local");
    // The authority has sealed what cannot be confirmed here; the block that can be is taken.
    bench.goes_on_in("stalled");
}

#[test]
fn every_falsified_seal_is_refused() {
    let mut bench = Bench::new();
    let seal = bench.honest.seal().0;
    let hash = bench.honest.hash();
    let changed = |at: usize, to: u8| {
        let mut bytes = seal;
        bytes[at] = to;
        bytes
    };
    let key = authority();
    let zero_r: [u8; 65] = std::array::from_fn(|at| if at < 32 { 0 } else { seal[at] });
    let seals = [
        ("r", changed(0, seal[0] ^ 1)),
        ("r of zero", zero_r),
        ("r above the field", std::array::from_fn(|at| if at < 32 { 0xff } else { seal[at] })),
        ("s", changed(63, seal[63] ^ 1)),
        ("s of zero", std::array::from_fn(|at| if (32..64).contains(&at) { 0 } else { seal[at] })),
        ("the other yParity", changed(64, 1 - seal[64])),
        ("a yParity of two", changed(64, 2)),
        ("Ethereum's v", changed(64, 27 + seal[64])),
        ("high s", high_s_twin(&seal)),
        ("another key", Seal::sign(&dev::key(0), hash).0),
        ("a signature over the bare hash", key.sign(hash)),
        ("the seal of another block", Seal::sign(&key, OTHER).0),
        ("zeros", [0; 65]),
    ];
    for (what, bytes) in seals {
        let (header, transactions) = (bench.honest.header().clone(), bench.honest.transactions().to_vec());
        let error = bench.refused(what, &Block::from_parts(header, transactions, Seal(bytes)), 422, "seal", "peer");
        assert!(error["message"].as_str().expect("a sentence").contains(&hash.to_string()), "{error}");
    }
    bench.goes_on();
}

/// The other signature over the same hash by the same key: n − s, and the other parity.
fn high_s_twin(seal: &[u8; 65]) -> [u8; 65] {
    let order = U256::from_be_bytes(callboard_chain::recovery::ORDER);
    let s = order - U256::from_be_slice(&seal[32..64]);
    let mut twin = *seal;
    twin[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    twin[64] = 1 - seal[64];
    twin
}

#[test]
fn body_that_is_not_the_headers_is_refused() {
    let mut bench = Bench::new();
    let honest = bench.honest.transactions().to_vec();
    let swapped = vec![honest[1].clone(), honest[0].clone()];
    let dropped = vec![honest[0].clone()];
    let added = [honest.clone(), vec![transfer(1, 0, 1)]].concat();
    let replaced = vec![honest[0].clone(), transfer(0, 2, 8)];
    let twice = vec![honest[0].clone(), honest[0].clone()];
    for (what, body, check) in [
        ("swapped", swapped, "execution"),
        ("dropped", dropped, "gasUsed"),
        ("none left", Vec::new(), "gasUsed"),
        ("added", added, "gasUsed"),
        ("replaced", replaced, "stateRoot"),
        ("twice", twice, "execution"),
    ] {
        let falsified = with_body(&bench.honest, body);
        bench.refused(what, &falsified, 422, "transactionsRoot", "peer");
        bench.refused(what, &consistent(&falsified), 422, check, "local");
    }
    let foreign = sign(alloy_consensus::TxLegacy { chain_id: Some(1), ..unsigned(1, Address::ZERO, 1) }, &dev::key(0));
    let foreign = consistent(&with_body(&bench.honest, vec![foreign]));
    let error = bench.refused("another chain's", &foreign, 422, "transaction", "local");
    assert!(error["message"].as_str().expect("a sentence").contains("invalid chain id for signer"), "{error}");
    // The authority has sealed what cannot be confirmed here; the block that can be is taken.
    bench.goes_on_in("stalled");
}

#[test]
fn bytes_that_are_no_whole_block_are_refused() {
    let mut bench = Bench::new();
    let bytes = bench.honest.bytes().clone();
    let offsets = (0..bytes.len()).step_by(37).chain([1, 2, 3, bytes.len() - 66, bytes.len() - 65, bytes.len() - 1]);
    for offset in offsets {
        bench.refused_bytes(&format!("{offset} bytes"), &bytes[..offset]);
    }
    for trailing in [&[0u8][..], &[0xc0], &bytes] {
        bench.refused_bytes("trailing bytes", &[&bytes[..], trailing].concat());
    }
    for at in [0, 1, 4, bytes.len() - 66] {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x40;
        bench.refused_bytes(&format!("byte {at} damaged"), &damaged);
    }
    bench.refused += 1;
    bench.refused_body("no bytes", &json!({}), 422, "body_missing");
    bench.goes_on();
}

#[test]
fn body_of_a_hundred_megabytes_is_refused_without_harm() {
    let bench = Bench::new();
    let megabyte = vec![b'0'; 1_000_000];
    let status = post_raw(&bench.node, "Content-Length: 100000000", (0..100).map(|_| megabyte.clone()));
    assert_eq!(status, "413");
    bench.unharmed("with its length said");
    // In chunks, nobody knows its length before it has all come.
    let chunk = [b"f4240\r\n", &megabyte[..], b"\r\n"].concat();
    let status = post_raw(&bench.node, "Transfer-Encoding: chunked", (0..100).map(|_| chunk.clone()));
    assert_eq!(status, "413");
    bench.unharmed("in chunks");
    bench.goes_on();
}

/// Posts a body to importBlock for as long as the node takes it: the status of the answer.
fn post_raw(node: &Node, header: &str, mut body: impl Iterator<Item = Vec<u8>>) -> String {
    let address = node.rpc_url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).expect("it listens");
    let head = format!("POST /rpc/importBlock HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let head = format!("{head}Content-Type: application/json\r\n{header}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    while body.next().is_some_and(|part| stream.write_all(&part).is_ok()) {}
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn block_whose_parent_is_not_there_is_refused_until_it_is() {
    let mut forge = Forge::new();
    let mut node = forge.follower();
    node.start();
    let blocks = forge.extend_by(3);
    let (status, early) = node.post("/rpc/importBlock", &posted(&blocks[2]));
    assert_eq!(status, 409, "{early}");
    let error = &early["error"];
    assert_eq!((&error["check"], &error["expected"], &error["actual"]), (&"parent".into(), &"1".into(), &"3".into()));
    blocks.iter().for_each(|block| import(&node, block));
    let known = json!({ "success": true, "imported": false, "height": 1, "hash": blocks[0].hash() });
    assert_eq!(node.post("/rpc/importBlock", &posted(&blocks[0])), (200, known));
}
