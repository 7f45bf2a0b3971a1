//! The trie as the yellow paper defines it, built from nothing, as slow and as plain as can be.

use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use std::collections::BTreeMap;

/// Key nibbles to value.
pub(super) type Values = BTreeMap<Vec<u8>, Vec<u8>>;

/// The root, and every node that is stored, by path.
pub(super) fn build(values: &Values) -> (B256, BTreeMap<Nibbles, Bytes>) {
    let mut stored = BTreeMap::new();
    if values.is_empty() {
        return (EMPTY_ROOT_HASH, stored);
    }
    let items: Vec<_> = values.iter().collect();
    let root = node(&items, 0, &mut stored);
    let hash = alloy_primitives::keccak256(&root);
    stored.insert(Nibbles::new(), root.into());
    (hash, stored)
}

/// The node for keys that agree in their first `depth` nibbles.
fn node(items: &[(&Vec<u8>, &Vec<u8>)], depth: usize, stored: &mut BTreeMap<Nibbles, Bytes>) -> Vec<u8> {
    let (first, value) = items[0];
    if items.len() == 1 {
        return list(&[string(&hex_prefix(&first[depth..], true)), string(value)]);
    }
    let shared = |length: &usize| items.iter().all(|(key, _)| key.get(..*length) == first.get(..*length));
    let common = (depth..=first.len()).take_while(shared).last().unwrap();
    if common > depth {
        let child = reference(items, common, stored);
        return list(&[string(&hex_prefix(&first[depth..common], false)), child]);
    }
    let mut parts = vec![string(&[]); 17];
    for nibble in 0..16 {
        let below: Vec<_> = items.iter().copied().filter(|(key, _)| key.get(depth) == Some(&nibble)).collect();
        if !below.is_empty() {
            parts[usize::from(nibble)] = reference(&below, depth + 1, stored);
        }
    }
    if first.len() == depth {
        parts[16] = string(value);
    }
    list(&parts)
}

fn reference(items: &[(&Vec<u8>, &Vec<u8>)], depth: usize, stored: &mut BTreeMap<Nibbles, Bytes>) -> Vec<u8> {
    let rlp = node(items, depth, stored);
    if rlp.len() < 32 {
        return rlp;
    }
    let hash = alloy_primitives::keccak256(&rlp);
    stored.insert(Nibbles::from_nibbles(&items[0].0[..depth]), rlp.into());
    string(hash.as_slice())
}

fn hex_prefix(nibbles: &[u8], leaf: bool) -> Vec<u8> {
    let odd = nibbles.len() % 2 == 1;
    let mut padded = vec![u8::from(leaf) * 2 + u8::from(odd)];
    padded.extend((!odd).then_some(0));
    padded.extend(nibbles);
    padded.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes.encode(&mut out);
    out
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}
