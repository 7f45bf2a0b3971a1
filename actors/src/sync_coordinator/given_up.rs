//! What an authority, or a follower's operator, gave up knowingly: it is not taken back, whoever shows it.

use super::messages::KnownHead;
use callboard_store::{GivenUpBranch, OwnBlock};
use std::sync::Arc;

/// The branches that this node gave up. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct GivenUp(Arc<[GivenUpBranch]>);

impl GivenUp {
    /// As remembered in `node.redb`.
    pub fn new(branches: Vec<GivenUpBranch>) -> Self {
        Self(branches.into())
    }

    /// Where `block`, which is not of our chain, is of such a branch: the height above which that was given up.
    pub fn after(&self, block: &KnownHead) -> Option<u64> {
        let block = OwnBlock::from(*block);
        self.0.iter().find(|branch| branch.holds(&block)).map(|branch| branch.after)
    }

    /// All of them.
    pub fn branches(&self) -> &[GivenUpBranch] {
        &self.0
    }
}

impl From<KnownHead> for OwnBlock {
    fn from(head: KnownHead) -> Self {
        let KnownHead { height, hash, timestamp } = head;
        Self { height, hash, timestamp }
    }
}
