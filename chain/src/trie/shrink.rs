//! Dropping nodes that memory cannot hold. They are read back when they are needed again.

use super::{MerkleTrie, node::Link};
use std::convert::Infallible;

/// Ranks of nodes: their depth, capped. Storage tries are ranked as if they hung [`STORAGE_RANK`] levels deep.
pub(super) const RANKS: usize = 80;
/// About where accounts end up in a trie of some million: a storage root goes together with the accounts around it.
pub(super) const STORAGE_RANK: usize = 5;

impl MerkleTrie {
    /// Counts loaded nodes by rank; the root of this trie has rank `rank`.
    pub(super) fn count(&mut self, rank: usize, ranks: &mut [usize; RANKS]) {
        let before = ranks.iter().sum::<usize>();
        count(&mut self.root, rank, ranks);
        self.loaded = ranks.iter().sum::<usize>() - before;
    }

    /// Drops all nodes of rank `limit` and more, and what is below, unless they changed since the updates were taken.
    pub(super) fn cut(&mut self, rank: usize, limit: usize) {
        cut(&mut self.root, rank, limit);
    }
}

fn below(link: &mut Link, mut visit: impl FnMut(&mut Link)) {
    let Some(node) = &mut link.node else { return };
    let done: Result<(), Infallible> = node.for_each_child(|child, _| {
        visit(child);
        Ok(())
    });
    let Ok(()) = done;
}

fn count(link: &mut Link, rank: usize, ranks: &mut [usize; RANKS]) {
    if link.node.is_some() {
        ranks[rank.min(RANKS - 1)] += 1;
        below(link, |child| count(child, rank + 1, ranks));
    }
}

fn cut(link: &mut Link, rank: usize, limit: usize) {
    if rank >= limit && !link.dirty {
        link.node = None;
    } else {
        below(link, |child| cut(child, rank + 1, limit));
    }
}
