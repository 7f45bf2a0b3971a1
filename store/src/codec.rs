//! Values (see [`crate::tables`] for the layout). Decoding never trusts a stored byte: damage is an error.

use crate::StorageError;
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use callboard_chain::{Account, Block, BlockChanges, Receipt};

/// The highest durable block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// Its timestamp, unix seconds.
    pub timestamp: u64,
    /// The state root after it.
    pub state_root: B256,
}

impl Head {
    /// `block` as a head.
    pub fn of(block: &Block) -> Self {
        Self {
            height: block.height(),
            hash: block.hash(),
            timestamp: block.header().timestamp,
            state_root: block.header().state_root,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(self.hash.as_slice());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(self.state_root.as_slice());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let mut input = Input { table: "metadata", bytes };
        let head = Self {
            height: input.u64()?,
            hash: B256::new(input.array()?),
            timestamp: input.u64()?,
            state_root: B256::new(input.array()?),
        };
        input.end()?;
        Ok(head)
    }
}

/// Set in an account's first byte where a storage root follows.
const HAS_STORAGE: u8 = 0x10;
/// Set in an account's first byte where a code hash follows.
const HAS_CODE: u8 = 0x20;

/// Length of the nonce and flags (1), length of the balance (1), nonce, balance, storage root and code hash where
/// they are not the empty ones. About 12 bytes for a plain account.
pub(crate) fn encode_account(account: &Account) -> Vec<u8> {
    let (nonce, balance) = (account.nonce.to_be_bytes(), account.balance.to_be_bytes::<32>());
    let (nonce, balance) = (without_zeros(&nonce), without_zeros(&balance));
    let storage = (account.storage_root != EMPTY_ROOT_HASH).then_some(account.storage_root);
    let code = (account.code_hash != KECCAK256_EMPTY).then_some(account.code_hash);
    let mut out = Vec::with_capacity(2 + nonce.len() + balance.len() + 64);
    let flags = storage.map_or(0, |_| HAS_STORAGE) | code.map_or(0, |_| HAS_CODE);
    out.push(nonce.len() as u8 | flags);
    out.push(balance.len() as u8);
    out.extend_from_slice(nonce);
    out.extend_from_slice(balance);
    for hash in [storage, code].into_iter().flatten() {
        out.extend_from_slice(hash.as_slice());
    }
    out
}

pub(crate) fn decode_account(table: &'static str, bytes: &[u8]) -> Result<Account, StorageError> {
    let mut input = Input { table, bytes };
    let [first, balance] = input.array()?;
    let nonce = input.number((first & 0x0f) as usize)?;
    let account = Account {
        nonce: u64::try_from(nonce).map_err(|_| StorageError::damaged(table, "a nonce is longer than 8 bytes"))?,
        balance: input.number(balance as usize)?,
        storage_root: if first & HAS_STORAGE == 0 { EMPTY_ROOT_HASH } else { B256::new(input.array()?) },
        code_hash: if first & HAS_CODE == 0 { KECCAK256_EMPTY } else { B256::new(input.array()?) },
    };
    input.end()?;
    Ok(account)
}

/// An account in the history; empty for none.
pub(crate) fn encode_optional_account(account: Option<&Account>) -> Vec<u8> {
    account.map(encode_account).unwrap_or_default()
}

pub(crate) fn decode_optional_account(table: &'static str, bytes: &[u8]) -> Result<Option<Account>, StorageError> {
    if bytes.is_empty() { Ok(None) } else { decode_account(table, bytes).map(Some) }
}

/// A slot's value without leading zero bytes; empty for zero.
pub(crate) fn encode_value(value: U256) -> Vec<u8> {
    without_zeros(&value.to_be_bytes::<32>()).to_vec()
}

pub(crate) fn decode_value(table: &'static str, bytes: &[u8]) -> Result<U256, StorageError> {
    let mut input = Input { table, bytes };
    input.number(bytes.len())
}

/// The keys a block touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChangeSet {
    pub(crate) accounts: Vec<Address>,
    pub(crate) slots: Vec<(Address, U256)>,
}

