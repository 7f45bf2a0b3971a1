//! RLP of trie nodes.

use super::node::{Branch, Extension, Leaf, Link, Node, Reference};
use alloy_primitives::Bytes;
use alloy_rlp::{Encodable, Error, Header};
use alloy_trie::{Nibbles, nodes::encode_path_leaf};

const EMPTY_STRING: u8 = 0x80;
const BRANCH_ITEMS: usize = 17;
/// Sixteen hashes, no value, and the list header.
const LONGEST_BRANCH: usize = 16 * 33 + 1 + 3;

/// Appends the node's RLP. The references below must be fresh.
pub(super) fn encode(node: &Node, out: &mut Vec<u8>) {
    match node {
        Node::Leaf(leaf) => encode_leaf(leaf, out),
        Node::Extension(extension) => encode_extension(extension, out),
        Node::Branch(branch) => encode_branch(branch, out),
    }
}

fn encode_leaf(leaf: &Leaf, out: &mut Vec<u8>) {
    let path = encode_path_leaf(&leaf.key, true);
    let payload_length = path.as_slice().length() + leaf.value.as_slice().length();
    Header { list: true, payload_length }.encode(out);
    path.as_slice().encode(out);
    leaf.value.as_slice().encode(out);
}

fn encode_extension(extension: &Extension, out: &mut Vec<u8>) {
    let path = encode_path_leaf(&extension.key, false);
    let child = extension.child.reference.as_rlp();
    Header { list: true, payload_length: path.as_slice().length() + child.len() }.encode(out);
    path.as_slice().encode(out);
    out.extend_from_slice(child);
}

fn encode_branch(branch: &Branch, out: &mut Vec<u8>) {
    let children = (0..16).map(|nibble| branch.child(nibble).map(|child| child.reference.as_rlp()));
    let payload_length = children.clone().map(|child| child.map_or(1, <[u8]>::len)).sum::<usize>();
    Header { list: true, payload_length: payload_length + branch.value.as_slice().length() }.encode(out);
    children.for_each(|child| out.extend_from_slice(child.unwrap_or(&[EMPTY_STRING])));
    branch.value.as_slice().encode(out);
}

/// The node's RLP. The references below must be fresh.
pub(super) fn encoded(node: &Node) -> Bytes {
    let mut out = Vec::with_capacity(LONGEST_BRANCH);
    encode(node, &mut out);
    Bytes::copy_from_slice(&out)
}

/// Decodes a whole node. Its children come unloaded.
pub(super) fn decode(mut rlp: &[u8]) -> Result<Node, Error> {
    let mut payload = Header::decode_bytes(&mut rlp, true)?;
    if !rlp.is_empty() {
        return Err(Error::UnexpectedLength);
    }
    let mut items: [&[u8]; BRANCH_ITEMS] = [&[]; BRANCH_ITEMS];
    let mut count = 0;
    while !payload.is_empty() {
        *items.get_mut(count).ok_or(Error::ListLengthMismatch { expected: BRANCH_ITEMS, got: count + 1 })? =
            next_item(&mut payload)?;
        count += 1;
    }
    match count {
        2 => decode_short(items[0], items[1]),
        BRANCH_ITEMS => decode_branch(&items),
        _ => Err(Error::ListLengthMismatch { expected: BRANCH_ITEMS, got: count }),
    }
}

/// Cuts one item off, with its header.
fn next_item<'a>(payload: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let all = *payload;
    let header = Header::decode(payload)?;
    let (_, rest) = payload.split_at_checked(header.payload_length).ok_or(Error::InputTooShort)?;
    *payload = rest;
    Ok(&all[..all.len() - rest.len()])
}

fn decode_short(mut path: &[u8], item: &[u8]) -> Result<Node, Error> {
    let (key, is_leaf) = decode_path(Header::decode_bytes(&mut path, false)?)?;
    if is_leaf {
        return Ok(Node::leaf(key, decode_value(item)?));
    }
    if key.is_empty() {
        return Err(Error::Custom("extension without a path"));
    }
    Ok(Node::extension(key, decode_link(item)?))
}

fn decode_branch(items: &[&[u8]; BRANCH_ITEMS]) -> Result<Node, Error> {
    let children = items[..16].iter().filter(|item| **item != [EMPTY_STRING]).count();
    let mut branch = Branch::with_room(children, decode_value(items[16])?);
    for (nibble, item) in (0u8..16).zip(items).filter(|(_, item)| **item != [EMPTY_STRING]) {
        branch.put(nibble, decode_link(item)?);
    }
    if branch.len() < 2 {
        return Err(Error::Custom("branch with less than two children"));
    }
    Ok(Node::Branch(Box::new(branch)))
}

fn decode_value(mut item: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(Header::decode_bytes(&mut item, false)?.to_vec())
}

fn decode_link(item: &[u8]) -> Result<Link, Error> {
    Reference::from_rlp(item).map(Link::unloaded).ok_or(Error::Custom("neither a hash nor an inline node"))
}

/// Hex-prefix decoding (yellow paper appendix C): the nibbles, and whether they end in a leaf.
fn decode_path(path: &[u8]) -> Result<(Nibbles, bool), Error> {
    let (flags, odd) = match path.first() {
        Some(first) if *first < 0x40 => (first >> 4, first & 0x0f),
        _ => return Err(Error::Custom("path without a hex prefix")),
    };
    if path.len() > 33 {
        return Err(Error::Custom("path longer than a key"));
    }
    let rest = Nibbles::unpack(&path[1..]);
    let key = match (flags & 1, odd) {
        (0, 0) => rest,
        (0, _) => return Err(Error::Custom("even path with a padding nibble that is not zero")),
        _ if rest.len() == 64 => return Err(Error::Custom("path longer than a key")),
        _ => Nibbles::from_nibbles([odd]).join(&rest),
    };
    Ok((key, flags & 2 != 0))
}
