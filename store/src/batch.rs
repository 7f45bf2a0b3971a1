//! Writes the rows of one batch. Rows are sorted by key before they are inserted: neighbours share a page, which is
//! most of what a large batch gains over small ones.

use crate::StorageError;
use crate::address::roles;
use crate::codec::{self, ChangeSet};
use crate::keys::{self, TransactionLocation};
use crate::tables::*;
use alloy_primitives::{Address, B256, Bytes, U256};
use callboard_chain::trie::TrieUpdates;
use callboard_chain::{Account, Block, Confirmed};
use redb::{Table, WriteTransaction};
use std::collections::BTreeMap;

/// Blocks with their receipts and senders, in height order.
pub(crate) fn write_blocks(write: &WriteTransaction, blocks: &[Confirmed<Block>]) -> Result<(), StorageError> {
    let mut bodies = write.open_table(BLOCKS)?;
    let mut hashes = write.open_table(BLOCK_HASHES)?;
    let mut receipts = write.open_table(RECEIPTS)?;
    let mut senders = write.open_table(SENDERS)?;
    for confirmed in blocks {
        let block = confirmed.value();
        bodies.insert(block.height(), block.bytes().as_ref())?;
        hashes.insert(block.height(), &block.hash().0)?;
        receipts.insert(block.height(), codec::encode_receipts(confirmed.receipts()).as_slice())?;
        senders.insert(block.height(), codec::encode_addresses(confirmed.senders()).as_slice())?;
    }
    Ok(())
}

/// Block hash → height, transaction hash → location, address → locations.
pub(crate) fn write_indexes(write: &WriteTransaction, blocks: &[Confirmed<Block>]) -> Result<(), StorageError> {
    let mut rows = IndexRows::default();
    for confirmed in blocks {
        rows.add(confirmed.value(), confirmed.senders());
    }
    rows.sort();
    let mut heights = write.open_table(HEIGHTS)?;
    for (hash, height) in &rows.heights {
        heights.insert(&hash.0, *height)?;
    }
    let mut transactions = write.open_table(TRANSACTIONS)?;
    for (hash, location) in &rows.transactions {
        transactions.insert(&hash.0, &location.to_bytes())?;
    }
    let mut addresses = write.open_table(ADDRESSES)?;
    for (key, role) in &rows.addresses {
        addresses.insert(key, *role)?;
    }
    Ok(())
}

/// The index rows that a block has.
#[derive(Default)]
pub(crate) struct IndexRows {
    pub(crate) heights: Vec<(B256, u64)>,
    pub(crate) transactions: Vec<(B256, TransactionLocation)>,
    pub(crate) addresses: Vec<([u8; 32], u8)>,
}

impl IndexRows {
    pub(crate) fn add(&mut self, block: &Block, senders: &[Address]) {
        self.heights.push((block.hash(), block.height()));
        for (index, (transaction, sender)) in (0u32..).zip(block.transactions().iter().zip(senders)) {
            let location = TransactionLocation { height: block.height(), index };
            self.transactions.push((*transaction.tx_hash(), location));
            for (address, role) in roles(transaction, *sender) {
                self.addresses.push((keys::address_entry(address, location), role.bits()));
            }
        }
    }

    pub(crate) fn sort(&mut self) {
        self.heights.sort_unstable();
        self.transactions.sort_unstable();
        self.addresses.sort_unstable();
    }
}

/// The flat state: of the values that a key took in the batch, the last.
pub(crate) fn write_state(write: &WriteTransaction, blocks: &[Confirmed<Block>]) -> Result<(), StorageError> {
    let mut accounts = BTreeMap::new();
    let mut storage = BTreeMap::new();
    let mut code = BTreeMap::new();
    for confirmed in blocks {
        let changes = confirmed.changes();
        accounts.extend(changes.accounts.iter().map(|change| (&change.address, change.after.as_ref())));
        storage.extend(changes.storage.iter().map(|change| ((change.address, change.slot), change.after)));
        code.extend(changes.code.iter().map(|(hash, code)| (*hash, code)));
    }
    write_accounts(write, accounts)?;
    write_storage(write, &storage)?;
    let mut table = write.open_table(CODE)?;
    for (hash, bytes) in code {
        table.insert(&hash.0, bytes.as_ref())?;
    }
    Ok(())
}

/// Accounts in the order of their addresses; `None` for one that is no more.
pub(crate) fn write_accounts<'a>(
    write: &WriteTransaction,
    accounts: impl IntoIterator<Item = (&'a Address, Option<&'a Account>)>,
) -> Result<(), StorageError> {
    let mut table = write.open_table(ACCOUNTS)?;
    for (address, account) in accounts {
        match account {
            Some(account) => drop(table.insert(&*address.0, codec::encode_account(account).as_slice())?),
            None => drop(table.remove(&*address.0)?),
        }
    }
    Ok(())
}

pub(crate) fn write_storage(
    write: &WriteTransaction,
    storage: &BTreeMap<(Address, U256), U256>,
) -> Result<(), StorageError> {
    let mut table = write.open_table(STORAGE)?;
    for ((address, slot), value) in storage {
        let key = keys::slot(*address, *slot);
        if value.is_zero() {
            table.remove(&key)?;
        } else {
            table.insert(&key, codec::encode_value(*value).as_slice())?;
        }
    }
    Ok(())
}

/// What every block found before it changed it, and which keys it changed.
pub(crate) fn write_history(write: &WriteTransaction, blocks: &[Confirmed<Block>]) -> Result<(), StorageError> {
    let mut accounts = Vec::new();
    let mut storage = Vec::new();
    let mut change_sets = write.open_table(CHANGE_SETS)?;
    for confirmed in blocks {
        let (height, changes) = (confirmed.value().height(), confirmed.changes());
        for change in &changes.accounts {
            let before = codec::encode_optional_account(change.before.as_ref());
            accounts.push((keys::account_at(change.address, height), before));
        }
        for change in &changes.storage {
            storage.push((keys::slot_at(change.address, change.slot, height), codec::encode_value(change.before)));
        }
        change_sets.insert(height, ChangeSet::of(changes).encode().as_slice())?;
    }
    accounts.sort_unstable();
    storage.sort_unstable();
    let mut table = write.open_table(ACCOUNT_HISTORY)?;
    for (key, before) in &accounts {
        table.insert(key, before.as_slice())?;
    }
    let mut table = write.open_table(STORAGE_HISTORY)?;
    for (key, before) in &storage {
        table.insert(key, before.as_slice())?;
    }
    Ok(())
}

/// Trie nodes; `TrieUpdates` is sorted already.
pub(crate) fn write_trie(write: &WriteTransaction, trie: &TrieUpdates) -> Result<(), StorageError> {
    let mut account_trie = write.open_table(ACCOUNT_TRIE)?;
    let mut storage_trie = write.open_table(STORAGE_TRIE)?;
    for ((owner, path), node) in &trie.nodes {
        match owner {
            None => write_node(&mut account_trie, &keys::account_node(path), node.as_ref())?,
            Some(owner) => write_node(&mut storage_trie, &keys::storage_node(*owner, path), node.as_ref())?,
        }
    }
    Ok(())
}

fn write_node(table: &mut Table<'_, Variable, Variable>, key: &[u8], node: Option<&Bytes>) -> Result<(), StorageError> {
    match node {
        Some(node) => drop(table.insert(key, node.as_ref())?),
        None => drop(table.remove(key)?),
    }
    Ok(())
}
