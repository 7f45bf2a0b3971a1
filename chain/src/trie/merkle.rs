//! One Merkle Patricia trie.

use super::{
    TrieError, TrieUpdates, codec,
    edit::{self, Edit},
    hash,
    node::{Link, Node, Reference, Step},
    shrink::RANKS,
};
use crate::TrieReader;
use alloy_primitives::{B256, Bytes};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use std::convert::Infallible;

/// A Merkle Patricia trie with lazily loaded nodes. Keys are at most 64 nibbles long; the state uses keccak256 hashes.
pub struct MerkleTrie {
    owner: Option<B256>,
    pub(super) root: Link,
    /// Paths where a node was stored that is gone. A new node may have taken the path since.
    removed: Vec<Nibbles>,
    /// Never less than the number of loaded nodes.
    pub(super) loaded: usize,
    /// Where nodes are encoded to be hashed.
    buffer: Vec<u8>,
}

impl MerkleTrie {
    /// The trie with this root hash. `owner` is what the reader is asked for: `None` for the account trie, the hashed
    /// address for a storage trie. Nothing is read yet.
    pub fn new(owner: Option<B256>, root: B256) -> Self {
        let root = match root {
            EMPTY_ROOT_HASH => Link::EMPTY,
            hash => Link::unloaded(Reference::hash(hash)),
        };
        Self { owner, root, removed: Vec::new(), loaded: 0, buffer: Vec::new() }
    }

    /// Whether it holds no key at all.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Sets the value of a key. An empty value removes it (yellow paper appendix D).
    pub fn set(&mut self, reader: &impl TrieReader, key: &Nibbles, value: &[u8]) -> Result<(), TrieError> {
        let (removed, created) = (&mut self.removed, &mut self.loaded);
        let mut edit = Edit { reader, owner: self.owner, key, removed, created };
        match value {
            [] => edit.remove(&mut self.root, 0)?,
            _ => edit.insert(&mut self.root, 0, value)?,
        };
        Ok(())
    }

    /// The value of a key.
    pub fn get(&mut self, reader: &impl TrieReader, key: &Nibbles) -> Result<Option<Vec<u8>>, TrieError> {
        let mut depth = 0;
        let mut next = Some(&mut self.root).filter(|root| !root.is_empty());
        while let Some(link) = next.take() {
            self.loaded += usize::from(link.node.is_none());
            let rest = key.slice(depth..);
            (next, depth) = match edit::load(reader, self.owner, link, &key.slice(..depth))? {
                Node::Leaf(leaf) => return Ok((leaf.key == rest).then(|| leaf.value.clone())),
                Node::Extension(extension) if !rest.starts_with(&extension.key) => return Ok(None),
                Node::Extension(extension) => (Some(&mut extension.child), depth + extension.key.len()),
                Node::Branch(branch) => match rest.first() {
                    Some(nibble) => (branch.child_mut(nibble), depth + 1),
                    None => return Ok(Some(branch.value.clone()).filter(|value| !value.is_empty())),
                },
            };
        }
        Ok(None)
    }

    /// Removes all keys. Reads every node, because each of them has to be deleted.
    pub fn clear(&mut self, reader: &impl TrieReader) -> Result<(), TrieError> {
        if !self.root.is_empty() {
            collect_stored(reader, self.owner, &mut self.root, Nibbles::new(), &mut self.removed)?;
            self.root = Link::EMPTY;
        }
        Ok(())
    }

    /// Every key with its value, in order. Loads the whole trie.
    pub fn leaves(&mut self, reader: &impl TrieReader) -> Result<Vec<(Nibbles, Vec<u8>)>, TrieError> {
        let mut leaves = Vec::new();
        if !self.root.is_empty() {
            collect_leaves(reader, self.owner, &mut self.root, Nibbles::new(), &mut leaves)?;
            self.count(0, &mut [0; RANKS]);
        }
        Ok(leaves)
    }

