//! Confirmed blocks that a client has missed, read from the store one at a time, as fast as the client reads.

use super::frame;
use super::topics::Wanted;
use crate::rpc_frontend::jsonrpc::RpcError;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::View;
use bytes::Bytes;

/// Most blocks that are sent again to a client that comes back.
const MAX_BLOCKS: u64 = 10_000;

/// Bytes of frames after which a block's transactions are cut: all that is held for a client that does not read. The
/// block is read again for the next piece.
const PIECE_BYTES: usize = 512 << 10;

/// What is left to send again.
#[derive(Debug)]
pub(super) struct Replay {
    next: u64,
    /// The transaction of `next` to go on from.
    index: usize,
    head: u64,
    notice: Option<Bytes>,
}

impl Replay {
    /// The blocks after `after` up to the head. Where they are too many, or our chain is not that high, the client
    /// hears which blocks it does not get.
    pub(super) fn after(frontend: &Frontend, after: u64) -> Result<Self, RpcError> {
        let head = frontend.newest()?.head.height;
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
        Ok(Self { next: first.max(oldest), index: 0, head, notice })
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
        let (height, from) = (self.next, self.index);
        let (frames, rest) = frontend.load(move |view| read(&view, wanted, height, from)).await?;
        (self.next, self.index) = rest.map_or((height + 1, 0), |index| (height, index));
        Ok(Some(frames))
    }
}

/// The frames of a block from its transaction `from` on, and the transaction to go on from where they are cut.
fn read(view: &View, wanted: Wanted, height: u64, from: usize) -> Result<(Vec<Bytes>, Option<usize>), RpcError> {
    if !wanted.transactions {
        return Ok((vec![frame::block(&view.block(height)?)], None));
    }
    let executed = view.executed(height)?;
    let (transactions, rest) =
        frame::transactions(&executed.block, &executed.senders, &executed.receipts, from, PIECE_BYTES);
    let mut frames = vec![transactions];
    if rest.is_none() {
        frames.push(if wanted.blocks { frame::block(&executed.block) } else { frame::id(height) });
    }
    Ok((frames, rest))
}
