//! Values confirmed but not yet durable, and the view that lays them over the durable state.

use crate::{Account, BlockChanges, StateReadError, StateReader};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::{BTreeMap, HashMap};

/// The newest value of each key that a block above the durable head touched, with the height of that block.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    accounts: HashMap<Address, (Option<Account>, u64)>,
    storage: HashMap<Address, BTreeMap<U256, (U256, u64)>>,
    code: HashMap<B256, (Bytes, u64)>,
    block_hashes: BTreeMap<u64, B256>,
}

impl Overlay {
    /// Lays the changes of the block at `height` over what is there.
    pub(super) fn apply(&mut self, height: u64, hash: B256, changes: &BlockChanges) {
        for change in &changes.accounts {
            self.accounts.insert(change.address, (change.after, height));
        }
        for change in &changes.storage {
            self.storage.entry(change.address).or_default().insert(change.slot, (change.after, height));
        }
        for (code_hash, code) in &changes.code {
            self.code.insert(*code_hash, (code.clone(), height));
        }
        self.block_hashes.insert(height, hash);
    }

    /// Forgets what no block above `height` touched: the durable state has it now.
    pub(super) fn forget_through(&mut self, height: u64) {
        self.accounts.retain(|_, (_, at)| *at > height);
        self.storage.retain(|_, slots| {
            slots.retain(|_, (_, at)| *at > height);
            !slots.is_empty()
        });
        self.code.retain(|_, (_, at)| *at > height);
        self.block_hashes = self.block_hashes.split_off(&height.saturating_add(1));
    }

    /// Whether everything that is confirmed is durable.
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.storage.is_empty() && self.code.is_empty() && self.block_hashes.is_empty()
    }
}

/// The confirmed state: the overlay where it has a value, the durable state below it.
pub(super) struct View<'a, R> {
    pub(super) overlay: &'a Overlay,
    pub(super) base: &'a R,
}

impl<R: StateReader> StateReader for View<'_, R> {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        match self.overlay.accounts.get(&address) {
            Some((account, _)) => Ok(*account),
            None => self.base.account(address),
        }
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        match self.overlay.storage.get(&address).and_then(|slots| slots.get(&slot)) {
            Some((value, _)) => Ok(*value),
            None => self.base.storage(address, slot),
        }
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        match self.overlay.code.get(&code_hash) {
            Some((code, _)) => Ok(code.clone()),
            None => self.base.code(code_hash),
        }
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        match self.overlay.block_hashes.get(&height) {
            Some(hash) => Ok(Some(*hash)),
            None => self.base.block_hash(height),
        }
    }

    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        let mut slots: BTreeMap<U256, U256> = self.base.storage_slots(address)?.into_iter().collect();
        if let Some(newer) = self.overlay.storage.get(&address) {
            slots.extend(newer.iter().map(|(slot, (value, _))| (*slot, *value)));
        }
        Ok(slots.into_iter().filter(|(_, value)| !value.is_zero()).collect())
    }
}
