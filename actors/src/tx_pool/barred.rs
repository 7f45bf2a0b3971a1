//! Transactions that are kept out for a time, although nothing in the pool speaks against them. Followers forward what
//! no block has taken every few seconds: without this, what was taken out here would be back at once.

use super::error::PoolError;
use super::newest::Newest;
use crate::callboard::Origin;
use alloy_primitives::B256;
use std::time::Duration;

/// A transaction that failed when a block was built is not tried again for this long. It may become valid (its sender
/// gets funds), so this is short; a follower forwards every 15 seconds, hears that it is refused, and drops it.
pub(super) const INVALID_FOR: Duration = Duration::from_secs(60);

/// Two memories, so that neither can push out what is in the other.
#[derive(Debug, Default)]
pub(super) struct Barred {
    by_operator: Newest<Duration>,
    invalid: Newest<(Duration, String)>,
}

impl Barred {
    /// The operator took it out: it is kept out until then.
    pub(super) fn on_dropped_by_operator(&mut self, hash: B256, until: Duration) {
        self.by_operator.put(hash, until);
    }

    /// It failed, for this reason, when a block was built.
    pub(super) fn on_invalid(&mut self, now: Duration, hash: B256, reason: String) {
        self.invalid.put(hash, (now.saturating_add(INVALID_FOR), reason));
    }

    /// Refuses what is kept out, unless it comes over this node's own RPC: whoever sends it there means it.
    pub(super) fn check(&mut self, now: Duration, hash: &B256, origin: Origin) -> Result<(), PoolError> {
        if origin == Origin::Rpc {
            self.by_operator.remove(hash);
            self.invalid.remove(hash);
        }
        if self.by_operator.get(hash).is_some_and(|until| now < *until) {
            return Err(PoolError::DroppedByOperator);
        }
        match self.invalid.get(hash) {
            Some((until, reason)) if now < *until => Err(PoolError::Invalid { reason: reason.clone() }),
            _ => Ok(()),
        }
    }
}
