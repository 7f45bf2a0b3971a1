//! What the event stream is told and asked.

use super::event::{Event, Topics};
use super::queue::Subscription;
use crate::tx_pool::PooledTransaction;
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

/// The pool took a transaction. Offered by the pool: where the stream is behind, its subscribers do not hear of it, and
/// the refusal is counted.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct TransactionPending {
    /// The transaction.
    pub transaction: PooledTransaction,
}

/// Hear of these topics from now on. Asked by whoever faces clients. A subscriber for whom more than
/// [`super::SUBSCRIBER_EVENTS`] events or [`super::SUBSCRIBER_BYTES`] bytes wait is dropped and told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Subscription<Event>")]
pub struct SubscribeToEvents {
    /// What of.
    pub topics: Topics,
}
