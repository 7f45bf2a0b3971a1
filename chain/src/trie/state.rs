//! The account trie and the storage tries of the accounts it has met.

use super::{
    MerkleTrie, TrieError, TrieUpdates,
    shrink::{RANKS, STORAGE_RANK},
};
use crate::{Account, BlockChanges, StorageChange, TrieReader, keccak::keccak256_each, keccak256};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use std::collections::{HashMap, hash_map::Entry};

/// The state trie: account leaves are rlp([`Account`]) under keccak256(address), storage leaves rlp(value) under
/// keccak256(slot). It holds what it has touched, until [`StateTrie::shrink`].
pub struct StateTrie {
    accounts: MerkleTrie,
    storages: HashMap<B256, MerkleTrie>,
}

impl StateTrie {
    /// The state with this root. Nothing is read yet.
    pub fn new(root: B256) -> Self {
        Self { accounts: MerkleTrie::new(None, root), storages: HashMap::new() }
    }

    /// The state root.
    pub fn root(&mut self) -> B256 {
        self.accounts.root()
    }

    /// Applies what a block did: writes the slots, fills in `after.storage_root` of every changed account, writes the
    /// accounts, and returns the state root. Every account whose storage changed must be listed in
    /// `changes.accounts`. An account that no longer exists loses its whole storage.
    ///
    /// # Errors
    /// After an error the trie must be dropped.
    pub fn apply(&mut self, reader: &impl TrieReader, changes: &mut BlockChanges) -> Result<B256, TrieError> {
        let mut slots = SlotsByAccount(&changes.storage);
        let mut leaves = Vec::with_capacity(changes.accounts.len());
        let owners = hashed_addresses(changes);
        for (change, owner) in changes.accounts.iter_mut().zip(owners) {
            let values = slots.next(change.address)?.iter().map(|slot| (slot.slot, slot.after));
            let from = storage_root(&change.before);
            let root = self.write_storage(reader, change.address, owner, from, change.after.is_some(), values)?;
            if let Some(after) = &mut change.after {
                after.storage_root = root;
            }
            leaves.push((owner, change.after));
        }
        slots.finish()?;
        self.write_accounts(reader, leaves)
    }

    /// Undoes [`StateTrie::apply`] of the same changes: puts the values before the block back and returns the state
    /// root before it.
    ///
    /// # Errors
    /// After an error the trie must be dropped.
    pub fn revert(&mut self, reader: &impl TrieReader, changes: &BlockChanges) -> Result<B256, TrieError> {
        let mut slots = SlotsByAccount(&changes.storage);
        let mut leaves = Vec::with_capacity(changes.accounts.len());
        for (change, owner) in changes.accounts.iter().zip(hashed_addresses(changes)) {
            let address = change.address;
            let values = slots.next(address)?.iter().map(|slot| (slot.slot, slot.before));
            let from = storage_root(&change.after);
            let actual = self.write_storage(reader, address, owner, from, change.before.is_some(), values)?;
            check_storage_root(address, storage_root(&change.before), actual)?;
            leaves.push((owner, change.before));
        }
        slots.finish()?;
        self.write_accounts(reader, leaves)
    }

    /// Writes the slots of one account and returns its storage root; `exists` says whether it has one afterwards.
    fn write_storage(
        &mut self,
        reader: &impl TrieReader,
        address: Address,
        owner: B256,
        from: B256,
        exists: bool,
        values: impl ExactSizeIterator<Item = (U256, U256)>,
    ) -> Result<B256, TrieError> {
        if (exists && values.len() == 0) || (!exists && from == EMPTY_ROOT_HASH) {
            return Ok(from);
        }
        let trie = self.storages.entry(owner).or_insert_with(|| MerkleTrie::new(Some(owner), from));
        check_storage_root(address, from, trie.root())?;
        if !exists {
            trie.clear(reader)?;
            return Ok(EMPTY_ROOT_HASH);
        }
        let (slots, values): (Vec<_>, Vec<_>) = values.map(|(slot, value)| (slot.to_be_bytes::<32>(), value)).unzip();
        let keys = keccak256_each(&slots.iter().map(|slot| &slot[..]).collect::<Vec<_>>());
        let mut slots: Vec<_> = keys.into_iter().zip(values).collect();
        slots.sort_unstable_by_key(|(key, _)| *key);
        for (key, value) in slots {
            let rlp = if value.is_zero() { Vec::new() } else { alloy_rlp::encode(value) };
            trie.set(reader, &Nibbles::unpack(key), &rlp)?;
        }
        Ok(trie.root())
    }

    fn write_accounts(
        &mut self,
        reader: &impl TrieReader,
        mut leaves: Vec<(B256, Option<Account>)>,
    ) -> Result<B256, TrieError> {
        // Neighbours share most of their way down.
        leaves.sort_unstable_by_key(|(key, _)| *key);
        for (key, account) in leaves {
            let rlp = account.map(alloy_rlp::encode).unwrap_or_default();
            self.accounts.set(reader, &Nibbles::unpack(key), &rlp)?;
        }
        Ok(self.accounts.root())
    }

