//! A disk that keeps what was committed, one batch at a time, and nothing else.

use super::chain::FIXTURES;
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use callboard_chain::genesis::SealedGenesis;
use callboard_chain::live::Batch;
use callboard_chain::{Account, Block, BlockChanges, StateReadError, StateReader, StateTrie, TrieReader, TrieUpdates};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Debug, Clone, Default)]
struct Contents {
    blocks: BTreeMap<u64, Block>,
    accounts: BTreeMap<Address, Account>,
    storage: BTreeMap<(Address, U256), U256>,
    code: BTreeMap<B256, Bytes>,
    nodes: BTreeMap<(Option<B256>, Nibbles), Bytes>,
}

/// Shared between a process, which reads it, and the node, whose disk outlives the process.
#[derive(Debug, Clone)]
pub(crate) struct Disk(Rc<RefCell<Contents>>);

impl Disk {
    /// A new database with block 0.
    pub(crate) fn new(genesis: &SealedGenesis) -> Self {
        let disk = Self(Rc::default());
        let mut trie = StateTrie::new(EMPTY_ROOT_HASH);
        let mut changes = genesis.changes();
        trie.apply(&disk, &mut changes).expect("nothing is read below an empty trie");
        let nodes = trie.take_updates();
        disk.0.borrow_mut().apply(genesis.block(), &changes);
        disk.0.borrow_mut().apply_nodes(nodes);
        disk
    }

    /// A copy that goes on by itself: a backup.
    pub(crate) fn copy(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// One batch, all of it.
    pub(crate) fn commit(&self, batch: &Batch) {
        let mut contents = self.0.borrow_mut();
        for block in &batch.blocks {
            contents.apply(block.value(), block.changes());
        }
        contents.apply_nodes(TrieUpdates { nodes: batch.trie.nodes.clone() });
    }

    pub(crate) fn head(&self) -> Block {
        let contents = self.0.borrow();
        let (_, head) = contents.blocks.last_key_value().expect("block 0 is there from the start");
        head.clone()
    }

    pub(crate) fn header(&self) -> Header {
        self.head().header().clone()
    }

    pub(crate) fn height(&self) -> u64 {
        self.head().height()
    }

    pub(crate) fn block(&self, height: u64) -> Option<Block> {
        self.0.borrow().blocks.get(&height).cloned()
    }

    pub(crate) fn hash(&self, height: u64) -> Option<B256> {
        self.0.borrow().blocks.get(&height).map(Block::hash)
    }

    /// The nonce of the one who pays for everything.
    pub(crate) fn payer_nonce(&self) -> usize {
        let payer = FIXTURES.transfers[0].1;
        self.0.borrow().accounts.get(&payer).map_or(0, |account| account.nonce as usize)
    }
}

impl Contents {
    fn apply(&mut self, block: &Block, changes: &BlockChanges) {
        self.blocks.insert(block.height(), block.clone());
        for change in &changes.accounts {
            match change.after {
                Some(account) => self.accounts.insert(change.address, account),
                None => self.accounts.remove(&change.address),
            };
        }
        for change in &changes.storage {
            self.storage.insert((change.address, change.slot), change.after);
        }
        self.code.extend(changes.code.iter().cloned());
    }

    fn apply_nodes(&mut self, updates: TrieUpdates) {
        for (key, node) in updates.nodes {
            match node {
                Some(node) => self.nodes.insert(key, node),
                None => self.nodes.remove(&key),
            };
        }
    }
}

impl StateReader for Disk {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        Ok(self.0.borrow().accounts.get(&address).copied())
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        Ok(self.0.borrow().storage.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytes::new());
        }
        self.0.borrow().code.get(&code_hash).cloned().ok_or_else(|| StateReadError("no such code".into()))
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        Ok(self.hash(height))
    }

    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        let contents = self.0.borrow();
        let slots = contents.storage.iter().filter(|((of, _), value)| *of == address && !value.is_zero());
        Ok(slots.map(|((_, slot), value)| (*slot, *value)).collect())
    }
}

impl TrieReader for Disk {
    fn trie_node(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(self.0.borrow().nodes.get(&(owner, *path)).cloned())
    }
}
