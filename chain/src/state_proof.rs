//! Proofs of accounts and storage slots against a header's state root (EIP-1186).

use crate::{Account, Blame, keccak256};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::proof::{ProofVerificationError, verify_proof};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

/// Proof of an account, or that there is none.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountProof {
    /// Whose account.
    pub address: Address,
    /// The account; `None` where there is none.
    pub account: Option<Account>,
    /// Trie nodes from the state root to it.
    pub nodes: Vec<Bytes>,
    /// Some of its slots.
    pub slots: Vec<SlotProof>,
}

/// Proof of a storage slot's value; zero where it is not set.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotProof {
    /// Which slot.
    pub slot: U256,
    /// Its value.
    pub value: U256,
    /// Trie nodes from the account's storage root to it.
    pub nodes: Vec<Bytes>,
}

/// An [`AccountProof`] proves nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateProofError {
    /// The nodes do not lead from the state root to the account.
    #[error("the account {address} is not proven under state root {state_root}: {source}")]
    Account {
        /// Whose account.
        address: Address,
        /// The header's state root.
        state_root: B256,
        /// Where the nodes do not fit.
        source: ProofVerificationError,
    },
    /// The nodes do not lead from the account's storage root to the slot.
    #[error("slot {slot} of {address} is not proven under storage root {storage_root}: {source}")]
    Slot {
        /// Whose storage.
        address: Address,
        /// Which slot.
        slot: B256,
        /// The account's storage root.
        storage_root: B256,
        /// Where the nodes do not fit.
        source: ProofVerificationError,
    },
}

impl StateProofError {
    /// Whoever made the proof.
    pub fn blame(&self) -> Blame {
        Blame::Peer
    }
}

impl AccountProof {
    /// Checks that account and slots are those of the state with this root.
    pub fn verify(&self, state_root: B256) -> Result<(), StateProofError> {
        let address = self.address;
        let leaf = self.account.map(alloy_rlp::encode);
        verify_proof(state_root, Nibbles::unpack(keccak256(address)), leaf, &self.nodes)
            .map_err(|source| StateProofError::Account { address, state_root, source })?;
        let storage_root = self.account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        self.slots.iter().try_for_each(|slot| {
            slot.verify(storage_root).map_err(|source| StateProofError::Slot {
                address,
                slot: slot.slot.into(),
                storage_root,
                source,
            })
        })
    }

    /// Bytes of all its nodes.
    pub fn node_bytes(&self) -> usize {
        self.nodes.iter().chain(self.slots.iter().flat_map(|slot| &slot.nodes)).map(|node| node.len()).sum()
    }
}

impl SlotProof {
    fn verify(&self, storage_root: B256) -> Result<(), ProofVerificationError> {
        let key = Nibbles::unpack(keccak256(self.slot.to_be_bytes::<32>()));
        let value = (!self.value.is_zero()).then(|| alloy_rlp::encode(self.value));
        verify_proof(storage_root, key, value, &self.nodes)
    }
}