    /// The nodes that changed since the last call.
    pub fn take_updates(&mut self) -> TrieUpdates {
        let mut updates = TrieUpdates::default();
        self.accounts.take_updates(&mut updates);
        for trie in self.storages.values_mut().filter(|trie| !trie.is_clean()) {
            trie.take_updates(&mut updates);
        }
        // An empty one has no node that counts: without end, contracts could leave such behind.
        self.storages.retain(|_, trie| !trie.is_empty());
        updates
    }

    /// Drops nodes, deepest first, until at most about `max_nodes` are in memory. Only to be called when all updates
    /// taken so far are durable in the reader. What changed since they were taken stays.
    pub fn shrink(&mut self, max_nodes: usize) {
        if self.loaded() <= max_nodes {
            return;
        }
        let mut ranks = [0; RANKS];
        self.accounts.count(0, &mut ranks);
        self.storages.values_mut().for_each(|trie| trie.count(STORAGE_RANK, &mut ranks));
        let mut kept = 0;
        let within = |nodes: &&usize| {
            kept += **nodes;
            kept <= max_nodes
        };
        let limit = ranks.iter().take_while(within).count();
        if limit == RANKS {
            return;
        }
        self.accounts.cut(0, limit);
        self.storages.values_mut().for_each(|trie| trie.cut(STORAGE_RANK, limit));
        self.storages.retain(|_, trie| trie.root.node.is_some() || !trie.is_clean());
        self.accounts.count(0, &mut [0; RANKS]);
        self.storages.values_mut().for_each(|trie| trie.count(0, &mut [0; RANKS]));
    }

    /// Storage tries in memory.
    #[cfg(test)]
    pub(super) fn storage_tries(&self) -> usize {
        self.storages.len()
    }

    /// Never less than the number of nodes in memory.
    pub fn loaded(&self) -> usize {
        self.storages.values().fold(self.accounts.loaded, |sum, trie| sum + trie.loaded)
    }

    /// The nodes from the root to the account, as `accountProof` of EIP-1186.
    pub fn prove_account(&mut self, reader: &impl TrieReader, address: Address) -> Result<Vec<Bytes>, TrieError> {
        self.accounts.prove(reader, &Nibbles::unpack(keccak256(address)))
    }

    /// For each slot the nodes from the account's storage root to it, as `storageProof.proof` of EIP-1186. Empty lists
    /// where there is no account, or no storage.
    pub fn prove_storage(
        &mut self,
        reader: &impl TrieReader,
        address: Address,
        slots: &[U256],
    ) -> Result<Vec<Vec<Bytes>>, TrieError> {
        let owner = keccak256(address);
        let key = Nibbles::unpack(owner);
        let Some(leaf) = self.accounts.get(reader, &key)? else {
            return Ok(vec![Vec::new(); slots.len()]);
        };
        let position = super::Position { owner: None, path: key };
        let account =
            Account::decode(&mut leaf.as_slice()).map_err(|source| TrieError::Malformed { position, source })?;
        let trie = match self.storages.entry(owner) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(MerkleTrie::new(Some(owner), account.storage_root)),
        };
        slots.iter().map(|slot| trie.prove(reader, &Nibbles::unpack(keccak256(slot.to_be_bytes::<32>())))).collect()
    }
}

/// The keys of the changed accounts, in their order.
fn hashed_addresses(changes: &BlockChanges) -> Vec<B256> {
    let addresses: Vec<&[u8]> = changes.accounts.iter().map(|change| change.address.as_slice()).collect();
    keccak256_each(&addresses)
}

fn storage_root(account: &Option<Account>) -> B256 {
    account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root)
}

fn check_storage_root(address: Address, expected: B256, actual: B256) -> Result<(), TrieError> {
    if expected == actual { Ok(()) } else { Err(TrieError::StorageRoot { address, expected, actual }) }
}

/// The storage changes not yet handed out, ascending by address.
struct SlotsByAccount<'a>(&'a [StorageChange]);

impl<'a> SlotsByAccount<'a> {
    /// The changes of `address`, which is asked for in ascending order.
    fn next(&mut self, address: Address) -> Result<&'a [StorageChange], TrieError> {
        let count = self.0.iter().take_while(|change| change.address == address).count();
        let (slots, rest) = self.0.split_at(count);
        self.0 = rest;
        match rest.first() {
            Some(next) if next.address <= address => Err(TrieError::AccountNotListed { address: next.address }),
            _ => Ok(slots),
        }
    }

    fn finish(&self) -> Result<(), TrieError> {
        self.0.first().map_or(Ok(()), |change| Err(TrieError::AccountNotListed { address: change.address }))
    }
}
