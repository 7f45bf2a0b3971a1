//! Everything that can be read, as of one block.

use crate::address::{self, AddressDifference, AddressPage, AddressQuery};
use crate::codec::{self, Head};
use crate::keys::TransactionLocation;
use crate::tables::{CHAIN_ID, GENESIS_HASH};
use crate::view::View;
use crate::{
    AccountHistory, ConfirmedReader, ConfirmedTransaction, HistoricState, HistoryError, StorageError, history,
};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use alloy_rlp::Decodable;
use alloy_trie::Nibbles;
use callboard_chain::{Account, Block, BlockChanges, Receipt, StateReadError, StateReader, Transaction, TrieReader};
use redb::ReadableTable;
use std::sync::Arc;

/// A part of a block's canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockPart {
    /// The part.
    pub bytes: Bytes,
    /// Length of the whole.
    pub length: usize,
}

/// The database as of one durable block: blocks, receipts, state, indexes and head all belong to it. Cheap to clone
/// and to make. Hold it for less than five seconds (see [`crate::Store::snapshot`]).
///
/// It is a [`StateReader`] and [`TrieReader`] of its head's state. A getter answers `None` only for what is not in
/// the chain as of this snapshot.
#[derive(Clone)]
pub struct Snapshot {
    view: Arc<View>,
}

