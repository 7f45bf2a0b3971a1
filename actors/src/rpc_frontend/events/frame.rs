//! Events as frames of an event stream.

use crate::event_stream::{BlockEvent, PendingEvent, RoutesEvent, SubscriptionEnded, SyncEvent};
use crate::rpc_frontend::ports::Pending;
use crate::rpc_frontend::rest::shape::{RestBlock, RestTransaction, Time};
use alloy_primitives::Address;
use bytes::{BufMut, Bytes, BytesMut};
use callboard_chain::{Block, Receipt};
use serde::Serialize;
use serde_json::{Value, json};

/// The comment that keeps proxies from giving a quiet connection up.
pub(super) const HEARTBEAT: Bytes = Bytes::from_static(b": still here\n\n");
/// What every stream begins with: that it is open, and how long browsers wait before they come back, in ms.
pub(super) const OPENING: Bytes = Bytes::from_static(b": open\nretry: 2000\n\n");

/// A block without its transactions. Its id lets a client go on after it.
pub(super) fn block(block: &Block) -> Bytes {
    let mut text = BytesMut::new();
    text.extend_from_slice(format!("id: {}\n", block.height()).as_bytes());
    write(text, "blocks", &RestBlock::head(block))
}

/// The confirmed transactions of a block from `from` on, about as many as fit into `bytes`, and the one to go on from
/// where there are more. They bear no id: whoever is cut off among them gets all of them again.
pub(super) fn transactions(
    block: &Block,
    senders: &[Address],
    receipts: &[Receipt],
    from: usize,
    bytes: usize,
) -> (Bytes, Option<usize>) {
    let mut text = BytesMut::new();
    let executed = block.transactions().iter().zip(senders).zip(receipts).enumerate();
    for (index, ((transaction, sender), receipt)) in executed.skip(from) {
        if text.len() >= bytes {
            return (text.freeze(), Some(index));
        }
        let transaction = RestTransaction::in_block(block.header(), index, transaction, *sender, receipt, Time::text);
        write_to(&mut text, "transactions", &transaction);
    }
    (text.freeze(), None)
}

/// Only the id: what comes after a block's transactions where the block itself is not wanted.
pub(super) fn id(height: u64) -> Bytes {
    Bytes::from(format!("id: {height}\n\n"))
}

/// The frame of a block that all subscribers share.
pub(super) fn shared_block(event: &BlockEvent) -> Bytes {
    event.forms.frame.get_or_init(|| block(event.block.value())).clone()
}

/// The frames of a block's transactions that all subscribers share.
pub(super) fn shared_transactions(event: &BlockEvent) -> Bytes {
    let block = &event.block;
    let write = || transactions(block.value(), block.senders(), block.receipts(), 0, usize::MAX).0;
    event.forms.transaction_frames.get_or_init(write).clone()
}

/// A pending transaction.
pub(super) fn pending(event: &PendingEvent) -> Bytes {
    let write = || {
        let pending =
            Pending { transaction: event.transaction.transaction.as_ref().clone(), sender: event.transaction.sender };
        frame("pending", &RestTransaction::pending(&pending))
    };
    event.forms.frame.get_or_init(write).clone()
}

/// A changed sync status.
pub(super) fn sync(event: &SyncEvent) -> Bytes {
    event.frame.get_or_init(|| frame("sync", &event.report)).clone()
}

/// The sync status as it is when a client connects.
pub(super) fn sync_now(status: &Value) -> Bytes {
    frame("sync", status)
}

/// Changed counts.
pub(super) fn routes(event: &RoutesEvent) -> Bytes {
    event.frame.get_or_init(|| frame("routes", &json!({ "counts": event.counts }))).clone()
}

/// The counts as they are when a client connects.
pub(super) fn routes_now(routes: &Value) -> Bytes {
    frame("routes", &json!({ "counts": routes["counts"] }))
}

/// Why a stream ends.
pub(super) fn end(why: SubscriptionEnded) -> Bytes {
    failure(why.name(), &why.to_string())
}

/// Why a stream ends.
pub(super) fn failure(reason: &str, message: &str) -> Bytes {
    frame("end", &json!({ "reason": reason, "message": message }))
}

/// Blocks that a client that comes back does not get.
pub(super) fn gap(from: u64, to: u64, message: &str) -> Bytes {
    frame("gap", &json!({ "from": from, "to": to, "message": message }))
}

fn frame<T: Serialize>(event: &str, data: &T) -> Bytes {
    write(BytesMut::new(), event, data)
}

fn write<T: Serialize>(mut text: BytesMut, event: &str, data: &T) -> Bytes {
    write_to(&mut text, event, data);
    text.freeze()
}

fn write_to<T: Serialize>(text: &mut BytesMut, event: &str, data: &T) {
    text.extend_from_slice(format!("event: {event}\ndata: ").as_bytes());
    // JSON has no line breaks of its own, so it is one line of data.
    serde_json::to_writer(text.writer(), data).expect("strings, numbers and raw JSON always serialise");
    text.extend_from_slice(b"\n\n");
}
