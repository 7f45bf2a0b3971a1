//! Blocks, transactions, receipts and logs in the shapes of Ethereum's execution API.

use crate::rpc_frontend::view::ExecutedBlock;
use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Eip658Value, Header, ReceiptEnvelope, ReceiptWithBloom, Transaction as _};
use alloy_primitives::{Address, B256, Bloom, U256};
use alloy_rpc_types_eth as rpc;
use callboard_chain::{Block, Receipt, Transaction};

pub(crate) type RpcTransaction = rpc::Transaction<Transaction>;
pub(crate) type RpcReceipt = rpc::TransactionReceipt<ReceiptEnvelope<rpc::Log>>;
pub(crate) type RpcBlock = rpc::Block<RpcTransaction, rpc::Header>;

/// A block; `senders` are needed for full transactions only.
pub(crate) fn block(block: &Block, senders: Option<&[Address]>) -> RpcBlock {
    let transactions = match senders {
        Some(senders) => {
            let signed = (0..).zip(block.transactions().iter().zip(senders));
            let full = signed.map(|(index, (signed, sender))| {
                transaction(block.hash(), block.header(), index, signed.clone(), *sender)
            });
            rpc::BlockTransactions::Full(full.collect())
        }
        None => rpc::BlockTransactions::Hashes(block.transactions().iter().map(|tx| *tx.tx_hash()).collect()),
    };
    rpc::Block { header: header(block), uncles: Vec::new(), transactions, withdrawals: Some(Default::default()) }
}

/// A block's header.
pub(crate) fn header(block: &Block) -> rpc::Header {
    rpc::Header {
        hash: block.hash(),
        inner: block.header().clone(),
        total_difficulty: None,
        size: Some(U256::from(block.bytes().len())),
    }
}

/// The confirmed transaction at `index` of the block with this hash and header.
pub(crate) fn transaction(
    block_hash: B256,
    header: &Header,
    index: u32,
    transaction: Transaction,
    sender: Address,
) -> RpcTransaction {
    RpcTransaction {
        effective_gas_price: Some(transaction.effective_gas_price(header.base_fee_per_gas)),
        inner: Recovered::new_unchecked(transaction, sender),
        block_hash: Some(block_hash),
        block_number: Some(header.number),
        transaction_index: Some(index.into()),
        block_timestamp: Some(header.timestamp),
    }
}

/// A pending transaction: the members that a block gives are null.
pub(crate) fn pending(transaction: Transaction, sender: Address) -> RpcTransaction {
    RpcTransaction {
        effective_gas_price: Some(transaction.max_fee_per_gas()),
        inner: Recovered::new_unchecked(transaction, sender),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        block_timestamp: None,
    }
}

/// The receipts of a block, in order.
pub(crate) fn receipts(executed: &ExecutedBlock) -> Vec<RpcReceipt> {
    let (mut gas_before, mut logs_before) = (0, 0);
    let transactions = executed.block.transactions().iter().zip(&executed.senders).zip(&executed.receipts);
    transactions
        .enumerate()
        .map(|(index, ((transaction, sender), receipt))| {
            let place = Place::new(&executed.block, index, transaction, logs_before);
            let gas_used = receipt.cumulative_gas_used.saturating_sub(gas_before);
            gas_before = receipt.cumulative_gas_used;
            logs_before += receipt.logs.len();
            shape_receipt(&place, transaction, *sender, receipt, gas_used)
        })
        .collect()
}

/// The logs of a block, in order.
pub(crate) fn logs(block: &Block, receipts: &[Receipt]) -> impl Iterator<Item = rpc::Log> {
    let mut logs_before = 0;
    block.transactions().iter().zip(receipts).enumerate().flat_map(move |(index, (transaction, receipt))| {
        let place = Place::new(block, index, transaction, logs_before);
        logs_before += receipt.logs.len();
        place.logs(receipt)
    })
}

/// Where a transaction and its logs stand.
struct Place {
    block_hash: B256,
    height: u64,
    timestamp: u64,
    base_fee: Option<u64>,
    hash: B256,
    index: usize,
    logs_before: usize,
}

impl Place {
    fn new(block: &Block, index: usize, transaction: &Transaction, logs_before: usize) -> Self {
        Self {
            block_hash: block.hash(),
            height: block.height(),
            timestamp: block.header().timestamp,
            base_fee: block.header().base_fee_per_gas,
            hash: *transaction.tx_hash(),
            index,
            logs_before,
        }
    }

    fn logs(&self, receipt: &Receipt) -> Vec<rpc::Log> {
        let numbered = receipt.logs.iter().enumerate();
        numbered
            .map(|(offset, log)| rpc::Log {
                inner: log.clone(),
                block_hash: Some(self.block_hash),
                block_number: Some(self.height),
                block_timestamp: Some(self.timestamp),
                transaction_hash: Some(self.hash),
                transaction_index: Some(self.index as u64),
                log_index: Some((self.logs_before + offset) as u64),
                removed: false,
            })
            .collect()
    }
}

fn shape_receipt(
    place: &Place,
    transaction: &Transaction,
    sender: Address,
    receipt: &Receipt,
    gas_used: u64,
) -> RpcReceipt {
    let logs_bloom = receipt.logs.iter().collect::<Bloom>();
    let inner = alloy_consensus::Receipt {
        status: Eip658Value::Eip658(receipt.success),
        cumulative_gas_used: receipt.cumulative_gas_used,
        logs: place.logs(receipt),
    };
    let created = transaction.to().is_none().then(|| sender.create(transaction.nonce()));
    RpcReceipt {
        inner: ReceiptEnvelope::from_typed(receipt.tx_type, ReceiptWithBloom { receipt: inner, logs_bloom }),
        transaction_hash: place.hash,
        transaction_index: Some(place.index as u64),
        block_hash: Some(place.block_hash),
        block_number: Some(place.height),
        gas_used,
        effective_gas_price: transaction.effective_gas_price(place.base_fee),
        blob_gas_used: None,
        blob_gas_price: None,
        from: sender,
        to: transaction.to(),
        contract_address: created,
    }
}