impl Snapshot {
    pub(crate) fn new(view: Arc<View>) -> Self {
        Self { view }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The highest block.
    pub fn head(&self) -> Head {
        self.view.head
    }

    /// The oldest block whose state can still be asked for; 0 where nothing was pruned.
    pub fn pruned_below(&self) -> u64 {
        self.view.pruned_below
    }

    /// The chain id.
    pub fn chain_id(&self) -> Result<u64, StorageError> {
        codec::decode_u64(&self.view.metadata(CHAIN_ID)?)
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> Result<B256, StorageError> {
        codec::decode_hash(&self.view.metadata(GENESIS_HASH)?)
    }

    /// Length of the signed `genesis.json`, bytes.
    pub fn genesis_length(&self) -> Result<u64, StorageError> {
        self.view.genesis_length()
    }

    /// The signed `genesis.json`, byte for byte. Up to 256 MiB; who only passes it on takes it in chunks.
    pub fn genesis_json(&self) -> Result<Bytes, StorageError> {
        let mut json = Vec::new();
        for index in 0.. {
            let Some(chunk) = self.genesis_chunk(index)? else { break };
            json.extend_from_slice(&chunk);
        }
        let expected = self.genesis_length()?;
        if json.len() as u64 != expected {
            let detail = format!("{} bytes where {expected} were written", json.len());
            return Err(StorageError::damaged("genesis", detail));
        }
        Ok(json.into())
    }

    /// The piece of `genesis.json` with number `index`, at most 1 MiB; `None` after the last.
    pub fn genesis_chunk(&self, index: u64) -> Result<Option<Bytes>, StorageError> {
        Ok(self.view.genesis.get(index)?.map(|chunk| Bytes::copy_from_slice(chunk.value())))
    }

    /// Header of the block at `height`; `None` above the head.
    pub fn header(&self, height: u64) -> Result<Option<Header>, StorageError> {
        self.view.blocks.get(height)?.map(|bytes| decode_header(bytes.value())).transpose()
    }

    /// Header of the newest block, which only the first one who asks reads.
    pub fn head_header(&self) -> Result<&Header, StorageError> {
        if let Some(header) = self.view.head_header.get() {
            return Ok(header);
        }
        let missing =
            || StorageError::damaged("blocks", format!("the head, block {}, is missing", self.view.head.height));
        let header = self.header(self.view.head.height)?.ok_or_else(missing)?;
        Ok(self.view.head_header.get_or_init(|| header))
    }

    /// The logs bloom over the [`crate::BLOOM_GROUP`] blocks among which the one at `height` is; `None` where there is
    /// none: the group is not whole yet, or it is older than these blooms.
    pub fn group_bloom(&self, height: u64) -> Result<Option<Bloom>, StorageError> {
        self.view.group_bloom(height)
    }

    /// The block at `height`; `None` above the head.
    pub fn block(&self, height: u64) -> Result<Option<Block>, StorageError> {
        self.view.block(height)
    }

    /// Canonical bytes of the block at `height`; `None` above the head.
    pub fn block_bytes(&self, height: u64) -> Result<Option<Bytes>, StorageError> {
        self.view.block_bytes(height)
    }

    /// A part of the canonical bytes of the block at `height`: at most `most`, from byte `from` on; `None` above the
    /// head. No more of it is copied.
    pub fn block_part(&self, height: u64, from: usize, most: usize) -> Result<Option<BlockPart>, StorageError> {
        self.view.block_part(height, from, most)
    }

    /// Hash of the block at `height`; `None` above the head.
    pub fn hash_of(&self, height: u64) -> Result<Option<B256>, StorageError> {
        self.view.block_hash(height)
    }

    /// Height of the block with this hash; `None` where the chain has none.
    pub fn height_of(&self, hash: B256) -> Result<Option<u64>, StorageError> {
        Ok(self.view.heights.get(&hash.0)?.map(|height| height.value()))
    }

    /// Where the transaction with this hash stands; `None` where it is in no block.
    pub fn transaction_location(&self, hash: B256) -> Result<Option<TransactionLocation>, StorageError> {
        self.view.transaction_location(hash)
    }

    /// The transaction that stands at `location`, read without the others of its block; `None` where there is none.
    pub fn confirmed(&self, location: TransactionLocation) -> Result<Option<ConfirmedTransaction>, StorageError> {
        self.confirmed_reader().read(location)
    }

    /// The transaction with this hash, read without the others of its block, and where it stands; `None` where it is in no
    /// block.
    pub fn confirmed_by_hash(
        &self,
        hash: B256,
    ) -> Result<Option<(TransactionLocation, ConfirmedTransaction)>, StorageError> {
        let Some(location) = self.transaction_location(hash)? else { return Ok(None) };
        let TransactionLocation { height, index } = location;
        let found = self.confirmed(location)?.filter(|found| *found.transaction.tx_hash() == hash);
        let elsewhere = || StorageError::damaged("transactions", format!("{hash} does not stand at {height}:{index}"));
        found.map(|found| Some((location, found))).ok_or_else(elsewhere)
    }

    /// As [`Self::confirmed`], for many of them.
    pub fn confirmed_reader(&self) -> ConfirmedReader<'_> {
        ConfirmedReader::new(&self.view)
    }

    /// Receipts of the block at `height`, in order; `None` above the head.
    pub fn receipts(&self, height: u64) -> Result<Option<Vec<Receipt>>, StorageError> {
        self.view.receipts.get(height)?.map(|bytes| codec::decode_receipts(bytes.value())).transpose()
    }

    /// Sender of each transaction of the block at `height`, in order; `None` above the head.
    pub fn senders(&self, height: u64) -> Result<Option<Vec<Address>>, StorageError> {
        self.view.senders.get(height)?.map(|bytes| codec::decode_addresses("senders", bytes.value())).transpose()
    }

    /// A page of an address's transactions, newest first; oldest first with `after`.
    pub fn by_address(&self, address: Address, query: AddressQuery) -> Result<AddressPage, StorageError> {
        address::by_address(&self.view, address, query)
    }

    /// The first address under which this transaction, which stands at `location`, is not listed as it must be.
    pub fn address_difference(
        &self,
        transaction: &Transaction,
        sender: Address,
        location: TransactionLocation,
    ) -> Result<Option<AddressDifference>, StorageError> {
        address::difference(&self.view, transaction, sender, location)
    }

    /// The first `limit` accounts by address, with their state.
    pub fn accounts(&self, limit: usize) -> Result<Vec<(Address, Account)>, StorageError> {
        let mut accounts = Vec::new();
        for entry in self.view.accounts.iter()?.take(limit) {
            let (address, account) = entry?;
            accounts.push((Address::new(*address.value()), codec::decode_account("accounts", account.value())?));
        }
        Ok(accounts)
    }

    /// The state after the block at `height`.
    pub fn state_at(&self, height: u64) -> Result<HistoricState, HistoryError> {
        HistoricState::new(self.view.clone(), height)
    }

    /// A page of an account's states, newest first: one for each block below `before` that changed it, and the oldest
    /// that is kept. At most [`crate::MAX_HISTORY_STATES`]. A `before` below all that is kept is an error.
    pub fn account_history(
        &self,
        address: Address,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AccountHistory, HistoryError> {
        history::account_history(&self.view, address, before, limit)
    }

    /// What the block at `height` changed in the state, with the values before it. An error for block 0:
    /// its state is the alloc of [`Self::genesis_json`].
    pub fn changes(&self, height: u64) -> Result<BlockChanges, HistoryError> {
        history::changes(&self.view, height)
    }
}

/// Decodes the header out of canonical block bytes, without looking at the rest.
pub(crate) fn decode_header(mut bytes: &[u8]) -> Result<Header, StorageError> {
    let input = &mut bytes;
    alloy_rlp::Header::decode(input)
        .and_then(|_| Header::decode(input))
        .map_err(|error| StorageError::damaged("blocks", error))
}

impl StateReader for Snapshot {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        Ok(self.view.account(address)?)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        Ok(self.view.storage(address, slot)?)
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        Ok(self.view.code(code_hash)?)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        Ok(self.view.block_hash(height)?)
    }

    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        Ok(self.view.storage_slots(address)?)
    }
}

impl TrieReader for Snapshot {
    fn trie_node(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(self.view.trie_node(owner, path)?)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("head", &self.view.head).finish()
    }
}
