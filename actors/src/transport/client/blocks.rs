//! Blocks as they come from a peer.

use super::{CallError, body::Answer};
use crate::transport::budget::{FREE_BYTES, ReadRoom, StreamBudget};
use crate::transport::frames::{FrameDecoder, max_frame};
use bytes::Bytes;
use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A stream of blocks in height order, as the peer sends them: unchecked canonical bytes.
#[derive(Debug)]
pub struct BlockStream {
    answer: Answer,
    decoder: FrameDecoder,
    /// The memory of the block that is not whole yet.
    room: ReadRoom,
    /// How long nothing may come between two blocks; `None` where blocks are due at once.
    silence: Option<Duration>,
    received: Arc<AtomicU64>,
}

impl BlockStream {
    pub(super) fn new(answer: Answer, max_block_bytes: u64, silence: Option<Duration>, budget: &StreamBudget) -> Self {
        let decoder = FrameDecoder::new(max_frame(max_block_bytes));
        Self { answer, decoder, room: budget.read_room(), silence, received: Arc::default() }
    }

    /// The next block's bytes; `None` where the peer has no more. After an error the stream is of no more use.
    pub async fn next_block(&mut self) -> Result<Option<Bytes>, CallError> {
        // What the reader did with the last block is not the peer's slowness.
        self.answer.resume();
        let next = self.read_block().await;
        self.answer.pause();
        next
    }

    /// The next block's bytes, where all of them have come already and are at most `most`. What is wrong with them
    /// [`Self::next_block`] says.
    pub fn ready_block(&mut self, most: usize) -> Option<Bytes> {
        self.decoder.ready().filter(|length| *length <= most)?;
        self.decoder.next_frame().ok().flatten()
    }

    /// Bytes that have come, also of blocks that are not whole yet; grows while the stream is read.
    pub fn received(&self) -> Arc<AtomicU64> {
        self.received.clone()
    }

    async fn read_block(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(|error| self.answer.fail(error))? {
                // From here on it is the reader's, who bounds what waits.
                self.room.clear();
                return Ok(Some(frame));
            }
            match self.next_chunk().await? {
                Some(chunk) => {
                    self.received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                    self.make_room(chunk.len()).await?;
                    self.decoder.push(&chunk);
                }
                None => {
                    self.decoder.finish().map_err(|error| self.answer.fail(error))?;
                    return Ok(None);
                }
            }
        }
    }

    /// A peer owes nothing while this node has no memory for it. For a long block memory is taken once, and for all of it:
    /// streams that each hold a part of what they need would wait for each other.
    async fn make_room(&mut self, more: usize) -> Result<(), CallError> {
        self.answer.pause();
        let come = self.decoder.buffered().saturating_add(more);
        let needed = if come > FREE_BYTES { come.max(self.decoder.begun()) } else { come };
        let made = self.room.grow_to(needed).await;
        self.answer.resume();
        made.map_err(|no_room| self.answer.fail(no_room))
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        let chunk = async {
            match self.silence {
                Some(silence) if !self.decoder.is_inside_frame() => self.answer.chunk_after_silence(silence).await,
                _ => self.answer.chunk().await,
            }
        };
        let given_up = tokio::select! {
            chunk = chunk => return chunk,
            no_room = self.room.gives_way() => no_room,
        };
        Err(self.answer.fail(given_up))
    }
}