    /// The root hash. Hashes what changed since it was last asked for.
    pub fn root(&mut self) -> B256 {
        if self.root.is_empty() {
            return EMPTY_ROOT_HASH;
        }
        if self.root.reference.is_none() {
            hash::refresh(&mut self.root, &mut self.buffer);
        }
        self.root.reference.as_hash().expect("the root is referred to by its hash, however short it is")
    }

    /// The nodes on the way to `key`, from the root: all that prove its value, or that it has none. Nodes shorter than
    /// a hash are part of the one before. Empty for an empty trie.
    pub fn prove(&mut self, reader: &impl TrieReader, key: &Nibbles) -> Result<Vec<Bytes>, TrieError> {
        self.root();
        let mut proof = Vec::new();
        let mut depth = 0;
        let mut next = Some(&mut self.root).filter(|root| !root.is_empty());
        while let Some(link) = next.take() {
            let is_hashed = link.reference.as_hash().is_some();
            self.loaded += usize::from(link.node.is_none());
            let node = edit::load(reader, self.owner, link, &key.slice(..depth))?;
            if is_hashed {
                proof.push(codec::encoded(node));
            }
            let rest = key.slice(depth..);
            (next, depth) = match node {
                Node::Leaf(_) => (None, depth),
                Node::Extension(extension) if !rest.starts_with(&extension.key) => (None, depth),
                Node::Extension(extension) => (Some(&mut extension.child), depth + extension.key.len()),
                Node::Branch(branch) => (rest.first().and_then(|nibble| branch.child_mut(nibble)), depth + 1),
            };
        }
        Ok(proof)
    }

    /// Moves what changed since the last call into `updates`.
    pub fn take_updates(&mut self, updates: &mut TrieUpdates) {
        self.root();
        let owner = self.owner;
        updates.nodes.extend(self.removed.drain(..).map(|path| ((owner, path), None)));
        take_dirty(owner, &mut self.root, Nibbles::new(), updates);
    }

    /// Whether everything that changed has been taken.
    pub(super) fn is_clean(&self) -> bool {
        !self.root.dirty && self.removed.is_empty()
    }
}

fn take_dirty(owner: Option<B256>, link: &mut Link, path: Nibbles, updates: &mut TrieUpdates) {
    let (true, Some(node)) = (link.dirty, &mut link.node) else { return };
    let is_hashed = link.reference.as_hash().is_some();
    if is_hashed {
        updates.nodes.insert((owner, path), Some(codec::encoded(node)));
    } else if link.stored {
        updates.nodes.insert((owner, path), None);
    }
    link.stored = is_hashed;
    link.dirty = false;
    let done: Result<(), Infallible> = node.for_each_child(|child, step| {
        if child.dirty {
            take_dirty(owner, child, step.after(&path), updates);
        }
        Ok(())
    });
    let Ok(()) = done;
}

/// Collects the path of every stored node at and below `link`, which is not empty.
fn collect_stored(
    reader: &impl TrieReader,
    owner: Option<B256>,
    link: &mut Link,
    path: Nibbles,
    paths: &mut Vec<Nibbles>,
) -> Result<(), TrieError> {
    if link.stored {
        paths.push(path);
    }
    edit::load(reader, owner, link, &path)?
        .for_each_child(|child, step: Step<'_>| collect_stored(reader, owner, child, step.after(&path), paths))
}

/// Collects every key at and below `link`, which is not empty.
fn collect_leaves(
    reader: &impl TrieReader,
    owner: Option<B256>,
    link: &mut Link,
    path: Nibbles,
    leaves: &mut Vec<(Nibbles, Vec<u8>)>,
) -> Result<(), TrieError> {
    let node = edit::load(reader, owner, link, &path)?;
    match node {
        Node::Leaf(leaf) => leaves.push((path.join(&leaf.key), leaf.value.clone())),
        Node::Branch(branch) if !branch.value.is_empty() => leaves.push((path, branch.value.clone())),
        _ => {}
    }
    node.for_each_child(|child, step| collect_leaves(reader, owner, child, step.after(&path), leaves))
}
