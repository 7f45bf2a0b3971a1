//! A made-up chain: real blocks, tries and receipts, but changes that no EVM computed. It keeps the flat state after
//! every block in plain maps, which is what the store is compared with. The benchmark includes this file too.

use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxType};
use alloy_primitives::{Address, B256, Bytes, Log, Signature, TxKind, U256};
use alloy_trie::Nibbles;
use callboard_chain::trie::{StateTrie, TrieUpdates};
use callboard_chain::{
    Account, AccountChange, Block, BlockChanges, Confirmed, Receipt, Seal, StateReadError, StorageChange, Transaction,
    TrieReader, keccak256,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a made-up transaction does.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Moves a wei amount between two of the first accounts.
    Transfer { from: usize, to: usize, value: u64 },
    /// Makes contract `contract`, or changes its code.
    Deploy { from: usize, contract: usize, code: u8 },
    /// Sets a slot of `contract`, where it exists.
    Store { from: usize, contract: usize, slot: u8, value: u8 },
    /// Removes `contract` with its storage.
    Destroy { from: usize, contract: usize },
}

impl Action {
    fn from(&self) -> usize {
        match self {
            Self::Transfer { from, .. }
            | Self::Deploy { from, .. }
            | Self::Store { from, .. }
            | Self::Destroy { from, .. } => *from,
        }
    }

    /// Every address it may change.
    fn addresses(&self) -> [Address; 2] {
        let other = match *self {
            Self::Transfer { to, .. } => account(to),
            Self::Deploy { contract: number, .. }
            | Self::Store { contract: number, .. }
            | Self::Destroy { contract: number, .. } => contract(number),
        };
        [account(self.from()), other]
    }

    /// What the transaction's `to` is; a deployment has none.
    fn kind(&self) -> TxKind {
        match self {
            Self::Transfer { to, .. } => TxKind::Call(account(*to)),
            Self::Deploy { .. } => TxKind::Create,
            Self::Store { contract: number, .. } | Self::Destroy { contract: number, .. } => {
                TxKind::Call(contract(*number))
            }
        }
    }
}

/// The address of made-up account `number`.
pub(crate) fn account(number: usize) -> Address {
    Address::from_slice(&keccak256(format!("account {number}"))[12..])
}

/// The address of made-up contract `number`.
pub(crate) fn contract(number: usize) -> Address {
    Address::from_slice(&keccak256(format!("contract {number}"))[12..])
}

/// The flat state after one block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FlatState {
    pub(crate) accounts: BTreeMap<Address, Account>,
    pub(crate) storage: BTreeMap<(Address, U256), U256>,
}

impl FlatState {
    /// What belongs to these addresses.
    fn part(&self, addresses: &BTreeSet<Address>) -> Self {
        let mut part = Self::default();
        for address in addresses {
            part.accounts.extend(self.accounts.get(address).map(|account| (*address, *account)));
            let slots = self.storage.range((*address, U256::ZERO)..=(*address, U256::MAX));
            part.storage.extend(slots.map(|(key, value)| (*key, *value)));
        }
        part
    }
}

/// A trie that is wholly in memory never asks for a stored node.
struct NothingStored;

impl TrieReader for NothingStored {
    fn trie_node(&self, _: Option<B256>, _: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(None)
    }
}

/// The made-up chain.
pub(crate) struct Fixture {
    /// Every block, from 0.
    pub(crate) blocks: Vec<Confirmed<Block>>,
    /// The state after the last block.
    pub(crate) state: FlatState,
    trie: StateTrie,
}

impl Fixture {
    /// A chain of one block, in which `accounts` accounts own something.
    pub(crate) fn new(accounts: usize) -> (Self, TrieUpdates) {
        let mut state = FlatState::default();
        for number in 0..accounts {
            let balance = U256::from(1_000_000 + number);
            state.accounts.insert(account(number), Account { balance, ..Account::default() });
        }
        let mut fixture = Self { blocks: Vec::new(), state: state.clone(), trie: fresh_trie() };
        fixture.seal(Vec::new(), Vec::new(), changes(&FlatState::default(), &state, BTreeMap::new()));
        let updates = fixture.trie.take_updates();
        (fixture, updates)
    }

    pub(crate) fn genesis(&self) -> &Confirmed<Block> {
        &self.blocks[0]
    }

    /// Adds a block with these transactions and returns it. `salt` makes blocks of one height differ.
    pub(crate) fn add(&mut self, actions: &[Action], salt: u64) -> Confirmed<Block> {
        let touched: BTreeSet<Address> = actions.iter().flat_map(Action::addresses).collect();
        let before = self.state.part(&touched);
        let (mut transactions, mut senders) = (Vec::new(), Vec::new());
        let mut code = BTreeMap::new();
        for (index, action) in actions.iter().enumerate() {
            let sender = account(action.from());
            let nonce = self.state.accounts.entry(sender).or_default().nonce;
            transactions.push(transaction(action, nonce, salt, self.next_height(), index));
            senders.push(sender);
            run(&mut self.state, &mut code, action);
        }
        let changes = changes(&before, &self.state.part(&touched), code);
        self.seal(transactions, senders, changes);
        self.blocks[self.blocks.len() - 1].clone()
    }

    /// The trie nodes that changed since the last call.
    pub(crate) fn take_updates(&mut self) -> TrieUpdates {
        self.trie.take_updates()
    }

