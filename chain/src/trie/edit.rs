//! Insertion and removal of one key.
//!
//! A link keeps its `stored` mark when the node in it is replaced, because the mark belongs to the path. A path that
//! no node occupies any more goes to `removed`.

use super::{
    Position, TrieError, codec,
    node::{Branch, Extension, Link, Node, child_path},
};
use crate::{TrieReader, keccak256};
use alloy_primitives::B256;
use alloy_trie::Nibbles;

/// An edit under way at one key.
pub(super) struct Edit<'a> {
    pub(super) reader: &'a dyn TrieReader,
    pub(super) owner: Option<B256>,
    pub(super) key: &'a Nibbles,
    /// Paths where a node is stored that is not there any more.
    pub(super) removed: &'a mut Vec<Nibbles>,
    /// Counts nodes made or loaded.
    pub(super) created: &'a mut usize,
}

impl Edit<'_> {
    /// Sets the value of the key below `link`, which is `depth` nibbles from the root. Says whether that changed it.
    pub(super) fn insert(&mut self, link: &mut Link, depth: usize, value: &[u8]) -> Result<bool, TrieError> {
        let rest = self.key.slice(depth..);
        if link.is_empty() {
            *link = self.new_leaf(rest, value);
            return Ok(true);
        }
        let changed = match self.load(link, depth)? {
            Node::Leaf(leaf) if leaf.key == rest => replace(&mut leaf.value, value),
            Node::Leaf(leaf) => {
                let common = leaf.key.common_prefix_length(&rest);
                self.split(link, &rest, common, value);
                true
            }
            Node::Extension(extension) if rest.starts_with(&extension.key) => {
                let depth = depth + extension.key.len();
                self.insert(&mut extension.child, depth, value)?
            }
            Node::Extension(extension) => {
                let common = extension.key.common_prefix_length(&rest);
                self.split(link, &rest, common, value);
                true
            }
            Node::Branch(branch) => match (rest.first(), rest.first().and_then(|nibble| branch.child_mut(nibble))) {
                (_, Some(child)) => self.insert(child, depth + 1, value)?,
                (Some(nibble), None) => {
                    branch.put(nibble, self.new_leaf(rest.slice(1..), value));
                    true
                }
                (None, None) => replace(&mut branch.value, value),
            },
        };
        if changed {
            link.touch();
        }
        Ok(changed)
    }

    fn new_leaf(&mut self, key: Nibbles, value: &[u8]) -> Link {
        *self.created += 1;
        Link::new(Node::leaf(key, value.to_vec()))
    }

    /// Puts a branch where the key leaves the path of a leaf or an extension, after `common` nibbles.
    fn split(&mut self, link: &mut Link, rest: &Nibbles, common: usize, value: &[u8]) {
        let mut branch = Branch::with_room(2, Vec::new());
        match link.node.take() {
            Some(Node::Leaf(leaf)) => match leaf.key.get(common) {
                Some(nibble) => branch.put(nibble, Link::new(Node::leaf(leaf.key.slice(common + 1..), leaf.value))),
                None => branch.value = leaf.value,
            },
            Some(Node::Extension(extension)) => {
                let Extension { key, child } = *extension;
                let below = key.slice(common + 1..);
                let child = if below.is_empty() { child } else { Link::new(Node::extension(below, child)) };
                branch.put(key.get_unchecked(common), child);
            }
            other => return link.node = other,
        }
        match rest.get(common) {
            Some(nibble) => branch.put(nibble, self.new_leaf(rest.slice(common + 1..), value)),
            None => branch.value = value.to_vec(),
        }
        *self.created += 2;
        let branch = Node::Branch(Box::new(branch));
        link.node = Some(match common {
            0 => branch,
            _ => Node::extension(rest.slice(..common), Link::new(branch)),
        });
    }

    /// Removes the key below `link`, which is `depth` nibbles from the root. Says whether it was there.
    pub(super) fn remove(&mut self, link: &mut Link, depth: usize) -> Result<bool, TrieError> {
        if link.is_empty() {
            return Ok(false);
        }
        let rest = self.key.slice(depth..);
        match self.load(link, depth)? {
            Node::Leaf(leaf) => {
                if leaf.key != rest {
                    return Ok(false);
                }
                self.forget(link, self.key.slice(..depth));
                *link = Link::EMPTY;
                return Ok(true);
            }
            Node::Extension(extension) => {
                let child_depth = depth + extension.key.len();
                if !rest.starts_with(&extension.key) || !self.remove(&mut extension.child, child_depth)? {
                    return Ok(false);
                }
                self.merge_extension(link, depth);
            }
            Node::Branch(branch) => {
                if !self.remove_from_branch(branch, &rest, depth)? {
                    return Ok(false);
                }
                if branch.len() == 1 {
                    let left = self.last_of(branch, depth)?;
                    link.node = Some(left);
                }
            }
        }
        link.touch();
        Ok(true)
    }

    fn remove_from_branch(&mut self, branch: &mut Branch, rest: &Nibbles, depth: usize) -> Result<bool, TrieError> {
        let Some(nibble) = rest.first() else {
            return Ok(!std::mem::take(&mut branch.value).is_empty());
        };
        let Some(child) = branch.child_mut(nibble) else {
            return Ok(false);
        };
        let removed = self.remove(child, depth + 1)?;
        if child.is_empty() {
            branch.take(nibble);
        }
        Ok(removed)
    }

    /// What stands in place of a branch that has only its value or one child left.
    fn last_of(&mut self, branch: &mut Branch, depth: usize) -> Result<Node, TrieError> {
        let Some(nibble) = branch.first() else {
            return Ok(Node::leaf(Nibbles::new(), std::mem::take(&mut branch.value)));
        };
        let path = child_path(&self.key.slice(..depth), nibble);
        let mut child = branch.take(nibble);
        self.load_at(&mut child, &path)?;
        Ok(self.prepend(Nibbles::from_nibbles([nibble]), child, path))
    }

    /// Merges an extension with its child, when that is not a branch any more.
    fn merge_extension(&mut self, link: &mut Link, depth: usize) {
        if let Some(Node::Extension(extension)) = link.node.take() {
            let Extension { key, child } = *extension;
            let path = self.key.slice(..depth).join(&key);
            link.node = Some(self.prepend(key, child, path));
        }
    }

    /// The node that leads over `key` to the loaded `child` at `path`: a child that has a path of its own is merged
    /// into it and leaves its place.
    fn prepend(&mut self, key: Nibbles, mut child: Link, path: Nibbles) -> Node {
        match child.node.take() {
            Some(Node::Leaf(leaf)) => {
                self.forget(&child, path);
                Node::leaf(key.join(&leaf.key), leaf.value)
            }
            Some(Node::Extension(extension)) => {
                self.forget(&child, path);
                let Extension { key: below, child } = *extension;
                Node::extension(key.join(&below), child)
            }
            branch => Node::extension(key, Link { node: branch, ..child }),
        }
    }

    fn forget(&mut self, link: &Link, path: Nibbles) {
        if link.stored {
            self.removed.push(path);
        }
    }

    fn load<'l>(&mut self, link: &'l mut Link, depth: usize) -> Result<&'l mut Node, TrieError> {
        if link.node.is_none() {
            let path = self.key.slice(..depth);
            return self.load_at(link, &path);
        }
        Ok(link.node.as_mut().expect("it was just seen"))
    }

    fn load_at<'l>(&mut self, link: &'l mut Link, path: &Nibbles) -> Result<&'l mut Node, TrieError> {
        if link.node.is_none() {
            *self.created += 1;
        }
        load(self.reader, self.owner, link, path)
    }
}

/// Overwrites `old`, keeping its allocation. Says whether that changed it.
fn replace(old: &mut Vec<u8>, new: &[u8]) -> bool {
    let changed = old.as_slice() != new;
    if changed {
        old.clear();
        old.extend_from_slice(new);
    }
    changed
}

/// Loads the node of a link that is not empty, if it is not loaded yet, and checks that it is the one referred to.
pub(super) fn load<'l>(
    reader: &dyn TrieReader,
    owner: Option<B256>,
    link: &'l mut Link,
    path: &Nibbles,
) -> Result<&'l mut Node, TrieError> {
    if link.node.is_none() {
        let position = Position { owner, path: *path };
        let node = match link.reference.as_hash() {
            Some(expected) => {
                let stored = reader.trie_node(owner, path)?.ok_or(TrieError::Missing { position, expected })?;
                let actual = keccak256(&stored);
                if actual != expected {
                    return Err(TrieError::Corrupt { position, expected, actual });
                }
                codec::decode(&stored)
            }
            None => codec::decode(link.reference.as_rlp()),
        };
        link.node = Some(node.map_err(|source| TrieError::Malformed { position, source })?);
    }
    Ok(link.node.as_mut().expect("it is loaded now"))
}
