//! What the pool is told and asked, and what it tells.

use super::error::PoolError;
use super::queue::PooledTransaction;
use super::state::{Content, DropReason, Status};
use super::timeline::{Source, Story};
use crate::callboard::{Delivery, Origin};
use crate::transport::NodeId;
use actix::Message;
use alloy_primitives::{Address, B256};
use callboard_chain::{Block, Transaction};
use callboard_store::Durable;
use std::sync::Arc;

/// Take this transaction. Asked by the RPC frontend. The sender has been recovered and the rules that need no state
/// have been checked by the asker. Answered with the hash once the pool holds it.
#[derive(Debug, Message)]
#[rtype(result = "Result<B256, PoolError>")]
pub struct SubmitTransaction {
    /// The transaction.
    pub transaction: Transaction,
    /// Who signed it.
    pub sender: Address,
    /// Where it came from.
    pub origin: Origin,
}

/// Take these transactions. Asked by whoever serves peers, which checks as for [`SubmitTransaction`]. One answer for
/// each, in order.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Taken>")]
pub struct SubmitTransactions {
    /// Transactions with their senders, in the order in which they are to be taken.
    pub transactions: Vec<(Transaction, Address)>,
    /// The peer that sent them; they are not relayed to it.
    pub peer: NodeId,
}

/// The answer to one transaction of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// In the pool now.
    Taken,
    /// Was there before.
    Known,
    /// Not taken.
    Refused(PoolError),
}

/// Which of these the pool holds. Asked by whoever serves peers, before it checks any signature: the pool is what this
/// node remembers of transactions that it has seen, so what was dropped is not known any more and is taken again.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<bool>")]
pub struct HeldTransactions {
    /// Their hashes. One answer for each, in order.
    pub hashes: Vec<B256>,
}

/// These transactions were refused before they came to the pool, which remembers it for questions. Offered by the RPC
/// frontend and by whoever serves peers, in one message for all that came together. When the pool is behind nobody hears
/// of them but who sent them.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct TransactionsRefused {
    /// Their hashes, each with the reason.
    pub refused: Vec<(B256, String)>,
    /// Where they came from.
    pub from: Source,
}

/// Where a transaction is, or where it ended, and how it came there: `None` where this node has not seen it, or too long
/// ago. Asked by the RPC frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Option<Story>")]
pub struct TransactionFate {
    /// Its hash.
    pub hash: B256,
}

/// Transactions for the next block, in order. Asked by the proposer. Nothing is taken out of the pool by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Vec<PooledTransaction>")]
pub struct BestTransactions {
    /// Bound of the sum of gas limits. Transactions mostly use less than their limit, so a proposer that fills
    /// blocks asks for more than a block's gas.
    pub gas: u64,
    /// Bound of the sum of bytes.
    pub bytes: usize,
    /// Base fee of the block, wei a gas.
    pub base_fee: u64,
    /// Gas of one block: while others wait, no sender gets more than a quarter of it.
    pub block_gas: u64,
}

/// The nonce for the next transaction of an account. Asked by the RPC frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Result<u64, PoolError>")]
pub struct PendingNonce {
    /// The account.
    pub address: Address,
}

/// A transaction of the pool by its hash. Asked by the RPC frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Option<PooledTransaction>")]
pub struct PendingTransaction {
    /// Its hash.
    pub hash: B256,
}

/// What the pool holds. Asked by the RPC frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Content")]
pub struct PoolContent {
    /// Only this sender's; `None` for everything.
    pub sender: Option<Address>,
}

/// How much the pool holds. Asked by the RPC frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Status")]
pub struct PoolStatus;

/// Take this transaction out: it failed when a block was built (proposer), or the operator says so. Answered with
/// whether it was there.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "bool")]
pub struct DropTransaction {
    /// Its hash.
    pub hash: B256,
    /// Why.
    pub reason: DropReason,
    /// What the build said of it.
    pub detail: Option<String>,
}

/// These blocks are durable. Signalled by the block store, once a batch.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct BlocksStored {
    /// Consecutive blocks.
    pub blocks: Arc<[Durable<Block>]>,
    /// Base fee of the block after them, wei a gas.
    pub next_base_fee: u64,
}

/// The head went back. Signalled by whoever rolled back, after the store did. The pool reads all its senders'
/// accounts again and takes these transactions back as far as they are still valid.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ChainRolledBack {
    /// Transactions of the blocks that were undone, with their senders, in order.
    pub returned: Vec<(Transaction, Address)>,
}

/// The pool took a transaction: carry out these deliveries. Offered to the broadcaster. When that is behind, a relay is
/// skipped (counted as refused), as peers get the block anyway, and a forward is offered again half a second later.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct TransactionAccepted {
    /// The transaction.
    pub transaction: PooledTransaction,
    /// Where it came from.
    pub origin: Origin,
    /// The peer that sent it, to whom it is not sent back.
    pub peer: Option<NodeId>,
    /// `RelayTransaction` and `ForwardTransaction`, as the routing table says; not yet counted.
    pub deliveries: Vec<Delivery>,
}

/// Whether a transaction could come into the next block. Signalled to the proposer when the first such transaction
/// comes, and after each batch of stored blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct PendingChanged {
    /// Whether there is one.
    pub pending: bool,
}
