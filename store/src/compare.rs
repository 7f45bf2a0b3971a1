//! The flat state held against the stored trie: which key differs, where a root differs.

use crate::scan::{FlatEntry, FlatScan, ScanError};
use crate::{Snapshot, Store};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use callboard_chain::keccak256;
use callboard_chain::trie::{MerkleTrie, TrieError};

/// Keys compared through one snapshot, and nodes kept of the trie meanwhile.
const PART: usize = 1_000;

/// Where flat state and trie part.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// An account.
    #[error("account {address}: stored as {flat}, the state trie has {trie}")]
    Account {
        /// Whose.
        address: Address,
        /// RLP of the flat one.
        flat: Bytes,
        /// RLP in the trie, or "nothing".
        trie: String,
    },
    /// A slot.
    #[error("slot {slot:#x} of {address}: stored as {flat:#x}, the storage trie has {trie}")]
    Slot {
        /// Whose.
        address: Address,
        /// Which.
        slot: U256,
        /// The flat value.
        flat: U256,
        /// RLP in the trie, or "nothing".
        trie: String,
    },
    /// The trie itself is broken.
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// The flat state cannot be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

impl Store {
    /// The first key at which the flat state and the trie of the head differ, or the first broken node on the way to
    /// one; `None` where every account and slot is in the trie as it is stored. The node may run meanwhile.
    pub fn first_difference(&self) -> Result<Option<Difference>, crate::StorageError> {
        let mut after = FlatScan::new(0);
        loop {
            let snapshot = self.snapshot()?;
            after.move_to(snapshot.head().height);
            match compare_part(&snapshot, &mut after) {
                Ok(true) => return Ok(None),
                Ok(false) => {}
                Err(difference) => return Ok(Some(difference)),
            }
        }
    }
}

/// Compares the next keys with the trie of the snapshot's head; true at the end.
fn compare_part(snapshot: &Snapshot, scan: &mut FlatScan) -> Result<bool, Difference> {
    let entries = scan.read(snapshot, PART)?;
    let mut accounts = MerkleTrie::new(None, snapshot.head().state_root);
    let mut storage: Option<(Address, MerkleTrie)> = None;
    for entry in &entries {
        match *entry {
            FlatEntry::Account(address, account) => {
                let flat = alloy_rlp::encode(account);
                let trie = accounts.get(snapshot, &Nibbles::unpack(keccak256(address)))?;
                if trie.as_ref() != Some(&flat) {
                    return Err(Difference::Account { address, flat: flat.into(), trie: shown(trie) });
                }
            }
            FlatEntry::Slot(address, slot, flat) => {
                let trie = match &mut storage {
                    Some((of, trie)) if *of == address => trie,
                    other => {
                        let root = snapshot.view().account(address).map_err(ScanError::from)?;
                        let root = root.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
                        let owner: B256 = keccak256(address);
                        &mut other.insert((address, MerkleTrie::new(Some(owner), root))).1
                    }
                };
                let found = trie.get(snapshot, &Nibbles::unpack(keccak256(slot.to_be_bytes::<32>())))?;
                if found.as_ref() != Some(&alloy_rlp::encode(flat)) {
                    return Err(Difference::Slot { address, slot, flat, trie: shown(found) });
                }
            }
        }
    }
    Ok(entries.is_empty())
}

fn shown(rlp: Option<Vec<u8>>) -> String {
    rlp.map_or_else(|| "nothing".to_owned(), hex::encode_prefixed)
}
