//! TrieTests: roots of plain and secure tries, in any order, with removals, and neighbours of keys.

use alloy_primitives::{B256, Bytes, hex};
use alloy_trie::Nibbles;
use callboard_chain::{
    StateReadError, TrieReader, TrieUpdates, keccak256,
    trie::{MerkleTrie, TrieError},
};
use serde_json::Value;
use std::{collections::BTreeMap, ops::Bound, path::Path};

#[test]
fn official_trie_vectors_have_the_expected_roots() {
    super::run_set("TrieTests", 6, |path, cases| {
        let secure = name(path).to_lowercase().contains("secure");
        cases.iter().for_each(|(case, body)| match name(path) {
            "trietestnextprev.json" => check_neighbours(case, body),
            _ => check_roots(case, body, secure),
        });
        cases.len()
    });
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a file name")
}

/// The steps of a case: key, and value or removal.
type Steps = Vec<(Bytes, Option<Bytes>)>;

fn steps(case: &Value) -> (Steps, bool) {
    match &case["in"] {
        Value::Object(values) => (values.iter().map(|(key, value)| (bytes(key), text(value))).collect(), true),
        Value::Array(steps) => {
            (steps.iter().map(|step| (text(&step[0]).expect("a key"), text(&step[1]))).collect(), false)
        }
        other => panic!("neither an object nor a list: {other}"),
    }
}

fn text(value: &Value) -> Option<Bytes> {
    (!value.is_null()).then(|| bytes(value.as_str().expect("a string")))
}

fn bytes(text: &str) -> Bytes {
    match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).expect("hexadecimal digits").into(),
        None => Bytes::copy_from_slice(text.as_bytes()),
    }
}

fn check_roots(name: &str, case: &Value, secure: bool) {
    let expected: B256 = case["root"].as_str().expect("a root").parse().expect("a hash");
    let (steps, any_order) = steps(case);
    for turn in 0..if any_order { steps.len() } else { 1 } {
        let mut steps = steps.clone();
        steps.rotate_left(turn);
        assert_eq!(build(&steps, secure, false), expected, "{name}, from step {turn}");
        assert_eq!(build(&steps, secure, true), expected, "{name}, from step {turn}, reopened after each step");
    }
}

#[derive(Default)]
struct Nodes(BTreeMap<Nibbles, Bytes>);

impl Nodes {
    fn apply(&mut self, updates: TrieUpdates) {
        for ((_, path), node) in updates.nodes {
            match node {
                Some(node) => self.0.insert(path, node),
                None => self.0.remove(&path),
            };
        }
    }
}

impl TrieReader for Nodes {
    fn trie_node(&self, _owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(self.0.get(path).cloned())
    }
}

fn build(steps: &Steps, secure: bool, reopen: bool) -> B256 {
    let mut nodes = Nodes::default();
    let mut trie = MerkleTrie::new(None, alloy_trie::EMPTY_ROOT_HASH);
    for (key, value) in steps {
        let key = if secure { Nibbles::unpack(keccak256(key)) } else { Nibbles::unpack(key) };
        trie.set(&nodes, &key, value.as_ref().map_or(&[][..], |value| value.as_ref())).expect("readable nodes");
        if reopen {
            let mut updates = TrieUpdates::default();
            trie.take_updates(&mut updates);
            nodes.apply(updates);
            trie = MerkleTrie::new(None, trie.root());
        }
    }
    trie.root()
}

/// Cases of [key, the key before it or "", the key after it or ""].
fn check_neighbours(name: &str, case: &Value) {
    let keys: Vec<String> = serde_json::from_value(case["in"].clone()).expect("a list of keys");
    let questions: Vec<[String; 3]> = serde_json::from_value(case["tests"].clone()).expect("a list of questions");
    let leaves = leaves(&keys).expect("readable nodes");
    for [key, before, after] in questions {
        let key = Nibbles::unpack(&key);
        let found = leaves.range((Bound::Unbounded, Bound::Excluded(&key))).next_back();
        assert_eq!(found.map_or("", |(_, key)| key), before, "{name}: before {key:?}");
        let found = leaves.range((Bound::Excluded(&key), Bound::Unbounded)).next();
        assert_eq!(found.map_or("", |(_, key)| key), after, "{name}: after {key:?}");
    }
}

/// What a trie of these keys, each its own value, holds.
fn leaves(keys: &[String]) -> Result<BTreeMap<Nibbles, String>, TrieError> {
    let nodes = Nodes::default();
    let mut trie = MerkleTrie::new(None, alloy_trie::EMPTY_ROOT_HASH);
    for key in keys {
        trie.set(&nodes, &Nibbles::unpack(key), key.as_bytes())?;
    }
    let leaves = trie.leaves(&nodes)?;
    assert!(leaves.is_sorted(), "leaves come in order");
    Ok(leaves.into_iter().map(|(key, value)| (key, String::from_utf8(value).expect("a key"))).collect())
}
