//! Blocks and genesis as streams out of the store.
//!
//! Each chunk opens a snapshot of its own on a blocking thread, so no snapshot lives across an await and a slow
//! reader costs a chunk of memory and nobody's time. A chunk goes to the connection in pieces, since that copies what it
//! is given and keeps the room for it; the chunk itself is counted in the memory of all streams.

use super::{Shared, connections::Busy, downloads::Slot};
use crate::broadcaster::{Announced, Announcement, Announcements, Subscribe};
use crate::send::AskError;
use crate::transport::budget::{FREE_BYTES, Served, StreamBudget};
use crate::transport::{NodeId, frames::frame_prefix, sessions::StreamSlot};
use actix_web::web;
use bytes::{Bytes, BytesMut};
use callboard_store::{Snapshot, StorageError, Store};
use futures_util::{Stream, stream::try_unfold};
use std::{sync::Arc, time::Duration};

/// Blocks read from the store at a time.
pub(super) const CHUNK_BLOCKS: u64 = 64;
/// Bytes read from the store at a time, where there is memory for them; else [`FREE_BYTES`].
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

/// Where a stream stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// The block that goes next.
    height: u64,
    /// Bytes of it that have gone.
    offset: usize,
}

impl Position {
    /// Before the block at `height`.
    pub(super) const fn before(height: u64) -> Self {
        Self { height, offset: 0 }
    }
}

/// What was read and has not gone to the connection yet.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Bytes,
    /// Its memory, where it is not counted elsewhere.
    _room: Option<Served>,
}

impl Chunk {
    /// The next piece for the connection.
    fn next_piece(&mut self) -> Bytes {
        self.bytes.split_to(self.bytes.len().min(FREE_BYTES))
    }
}

/// Blocks from one height to another, or without end.
pub(super) struct Blocks {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: NodeId,
    pub(super) at: Position,
    /// Height after the last block; `None` to follow.
    pub(super) end: Option<u64>,
    pub(super) chunk: Chunk,
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
        if self.chunk.bytes.is_empty() {
            // What it held is given back before more is asked for.
            self.chunk = Chunk::default();
            let next = match self.end {
                Some(end) => self.read_store(end).await?,
                None => self.next_followed().await?,
            };
            let Some(chunk) = next else { return Ok(None) };
            self.chunk = chunk;
        }
        Ok(Some(self.chunk.next_piece()))
    }

    /// As [`Self::next_new`], until the server stops or the node opens too many streams.
    async fn next_followed(&mut self) -> Result<Option<Chunk>, StreamError> {
        let mut stop = self.shared.stop.clone();
        // Taken out, so that waiting for its end and for news can borrow apart.
        let Some(mut slot) = self.slot.take() else { return Ok(None) };
        let chunk = tokio::select! {
            chunk = self.next_new() => chunk.map(Some),
            _ = stop.wait_for(|stop| *stop) => return Ok(None),
            () = slot.pushed_out() => return Ok(None),
        };
        self.slot = Some(slot);
        chunk
    }

    /// What is new: out of the store as long as that has more, then as it is announced.
    async fn next_new(&mut self) -> Result<Chunk, StreamError> {
        loop {
            // Subscribed before the store is read, so that no block falls between the two.
            if self.news.is_none() {
                let subscribe = Subscribe { peer: self.peer };
                self.news = Some(self.shared.ports.subscribe.ask(subscribe, SUBSCRIBE_DEADLINE).await?);
            }
            let from = self.at.height;
            if let Some(chunk) = self.read_store(u64::MAX).await? {
                (from..self.at.height).for_each(|height| self.shared.passports.served(height, self.peer));
                return Ok(chunk);
            }
            if let Some(chunk) = self.announced().await {
                return Ok(chunk);
            }
        }
    }

    /// Waits for the next block to be announced; `None` where the store has to be asked again.
    async fn announced(&mut self) -> Option<Chunk> {
        let news = self.news.as_mut()?;
        loop {
            match tokio::time::timeout(LOOK_AGAIN, news.next()).await {
                Err(_) => return None,
                Ok(None) => {
                    self.news = None;
                    return None;
                }
                Ok(Some(announcement)) if announcement.height < self.at.height => {}
                Ok(Some(announcement)) if announcement.height > self.at.height => return None,
                Ok(Some(Announcement { block: Announced::Stored, .. })) => return None,
                Ok(Some(Announcement { height, block })) => {
                    self.at = Position::before(height.saturating_add(1));
                    if let Announced::Bytes(canonical) = block {
                        self.shared.passports.served(height, self.peer);
                        let mut frame = BytesMut::with_capacity(canonical.len() + 4);
                        frame.extend_from_slice(&frame_prefix(canonical.len()));
                        frame.extend_from_slice(&canonical);
                        // As much as every stream may hold.
                        return Some(Chunk { bytes: frame.freeze(), _room: None });
                    }
                }
            }
        }
    }

    async fn read_store(&mut self, end: u64) -> Result<Option<Chunk>, StreamError> {
        let (store, budget, at) = (self.shared.store.clone(), self.shared.budget.clone(), self.at);
        let read = web::block(move || read_chunk(&store, at, end, &budget));
        let (chunk, at) = read.await.map_err(|_| StreamError::Cancelled)??;
        self.at = at;
        Ok(Some(chunk).filter(|chunk| !chunk.bytes.is_empty()))
    }
}

/// Frames from `at` to below `end` or the head, at most a chunk; and where the stream stands after them.
fn read_chunk(
    store: &Store,
    mut at: Position,
    end: u64,
    budget: &StreamBudget,
) -> Result<(Chunk, Position), StreamError> {
    let snapshot = store.snapshot()?;
    let end = end.min(snapshot.head().height.saturating_add(1)).min(at.height.saturating_add(CHUNK_BLOCKS));
    if at.height >= end {
        return Ok((Chunk::default(), at));
    }
    let mut room = budget.serve(CHUNK_BYTES);
    let most = if room.is_some() { CHUNK_BYTES } else { FREE_BYTES };
    let mut bytes = BytesMut::new();
    while at.height < end && bytes.len() < most {
        at = push_part(&snapshot, at, most, &mut bytes)?;
    }
    if let Some(room) = &mut room {
        room.shrink_to(bytes.len());
    }
    Ok((Chunk { bytes: bytes.freeze(), _room: room }, at))
}

/// As much of the frame at `at` as fits; and where the stream stands after that.
fn push_part(snapshot: &Snapshot, at: Position, most: usize, bytes: &mut BytesMut) -> Result<Position, StreamError> {
    let Position { height, offset } = at;
    let free = most.saturating_sub(bytes.len());
    let part = snapshot.block_part(height, offset, free)?.ok_or(StreamError::Missing { height })?;
    if offset == 0 {
        bytes.extend_from_slice(&frame_prefix(part.length));
    }
    bytes.extend_from_slice(&part.bytes);
    let sent = offset.saturating_add(part.bytes.len());
    Ok(match sent < part.length {
        true => Position { height, offset: sent },
        false => Position::before(height.saturating_add(1)),
    })
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