    /// Goes back to a block; `state` is the state after it.
    pub(crate) fn rollback(&mut self, to: u64, state: FlatState) {
        self.blocks.truncate(to as usize + 1);
        (self.trie, _) = trie_of(&state);
        self.trie.take_updates();
        self.state = state;
    }

    fn next_height(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.value().height() + 1)
    }

    fn seal(&mut self, transactions: Vec<Transaction>, senders: Vec<Address>, mut changes: BlockChanges) {
        let state_root = self.trie.apply(&NothingStored, &mut changes).expect("all nodes are in memory");
        for change in &changes.accounts {
            if let Some(after) = change.after {
                self.state.accounts.insert(change.address, after);
            }
        }
        let receipts: Vec<_> =
            transactions.iter().enumerate().map(|(index, _)| receipt(index, &senders[index])).collect();
        let header = Header {
            number: self.next_height(),
            parent_hash: self.blocks.last().map_or(B256::ZERO, |parent| parent.value().hash()),
            timestamp: 1_700_000_000 + self.next_height(),
            state_root,
            extra_data: senders.len().to_be_bytes().to_vec().into(),
            transactions_root: keccak256(transactions.iter().flat_map(|one| one.tx_hash().0).collect::<Vec<_>>()),
            base_fee_per_gas: Some(0),
            logs_bloom: receipts.iter().flat_map(|receipt| &receipt.logs).collect(),
            ..Header::default()
        };
        let block = Block::from_parts(header, transactions, Seal([7; 65]));
        self.blocks.push(Confirmed::fixture(block, senders, receipts, changes));
    }
}

fn fresh_trie() -> StateTrie {
    StateTrie::new(alloy_trie::EMPTY_ROOT_HASH)
}

/// The trie of a whole state, made from nothing, and its nodes.
pub(crate) fn trie_of(state: &FlatState) -> (StateTrie, TrieUpdates) {
    let mut trie = fresh_trie();
    let mut changes = changes(&FlatState::default(), state, BTreeMap::new());
    trie.apply(&NothingStored, &mut changes).expect("all nodes are in memory");
    let nodes = trie.take_updates();
    (trie, nodes)
}

fn run(state: &mut FlatState, code: &mut BTreeMap<B256, Bytes>, action: &Action) {
    let sender = state.accounts.entry(account(action.from())).or_default();
    sender.nonce += 1;
    match *action {
        Action::Transfer { to, value, .. } => {
            let value = U256::from(value).min(sender.balance);
            sender.balance -= value;
            state.accounts.entry(account(to)).or_default().balance += value;
        }
        Action::Deploy { contract: number, code: byte, .. } => {
            let bytes = Bytes::from(vec![byte; 3]);
            let hash = keccak256(&bytes);
            let account = state.accounts.entry(contract(number)).or_default();
            (account.nonce, account.code_hash) = (1, hash);
            code.insert(hash, bytes);
        }
        Action::Store { contract: number, slot, value, .. } => {
            if state.accounts.contains_key(&contract(number)) {
                let key = (contract(number), U256::from(slot) << 200);
                match value {
                    0 => drop(state.storage.remove(&key)),
                    value => drop(state.storage.insert(key, U256::from(value))),
                }
            }
        }
        Action::Destroy { contract: number, .. } => {
            state.accounts.remove(&contract(number));
            state.storage.retain(|(address, _), _| *address != contract(number));
        }
    }
}

/// How two states differ. Accounts whose storage differs are listed too: their storage root will.
fn changes(before: &FlatState, after: &FlatState, code: BTreeMap<B256, Bytes>) -> BlockChanges {
    let slots: BTreeSet<_> = before.storage.keys().chain(after.storage.keys()).copied().collect();
    let value = |state: &FlatState, key| state.storage.get(key).copied().unwrap_or_default();
    let storage: Vec<_> = slots
        .iter()
        .map(|key| StorageChange { address: key.0, slot: key.1, before: value(before, key), after: value(after, key) })
        .filter(|change| change.before != change.after)
        .collect();
    let addresses: BTreeSet<_> = before.accounts.keys().chain(after.accounts.keys()).copied().collect();
    let accounts = addresses
        .into_iter()
        .map(|address| AccountChange {
            address,
            before: before.accounts.get(&address).copied(),
            after: after.accounts.get(&address).copied(),
        })
        .filter(|change| change.before != change.after || storage.iter().any(|slot| slot.address == change.address))
        .collect();
    BlockChanges { accounts, storage, code: code.into_iter().collect() }
}

fn transaction(action: &Action, nonce: u64, salt: u64, height: u64, index: usize) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: 1337,
        nonce,
        gas_limit: 21_000,
        to: action.kind(),
        value: U256::from(index),
        // The made-up signature is the same for all, so this is what makes hashes differ.
        input: format!("{salt} {height} {index}").into_bytes().into(),
        ..TxEip1559::default()
    };
    transaction.into_signed(Signature::test_signature()).into()
}

fn receipt(index: usize, sender: &Address) -> Receipt {
    let log = Log::new_unchecked(*sender, vec![B256::repeat_byte(index as u8); index % 4], vec![1; index % 50].into());
    Receipt {
        // One is stored as a list, the other as a byte string.
        tx_type: if index.is_multiple_of(2) { TxType::Legacy } else { TxType::Eip1559 },
        success: !index.is_multiple_of(3),
        cumulative_gas_used: 21_000 * (index as u64 + 1),
        logs: vec![log; index % 3],
    }
}
