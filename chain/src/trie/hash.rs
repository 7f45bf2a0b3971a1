//! Hashing what changed, level by level: the nodes of a level do not depend on each other and are hashed together.

use super::{
    codec,
    node::{Link, Node, Reference, Step},
};
use crate::keccak::keccak256_each;
use std::convert::Infallible;

/// A node taken out of its link until it is hashed.
struct Pending {
    node: Node,
    /// The index of its parent in the level above, and which of its children it is.
    parent: usize,
    nibble: u8,
}

/// Makes the reference of `root`, which must be loaded, and of every node below it fresh. A root is always referred
/// to by its hash. `buffer` is where nodes are encoded.
pub(super) fn refresh(root: &mut Link, buffer: &mut Vec<u8>) {
    let Some(node) = root.node.take() else { return };
    let mut levels = vec![vec![Pending { node, parent: 0, nibble: 0 }]];
    while let Some(below) = levels.last_mut().map(|level| take_stale(level)).filter(|below| !below.is_empty()) {
        levels.push(below);
    }
    while let Some(level) = levels.pop() {
        let references = hash(&level, levels.is_empty(), buffer);
        for (Pending { node, parent, nibble }, reference) in level.into_iter().zip(references) {
            let link = match levels.last_mut() {
                Some(above) => above[parent].node.child_mut(nibble).expect("it was taken from there"),
                None => &mut *root,
            };
            link.node = Some(node);
            link.reference = reference;
        }
    }
}

/// Takes the stale nodes out of those of the level above.
fn take_stale(level: &mut [Pending]) -> Vec<Pending> {
    let mut stale = Vec::new();
    for (parent, pending) in level.iter_mut().enumerate() {
        let done: Result<(), Infallible> = pending.node.for_each_child(|link, step| {
            if link.reference.is_none() {
                let nibble = if let Step::Nibble(nibble) = step { nibble } else { 0 };
                stale.extend(link.node.take().map(|node| Pending { node, parent, nibble }));
            }
            Ok(())
        });
        let Ok(()) = done;
    }
    stale
}

fn hash(level: &[Pending], is_root: bool, buffer: &mut Vec<u8>) -> Vec<Reference> {
    buffer.clear();
    let ends: Vec<usize> = level
        .iter()
        .map(|pending| {
            codec::encode(&pending.node, buffer);
            buffer.len()
        })
        .collect();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let nodes: Vec<&[u8]> = starts.zip(&ends).map(|(start, end)| &buffer[start..*end]).collect();
    let is_hashed = |node: &&[u8]| is_root || node.len() >= 32;
    let long: Vec<&[u8]> = nodes.iter().copied().filter(is_hashed).collect();
    let mut hashes = keccak256_each(&long).into_iter();
    let reference = |node: &&[u8]| match is_hashed(node).then(|| hashes.next()).flatten() {
        Some(hash) => Reference::hash(hash),
        None => Reference::inline(node),
    };
    nodes.iter().map(reference).collect()
}
