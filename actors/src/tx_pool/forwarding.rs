//! The transactions of the pool that this node brings to the authority: how far each has come, and when it is sent
//! again.

use crate::callboard::Origin;
use crate::transport::NodeId;
use alloy_primitives::B256;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// A transaction that is still in the pool after this long is forwarded again, whoever has acknowledged it: an
/// authority that was restarted or had to make room has forgotten it, and so has a node on the way. One that still
/// holds it looks up a hash. Longer than most blocks take, so that few are sent twice.
pub(super) const FORWARD_AGAIN: Duration = Duration::from_secs(15);
/// Most that are sent again at one tick: a full pool is spread over several seconds.
pub(super) const AT_ONCE: usize = 1_024;

/// A transaction on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Where it came from.
    pub(super) origin: Origin,
    /// Who has acknowledged it last; nobody any more once it was refused for now.
    pub(super) acknowledged_by: Option<NodeId>,
    due: Duration,
}

/// Holds nothing that the pool does not hold, and is bounded by it.
#[derive(Debug, Default)]
pub(super) struct Forwarding {
    by_hash: HashMap<B256, Progress>,
    due: BTreeSet<(Duration, B256)>,
}

impl Forwarding {
    /// The transaction was handed on just now.
    pub(super) fn on_forwarded(&mut self, now: Duration, hash: B256, origin: Origin) {
        self.remove(&hash);
        let due = now.saturating_add(FORWARD_AGAIN);
        self.by_hash.insert(hash, Progress { origin, acknowledged_by: None, due });
        self.due.insert((due, hash));
    }

    /// It could not be handed on: it is due now.
    pub(super) fn on_not_forwarded(&mut self, now: Duration, hash: B256) {
        self.set_due(hash, now);
    }

    /// Somebody has taken it.
    pub(super) fn on_acknowledged(&mut self, hash: &B256, by: NodeId) {
        if let Some(progress) = self.by_hash.get_mut(hash) {
            progress.acknowledged_by = Some(by);
        }
    }

    /// The last forward was taken by nobody, whoever took an earlier one: the authority may have had to make room.
    pub(super) fn on_not_taken(&mut self, hash: &B256) {
        if let Some(progress) = self.by_hash.get_mut(hash) {
            progress.acknowledged_by = None;
        }
    }

    /// It has left the pool.
    pub(super) fn remove(&mut self, hash: &B256) {
        if let Some(progress) = self.by_hash.remove(hash) {
            self.due.remove(&(progress.due, *hash));
        }
    }

    /// What is to be handed on again, longest due first.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<(B256, Progress)> {
        let due: Vec<_> = self.due.iter().take_while(|(due, _)| *due <= now).take(AT_ONCE).map(|due| due.1).collect();
        due.into_iter()
            .filter_map(|hash| {
                self.set_due(hash, now.saturating_add(FORWARD_AGAIN));
                Some((hash, *self.by_hash.get(&hash)?))
            })
            .collect()
    }

    /// Those that nobody has taken, longest due first.
    pub(super) fn unacknowledged(&self) -> Vec<B256> {
        let is_lost = |(_, hash): &&(Duration, B256)| {
            self.by_hash.get(hash).is_some_and(|progress| progress.acknowledged_by.is_none())
        };
        self.due.iter().filter(is_lost).map(|(_, hash)| *hash).collect()
    }

    /// How far one has come.
    pub(super) fn progress(&self, hash: &B256) -> Option<&Progress> {
        self.by_hash.get(hash)
    }

    fn set_due(&mut self, hash: B256, due: Duration) {
        let Some(progress) = self.by_hash.get_mut(&hash) else { return };
        self.due.remove(&(progress.due, hash));
        progress.due = due;
        self.due.insert((due, hash));
    }
}
