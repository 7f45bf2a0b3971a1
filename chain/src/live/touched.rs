//! What a refused block touched, found by executing it once more while somebody looks at what is read.
//!
//! Nothing is kept of the keys that a block only reads while it is confirmed: a block that is right does not pay for
//! what is told of a wrong one.

use crate::execution::{ExecutionError, execute_block};
use crate::{Account, Block, BlockChanges, ChainConfig, StateReadError, StateReader, Verified};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Every account and storage slot that a block read or wrote here, with its value after the block. The block's gas
/// bounds their number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// By address, ascending.
    pub accounts: BTreeMap<Address, TouchedAccount>,
}

/// See [`Touched`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TouchedAccount {
    /// The account; `None` where there is none.
    pub account: Option<Account>,
    /// Those of its slots that were touched, ascending.
    pub slots: BTreeMap<U256, U256>,
}

impl Touched {
    /// The keys that `block` touches when it is executed on `state`, the state of its parent; `changes` are what it
    /// made of them.
    pub(super) fn by(
        block: &Verified<Block>,
        config: &ChainConfig,
        state: &impl StateReader,
        changes: &BlockChanges,
    ) -> Result<Self, ExecutionError> {
        let recorder = Recorder { state, read: RefCell::default() };
        execute_block(&recorder, config, block)?;
        let mut touched = recorder.read.into_inner();
        for change in &changes.accounts {
            touched.of(change.address).account = change.after;
        }
        for change in &changes.storage {
            touched.of(change.address).slots.insert(change.slot, change.after);
        }
        Ok(touched)
    }

    /// How many accounts and slots these are.
    pub fn count(&self) -> usize {
        self.accounts.values().map(|account| account.slots.len().saturating_add(1)).sum()
    }

    fn of(&mut self, address: Address) -> &mut TouchedAccount {
        self.accounts.entry(address).or_default()
    }
}

/// A state that remembers what is read of it.
struct Recorder<'a, S> {
    state: &'a S,
    read: RefCell<Touched>,
}

impl<S: StateReader> StateReader for Recorder<'_, S> {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        let account = self.state.account(address)?;
        self.read.borrow_mut().of(address).account = account;
        Ok(account)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        let value = self.state.storage(address, slot)?;
        self.read.borrow_mut().of(address).slots.insert(slot, value);
        Ok(value)
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        self.state.block_hash(height)
    }

    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        self.state.storage_slots(address)
    }
}
