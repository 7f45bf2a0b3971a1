//! One confirmed transaction, read without the others of its block.

use crate::keys::TransactionLocation;
use crate::view::View;
use crate::{StorageError, codec};
use alloy_consensus::Header;
use alloy_primitives::Address;
use callboard_chain::{Block, Receipt, Transaction};

/// A confirmed transaction with what its execution gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedTransaction {
    /// The header of its block.
    pub header: Header,
    /// The transaction.
    pub transaction: Transaction,
    /// Who signed it.
    pub sender: Address,
    /// Its receipt.
    pub receipt: Receipt,
}

pub(crate) fn read(view: &View, location: TransactionLocation) -> Result<Option<ConfirmedTransaction>, StorageError> {
    let TransactionLocation { height, index } = location;
    let place = index as usize;
    let Some(block) = view.blocks.get(height)? else { return Ok(None) };
    let decoded = Block::decode_one(block.value(), place).map_err(|error| StorageError::damaged("blocks", error))?;
    let Some((header, transaction)) = decoded else { return Ok(None) };
    let missing = |table| StorageError::damaged(table, format!("none for transaction {index} of block {height}"));
    let senders = view.senders.get(height)?.ok_or_else(|| missing("senders"))?;
    let sender = codec::decode_address_at(senders.value(), place).ok_or_else(|| missing("senders"))?;
    let receipts = view.receipts.get(height)?.ok_or_else(|| missing("receipts"))?;
    let receipt = codec::decode_receipt_at(receipts.value(), place)?.ok_or_else(|| missing("receipts"))?;
    Ok(Some(ConfirmedTransaction { header, transaction, sender, receipt }))
}
