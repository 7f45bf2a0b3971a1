mod faults;
mod merkle;
mod proofs;
mod reference;
mod state;

use super::TrieUpdates;
use crate::{Account, AccountChange, BlockChanges, StateReadError, StorageChange, TrieReader};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::Nibbles;
use std::collections::BTreeMap;

/// Stored nodes in a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Nodes(BTreeMap<(Option<B256>, Nibbles), Bytes>);

impl Nodes {
    /// Applies updates. A deletion of what is not stored is an error: updates are exact.
    fn apply(&mut self, updates: TrieUpdates) {
        for (position, node) in updates.nodes {
            match node {
                Some(node) => drop(self.0.insert(position, node)),
                None => assert!(self.0.remove(&position).is_some(), "deleted but never stored: {position:?}"),
            }
        }
    }
}

impl TrieReader for Nodes {
    fn trie_node(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(self.0.get(&(owner, *path)).cloned())
    }
}

fn address(number: u8) -> Address {
    Address::with_last_byte(number)
}

fn account(nonce: u64) -> Account {
    Account { nonce, balance: U256::from(1_000_000), ..Account::default() }
}

fn slot(account: u8, slot: u64, before: u64, after: u64) -> StorageChange {
    let [slot, before, after] = [slot, before, after].map(U256::from);
    StorageChange { address: address(account), slot, before, after }
}

fn change(number: u8, before: Option<Account>, after: Option<Account>) -> AccountChange {
    AccountChange { address: address(number), before, after }
}

fn changes(accounts: Vec<AccountChange>, storage: Vec<StorageChange>) -> BlockChanges {
    BlockChanges { accounts, storage, code: Vec::new() }
}
