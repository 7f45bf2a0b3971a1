//! State and block as a caller wants them to be (third and fourth parameter of `eth_call`).

use super::BlockContext;
use crate::{Account, StateReadError, StateReader, keccak256};
use alloy_primitives::map::B256Map;
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::{BTreeMap, HashMap};

/// What to put in the place of an account's values; `None` leaves a value as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// Wei.
    pub balance: Option<U256>,
    /// The nonce.
    pub nonce: Option<u64>,
    /// The code.
    pub code: Option<Bytes>,
    /// The whole storage: slots not named are zero. Excludes `state_diff`.
    pub state: Option<HashMap<U256, U256>>,
    /// Single slots; the others stay.
    pub state_diff: Option<HashMap<U256, U256>>,
}

/// An override that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// The whole storage and a part of it.
    #[error("account {address} has both 'state' and 'stateDiff'")]
    StateAndStateDiff {
        /// Whose account.
        address: Address,
    },
}

/// A state with some of its values replaced.
#[derive(Debug)]
pub struct OverriddenState<'a, S> {
    state: &'a S,
    accounts: BTreeMap<Address, AccountOverride>,
    code: B256Map<Bytes>,
}

impl<'a, S: StateReader> OverriddenState<'a, S> {
    /// Lays the overrides over the state.
    pub fn new(state: &'a S, accounts: BTreeMap<Address, AccountOverride>) -> Result<Self, OverrideError> {
        for (address, account) in &accounts {
            if account.state.is_some() && account.state_diff.is_some() {
                return Err(OverrideError::StateAndStateDiff { address: *address });
            }
        }
        let code = accounts.values().filter_map(|account| account.code.clone());
        let code = code.map(|code| (keccak256(&code), code)).collect();
        Ok(Self { state, accounts, code })
    }
}

impl<S: StateReader> StateReader for OverriddenState<'_, S> {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        let stored = self.state.account(address)?;
        let Some(replaced) = self.accounts.get(&address) else { return Ok(stored) };
        let mut account = stored.unwrap_or_default();
        account.balance = replaced.balance.unwrap_or(account.balance);
        account.nonce = replaced.nonce.unwrap_or(account.nonce);
        account.code_hash = replaced.code.as_ref().map_or(account.code_hash, keccak256);
        Ok(Some(account))
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        let Some(replaced) = self.accounts.get(&address) else { return self.state.storage(address, slot) };
        if let Some(whole) = &replaced.state {
            return Ok(whole.get(&slot).copied().unwrap_or_default());
        }
        match replaced.state_diff.as_ref().and_then(|slots| slots.get(&slot)) {
            Some(value) => Ok(*value),
            None => self.state.storage(address, slot),
        }
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        match self.code.get(&code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.state.code(code_hash),
        }
    }

    /// Zero above this state's block, which only a call with another block number can ask for.
    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        Ok(Some(self.state.block_hash(height)?.unwrap_or_default()))
    }

    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        let replaced = self.accounts.get(&address);
        let mut slots = match replaced.and_then(|replaced| replaced.state.as_ref()) {
            Some(whole) => whole.iter().map(|(slot, value)| (*slot, *value)).collect(),
            None => self.state.storage_slots(address)?,
        };
        if let Some(diff) = replaced.and_then(|replaced| replaced.state_diff.as_ref()) {
            slots.retain(|(slot, _)| !diff.contains_key(slot));
            slots.extend(diff.iter().map(|(slot, value)| (*slot, *value)));
        }
        slots.retain(|(_, value)| !value.is_zero());
        Ok(slots)
    }
}

/// What to put in the place of a block's values; `None` leaves a value as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockOverrides {
    /// Height.
    pub height: Option<u64>,
    /// Seconds since the Unix epoch.
    pub timestamp: Option<u64>,
    /// Gas limit.
    pub gas_limit: Option<u64>,
    /// Who gets the tips.
    pub beneficiary: Option<Address>,
    /// `PREVRANDAO`.
    pub mix_hash: Option<B256>,
    /// Wei per gas.
    pub base_fee: Option<u64>,
}

impl BlockOverrides {
    /// The context with these values in place. Run over an [`OverriddenState`], which answers for hashes of blocks
    /// that do not exist.
    pub fn apply(&self, context: BlockContext) -> BlockContext {
        BlockContext {
            height: self.height.unwrap_or(context.height),
            timestamp: self.timestamp.unwrap_or(context.timestamp),
            gas_limit: self.gas_limit.unwrap_or(context.gas_limit),
            beneficiary: self.beneficiary.unwrap_or(context.beneficiary),
            mix_hash: self.mix_hash.unwrap_or(context.mix_hash),
            base_fee: self.base_fee.unwrap_or(context.base_fee),
            ..context
        }
    }
}
