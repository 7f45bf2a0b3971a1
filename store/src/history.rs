//! The state at an old block.

use crate::StorageError;
use crate::codec;
use crate::keys;
use crate::view::View;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use callboard_chain::{Account, AccountChange, Blame, BlockChanges, StateReadError, StateReader, StorageChange};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why there is no answer for an old block. It is never answered with null or zero instead.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The block is not there yet.
    #[error("block {height} is not known yet: the head is {head}")]
    Ahead {
        /// The height asked for.
        height: u64,
        /// The head.
        head: u64,
    },
    /// What was asked for has been pruned.
    #[error("the state of block {height} was pruned: the oldest one kept is {oldest}")]
    Pruned {
        /// The height asked for.
        height: u64,
        /// The oldest height that can be asked for.
        oldest: u64,
    },
    /// Block 0 has no changes: nothing lies before it.
    #[error("block 0 changed nothing: its state is the alloc of genesis.json")]
    Genesis,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl HistoryError {
    /// Whether the node must stop: only where the database failed.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Storage(_))
    }

    /// Whose fault: this node's where the database failed, otherwise nobody's.
    pub fn blame(&self) -> Blame {
        if self.is_fatal() { Blame::Local } else { Blame::Nobody }
    }
}

/// The state after the block at one height.
#[derive(Clone)]
pub struct HistoricState {
    view: Arc<View>,
    height: u64,
}

impl HistoricState {
    pub(crate) fn new(view: Arc<View>, height: u64) -> Result<Self, HistoryError> {
        check_known(&view, height)?;
        if height < view.pruned_below {
            return Err(HistoryError::Pruned { height, oldest: view.pruned_below });
        }
        Ok(Self { view, height })
    }

    /// The height of the block after which this is the state.
    pub fn height(&self) -> u64 {
        self.height
    }
}

impl StateReader for HistoricState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateReadError> {
        Ok(account_at(&self.view, address, self.height)?)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        Ok(storage_at(&self.view, address, slot, self.height)?)
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateReadError> {
        Ok(self.view.code(code_hash)?)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, StateReadError> {
        if height > self.height { Ok(None) } else { Ok(self.view.block_hash(height)?) }
    }

    fn storage_slots(&self, address: Address) -> Result<Vec<(U256, U256)>, StateReadError> {
        Ok(slots_at(&self.view, address, self.height)?)
    }
}

impl std::fmt::Debug for HistoricState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoricState").field("height", &self.height).finish()
    }
}

fn check_known(view: &View, height: u64) -> Result<(), HistoryError> {
    if height > view.head.height {
        return Err(HistoryError::Ahead { height, head: view.head.height });
    }
    Ok(())
}

/// The first height above `height` that the chain has: below the newest block's there may be a later change to look for.
fn after(view: &View, height: u64) -> Option<u64> {
    height.checked_add(1).filter(|next| *next <= view.head.height)
}

/// The account after the block at `height`: what the first later block that changed it found, or what it is now.
pub(crate) fn account_at(view: &View, address: Address, height: u64) -> Result<Option<Account>, StorageError> {
    if let Some(next) = after(view, height) {
        let (from, to) = (keys::account_at(address, next), keys::account_at(address, u64::MAX));
        if let Some(entry) = view.account_history.range::<&[u8; 28]>(&from..=&to)?.next() {
            return codec::decode_optional_account("account_history", entry?.1.value());
        }
    }
    view.account(address)
}

/// The slot after the block at `height`.
pub(crate) fn storage_at(view: &View, address: Address, slot: U256, height: u64) -> Result<U256, StorageError> {
    if let Some(next) = after(view, height) {
        let (from, to) = (keys::slot_at(address, slot, next), keys::slot_at(address, slot, u64::MAX));
        if let Some(entry) = view.storage_history.range::<&[u8; 60]>(&from..=&to)?.next() {
            return codec::decode_value("storage_history", entry?.1.value());
        }
    }
    view.storage(address, slot)
}

/// Every slot of `address` that was not zero after the block at `height`.
fn slots_at(view: &View, address: Address, height: u64) -> Result<Vec<(U256, U256)>, StorageError> {
    let mut slots: BTreeMap<U256, U256> = view.storage_slots(address)?.into_iter().collect();
    let (from, to) = (keys::slot_at(address, U256::ZERO, 0), keys::slot_at(address, U256::MAX, u64::MAX));
    // Newest first, so that of the entries above `height` the lowest is applied last.
    for entry in view.storage_history.range::<&[u8; 60]>(&from..=&to)?.rev() {
        let (key, before) = entry?;
        if keys::slot_height(key.value()) > height {
            slots.insert(keys::slot_of(key.value()), codec::decode_value("storage_history", before.value())?);
        }
    }
    Ok(slots.into_iter().filter(|(_, value)| !value.is_zero()).collect())
}

