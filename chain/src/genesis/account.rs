//! Accounts of a genesis.

use crate::{Account, AccountChange, BlockChanges, StorageChange, keccak256};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_trie::{TrieAccount, root};
use std::collections::BTreeMap;

/// An account as the genesis sets it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Wei.
    pub balance: U256,
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// The contract's code; empty for none.
    pub code: Bytes,
    /// Storage slots and their values. Zero values are the same as none.
    pub storage: BTreeMap<U256, U256>,
}

impl GenesisAccount {
    /// The account as it stands in the state trie.
    pub fn account(&self) -> Account {
        let slots = self.slots().map(|(slot, value)| (B256::from(slot), value));
        Account {
            nonce: self.nonce,
            balance: self.balance,
            storage_root: root::storage_root_unhashed(slots),
            code_hash: if self.code.is_empty() { KECCAK256_EMPTY } else { keccak256(&self.code) },
        }
    }

    /// Slots that are set, ascending.
    pub(super) fn slots(&self) -> impl Iterator<Item = (U256, U256)> {
        self.storage.iter().filter(|(_, value)| !value.is_zero()).map(|(slot, value)| (*slot, *value))
    }
}

/// All accounts as changes of block 0 to the empty state.
pub(super) fn changes(alloc: &BTreeMap<Address, GenesisAccount>) -> BlockChanges {
    let mut changes = BlockChanges::default();
    let mut code = BTreeMap::new();
    for (&address, genesis_account) in alloc {
        let after = genesis_account.account();
        changes.accounts.push(AccountChange { address, before: None, after: Some(after) });
        changes.storage.extend(genesis_account.slots().map(|(slot, after)| StorageChange {
            address,
            slot,
            before: U256::ZERO,
            after,
        }));
        if !genesis_account.code.is_empty() {
            code.insert(after.code_hash, genesis_account.code.clone());
        }
    }
    changes.code = code.into_iter().collect();
    changes
}

/// The root of the state that these changes make of the empty one, by a way that shares nothing with `StateTrie`.
pub(super) fn state_root(changes: &BlockChanges) -> B256 {
    let accounts = changes.accounts.iter().filter_map(|change| {
        let Account { nonce, balance, storage_root, code_hash } = change.after?;
        Some((change.address, TrieAccount { nonce, balance, storage_root, code_hash }))
    });
    root::state_root_unhashed(accounts)
}
