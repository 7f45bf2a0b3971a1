//! What the event stream is told and asked.

use super::state::Subscription;
use actix::Message;
use callboard_chain::Block;
use callboard_store::Durable;
use std::sync::Arc;

/// These blocks are durable. Signalled by the block store, once a batch.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct BlocksStored {
    /// Consecutive blocks.
    pub blocks: Arc<[Durable<Block>]>,
}

/// Hear of every block from now on. Asked by whoever faces clients. A subscriber that falls behind by
/// [`super::SUBSCRIBER_CAPACITY`] batches is dropped and told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Subscription<Arc<[Durable<Block>]>>")]
pub struct Subscribe;
