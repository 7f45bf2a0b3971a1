//! The flat state at one height, key by key: every account in order of its address, followed by its slots.
//!
//! A long read must not hold one snapshot (see [`crate::Store::snapshot`]). A scan holds none: it stays at its height,
//! and each part is read through a snapshot of its own, however far the head has moved in the meantime. What later
//! blocks have changed is taken from the history.

use crate::history::{account_at, storage_at};
use crate::keys;
use crate::view::View;
use crate::{HistoryError, Snapshot, StorageError};
use alloy_primitives::{Address, U256};
use callboard_chain::{Account, Blame};

/// A key of the flat state with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlatEntry {
    /// An account.
    Account(Address, Account),
    /// A slot, not zero, of the account before it.
    Slot(Address, U256, U256),
}

/// Why the flat state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Slots are stored for an account that is not there.
    #[error("slots are stored for {address}, which has no account")]
    Orphan {
        /// Whose storage.
        address: Address,
    },
    /// The state at the scan's height is not there, or not any more.
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl ScanError {
    /// Whether the node must stop: not where the state was pruned.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Orphan { .. } => true,
            Self::History(error) => error.is_fatal(),
        }
    }

    /// Whose fault: this node's where it is fatal.
    pub fn blame(&self) -> Blame {
        if self.is_fatal() { Blame::Local } else { Blame::Nobody }
    }
}

impl From<StorageError> for ScanError {
    fn from(error: StorageError) -> Self {
        Self::History(error.into())
    }
}

/// How far the flat state at one height has been read.
#[derive(Debug, Clone)]
pub struct FlatScan {
    height: u64,
    next: Next,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    /// The first address from this one on.
    Account(Address),
    /// The first slot of the address from this one on.
    Slot(Address, U256),
    End,
}

impl FlatScan {
    /// Begins at the first account of the state after the block at `height`.
    pub fn new(height: u64) -> Self {
        Self { height, next: Next::Account(Address::ZERO) }
    }

    /// The height whose state is read.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Goes on in the state after the block at another height.
    pub(crate) fn move_to(&mut self, height: u64) {
        self.height = height;
    }

    /// The next keys, at most about `limit`; none at the end.
    pub fn read(&mut self, snapshot: &Snapshot, limit: usize) -> Result<Vec<FlatEntry>, ScanError> {
        // Refuses heights whose state is not there.
        snapshot.state_at(self.height)?;
        let mut entries = Vec::new();
        // Keys that are not there at this height count too, so that one read stays short.
        let mut looked_at = 0;
        while looked_at < limit || entries.is_empty() {
            looked_at += 1;
            match self.next {
                Next::Account(from) => self.next = self.account(snapshot.view(), from, &mut entries)?,
                Next::Slot(address, from) => self.next = self.slot(snapshot.view(), address, from, &mut entries)?,
                Next::End => break,
            }
        }
        Ok(entries)
    }

    fn account(&self, view: &View, from: Address, entries: &mut Vec<FlatEntry>) -> Result<Next, ScanError> {
        let Some(address) = next_address(view, from)? else { return Ok(Next::End) };
        if let Some(account) = account_at(view, address, self.height)? {
            entries.push(FlatEntry::Account(address, account));
            return Ok(Next::Slot(address, U256::ZERO));
        }
        let mut slots = Vec::new();
        let mut next = self.slot(view, address, U256::ZERO, &mut slots)?;
        while let (Next::Slot(_, slot), true) = (next, slots.is_empty()) {
            next = self.slot(view, address, slot, &mut slots)?;
        }
        if slots.is_empty() { Ok(next) } else { Err(ScanError::Orphan { address }) }
    }

    fn slot(&self, view: &View, address: Address, from: U256, entries: &mut Vec<FlatEntry>) -> Result<Next, ScanError> {
        let Some(slot) = next_slot(view, address, from)? else { return Ok(after_account(address)) };
        let value = storage_at(view, address, slot, self.height)?;
        if !value.is_zero() {
            entries.push(FlatEntry::Slot(address, slot, value));
        }
        Ok(slot.checked_add(U256::from(1)).map_or_else(|| after_account(address), |next| Next::Slot(address, next)))
    }
}

fn after_account(address: Address) -> Next {
    let number = U256::from_be_slice(address.as_slice()).saturating_add(U256::from(1));
    match number.bit_len() > 160 {
        true => Next::End,
        false => Next::Account(Address::from_slice(&number.to_be_bytes::<32>()[12..])),
    }
}

/// The first address from `from` on that any table of the state knows, now or in the history.
fn next_address(view: &View, from: Address) -> Result<Option<Address>, StorageError> {
    let key = from.into_array();
    let account = view.accounts.range::<&[u8; 20]>(&key..)?.next().transpose()?;
    let account = account.map(|(key, _)| Address::new(*key.value()));
    let slot = view.storage.range::<&[u8; 52]>(&keys::slot(from, U256::ZERO)..)?.next().transpose()?;
    let slot = slot.map(|(key, _)| Address::from_slice(&key.value()[..20]));
    let was = view.account_history.range::<&[u8; 28]>(&keys::account_at(from, 0)..)?.next().transpose()?;
    let was = was.map(|(key, _)| Address::from_slice(&key.value()[..20]));
    let slot_was =
        view.storage_history.range::<&[u8; 60]>(&keys::slot_at(from, U256::ZERO, 0)..)?.next().transpose()?;
    let slot_was = slot_was.map(|(key, _)| Address::from_slice(&key.value()[..20]));
    Ok([account, slot, was, slot_was].into_iter().flatten().min())
}

/// The first slot of `address` from `from` on, now or in the history.
fn next_slot(view: &View, address: Address, from: U256) -> Result<Option<U256>, StorageError> {
    let (first, last) = (keys::slot(address, from), keys::slot(address, U256::MAX));
    let now = view.storage.range::<&[u8; 52]>(&first..=&last)?.next().transpose()?;
    let now = now.map(|(key, _)| keys::slot_of(key.value()));
    let (first, last) = (keys::slot_at(address, from, 0), keys::slot_at(address, U256::MAX, u64::MAX));
    let was = view.storage_history.range::<&[u8; 60]>(&first..=&last)?.next().transpose()?;
    let was = was.map(|(key, _)| keys::slot_of(key.value()));
    Ok([now, was].into_iter().flatten().min())
}