/// States that one page of an account's history can hold, whatever `limit` asks for.
pub const MAX_HISTORY_STATES: usize = 1_000;

/// What an account was after the block at a height, and stayed until the next entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountState {
    /// The height of the block that made it so.
    pub height: u64,
    /// The account; `None` where there was none.
    pub account: Option<Account>,
}

/// A page of an account's states, newest first.
///
/// The last state of the last page is what the account was after block 0 or, where older states were pruned, after the
/// oldest block whose state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHistory {
    /// The states.
    pub states: Vec<AccountState>,
    /// The `before` of the next page; `None` where nothing older is left.
    pub next: Option<u64>,
    /// The oldest height whose state is kept, where older ones were pruned.
    pub pruned_below: Option<u64>,
}

/// A page of the states of `address` in blocks below `before`.
pub(crate) fn account_history(
    view: &View,
    address: Address,
    before: Option<u64>,
    limit: usize,
) -> Result<AccountHistory, HistoryError> {
    let oldest = view.pruned_below;
    let pruned_below = (oldest > 0).then_some(oldest);
    let newest = before.map_or(Some(view.head.height), |before| before.checked_sub(1)).map(|h| h.min(view.head.height));
    let Some(newest) = newest else { return Ok(AccountHistory { states: Vec::new(), next: None, pruned_below }) };
    if newest < oldest {
        return Err(HistoryError::Pruned { height: newest, oldest });
    }
    let limit = limit.clamp(1, MAX_HISTORY_STATES);
    let mut states: Vec<AccountState> = Vec::new();
    let mut account = account_at(view, address, newest)?;
    // An entry holds what the account was before its block: the state of the entry below it.
    let (from, to) = (keys::account_at(address, oldest.saturating_add(1)), keys::account_at(address, newest));
    let entries = (oldest < newest).then(|| view.account_history.range::<&[u8; 28]>(&from..=&to)).transpose();
    for entry in entries.map_err(StorageError::from)?.into_iter().flatten().rev() {
        if states.len() == limit {
            return Ok(AccountHistory { next: states.last().map(|state| state.height), states, pruned_below });
        }
        let (key, earlier) = entry.map_err(StorageError::from)?;
        states.push(AccountState { height: keys::account_height(key.value()), account });
        account = codec::decode_optional_account("account_history", earlier.value())?;
    }
    if states.len() == limit {
        return Ok(AccountHistory { next: states.last().map(|state| state.height), states, pruned_below });
    }
    states.push(AccountState { height: oldest, account });
    Ok(AccountHistory { states, next: None, pruned_below })
}

/// What the block at `height` changed.
pub(crate) fn changes(view: &View, height: u64) -> Result<BlockChanges, HistoryError> {
    check_known(view, height)?;
    let before = height.checked_sub(1).ok_or(HistoryError::Genesis)?;
    if before < view.pruned_below {
        return Err(HistoryError::Pruned { height, oldest: view.pruned_below.saturating_add(1) });
    }
    let touched = view.change_set(height)?;
    Ok(difference(view, &touched, before, height)?)
}

/// How the keys of `touched` differ between the states at `before` and `after`.
pub(crate) fn difference(
    view: &View,
    touched: &codec::ChangeSet,
    before: u64,
    after: u64,
) -> Result<BlockChanges, StorageError> {
    let mut changes = BlockChanges::default();
    for address in touched.accounts.iter().copied() {
        let (before, after) = (account_at(view, address, before)?, account_at(view, address, after)?);
        if before != after {
            changes.accounts.push(AccountChange { address, before, after });
        }
    }
    for (address, slot) in touched.slots.iter().copied() {
        let (before, after) = (storage_at(view, address, slot, before)?, storage_at(view, address, slot, after)?);
        if before != after {
            changes.storage.push(StorageChange { address, slot, before, after });
        }
    }
    changes.code = new_code(view, &changes.accounts)?;
    Ok(changes)
}

/// The code that accounts have afterwards and did not have before.
fn new_code(view: &View, accounts: &[AccountChange]) -> Result<Vec<(B256, Bytes)>, StorageError> {
    let mut code = BTreeMap::new();
    for change in accounts {
        let hash = change.after.map_or(KECCAK256_EMPTY, |account| account.code_hash);
        let before = change.before.map_or(KECCAK256_EMPTY, |account| account.code_hash);
        if hash != before && hash != KECCAK256_EMPTY {
            code.insert(hash, view.code(hash)?);
        }
    }
    Ok(code.into_iter().collect())
}
