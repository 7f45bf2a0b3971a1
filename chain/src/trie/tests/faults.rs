//! Stored nodes that are not what they should be.

use super::{Nodes, account, address, change, changes};
use crate::{
    Blame, BlockChanges, StateReadError, StateTrie, TrieReader, keccak256,
    trie::{Position, TrieError, codec},
};
use alloy_primitives::{B256, Bytes, hex};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use proptest::prelude::*;

fn state() -> (B256, Nodes) {
    let mut changes = changes((0..100).map(|number| change(number, None, Some(account(1)))).collect(), vec![]);
    let mut trie = StateTrie::new(EMPTY_ROOT_HASH);
    let mut nodes = Nodes::default();
    let root = trie.apply(&nodes, &mut changes).unwrap();
    nodes.apply(trie.take_updates());
    (root, nodes)
}

fn touch_all() -> BlockChanges {
    let change = |number| change(number, Some(account(1)), Some(account(2)));
    changes((0..100).map(change).collect(), vec![])
}

#[test]
fn every_damaged_node_is_found_and_named() {
    let (root, nodes) = state();
    for (position, node) in &nodes.0 {
        let mut damaged = nodes.clone();
        let mut bytes = node.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let stored = keccak256(&bytes);
        damaged.0.insert(*position, bytes.into());
        let error = StateTrie::new(root).apply(&damaged, &mut touch_all()).unwrap_err();
        assert_eq!(error.blame(), Blame::Local);
        let TrieError::Corrupt { position: found, expected, actual } = error else { panic!("{error}") };
        let place = Position { owner: position.0, path: position.1 };
        assert_eq!((found, expected, actual), (place, keccak256(node), stored));
    }
}

#[test]
fn every_missing_node_is_found_and_named() {
    let (root, nodes) = state();
    for (position, node) in &nodes.0 {
        let mut damaged = nodes.clone();
        damaged.0.remove(position);
        let error = StateTrie::new(root).apply(&damaged, &mut touch_all()).unwrap_err();
        let TrieError::Missing { position: found, expected } = error else { panic!("{error}") };
        assert_eq!((found.path, expected), (position.1, keccak256(node)));
    }
}

#[test]
fn node_with_the_right_hash_that_is_no_node_is_malformed() {
    let bytes = Bytes::from_static(b"not a node");
    let mut nodes = Nodes::default();
    nodes.0.insert((None, Nibbles::new()), bytes.clone());
    let error = StateTrie::new(keccak256(&bytes)).prove_account(&nodes, address(1)).unwrap_err();
    assert!(matches!(error, TrieError::Malformed { .. }), "{error}");
}

#[test]
fn failing_reader_is_passed_on() {
    struct Failing;
    impl TrieReader for Failing {
        fn trie_node(&self, _: Option<B256>, _: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
            Err(StateReadError("disk on fire".into()))
        }
    }
    let error = StateTrie::new(B256::repeat_byte(1)).apply(&Failing, &mut touch_all()).unwrap_err();
    assert_eq!(error.to_string(), "state could not be read: disk on fire");
}

#[test]
fn errors_name_the_place() {
    let position = Position { owner: None, path: Nibbles::from_nibbles([1, 10, 15]) };
    assert_eq!(position.to_string(), "/1af");
    let owner = B256::repeat_byte(0x11);
    assert_eq!(Position { owner: Some(owner), ..position }.to_string(), format!("{owner}:/1af"));
}

#[test]
fn malformed_nodes_are_refused() {
    let cases = [
        ("", "nothing"),
        ("80", "a string"),
        ("c0", "an empty list"),
        ("c32001", "less than the payload"),
        ("c2200101", "bytes after the node"),
        ("c3200102", "three items"),
        ("c20102", "a path without hex prefix flags"),
        ("c24001", "a path with unknown flags"),
        ("c20001", "an extension without a path"),
        ("c22101", "a path with a padding nibble"),
        ("c23101c0", "more than the payload"),
        ("c21180", "an extension without a child"),
        ("d18080808080808080808080808080808080", "a branch without children"),
        ("d3c2310180808080808080808080808080808080", "a branch with one child"),
        ("d2808080808080808080808080808080808080", "eighteen items"),
    ];
    for (rlp, what) in cases {
        assert!(codec::decode(&hex::decode(rlp).unwrap()).is_err(), "{what}: {rlp}");
    }
    let mut long = vec![0xe3, 0xa1 + 1, 0x20];
    long.extend([0; 33]);
    assert!(codec::decode(&long).is_err(), "a path longer than a key");
    let mut long = vec![0xe3, 0xa1, 0x31];
    long.extend([0; 32]);
    long.push(1);
    assert!(codec::decode(&long).is_err(), "an odd path longer than a key");
}

/// What decodes encodes to the same bytes, and nothing panics.
fn check_decoding(bytes: &[u8]) {
    if let Ok(node) = codec::decode(bytes) {
        let mut again = Vec::new();
        codec::encode(&node, &mut again);
        assert_eq!(again, bytes);
    }
}

#[test]
fn nodes_with_one_byte_changed_decode_exactly_or_are_refused() {
    let extension = hex::decode("e4820012a07f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f").unwrap();
    assert!(codec::decode(&extension).is_ok());
    for node in state().1.0.into_values().take(20).chain([extension.into()]) {
        check_decoding(&node);
        for position in 0..node.len() {
            for change in 1..=255 {
                let mut node = node.to_vec();
                node[position] ^= change;
                check_decoding(&node);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_decode_exactly_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        check_decoding(&bytes);
    }
}
