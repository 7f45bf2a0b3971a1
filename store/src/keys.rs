//! Composite keys (see [`crate::tables`] for the layout).

use alloy_primitives::{Address, B256, U256};
use alloy_trie::Nibbles;

/// Where a transaction stands in the chain. Ordered as the chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct TransactionLocation {
    /// Height of the block.
    pub height: u64,
    /// Position in the block, from 0.
    pub index: u32,
}

impl TransactionLocation {
    pub(crate) const FIRST: Self = Self { height: 0, index: 0 };
    pub(crate) const LAST: Self = Self { height: u64::MAX, index: u32::MAX };

    pub(crate) fn to_bytes(self) -> [u8; 12] {
        concat(&[&self.height.to_be_bytes(), &self.index.to_be_bytes()])
    }

    pub(crate) fn from_bytes(bytes: [u8; 12]) -> Self {
        let value = u128::from_be_bytes(concat(&[&[0; 4], &bytes]));
        Self { height: (value >> 32) as u64, index: value as u32 }
    }
}

/// The parts one after another. Their lengths add up to `N`: all callers pass constant sizes.
fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut key = [0; N];
    let mut at = 0;
    for part in parts {
        key[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    debug_assert_eq!(at, N);
    key
}

/// Key of the address index.
pub(crate) fn address_entry(address: Address, location: TransactionLocation) -> [u8; 32] {
    concat(&[address.as_slice(), &location.to_bytes()])
}

/// The location inside a key of the address index.
pub(crate) fn entry_location(key: &[u8; 32]) -> TransactionLocation {
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&key[20..]);
    TransactionLocation::from_bytes(bytes)
}

/// Key of a storage slot.
pub(crate) fn slot(address: Address, slot: U256) -> [u8; 52] {
    concat(&[address.as_slice(), &slot.to_be_bytes::<32>()])
}

/// The slot inside a key that starts with address and slot.
pub(crate) fn slot_of(key: &[u8]) -> U256 {
    U256::from_be_slice(&key[20..52])
}

/// Key of an account's history entry.
pub(crate) fn account_at(address: Address, height: u64) -> [u8; 28] {
    concat(&[address.as_slice(), &height.to_be_bytes()])
}

/// The height inside a key of the account history.
pub(crate) fn account_height(key: &[u8; 28]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&key[20..]);
    u64::from_be_bytes(bytes)
}

/// Key of a slot's history entry.
pub(crate) fn slot_at(address: Address, slot: U256, height: u64) -> [u8; 60] {
    concat(&[address.as_slice(), &slot.to_be_bytes::<32>(), &height.to_be_bytes()])
}

/// The height inside a key of the storage history.
pub(crate) fn slot_height(key: &[u8; 60]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&key[52..]);
    u64::from_be_bytes(bytes)
}

/// Key of a node of the state trie.
pub(crate) fn account_node(path: &Nibbles) -> Vec<u8> {
    path.to_vec()
}

/// Key of a node of a storage trie.
pub(crate) fn storage_node(owner: B256, path: &Nibbles) -> Vec<u8> {
    let mut key = owner.to_vec();
    key.extend(path.iter());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn locations_keep_their_order_as_bytes(a: (u64, u32), b: (u64, u32)) {
            let (a, b) = (
                TransactionLocation { height: a.0, index: a.1 },
                TransactionLocation { height: b.0, index: b.1 },
            );
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
            prop_assert_eq!(TransactionLocation::from_bytes(a.to_bytes()), a);
        }

        #[test]
        fn trie_paths_keep_their_order_and_never_collide(
            a in proptest::collection::vec(0u8..16, 0..64),
            b in proptest::collection::vec(0u8..16, 0..64),
        ) {
            let keys = (account_node(&Nibbles::from_nibbles(&a)), account_node(&Nibbles::from_nibbles(&b)));
            prop_assert_eq!(a.cmp(&b), keys.0.cmp(&keys.1));
            let owner = B256::repeat_byte(7);
            let keys = (storage_node(owner, &Nibbles::from_nibbles(&a)), storage_node(owner, &Nibbles::from_nibbles(&b)));
            prop_assert_eq!(a.cmp(&b), keys.0.cmp(&keys.1));
        }

        #[test]
        fn history_keys_sort_by_height(address: [u8; 20], value: [u8; 32], a: u64, b: u64) {
            let (address, value) = (Address::from(address), U256::from_be_bytes(value));
            prop_assert_eq!(a.cmp(&b), account_at(address, a).cmp(&account_at(address, b)));
            prop_assert_eq!(a.cmp(&b), slot_at(address, value, a).cmp(&slot_at(address, value, b)));
            prop_assert_eq!(account_height(&account_at(address, a)), a);
            prop_assert_eq!(slot_of(&slot_at(address, value, a)), value);
            prop_assert_eq!(slot_height(&slot_at(address, value, a)), a);
        }
    }
}
