//! Blocks and genesis as streams out of the store.
//!
//! Each chunk opens a snapshot of its own on a blocking thread, so no snapshot lives across an await and a slow
//! reader costs a chunk of memory and nobody's time.

use super::{Shared, connections::Busy, downloads::Slot};
use crate::broadcaster::{Announcement, Announcements, Subscribe};
use crate::send::AskError;
use crate::transport::{NodeId, frames::frame_prefix, sessions::StreamSlot};
use actix_web::web;
use bytes::{Bytes, BytesMut};
use callboard_store::{StorageError, Store};
use futures_util::{Stream, stream::try_unfold};
use std::{sync::Arc, time::Duration};

/// Blocks read from the store at a time.
pub(super) const CHUNK_BLOCKS: u64 = 64;
/// Bytes read from the store at a time, unless one block is longer.
pub(super) const CHUNK_BYTES: usize = 4 << 20;
/// A stream that waits for a new block looks into the store this often of its own accord: a node that is catching up
/// announces nothing, and its followers get on all the same.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long the broadcaster may take to answer.
const SUBSCRIBE_DEADLINE: Duration = Duration::from_secs(5);

/// Why a stream broke off. The reader sees a truncated answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("block {height} is missing below the head")]
    Missing { height: u64 },
    #[error("the thread that reads the store is gone")]
    Cancelled,
    #[error(transparent)]
    Broadcaster(#[from] AskError),
}

/// Blocks from one height to another, or without end.
pub(super) struct Blocks {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: NodeId,
    /// Height of the next block.
    pub(super) next: u64,
    /// Height after the last block; `None` to follow.
    pub(super) end: Option<u64>,
    pub(super) news: Option<Announcements>,
    pub(super) slot: Option<StreamSlot>,
    pub(super) _busy: Option<Busy>,
}

impl Blocks {
    /// The frames, as pieces of an HTTP body.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, StreamError>> {
        try_unfold(self, |mut blocks| async move { Ok(blocks.next_piece().await?.map(|piece| (piece, blocks))) })
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, StreamError> {
        let Some(end) = self.end else { return self.next_followed().await };
        self.read_store(end).await
    }

    /// As [`Self::next_new`], until the server stops or the node opens too many streams.
    async fn next_followed(&mut self) -> Result<Option<Bytes>, StreamError> {
        let mut stop = self.shared.stop.clone();
        // Taken out, so that waiting for its end and for news can borrow apart.
        let Some(mut slot) = self.slot.take() else { return Ok(None) };
        let piece = tokio::select! {
            piece = self.next_new() => piece.map(Some),
            _ = stop.wait_for(|stop| *stop) => return Ok(None),
            () = slot.pushed_out() => return Ok(None),
        };
        self.slot = Some(slot);
        piece
    }

    /// What is new: out of the store as long as that has more, then as it is announced.
    async fn next_new(&mut self) -> Result<Bytes, StreamError> {
        loop {
            // Subscribed before the store is read, so that no block falls between the two.
            if self.news.is_none() {
                let subscribe = Subscribe { peer: self.peer };
                self.news = Some(self.shared.ports.subscribe.ask(subscribe, SUBSCRIBE_DEADLINE).await?);
            }
            let from = self.next;
            if let Some(piece) = self.read_store(u64::MAX).await? {
                (from..self.next).for_each(|height| self.shared.passports.served(height, self.peer));
                return Ok(piece);
            }
            if let Some(piece) = self.announced().await {
                return Ok(piece);
            }
        }
    }

    /// Waits for the next block to be announced; `None` where the store has to be asked again.
    async fn announced(&mut self) -> Option<Bytes> {
        let news = self.news.as_mut()?;
        loop {
            match tokio::time::timeout(LOOK_AGAIN, news.next()).await {
                Err(_) => return None,
                Ok(None) => {
                    self.news = None;
                    return None;
                }
                Ok(Some(announcement)) if announcement.height < self.next => {}
                Ok(Some(announcement)) if announcement.height > self.next => return None,
                Ok(Some(Announcement { canonical, .. })) => {
                    let height = self.next;
                    self.next += 1;
                    if let Some(canonical) = canonical {
                        self.shared.passports.served(height, self.peer);
                        let mut piece = BytesMut::with_capacity(canonical.len() + 4);
                        push_frame(&mut piece, &canonical);
                        return Some(piece.freeze());
                    }
                }
            }
        }
    }

    async fn read_store(&mut self, end: u64) -> Result<Option<Bytes>, StreamError> {
        let (store, next) = (self.shared.store.clone(), self.next);
        let read = web::block(move || read_chunk(&store, next, end)).await.map_err(|_| StreamError::Cancelled)?;
        let (piece, next) = read?;
        self.next = next;
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// Frames from height `next` to below `end` or the head, at most a chunk; and the height after them.
fn read_chunk(store: &Store, next: u64, end: u64) -> Result<(Bytes, u64), StreamError> {
    let snapshot = store.snapshot()?;
    let end = end.min(snapshot.head().height.saturating_add(1)).min(next.saturating_add(CHUNK_BLOCKS));
    let mut piece = BytesMut::new();
    let mut height = next;
    while height < end {
        let canonical = snapshot.block_bytes(height)?.ok_or(StreamError::Missing { height })?.0;
        if !piece.is_empty() && piece.len() + canonical.len() > CHUNK_BYTES {
            break;
        }
        push_frame(&mut piece, &canonical);
        height += 1;
    }
    Ok((piece.freeze(), height))
}

fn push_frame(piece: &mut BytesMut, canonical: &Bytes) {
    piece.extend_from_slice(&frame_prefix(canonical));
    piece.extend_from_slice(canonical);
}

/// The signed `genesis.json`, byte for byte. Holds its place until its end.
pub(super) fn genesis(store: Store, slot: Slot) -> impl Stream<Item = Result<Bytes, StreamError>> {
    try_unfold((store, slot, 0), |(store, slot, index)| async move {
        let reader = store.clone();
        let chunk = web::block(move || reader.snapshot()?.genesis_chunk(index)).await;
        let chunk = chunk.map_err(|_| StreamError::Cancelled)??;
        Ok(chunk.map(|chunk| (chunk.0, (store, slot, index + 1))))
    })
}
