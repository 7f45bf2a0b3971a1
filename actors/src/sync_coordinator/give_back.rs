//! What a follower gives back to an authority whose database is older than its own: its head, and the authority's own
//! blocks. It does so over the connection that it opened itself, so that it works although nobody can reach it.

use super::messages::KnownHead;
use crate::transport::client::{CallError, Session};
use crate::transport::{NodeId, SealedHead};
use actix::Message;
use alloy_primitives::B256;
use callboard_store::{Snapshot, StorageError, Store};
use std::collections::BTreeMap;

/// Blocks pushed before the authority's head is looked at again. A push is answered once the block is durable there.
const MAX_PUSHED: u64 = 256;

/// A gift has been brought, or could not be. Signalled by its task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct GivenBack {
    /// To whom.
    pub(super) peer: NodeId,
}

/// What is brought to an authority now: our head, and these of our blocks after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gift {
    pub(super) blocks: std::ops::Range<u64>,
}

/// What was brought to each connected authority.
#[derive(Debug, Default)]
pub(super) struct GiveBack(BTreeMap<NodeId, Receiver>);

#[derive(Debug, Default)]
struct Receiver {
    /// The head it showed last.
    shown: Option<KnownHead>,
    /// A gift is on its way.
    busy: bool,
    /// The first block of ours that differs from its own was brought.
    proven: Option<u64>,
}

/// How an authority's head stands to our chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared {
    /// The authority's.
    pub(super) theirs: KnownHead,
    /// Our block of that height.
    pub(super) ours: Option<B256>,
    /// Our durable head.
    pub(super) head: u64,
    /// The first height at which its chain differs from ours, if that is known.
    pub(super) differs_at: Option<u64>,
}

impl GiveBack {
    /// A connected authority shows its head. It hears of ours once, and again for as long as it stands still below ours,
    /// or on another branch: what merely has not been told yet is no gap.
    pub(super) fn on_head(&mut self, peer: NodeId, at: Compared) -> Option<Gift> {
        let receiver = self.0.entry(peer).or_default();
        let before = receiver.shown.replace(at.theirs);
        let is_new = before.is_none();
        let stands_still = before == Some(at.theirs);
        let agrees = at.ours == Some(at.theirs.hash);
        let differs = at.ours.is_some() && !agrees;
        let lacks_blocks = agrees && at.theirs.height < at.head;
        if receiver.busy || !(is_new || (stands_still && (differs || lacks_blocks))) {
            return None;
        }
        receiver.busy = true;
        let next = at.theirs.height.saturating_add(1);
        let blocks = match at.differs_at {
            _ if lacks_blocks => next..next.saturating_add(MAX_PUSHED).min(at.head.saturating_add(1)),
            Some(height) if differs && receiver.proven != Some(height) => height..height.saturating_add(1),
            _ => 0..0,
        };
        if differs && !blocks.is_empty() {
            receiver.proven = at.differs_at;
        }
        Some(Gift { blocks })
    }

    /// The gift has come to its end.
    pub(super) fn on_given(&mut self, peer: NodeId) {
        if let Some(receiver) = self.0.get_mut(&peer) {
            receiver.busy = false;
        }
    }

    /// The session has ended.
    pub(super) fn on_lost(&mut self, peer: NodeId) {
        self.0.remove(&peer);
    }
}

/// Brings it, block after block: each stands on the one before. What does not get there is brought again when the
/// authority has shown its head again.
pub(super) async fn bring(session: Session, store: Store, gift: Gift) -> GivenBack {
    let peer = session.node_id();
    if let Err(reason) = try_bring(&session, &store, gift).await {
        tracing::debug!(peer = %peer.short(), %reason, "the authority was not given its own blocks back");
    }
    GivenBack { peer }
}

#[derive(Debug, thiserror::Error)]
enum Ungiven {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("our own block cannot be read: {0}")]
    Storage(#[from] StorageError),
    #[error("block {0} is not here any more")]
    Gone(u64),
    #[error("the node is stopping")]
    Stopping,
}

