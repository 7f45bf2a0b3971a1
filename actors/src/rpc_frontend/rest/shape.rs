//! Blocks and transactions as the REST routes give them: counts as numbers, wei as decimal strings, times RFC 3339.

use super::time::rfc3339;
use crate::rpc_frontend::ports::Pending;
use alloy_consensus::{Header, Transaction as _};
use alloy_primitives::{Address, B256, Bytes};
use callboard_chain::{Block, Receipt, Transaction};
use callboard_store::{ConfirmedTransaction, TransactionLocation};
use serde::Serialize;

/// A block of `blocks-range`; `raw` holds its canonical bytes.
#[derive(Debug, Serialize)]
pub(crate) struct RestBlock {
    pub(crate) height: u64,
    pub(crate) hash: B256,
    pub(crate) parent_hash: B256,
    pub(crate) timestamp: String,
    pub(crate) proposer: Address,
    pub(crate) state_root: B256,
    pub(crate) tx_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transactions: Option<Vec<RestTransaction>>,
}

/// How a time is written: RFC 3339 in REST, Unix seconds in JSON-RPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Time {
    /// RFC 3339.
    Text(String),
    /// Unix seconds.
    Seconds(u64),
}

impl Time {
    pub(crate) fn text(seconds: u64) -> Self {
        Self::Text(rfc3339(seconds))
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Confirmed, and its effects were kept.
    Confirmed,
    /// Confirmed, but it reverted or ran out of gas.
    Failed,
    /// In the pool.
    Pending,
}

/// A transaction. What a block gives is null while it is pending.
#[derive(Debug, Serialize)]
pub(crate) struct RestTransaction {
    pub(crate) tx_hash: B256,
    pub(crate) hash: B256,
    pub(crate) block_height: Option<u64>,
    pub(crate) index: Option<usize>,
    pub(crate) sender: Address,
    /// Null where the transaction creates a contract.
    pub(crate) recipient: Option<Address>,
    pub(crate) value: String,
    pub(crate) nonce: u64,
    pub(crate) data: Bytes,
    pub(crate) timestamp: Option<Time>,
    pub(crate) status: Status,
}

impl Status {
    /// What the receipt of a confirmed transaction says.
    pub(crate) fn of(receipt: &Receipt) -> Self {
        if receipt.success { Self::Confirmed } else { Self::Failed }
    }
}

impl RestBlock {
    /// The block without its body.
    pub(crate) fn head(block: &Block) -> Self {
        let header = block.header();
        Self {
            height: block.height(),
            hash: block.hash(),
            parent_hash: header.parent_hash,
            timestamp: rfc3339(header.timestamp),
            proposer: header.beneficiary,
            state_root: header.state_root,
            tx_count: block.transactions().len(),
            raw: None,
            transactions: None,
        }
    }

    /// The block with its canonical bytes and its transactions.
    pub(crate) fn whole(block: &Block, senders: &[Address], receipts: &[Receipt]) -> Self {
        let executed = block.transactions().iter().zip(senders).zip(receipts).enumerate();
        let transactions = executed.map(|(index, ((transaction, sender), receipt))| {
            RestTransaction::in_block(block.header(), index, transaction, *sender, receipt, Time::text)
        });
        Self { raw: Some(block.bytes().clone()), transactions: Some(transactions.collect()), ..Self::head(block) }
    }
}

impl RestTransaction {
    /// The transaction that stands at `location`.
    pub(crate) fn confirmed(
        location: TransactionLocation,
        confirmed: &ConfirmedTransaction,
        time: fn(u64) -> Time,
    ) -> Self {
        let ConfirmedTransaction { header, transaction, sender, receipt } = confirmed;
        Self::in_block(header, location.index as usize, transaction, *sender, receipt, time)
    }

    /// The transaction at `index` of the block with this header.
    pub(crate) fn in_block(
        header: &Header,
        index: usize,
        transaction: &Transaction,
        sender: Address,
        receipt: &Receipt,
        time: fn(u64) -> Time,
    ) -> Self {
        Self {
            block_height: Some(header.number),
            index: Some(index),
            timestamp: Some(time(header.timestamp)),
            status: Status::of(receipt),
            ..Self::new(transaction, sender)
        }
    }

    /// A transaction of the pool.
    pub(crate) fn pending(pending: &Pending) -> Self {
        Self::new(&pending.transaction, pending.sender)
    }

    fn new(transaction: &Transaction, sender: Address) -> Self {
        Self {
            tx_hash: *transaction.tx_hash(),
            hash: *transaction.tx_hash(),
            block_height: None,
            index: None,
            sender,
            recipient: transaction.to(),
            value: transaction.value().to_string(),
            nonce: transaction.nonce(),
            data: transaction.input().clone(),
            timestamp: None,
            status: Status::Pending,
        }
    }
}
