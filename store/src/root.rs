//! The state root recomputed from the flat state.
//!
//! This shares no code with the incremental trie that the node runs on: it is what that trie's result, the flat
//! tables and the header are compared with while the node runs.

use crate::StorageError;
use crate::codec;
use crate::view::View;
use alloy_primitives::{Address, B256, U256};
use alloy_trie::{HashBuilder, Nibbles};
use callboard_chain::{Account, Blame, keccak256};
use redb::ReadableTable;

/// Why the state root could not be recomputed.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The slots of an account do not make the storage root it carries.
    #[error("the stored slots of {address} make storage root {actual}, its account carries {expected}")]
    StorageRoot {
        /// Whose storage.
        address: Address,
        /// The root in the account.
        expected: B256,
        /// The root of the stored slots.
        actual: B256,
    },
    /// Slots are stored for an account that is not there.
    #[error("slots are stored for {address}, which has no account")]
    Orphan {
        /// Whose storage.
        address: Address,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl RootError {
    /// Whether the node must stop: always; the flat state is not the chain's.
    pub fn is_fatal(&self) -> bool {
        true
    }

    /// Whose fault: this node's.
    pub fn blame(&self) -> Blame {
        Blame::Local
    }
}

/// Reads every account and slot once and hashes them from nothing. It takes about 150 bytes of memory an account, and
/// holds its snapshot for as long as it runs (seconds a million accounts): for background checks only.
pub(crate) fn recompute(view: &View) -> Result<B256, RootError> {
    let mut leaves = Vec::new();
    for entry in view.accounts.iter().map_err(StorageError::from)? {
        let (address, account) = entry.map_err(StorageError::from)?;
        let address = Address::new(*address.value());
        let account = codec::decode_account("accounts", account.value())?;
        check_storage_root(view, address, &account)?;
        leaves.push((keccak256(address), alloy_rlp::encode(account)));
    }
    check_orphans(view)?;
    Ok(root_of(leaves))
}

/// Compares the account's storage root with its slots.
fn check_storage_root(view: &View, address: Address, account: &Account) -> Result<(), RootError> {
    let slots = view.storage_slots(address)?;
    let leaf = |(slot, value): (U256, U256)| (keccak256(slot.to_be_bytes::<32>()), alloy_rlp::encode(value));
    let actual = root_of(slots.into_iter().map(leaf).collect());
    if actual != account.storage_root {
        return Err(RootError::StorageRoot { address, expected: account.storage_root, actual });
    }
    Ok(())
}

/// Every address with slots must have an account.
fn check_orphans(view: &View) -> Result<(), RootError> {
    let mut last: Option<Address> = None;
    for entry in view.storage.iter().map_err(StorageError::from)? {
        let (key, _) = entry.map_err(StorageError::from)?;
        let address = Address::from_slice(&key.value()[..20]);
        if last != Some(address) {
            if view.account(address)?.is_none() {
                return Err(RootError::Orphan { address });
            }
            last = Some(address);
        }
    }
    Ok(())
}

fn root_of(mut leaves: Vec<(B256, Vec<u8>)>) -> B256 {
    leaves.sort_unstable();
    let mut builder = HashBuilder::default();
    for (key, value) in &leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}