async fn try_bring(session: &Session, store: &Store, gift: Gift) -> Result<(), Ungiven> {
    let head = read(store, |snapshot| {
        let height = snapshot.head().height;
        snapshot.block(height)?.ok_or(Ungiven::Gone(height))
    });
    session.show_head(&SealedHead::of(&head.await?)).await?;
    if !gift.blocks.is_empty() {
        tracing::info!(
            peer = %session.node_id().short(), from = gift.blocks.start, count = gift.blocks.end - gift.blocks.start,
            "the authority lacks blocks that it sealed; pushing them to it"
        );
    }
    for height in gift.blocks {
        let bytes = read(store, move |snapshot| snapshot.block_bytes(height)?.ok_or(Ungiven::Gone(height)));
        session.push_block(bytes.await?.0).await?;
    }
    Ok(())
}

/// Reads the store on a blocking thread: the actor's own, which this runs on, is for messages.
async fn read<T, F>(store: &Store, read: F) -> Result<T, Ungiven>
where
    T: Send + 'static,
    F: FnOnce(&Snapshot) -> Result<T, Ungiven> + Send + 'static,
{
    let store = store.clone();
    let reading = actix_rt::task::spawn_blocking(move || read(&store.snapshot()?));
    reading.await.map_err(|_| Ungiven::Stopping)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_chain::SecretKey;

    fn authority() -> NodeId {
        NodeId::of(&SecretKey::from_bytes([1; 32]).unwrap())
    }

    fn hash(height: u64) -> B256 {
        B256::with_last_byte(height as u8)
    }

    /// The authority's head is our block of that height; ours is `head`.
    fn at(theirs: u64, head: u64) -> Compared {
        let theirs = KnownHead { height: theirs, hash: hash(theirs), timestamp: theirs };
        let ours = (theirs.height <= head).then_some(theirs.hash);
        Compared { theirs, ours, head, differs_at: None }
    }

    fn blocks(gift: Option<Gift>) -> Option<Vec<u64>> {
        gift.map(|gift| gift.blocks.collect())
    }

    #[test]
    fn an_authority_with_an_older_database_gets_its_blocks_back_in_order_and_a_bounded_number_at_a_time() {
        let mut give = GiveBack::default();
        assert_eq!(blocks(give.on_head(authority(), at(5, 8))), Some(vec![6, 7, 8]));
        assert_eq!(give.on_head(authority(), at(5, 8)), None, "it is on its way");
        give.on_given(authority());
        assert_eq!(give.on_head(authority(), at(8, 8)), None, "it has them");
        give.on_lost(authority());
        let many = blocks(give.on_head(authority(), at(5, 100_000))).unwrap();
        assert_eq!((many[0], many.len() as u64), (6, MAX_PUSHED));
    }

    #[test]
    fn an_authority_hears_our_head_once_and_a_block_that_is_on_its_way_is_no_gap() {
        let mut give = GiveBack::default();
        assert_eq!(blocks(give.on_head(authority(), at(8, 8))), Some(vec![]));
        give.on_given(authority());
        assert_eq!(give.on_head(authority(), at(9, 8)), None, "we lack it");
        for height in 10..20 {
            assert_eq!(give.on_head(authority(), at(height, height + 1)), None, "it was asked a moment ago");
        }
        assert_eq!(blocks(give.on_head(authority(), at(19, 20))), Some(vec![20]), "it stands still");
    }

    #[test]
    fn an_authority_on_another_branch_hears_our_head_and_is_shown_the_first_block_that_differs_once() {
        let mut give = GiveBack::default();
        let other = |differs_at| Compared { ours: Some(B256::ZERO), differs_at, ..at(7, 9) };
        for (differs_at, expected) in [(None, vec![]), (Some(6), vec![6]), (Some(6), vec![])] {
            assert_eq!(blocks(give.on_head(authority(), other(differs_at))), Some(expected));
            give.on_given(authority());
        }
    }
}
