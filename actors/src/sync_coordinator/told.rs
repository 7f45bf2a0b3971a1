//! What the operator is told of a divergence, remembered on disk: `chain rollback` acts on a node that is stopped, and has
//! to know which branch he decides against.

use super::messages::Divergence;
use callboard_store::{NodeStore, ToldDivergence};
use parking_lot::Mutex;
use std::sync::Arc;

/// Remembers the newest verdict, off the actor's thread.
pub(super) struct Told {
    store: NodeStore,
    newest: Arc<Newest>,
    /// What was handed to the disk last; `None` before anything was: an earlier run may have left something.
    given: Option<Option<ToldDivergence>>,
}

#[derive(Debug, Default)]
struct Newest {
    told: Mutex<Option<ToldDivergence>>,
    /// Held by the one who writes, so that what is written last is the newest.
    writing: Mutex<()>,
}

impl Told {
    pub(super) fn new(store: NodeStore) -> Self {
        Self { store, newest: Arc::default(), given: None }
    }

    /// The operator hears of a divergence. Where the chains part must be known, be it at the genesis: that is what he
    /// decides about.
    pub(super) fn diverged(&mut self, found: &Divergence) {
        if found.last_common_height.is_some() || found.height == 0 {
            let Divergence { height, ours, theirs, .. } = *found;
            self.remember(Some(ToldDivergence { height, ours, theirs }));
        }
    }

    /// There is no divergence, or none any more.
    pub(super) fn agrees(&mut self) {
        self.remember(None);
    }

    fn remember(&mut self, told: Option<ToldDivergence>) {
        if self.given.replace(told) == Some(told) {
            return;
        }
        *self.newest.told.lock() = told;
        let (store, newest) = (self.store.clone(), self.newest.clone());
        actix_rt::task::spawn_blocking(move || {
            let _one_at_a_time = newest.writing.lock();
            let told = *newest.told.lock();
            if let Err(error) = store.put_divergence(told.as_ref()) {
                tracing::error!(%error, "the divergence that was told could not be remembered");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync_coordinator::Witness;
    use alloy_primitives::B256;

    fn found(height: u64, last_common_height: Option<u64>) -> Divergence {
        let (ours, theirs) = (Some(B256::with_last_byte(1)), B256::with_last_byte(2));
        Divergence { height, ours, theirs, witness: Witness::Block(theirs), last_common_height, theirs_timestamp: 0 }
    }

    #[actix_rt::test]
    async fn the_newest_verdict_is_on_disk_in_the_end_and_counts_once_it_says_where_the_chains_part() {
        let folder = tempfile::tempdir().unwrap();
        let store = NodeStore::open(folder.path().join("node.redb")).unwrap();
        let mut told = Told::new(store.clone());
        store.put_divergence(Some(&ToldDivergence { height: 3, ours: None, theirs: B256::ZERO })).unwrap();
        told.diverged(&found(9, None));
        assert_eq!(store.divergence().unwrap().map(|told| told.height), Some(3), "of an earlier run");
        for height in 4..20 {
            told.diverged(&found(height, Some(height - 1)));
        }
        written(&told).await;
        assert_eq!(store.divergence().unwrap().map(|told| told.height), Some(19));
        told.agrees();
        written(&told).await;
        assert_eq!(store.divergence().unwrap(), None);
    }

    /// Waits until no task holds on to what is to be written.
    async fn written(told: &Told) {
        while Arc::strong_count(&told.newest) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
