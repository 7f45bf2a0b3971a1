//! Single confirmed transactions, read without the others of their blocks.

use crate::keys::TransactionLocation;
use crate::tables::Variable;
use crate::view::View;
use crate::{StorageError, codec};
use alloy_consensus::Header;
use alloy_primitives::Address;
use callboard_chain::{Block, Receipt, Transaction};
use redb::{AccessGuard, ReadOnlyTable};

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

/// Reads confirmed transactions one after the other; of those that stand in one block the rows are looked up once.
pub struct ConfirmedReader<'a> {
    view: &'a View,
    last: Option<Rows>,
}

/// The rows of one block.
struct Rows {
    height: u64,
    block: AccessGuard<'static, Variable>,
    senders: AccessGuard<'static, Variable>,
    receipts: AccessGuard<'static, Variable>,
}

impl<'a> ConfirmedReader<'a> {
    pub(crate) fn new(view: &'a View) -> Self {
        Self { view, last: None }
    }

    /// The transaction that stands at `location`; `None` above the head, and where the block has fewer.
    pub fn read(&mut self, location: TransactionLocation) -> Result<Option<ConfirmedTransaction>, StorageError> {
        let TransactionLocation { height, index } = location;
        if height > self.view.head.height {
            return Ok(None);
        }
        let rows = match self.last.take() {
            Some(rows) if rows.height == height => rows,
            _ => Rows::of(self.view, height)?,
        };
        self.last.insert(rows).transaction(index)
    }
}

impl Rows {
    fn of(view: &View, height: u64) -> Result<Self, StorageError> {
        let row = |table: &ReadOnlyTable<u64, Variable>, name| {
            table.get(height)?.ok_or_else(|| StorageError::damaged(name, format!("none for block {height}")))
        };
        Ok(Self {
            height,
            block: row(&view.blocks, "blocks")?,
            senders: row(&view.senders, "senders")?,
            receipts: row(&view.receipts, "receipts")?,
        })
    }

    fn transaction(&self, index: u32) -> Result<Option<ConfirmedTransaction>, StorageError> {
        let place = index as usize;
        let block = Block::decode_one(self.block.value(), place);
        let block = block.map_err(|error| StorageError::damaged("blocks", error))?;
        let sender = codec::decode_address_at("senders", self.senders.value(), place)?;
        let receipt = codec::decode_receipt_at(self.receipts.value(), place)?;
        match (block, sender, receipt) {
            (Some((header, transaction)), Some(sender), Some(receipt)) => {
                Ok(Some(ConfirmedTransaction { header, transaction, sender, receipt }))
            }
            (None, None, None) => Ok(None),
            (block, sender, _) => {
                let table = if block.is_none() {
                    "blocks"
                } else if sender.is_none() {
                    "senders"
                } else {
                    "receipts"
                };
                let height = self.height;
                Err(StorageError::damaged(table, format!("none for transaction {index} of block {height}")))
            }
        }
    }
}
