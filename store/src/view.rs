//! One read transaction with its tables open: what every reader is made of.

use crate::StorageError;
use crate::blooms::{self, ROW_BYTES};
use crate::codec::{self, Head};
use crate::keys::{self, TransactionLocation};
use crate::snapshot::BlockPart;
use crate::tables::{self, *};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use alloy_trie::Nibbles;
use callboard_chain::{Account, Block, keccak256};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableError};
use std::sync::OnceLock;

/// The database as of one commit.
pub(crate) struct View {
    pub(crate) head: Head,
    /// The head's header, once somebody has asked for it.
    pub(crate) head_header: OnceLock<Header>,
    pub(crate) pruned_below: u64,
    pub(crate) blocks: ReadOnlyTable<u64, Variable>,
    pub(crate) block_hashes: ReadOnlyTable<u64, Bytes32>,
    pub(crate) heights: ReadOnlyTable<Bytes32, u64>,
    pub(crate) transactions: ReadOnlyTable<Bytes32, &'static [u8; 12]>,
    pub(crate) addresses: ReadOnlyTable<Bytes32, u8>,
    pub(crate) senders: ReadOnlyTable<u64, Variable>,
    pub(crate) receipts: ReadOnlyTable<u64, Variable>,
    /// A file of before there was this table has none until the next commit.
    pub(crate) blooms: Option<ReadOnlyTable<u64, &'static [u8; ROW_BYTES]>>,
    pub(crate) accounts: ReadOnlyTable<Bytes20, Variable>,
    pub(crate) storage: ReadOnlyTable<&'static [u8; 52], Variable>,
    pub(crate) code: ReadOnlyTable<Bytes32, Variable>,
    pub(crate) account_history: ReadOnlyTable<&'static [u8; 28], Variable>,
    pub(crate) storage_history: ReadOnlyTable<&'static [u8; 60], Variable>,
    pub(crate) change_sets: ReadOnlyTable<u64, Variable>,
    pub(crate) account_trie: ReadOnlyTable<Variable, Variable>,
    pub(crate) storage_trie: ReadOnlyTable<Variable, Variable>,
    pub(crate) genesis: ReadOnlyTable<u64, Variable>,
    pub(crate) metadata: ReadOnlyTable<&'static str, Variable>,
}

/// A metadata value, which must be there.
pub(crate) fn metadata(table: &ReadOnlyTable<&'static str, Variable>, name: &str) -> Result<Vec<u8>, StorageError> {
    let value = table.get(name)?.map(|value| value.value().to_vec());
    value.ok_or_else(|| StorageError::damaged("metadata", format!("no entry {name}")))
}