impl ChangeSet {
    pub(crate) fn of(changes: &BlockChanges) -> Self {
        Self {
            accounts: changes.accounts.iter().map(|change| change.address).collect(),
            slots: changes.storage.iter().map(|change| (change.address, change.slot)).collect(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.accounts.len() * 20 + self.slots.len() * 52);
        out.extend_from_slice(&(self.accounts.len() as u32).to_be_bytes());
        for address in &self.accounts {
            out.extend_from_slice(address.as_slice());
        }
        for (address, slot) in &self.slots {
            out.extend_from_slice(&crate::keys::slot(*address, *slot));
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let mut input = Input { table: "change_sets", bytes };
        let count = u32::from_be_bytes(input.array()?);
        let mut set = Self::default();
        for _ in 0..count {
            set.accounts.push(Address::new(input.array()?));
        }
        while !input.bytes.is_empty() {
            set.slots.push((Address::new(input.array()?), U256::from_be_bytes::<32>(input.array()?)));
        }
        Ok(set)
    }
}

/// All receipts of a block, without their blooms.
pub(crate) fn encode_receipts(receipts: &[Receipt]) -> Vec<u8> {
    let mut out = Vec::new();
    alloy_rlp::encode_list(receipts, &mut out);
    out
}

pub(crate) fn decode_receipts(mut bytes: &[u8]) -> Result<Vec<Receipt>, StorageError> {
    let receipts = <Vec<Receipt> as alloy_rlp::Decodable>::decode(&mut bytes)
        .map_err(|error| StorageError::damaged("receipts", error))?;
    if bytes.is_empty() { Ok(receipts) } else { Err(StorageError::damaged("receipts", "trailing bytes")) }
}

/// The receipt at `index` of all of a block's, and no other; `None` where there are fewer.
pub(crate) fn decode_receipt_at(mut bytes: &[u8], index: usize) -> Result<Option<Receipt>, StorageError> {
    let damaged = |error| StorageError::damaged("receipts", error);
    let mut list = alloy_rlp::Header::decode_bytes(&mut bytes, true).map_err(damaged)?;
    for _ in 0..index {
        if list.is_empty() {
            return Ok(None);
        }
        // The items are lists and strings of more than one byte, so that each begins with its length.
        let item = alloy_rlp::Header::decode(&mut list).map_err(damaged)?;
        list = list.get(item.payload_length..).ok_or_else(|| damaged(alloy_rlp::Error::InputTooShort))?;
    }
    if list.is_empty() { Ok(None) } else { alloy_rlp::Decodable::decode(&mut list).map(Some).map_err(damaged) }
}

pub(crate) fn encode_addresses(addresses: &[Address]) -> Vec<u8> {
    addresses.iter().flat_map(|address| address.0.0).collect()
}

pub(crate) fn decode_addresses(table: &'static str, bytes: &[u8]) -> Result<Vec<Address>, StorageError> {
    let mut input = Input { table, bytes };
    let mut addresses = Vec::with_capacity(bytes.len() / 20);
    while !input.bytes.is_empty() {
        addresses.push(Address::new(input.array()?));
    }
    Ok(addresses)
}

/// The address at `index`; `None` where there are fewer.
pub(crate) fn decode_address_at(
    table: &'static str,
    bytes: &[u8],
    index: usize,
) -> Result<Option<Address>, StorageError> {
    let (addresses, rest) = bytes.as_chunks::<20>();
    if !rest.is_empty() {
        return Err(StorageError::damaged(table, "a value is cut"));
    }
    Ok(addresses.get(index).map(Address::from))
}

/// A metadata value that is a number.
pub(crate) fn decode_u64(bytes: &[u8]) -> Result<u64, StorageError> {
    let mut input = Input { table: "metadata", bytes };
    let value = input.u64()?;
    input.end()?;
    Ok(value)
}

/// A metadata value that is a hash.
pub(crate) fn decode_hash(bytes: &[u8]) -> Result<B256, StorageError> {
    let mut input = Input { table: "metadata", bytes };
    let value = B256::new(input.array()?);
    input.end()?;
    Ok(value)
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}

/// A stored value being read.
struct Input<'a> {
    table: &'static str,
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], StorageError> {
        let (taken, rest) =
            self.bytes.split_at_checked(length).ok_or_else(|| StorageError::damaged(self.table, "a value is cut"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u64(&mut self) -> Result<u64, StorageError> {
        self.array().map(u64::from_be_bytes)
    }

    fn number(&mut self, length: usize) -> Result<U256, StorageError> {
        let bytes = self.take(length)?;
        U256::try_from_be_slice(bytes).ok_or_else(|| StorageError::damaged(self.table, "a number exceeds 32 bytes"))
    }

    fn end(&self) -> Result<(), StorageError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(StorageError::damaged(self.table, "trailing bytes")) }
    }
}
