//! A state in memory, with its trie.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use callboard_chain::{
    Account, AccountChange, BlockChanges, StateReadError, StateReader, StateTrie, StorageChange, TrieReader, keccak256,
};
use std::collections::BTreeMap;

/// An account as a test describes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Described {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code: Bytes,
    pub(crate) storage: Vec<(U256, U256)>,
}

/// The state. Nothing is ever taken out of the trie's memory, so it needs no stored nodes.
pub(crate) struct MemoryState {
    pub(crate) accounts: BTreeMap<Address, Account>,
    pub(crate) storage: BTreeMap<(Address, U256), U256>,
    pub(crate) code: BTreeMap<B256, Bytes>,
    pub(crate) block_hashes: BTreeMap<u64, B256>,
    trie: StateTrie,
}

struct NoNodes;

impl TrieReader for NoNodes {
    fn trie_node(&self, _owner: Option<B256>, _path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(None)
    }
}

impl MemoryState {
    pub(crate) fn new(accounts: impl IntoIterator<Item = (Address, Described)>) -> Self {
        let mut state = Self {
            accounts: BTreeMap::new(),
            storage: BTreeMap::new(),
            code: BTreeMap::new(),
            block_hashes: BTreeMap::new(),
            trie: StateTrie::new(EMPTY_ROOT_HASH),
        };
        let mut changes = BlockChanges::default();
        for (address, described) in accounts {
            let Described { nonce, balance, code, storage } = described;
            let code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
            if !code.is_empty() {
                changes.code.push((code_hash, code));
            }
            let after = Some(Account { nonce, balance, storage_root: EMPTY_ROOT_HASH, code_hash });
            changes.accounts.push(AccountChange { address, before: None, after });
            let slots = storage.into_iter().filter(|(_, value)| !value.is_zero());
            changes.storage.extend(slots.map(|(slot, after)| StorageChange {
                address,
                slot,
                before: U256::ZERO,
                after,
            }));
        }
        changes.accounts.sort_by_key(|change| change.address);
        changes.storage.sort_by_key(|change| (change.address, change.slot));
        state.apply(changes);
        state
    }

    /// Applies what a block did and returns the new state root. Fails where `before` is not what is there.
    pub(crate) fn apply(&mut self, mut changes: BlockChanges) -> B256 {
        let root = self.trie.apply(&NoNodes, &mut changes).expect("all nodes are in memory");
        for change in &changes.accounts {
            let before = match change.after {
                Some(after) => self.accounts.insert(change.address, after),
                None => self.accounts.remove(&change.address),
            };
            assert_eq!(before, change.before, "account {} before", change.address);
        }
        for change in &changes.storage {
            let key = (change.address, change.slot);
            let before = match change.after.is_zero() {
                false => self.storage.insert(key, change.after),
                true => self.storage.remove(&key),
            };
            assert_eq!(before.unwrap_or_default(), change.before, "slot {key:?} before");
        }
        self.code.extend(changes.code);
        root
    }
}

impl StateReader for MemoryState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        Ok(self.accounts.get(&address).copied())
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        Ok(self.storage.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        self.code.get(&code_hash).cloned().ok_or_else(|| StateReadError(format!("no code {code_hash}").into()))
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        Ok(self.block_hashes.get(&height).copied())
    }

    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        let slots = self.storage.range((address, U256::ZERO)..=(address, U256::MAX));
        Ok(slots.map(|((_, slot), value)| (*slot, *value)).collect())
    }
}
