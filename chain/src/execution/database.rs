//! The state as the EVM sees it: a [`StateReader`] under the changes of the block so far.

use super::error::ExecutionError;
use crate::{Account, AccountChange, BlockChanges, StateReadError, StateReader, StorageChange};
use alloy_primitives::map::{AddressMap, B256Map, HashMap};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use revm::database_interface::DBErrorMarker;
use revm::state::{AccountInfo, Bytecode, EvmState};
use revm::{Database, DatabaseRef};
use std::collections::BTreeMap;

impl DBErrorMarker for StateReadError {}

/// What was read from the state during the block, and what the block made of it.
#[derive(Debug)]
pub(super) struct BlockDatabase<'a, S> {
    state: &'a S,
    accounts: AddressMap<CachedAccount>,
    code: B256Map<Bytecode>,
}

#[derive(Debug)]
struct CachedAccount {
    before: Option<Account>,
    current: Option<Account>,
    /// The account was created or removed in this block: slots not in `slots` are zero, whatever the state says.
    storage_cleared: bool,
    slots: HashMap<U256, Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    before: U256,
    current: U256,
}

impl<'a, S: StateReader> BlockDatabase<'a, S> {
    pub(super) fn new(state: &'a S) -> Self {
        Self { state, accounts: AddressMap::default(), code: B256Map::default() }
    }

    /// The account as it stands now.
    pub(super) fn account(&mut self, address: Address) -> Result<Option<Account>, StateReadError> {
        Ok(self.loaded(address)?.current)
    }

    fn loaded(&mut self, address: Address) -> Result<&mut CachedAccount, StateReadError> {
        use alloy_primitives::map::Entry;
        match self.accounts.entry(address) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let before = self.state.account(address)?;
                let account =
                    CachedAccount { before, current: before, storage_cleared: false, slots: HashMap::default() };
                Ok(entry.insert(account))
            }
        }
    }

    /// Keeps what a transaction or a system call did.
    pub(super) fn commit(&mut self, changes: EvmState) -> Result<(), StateReadError> {
        for (address, account) in changes {
            if account.is_touched() {
                self.commit_account(address, account)?;
            }
        }
        Ok(())
    }

    fn commit_account(&mut self, address: Address, account: revm::state::Account) -> Result<(), StateReadError> {
        let cached = self.loaded(address)?;
        // EIP-161: what was touched and is empty leaves the state.
        let gone = account.is_selfdestructed() || account.is_empty();
        if gone || account.is_created() {
            cached.clear_storage();
        }
        if gone {
            cached.current = None;
            return Ok(());
        }
        for (slot, value) in account.changed_storage_slots() {
            let unread = Slot { before: value.original_value, current: value.original_value };
            cached.slots.entry(*slot).or_insert(unread).current = value.present_value;
        }
        let code_hash = account.info.code_hash;
        cached.current = Some(Account {
            nonce: account.info.nonce,
            balance: account.info.balance,
            storage_root: cached.before.map_or(EMPTY_ROOT_HASH, |before| before.storage_root),
            code_hash,
        });
        if let Some(code) = account.info.code {
            self.code.entry(code_hash).or_insert(code);
        }
        Ok(())
    }

    /// Everything the block changed, in the order [`BlockChanges`] promises.
    pub(super) fn into_changes(mut self) -> Result<BlockChanges, ExecutionError> {
        let mut changes = BlockChanges::default();
        let mut deployed = BTreeMap::new();
        for (address, mut account) in std::mem::take(&mut self.accounts) {
            account.restore_cleared_slots(self.state, address)?;
            let slots = changes.storage.len();
            changes.storage.extend(account.storage_changes(address));
            let storage_changed = changes.storage.len() > slots;
            let CachedAccount { before, current: after, .. } = account;
            if before != after || storage_changed {
                changes.accounts.push(AccountChange { address, before, after });
            }
            if let Some(hash) = deployed_code(before, after) {
                deployed.insert(hash, self.deployed_bytes(hash)?);
            }
        }
        changes.accounts.sort_unstable_by_key(|change| change.address);
        changes.storage.sort_unstable_by_key(|change| (change.address, change.slot));
        changes.code = deployed.into_iter().collect();
        Ok(changes)
    }

    fn deployed_bytes(&self, hash: B256) -> Result<Bytes, ExecutionError> {
        let code =
            self.code.get(&hash).ok_or_else(|| ExecutionError::Evm { reason: format!("code {hash} was lost") })?;
        Ok(code.original_bytes())
    }
}

