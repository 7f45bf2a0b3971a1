//! What the operator is told of a divergence, remembered on disk: `chain rollback` acts on a node that is stopped, and has
//! to know which branch he decides against.

use super::messages::Divergence;
use callboard_store::{NodeStore, StorageError, ToldDivergence};
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

    /// The operator hears of a divergence. Where the chains part is what he decides about: once that is known, be it at
    /// the genesis, a difference further up does not take its place, also not after a restart.
    pub(super) fn diverged(&mut self, found: &Divergence) {
        let Divergence { height, ours, theirs, .. } = *found;
        let is_first = found.last_common_height.is_some() || height == 0;
        let is_less = !is_first && matches!(self.given, Some(Some(ToldDivergence { is_first: true, .. })));
        if !is_less {
            self.remember(Some(ToldDivergence { height, is_first, ours, theirs }));
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
            if let Err(error) = put(&store, told) {
                tracing::error!(%error, "the divergence that was told could not be remembered");
            }
        });
    }
}

fn put(store: &NodeStore, told: Option<ToldDivergence>) -> Result<(), StorageError> {
    let is_vague = told.is_some_and(|told| !told.is_first);
    if is_vague && store.divergence()?.is_some_and(|stored| stored.is_first) {
        return Ok(());
    }
    store.put_divergence(told.as_ref())
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
    async fn the_newest_verdict_is_on_disk_in_the_end_and_one_that_says_where_the_chains_part_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = NodeStore::open(folder.path().join("node.redb")).unwrap();
        let mut told = Told::new(store.clone());
        let stored = || store.divergence().unwrap().map(|told| (told.height, told.is_first));
        let earlier = ToldDivergence { height: 3, is_first: true, ours: None, theirs: B256::ZERO };
        store.put_divergence(Some(&earlier)).unwrap();
        told.diverged(&found(9, None));
        written(&told).await;
        assert_eq!(stored(), Some((3, true)), "of an earlier run");
        for height in 4..20 {
            told.diverged(&found(height, Some(height - 1)));
        }
        told.diverged(&found(30, None));
        written(&told).await;
        assert_eq!(stored(), Some((19, true)));
        told.agrees();
        written(&told).await;
        assert_eq!(stored(), None);
        told.diverged(&found(30, None));
        written(&told).await;
        assert_eq!(stored(), Some((30, false)), "better than nothing");
    }

    /// Waits until no task holds on to what is to be written.
    async fn written(told: &Told) {
        while Arc::strong_count(&told.newest) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
