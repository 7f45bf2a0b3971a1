//! Confirmed blocks that a client has missed, read from the store one at a time, as fast as the client reads.

use super::frame;
use super::topics::Wanted;
use crate::rpc_frontend::jsonrpc::RpcError;
use crate::rpc_frontend::server::Frontend;
use bytes::Bytes;

/// Most blocks that are sent again to a client that comes back.
const MAX_BLOCKS: u64 = 10_000;

/// What is left to send again.
#[derive(Debug)]
pub(super) struct Replay {
    next: u64,
    head: u64,
    notice: Option<Bytes>,
}

impl Replay {
    /// The blocks after `after` up to the head. Where they are too many, or our chain is not that high, the client
    /// hears which blocks it does not get.
    pub(super) async fn after(frontend: &Frontend, after: u64) -> Result<Self, RpcError> {
        let head = frontend.load(|view| Ok(view.head.height)).await?;
        let first = after.saturating_add(1);
        let oldest = head.saturating_add(1).saturating_sub(MAX_BLOCKS);
        let notice = if after > head {
            let message = format!("the head is {head}: blocks were rolled back, or this is another chain");
            Some(frame::gap(first, first, &message))
        } else if first < oldest {
            let message = format!("at most {MAX_BLOCKS} blocks are sent again: get these from /rpc/blocks-range");
            Some(frame::gap(first, oldest - 1, &message))
        } else {
            None
        };
        Ok(Self { next: first.max(oldest), head, notice })
    }

    /// The height up to which the client has every block once nothing is left.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// The next frames; `None` at the end.
    pub(super) async fn next(&mut self, frontend: &Frontend, wanted: Wanted) -> Result<Option<Vec<Bytes>>, RpcError> {
        if let Some(notice) = self.notice.take() {
            return Ok(Some(vec![notice]));
        }
        if self.next > self.head {
            return Ok(None);
        }
        let height = self.next;
        self.next += 1;
        let frames = frontend.load(move |view| {
            let mut frames = Vec::new();
            if wanted.transactions {
                let executed = view.executed(height)?;
                frames.push(frame::transactions(&executed.block, &executed.senders, &executed.receipts));
                frames.push(if wanted.blocks { frame::block(&executed.block) } else { frame::id(height) });
            } else {
                frames.push(frame::block(&view.block(height)?));
            }
            Ok(frames)
        });
        frames.await.map(Some)
    }
}