fn deployed_code(before: Option<Account>, after: Option<Account>) -> Option<B256> {
    let hash = after?.code_hash;
    let was = before.map_or(KECCAK256_EMPTY, |account| account.code_hash);
    (hash != KECCAK256_EMPTY && hash != was).then_some(hash)
}

impl CachedAccount {
    fn clear_storage(&mut self) {
        self.storage_cleared = true;
        for slot in self.slots.values_mut() {
            slot.current = U256::ZERO;
        }
    }

    /// Slots that the state holds and nobody read before they were cleared.
    fn restore_cleared_slots<S: StateReader>(&mut self, state: &S, address: Address) -> Result<(), StateReadError> {
        let had_storage = self.before.is_some_and(|before| before.storage_root != EMPTY_ROOT_HASH);
        if !self.storage_cleared || !had_storage {
            return Ok(());
        }
        for (slot, value) in state.storage_slots(address)? {
            self.slots.entry(slot).or_insert(Slot { before: value, current: U256::ZERO }).before = value;
        }
        Ok(())
    }

    fn storage_changes(&self, address: Address) -> impl Iterator<Item = StorageChange> {
        self.slots.iter().filter(|(_, value)| value.before != value.current).map(move |(slot, value)| StorageChange {
            address,
            slot: *slot,
            before: value.before,
            after: value.current,
        })
    }
}

impl<S: StateReader> Database for BlockDatabase<'_, S> {
    type Error = StateReadError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateReadError> {
        Ok(self.account(address)?.map(info))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateReadError> {
        let code = self.code_by_hash_ref(code_hash)?;
        if code_hash != KECCAK256_EMPTY {
            self.code.entry(code_hash).or_insert_with(|| code.clone());
        }
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        let state = self.state;
        let account = self.loaded(address)?;
        if let Some(known) = account.slots.get(&slot) {
            return Ok(known.current);
        }
        if account.storage_cleared {
            return Ok(U256::ZERO);
        }
        let value = state.storage(address, slot)?;
        account.slots.insert(slot, Slot { before: value, current: value });
        Ok(value)
    }

    fn block_hash(&mut self, height: u64) -> Result<B256, StateReadError> {
        self.block_hash_ref(height)
    }
}

/// Looks and remembers nothing: what a trace tells of the state before its transaction.
impl<S: StateReader> DatabaseRef for BlockDatabase<'_, S> {
    type Error = StateReadError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateReadError> {
        let account = match self.accounts.get(&address) {
            Some(known) => known.current,
            None => self.state.account(address)?,
        };
        Ok(account.map(info))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateReadError> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.code.get(&code_hash) {
            return Ok(code.clone());
        }
        let bytes = self.state.code(code_hash)?;
        // Bytes that begin like an EIP-7702 delegation but are none are ordinary (and invalid) code.
        Ok(Bytecode::new_raw_checked(bytes.clone()).unwrap_or_else(|_| Bytecode::new_legacy(bytes)))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        match self.accounts.get(&address) {
            Some(account) => match account.slots.get(&slot) {
                Some(known) => Ok(known.current),
                None if account.storage_cleared => Ok(U256::ZERO),
                None => self.state.storage(address, slot),
            },
            None => self.state.storage(address, slot),
        }
    }

    fn block_hash_ref(&self, height: u64) -> Result<B256, StateReadError> {
        let unknown = || StateReadError(format!("the hash of block {height} is not known").into());
        self.state.block_hash(height)?.ok_or_else(unknown)
    }
}

fn info(account: Account) -> AccountInfo {
    AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: account.code_hash,
        account_id: None,
        code: (account.code_hash == KECCAK256_EMPTY).then(Bytecode::default),
    }
}