fn open_if_there<T>(table: Result<T, TableError>) -> Result<Option<T>, StorageError> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl View {
    pub(crate) fn open(database: &Database) -> Result<Self, StorageError> {
        Self::of(&database.begin_read()?)
    }

    fn of(read: &ReadTransaction) -> Result<Self, StorageError> {
        let metadata_table = read.open_table(METADATA)?;
        Ok(Self {
            head: Head::decode(&metadata(&metadata_table, HEAD)?)?,
            head_header: OnceLock::new(),
            pruned_below: codec::decode_u64(&metadata(&metadata_table, PRUNED_BELOW)?)?,
            blocks: read.open_table(BLOCKS)?,
            block_hashes: read.open_table(BLOCK_HASHES)?,
            heights: read.open_table(HEIGHTS)?,
            transactions: read.open_table(TRANSACTIONS)?,
            addresses: read.open_table(ADDRESSES)?,
            senders: read.open_table(SENDERS)?,
            receipts: read.open_table(RECEIPTS)?,
            blooms: open_if_there(read.open_table(BLOOMS))?,
            accounts: read.open_table(ACCOUNTS)?,
            storage: read.open_table(STORAGE)?,
            code: read.open_table(CODE)?,
            account_history: read.open_table(ACCOUNT_HISTORY)?,
            storage_history: read.open_table(STORAGE_HISTORY)?,
            change_sets: read.open_table(CHANGE_SETS)?,
            account_trie: read.open_table(ACCOUNT_TRIE)?,
            storage_trie: read.open_table(STORAGE_TRIE)?,
            genesis: read.open_table(GENESIS)?,
            metadata: metadata_table,
        })
    }

    pub(crate) fn metadata(&self, name: &str) -> Result<Vec<u8>, StorageError> {
        metadata(&self.metadata, name)
    }

    pub(crate) fn block_bytes(&self, height: u64) -> Result<Option<Bytes>, StorageError> {
        Ok(self.blocks.get(height)?.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    pub(crate) fn block_part(&self, height: u64, from: usize, most: usize) -> Result<Option<BlockPart>, StorageError> {
        let part = |value: &[u8]| {
            let begin = from.min(value.len());
            let end = from.saturating_add(most).min(value.len());
            BlockPart { bytes: Bytes::copy_from_slice(&value[begin..end]), length: value.len() }
        };
        Ok(self.blocks.get(height)?.map(|bytes| part(bytes.value())))
    }

    pub(crate) fn block(&self, height: u64) -> Result<Option<Block>, StorageError> {
        self.block_bytes(height)?
            .map(|bytes| Block::decode(bytes).map_err(|error| StorageError::damaged("blocks", error)))
            .transpose()
    }

    pub(crate) fn block_hash(&self, height: u64) -> Result<Option<B256>, StorageError> {
        Ok(self.block_hashes.get(height)?.map(|hash| B256::new(*hash.value())))
    }

    pub(crate) fn group_bloom(&self, height: u64) -> Result<Option<Bloom>, StorageError> {
        let group = blooms::group_of(height);
        let Some(table) = &self.blooms else { return Ok(None) };
        let Some((last, bloom)) = table.get(group)?.map(|row| blooms::decode_row(row.value())) else { return Ok(None) };
        Ok((self.block_hash(blooms::last_of(group))? == Some(last)).then_some(bloom))
    }

    pub(crate) fn transaction_location(&self, hash: B256) -> Result<Option<TransactionLocation>, StorageError> {
        Ok(self.transactions.get(&hash.0)?.map(|location| TransactionLocation::from_bytes(*location.value())))
    }

    pub(crate) fn account(&self, address: Address) -> Result<Option<Account>, StorageError> {
        let stored = self.accounts.get(&*address.0)?;
        stored.map(|bytes| codec::decode_account("accounts", bytes.value())).transpose()
    }

    pub(crate) fn storage(&self, address: Address, slot: U256) -> Result<U256, StorageError> {
        let stored = self.storage.get(&keys::slot(address, slot))?;
        stored.map_or(Ok(U256::ZERO), |bytes| codec::decode_value("storage", bytes.value()))
    }

    /// Every slot of `address` that is not zero, ascending.
    pub(crate) fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StorageError> {
        let range = keys::slot(address, U256::ZERO)..=keys::slot(address, U256::MAX);
        let mut slots = Vec::new();
        for entry in self.storage.range::<Bytes52<'_>>(&range.start()..=&range.end())? {
            let (key, value) = entry?;
            slots.push((keys::slot_of(key.value()), codec::decode_value("storage", value.value())?));
        }
        Ok(slots)
    }

    /// Hashed each time it is read, once a contract and block: nothing else holds the code itself.
    pub(crate) fn code(&self, code_hash: B256) -> Result<Bytes, StorageError> {
        let damaged = |detail| StorageError::damaged("code", detail);
        let stored = self.code.get(&code_hash.0)?.ok_or_else(|| damaged(format!("no code for hash {code_hash}")))?;
        let actual = keccak256(stored.value());
        if actual != code_hash {
            return Err(damaged(format!("the code for hash {code_hash} has hash {actual}")));
        }
        Ok(Bytes::copy_from_slice(stored.value()))
    }

    pub(crate) fn trie_node(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StorageError> {
        let node = match owner {
            None => self.account_trie.get(keys::account_node(path).as_slice())?,
            Some(owner) => self.storage_trie.get(keys::storage_node(owner, path).as_slice())?,
        };
        Ok(node.map(|node| Bytes::copy_from_slice(node.value())))
    }

    pub(crate) fn change_set(&self, height: u64) -> Result<codec::ChangeSet, StorageError> {
        let stored = self.change_sets.get(height)?;
        let missing = || StorageError::damaged("change_sets", format!("none for block {height}"));
        codec::ChangeSet::decode(stored.ok_or_else(missing)?.value())
    }

    pub(crate) fn genesis_length(&self) -> Result<u64, StorageError> {
        codec::decode_u64(&self.metadata(tables::GENESIS_LENGTH)?)
    }
}

type Bytes52<'a> = &'a [u8; 52];
