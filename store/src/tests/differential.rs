//! The store against plain maps: whatever is committed, rolled back and pruned, every answer must be the maps'.

use super::fixture::{Action, Fixture, FlatState, account, contract, trie_of};
use super::recomputed;
use crate::tables::*;
use crate::{
    AddressQuery, CommitBatch, ConfirmedTransaction, Direction, HistoryError, Role, RollbackError, Snapshot, Store,
    StoreConfig, StoreWriter, TransactionLocation, create, open,
};
use alloy_primitives::{Address, U256};
use callboard_chain::trie::TrieUpdates;
use callboard_chain::{Account, Block, Confirmed, StateReader};
use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableTable};
use std::collections::{BTreeMap, BTreeSet};

const ACCOUNTS: usize = 6;
const CONTRACTS: usize = 3;

/// The store, and what it should answer.
pub(super) struct Compared {
    pub(super) store: Store,
    pub(super) writer: StoreWriter,
    pub(super) fixture: Fixture,
    /// The state after each block.
    pub(super) states: Vec<FlatState>,
    salt: u64,
}

impl Compared {
    /// Makes durable, and shows to readers, what no block did.
    pub(super) fn write(&mut self, write: redb::WriteTransaction) {
        let head = self.writer.head();
        self.writer.finish(write, head).unwrap();
    }

    pub(super) fn new() -> Self {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let (fixture, trie) = Fixture::new(ACCOUNTS);
        let chain = create::NewChain { chain_id: 1337, genesis_json: b"{}", genesis: fixture.genesis(), trie: &trie };
        create::fill(&database, chain).unwrap();
        let (store, writer) = open::opened(database, "memory".as_ref(), &StoreConfig::default(), None).unwrap();
        let states = vec![fixture.state.clone()];
        Self { store, writer, fixture, states, salt: 0 }
    }

    /// Adds blocks to the fixture without committing them.
    fn build(&mut self, blocks: &[Vec<Action>]) -> Vec<Confirmed<Block>> {
        self.salt += 1;
        let mut built = Vec::new();
        for actions in blocks {
            built.push(self.fixture.add(actions, self.salt));
            self.states.push(self.fixture.state.clone());
        }
        built
    }

    pub(super) fn commit(&mut self, blocks: &[Vec<Action>]) {
        let blocks = self.build(blocks);
        if !blocks.is_empty() {
            let trie = self.fixture.take_updates();
            let durable = self.writer.commit(CommitBatch { blocks: blocks.clone(), trie }).unwrap();
            assert_eq!(durable.len(), blocks.len());
        }
    }

    pub(super) fn rollback(&mut self, to: u64) {
        self.writer.rollback(to).unwrap();
        self.states.truncate(to as usize + 1);
        self.fixture.rollback(to, self.states[to as usize].clone());
    }

    /// Compares every answer.
    pub(super) fn check(&self) {
        let snapshot = self.store.snapshot().unwrap();
        let head = self.fixture.blocks[self.fixture.blocks.len() - 1].value();
        assert_eq!(snapshot.head(), crate::Head::of(head));
        assert_eq!(self.writer.head(), snapshot.head());
        check_state(&snapshot, &self.states[self.states.len() - 1]);
        for height in snapshot.pruned_below()..=head.height() {
            check_state(&snapshot.state_at(height).unwrap(), &self.states[height as usize]);
        }
        self.check_refused_heights(&snapshot);
        self.check_blocks(&snapshot);
        self.check_addresses(&snapshot);
        self.check_histories(&snapshot);
        self.check_tables(&snapshot);
    }

    fn check_refused_heights(&self, snapshot: &Snapshot) {
        let head = snapshot.head().height;
        assert!(matches!(snapshot.state_at(head + 1), Err(HistoryError::Ahead { .. })));
        assert!(matches!(snapshot.state_at(u64::MAX), Err(HistoryError::Ahead { .. })));
        for height in 0..snapshot.pruned_below() {
            assert!(matches!(snapshot.state_at(height), Err(HistoryError::Pruned { .. })));
        }
    }

    fn check_blocks(&self, snapshot: &Snapshot) {
        for (height, confirmed) in (0u64..).zip(&self.fixture.blocks) {
            let block = confirmed.value();
            assert_eq!(snapshot.block(height).unwrap().as_ref(), Some(block));
            assert_eq!(snapshot.header(height).unwrap().as_ref(), Some(block.header()));
            assert_eq!(snapshot.block_bytes(height).unwrap().as_ref(), Some(block.bytes()));
            assert_eq!(snapshot.hash_of(height).unwrap(), Some(block.hash()));
            assert_eq!(snapshot.height_of(block.hash()).unwrap(), Some(height));
            assert_eq!(snapshot.receipts(height).unwrap().as_deref(), Some(&confirmed.receipts()[..]));
            assert_eq!(snapshot.senders(height).unwrap().as_deref(), Some(&confirmed.senders()[..]));
            for (index, transaction) in (0u32..).zip(block.transactions()) {
                let location = snapshot.transaction_location(*transaction.tx_hash()).unwrap();
                assert_eq!(location, Some(TransactionLocation { height, index }));
                let expected = ConfirmedTransaction {
                    header: block.header().clone(),
                    transaction: transaction.clone(),
                    sender: confirmed.senders()[index as usize],
                    receipt: confirmed.receipts()[index as usize].clone(),
                };
                assert_eq!(snapshot.confirmed(TransactionLocation { height, index }).unwrap(), Some(expected));
            }
            for index in [block.transactions().len() as u32, u32::MAX] {
                assert_eq!(snapshot.confirmed(TransactionLocation { height, index }).unwrap(), None);
            }
            if height > snapshot.pruned_below() {
                let changes = snapshot.changes(height).unwrap();
                assert_eq!(changes.accounts, confirmed.changes().accounts);
                assert_eq!(changes.storage, confirmed.changes().storage);
            } else {
                assert!(snapshot.changes(height).is_err());
            }
        }
        let above = self.fixture.blocks.len() as u64;
        assert_eq!(snapshot.block(above).unwrap(), None);
        assert_eq!(snapshot.receipts(above).unwrap(), None);
        assert_eq!(snapshot.confirmed(TransactionLocation { height: above, index: 0 }).unwrap(), None);
        assert_eq!(StateReader::block_hash(snapshot, above).unwrap(), None);
    }

    /// By-address answers equal a scan over all blocks, page by page.
    fn check_addresses(&self, snapshot: &Snapshot) {
        let expected = scan(&self.fixture.blocks);
        for address in addresses() {
            let all = expected.get(&address).cloned().unwrap_or_default();
            for (direction, wanted) in [(Direction::Both, 7), (Direction::Sent, 1), (Direction::Received, 6)] {
                let newest_first = all.clone().into_iter().rev();
                let expected: Vec<_> = newest_first.filter(|(_, bits)| bits & wanted != 0).collect();
                let oldest_first: Vec<_> = expected.iter().rev().copied().collect();
                for limit in [1, 3, 1000] {
                    assert_eq!(pages(snapshot, address, direction, limit), expected, "{address} {direction:?} {limit}");
                    let start = (TransactionLocation { height: 0, index: 0 }, None);
                    let forward = pages_after(snapshot, address, direction, limit, start);
                    assert_eq!(forward, oldest_first, "forward: {address} {direction:?} {limit}");
                }
                check_windows(snapshot, address, direction, &oldest_first);
            }
        }
    }

    /// An account's history is the list of heights after which it was another one than before.
    fn check_histories(&self, snapshot: &Snapshot) {
        let (oldest, head) = (snapshot.pruned_below(), snapshot.head().height);
        for address in addresses() {
            let at = |height: u64| self.states[height as usize].accounts.get(&address).copied();
            let changed = (oldest + 1..=head).rev().filter(|height| at(*height) != at(height - 1));
            let expected: Vec<_> = changed.chain([oldest]).map(|height| (height, at(height))).collect();
            for limit in [1, 3, 1000] {
                assert_eq!(histories(snapshot, address, limit), expected, "{address} {limit}");
            }
            if let Some(below) = oldest.checked_sub(1) {
                let error = snapshot.account_history(address, Some(oldest), 9).unwrap_err();
                assert!(matches!(error, HistoryError::Pruned { height, .. } if height == below), "{error}");
            }
        }
    }

    /// Nothing is left over, and nothing is missing, in the tables that only other tables lead to.
    fn check_tables(&self, snapshot: &Snapshot) {
        let view = snapshot.view();
        let (_, nodes) = trie_of(&self.states[self.states.len() - 1]);
        assert_eq!(stored_trie(snapshot), nodes);
        assert_eq!(recomputed(snapshot).unwrap(), snapshot.head().state_root);
        let (first, head) = (snapshot.pruned_below() + 1, snapshot.head().height);
        let heights: Vec<u64> = view.change_sets.iter().unwrap().map(|row| row.unwrap().0.value()).collect();
        assert_eq!(heights, (first..=head).collect::<Vec<_>>());
        let kept = self.fixture.blocks.iter().filter(|block| (first..=head).contains(&block.value().height()));
        let changes: Vec<_> = kept.map(|block| block.changes()).collect();
        let rows = view.account_history.iter().unwrap().count();
        assert_eq!(rows, changes.iter().map(|changes| changes.accounts.len()).sum::<usize>());
        let rows = view.storage_history.iter().unwrap().count();
        assert_eq!(rows, changes.iter().map(|changes| changes.storage.len()).sum::<usize>());
        let transactions: usize = self.fixture.blocks.iter().map(|block| block.senders().len()).sum();
        assert_eq!(view.transactions.iter().unwrap().count(), transactions);
        let entries: usize = scan(&self.fixture.blocks).values().map(BTreeMap::len).sum();
        assert_eq!(view.addresses.iter().unwrap().count(), entries);
        for count in [view.blocks.iter().unwrap().count(), view.heights.iter().unwrap().count()] {
            assert_eq!(count, self.fixture.blocks.len());
        }
        for count in [view.receipts.iter().unwrap().count(), view.senders.iter().unwrap().count()] {
            assert_eq!(count, self.fixture.blocks.len());
        }
    }
}

/// Every row of both trie tables, as the updates that would write them.
fn stored_trie(snapshot: &Snapshot) -> TrieUpdates {
    let nibbles = |path: &[u8]| alloy_trie::Nibbles::from_nibbles(path);
    let mut nodes = TrieUpdates::default();
    for row in snapshot.view().account_trie.iter().unwrap() {
        let (path, node) = row.unwrap();
        nodes.nodes.insert((None, nibbles(path.value())), Some(node.value().to_vec().into()));
    }
    for row in snapshot.view().storage_trie.iter().unwrap() {
        let (key, node) = row.unwrap();
        let (owner, path) = key.value().split_at(32);
        let owner = alloy_primitives::B256::from_slice(owner);
        nodes.nodes.insert((Some(owner), nibbles(path)), Some(node.value().to_vec().into()));
    }
    nodes
}

/// Every row of every table, for comparing two databases.
pub(super) fn dump(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let view = store.view().unwrap();
    let mut rows = Vec::new();
    macro_rules! table {
        ($($name:ident),*) => {$(
            for row in view.$name.iter().unwrap() {
                let (key, value) = row.unwrap();
                rows.push((format!("{} {:?}", stringify!($name), key.value()).into(), format!("{:?}", value.value()).into()));
            }
        )*};
    }
    table!(blocks, block_hashes, heights, transactions, addresses, senders, receipts, accounts, storage, code);
    let blooms = view.blooms.as_ref().unwrap();
    rows.extend(blooms.iter().unwrap().map(|row| {
        let (key, value) = row.unwrap();
        (format!("blooms {}", key.value()).into(), value.value().to_vec())
    }));
    table!(account_history, storage_history, change_sets, account_trie, storage_trie, genesis, metadata);
    rows
}

fn addresses() -> impl Iterator<Item = Address> {
    (0..ACCOUNTS + 1).map(account).chain((0..CONTRACTS).map(contract))
}

fn check_state(reader: &impl StateReader, expected: &FlatState) {
    for address in addresses() {
        assert_eq!(reader.account(address).unwrap(), expected.accounts.get(&address).copied());
    }
    for address in (0..CONTRACTS).map(contract) {
        let slots: Vec<_> = expected
            .storage
            .range((address, U256::ZERO)..=(address, U256::MAX))
            .map(|((_, slot), value)| (*slot, *value))
            .collect();
        assert_eq!(reader.storage_slots(address).unwrap(), slots);
        for slot in 0..8u8 {
            let slot = U256::from(slot) << 200;
            let value = expected.storage.get(&(address, slot)).copied().unwrap_or_default();
            assert_eq!(reader.storage(address, slot).unwrap(), value);
        }
    }
    for account in expected.accounts.values().filter(|account| account.code_hash != alloy_primitives::KECCAK256_EMPTY) {
        assert_eq!(callboard_chain::keccak256(reader.code(account.code_hash).unwrap()), account.code_hash);
    }
}

type Entries = BTreeMap<TransactionLocation, u8>;

/// The address index, the slow way.
fn scan(blocks: &[Confirmed<Block>]) -> BTreeMap<Address, Entries> {
    use alloy_consensus::Transaction as _;
    let mut index: BTreeMap<Address, Entries> = BTreeMap::new();
    let mut add = |address, location, bit| *index.entry(address).or_default().entry(location).or_default() |= bit;
    for confirmed in blocks {
        let transactions = confirmed.value().transactions().iter().zip(confirmed.senders().iter());
        for (position, (transaction, sender)) in (0u32..).zip(transactions) {
            let location = TransactionLocation { height: confirmed.value().height(), index: position };
            add(*sender, location, 1);
            match transaction.to() {
                Some(to) => add(to, location, 2),
                None => add(sender.create(transaction.nonce()), location, 4),
            }
        }
    }
    index
}

fn pages(snapshot: &Snapshot, address: Address, direction: Direction, limit: usize) -> Vec<(TransactionLocation, u8)> {
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let page = snapshot.by_address(address, AddressQuery { before, after: None, limit, direction }).unwrap();
        assert!(page.entries.len() <= limit);
        all.extend(page.entries.iter().map(|entry| (entry.location, bits(entry.role))));
        match page.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

/// The walk from the oldest on, between two places.
fn pages_after(
    snapshot: &Snapshot,
    address: Address,
    direction: Direction,
    limit: usize,
    (mut after, before): (TransactionLocation, Option<TransactionLocation>),
) -> Vec<(TransactionLocation, u8)> {
    let mut all = Vec::new();
    loop {
        let query = AddressQuery { before, after: Some(after), limit, direction };
        let page = snapshot.by_address(address, query).unwrap();
        assert!(page.entries.len() <= limit);
        all.extend(page.entries.iter().map(|entry| (entry.location, bits(entry.role))));
        match page.next {
            Some(next) => {
                assert!(next > after, "a page goes forward");
                after = next;
            }
            None => return all,
        }
    }
}

/// Between two entries stand those in the middle, and after the last one nothing.
fn check_windows(
    snapshot: &Snapshot,
    address: Address,
    direction: Direction,
    oldest_first: &[(TransactionLocation, u8)],
) {
    let between = |after, before| pages_after(snapshot, address, direction, 1000, (after, before));
    let [(first, _), middle @ ..] = oldest_first else { return };
    let (last, inner) = middle.split_last().map_or((*first, middle), |((last, _), inner)| (*last, inner));
    assert_eq!(between(*first, Some(last)), inner);
    assert_eq!(between(last, None), []);
    assert_eq!(between(last, Some(*first)), []);
    assert_eq!(between(TransactionLocation { height: u64::MAX, index: u32::MAX }, None), []);
}

fn histories(snapshot: &Snapshot, address: Address, limit: usize) -> Vec<(u64, Option<Account>)> {
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let page = snapshot.account_history(address, before, limit).unwrap();
        assert!(page.states.len() <= limit);
        assert_eq!(page.pruned_below, Some(snapshot.pruned_below()).filter(|below| *below > 0));
        all.extend(page.states.iter().map(|state| (state.height, state.account)));
        match page.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

fn bits(role: Role) -> u8 {
    [(Role::SENDER, 1), (Role::RECIPIENT, 2), (Role::CREATED, 4)]
        .iter()
        .map(|(one, bit)| if role.contains(*one) { *bit } else { 0 })
        .sum()
}

/// What happens to the chain.
#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Vec<Action>>),
    /// Goes back by so many blocks, as far as possible.
    Rollback(u64),
    /// Prunes up to so many blocks below the head.
    Prune(u64),
}

fn action() -> impl Strategy<Value = Action> {
    let (from, contract) = (0..ACCOUNTS, 0..CONTRACTS);
    prop_oneof![
        4 => (from.clone(), 0..ACCOUNTS + 1, 0u64..2_000_000).prop_map(|(from, to, value)| Action::Transfer { from, to, value }),
        2 => (from.clone(), contract.clone(), 0u8..3).prop_map(|(from, contract, code)| Action::Deploy { from, contract, code }),
        5 => (from.clone(), contract.clone(), 0u8..8, 0u8..3)
            .prop_map(|(from, contract, slot, value)| Action::Store { from, contract, slot, value }),
        1 => (from, contract).prop_map(|(from, contract)| Action::Destroy { from, contract }),
    ]
}

fn blocks(most: usize) -> impl Strategy<Value = Vec<Vec<Action>>> {
    prop::collection::vec(prop::collection::vec(action(), 0..12), 1..most)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => blocks(6).prop_map(Step::Commit),
        2 => (0u64..8).prop_map(Step::Rollback),
        1 => (0u64..8).prop_map(Step::Prune),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_answer_equals_the_model_after_any_commits_rollbacks_and_prunings(
        steps in prop::collection::vec(step(), 1..10),
    ) {
        let mut compared = Compared::new();
        for step in steps {
            let head = compared.writer.head().height;
            let oldest = compared.store.snapshot().unwrap().pruned_below();
            match step {
                Step::Commit(blocks) => compared.commit(&blocks),
                Step::Rollback(by) => compared.rollback(head.saturating_sub(by).max(oldest)),
                Step::Prune(keep) => {
                    while !compared.writer.prune_history(head.saturating_sub(keep)).unwrap().done {}
                }
            }
            compared.check();
        }
    }

    #[test]
    fn one_batch_of_n_blocks_leaves_what_n_batches_of_one_leave(blocks in blocks(8)) {
        let (mut together, mut apart) = (Compared::new(), Compared::new());
        together.commit(&blocks);
        for block in blocks {
            apart.commit(&[block]);
            apart.salt = 0;
        }
        prop_assert_eq!(dump(&together.store), dump(&apart.store));
    }
}

#[test]
fn a_rollback_below_pruned_history_is_refused() {
    let mut compared = Compared::new();
    compared.commit(&vec![vec![Action::Transfer { from: 0, to: 1, value: 5 }]; 6]);
    compared.writer.prune_history(4).unwrap();
    let before = dump(&compared.store);
    assert!(matches!(compared.writer.rollback(3), Err(RollbackError::Pruned { to: 3, oldest: 4 })));
    assert!(matches!(compared.writer.rollback(7), Err(RollbackError::Ahead { to: 7, head: 6 })));
    assert_eq!(dump(&compared.store), before);
    compared.rollback(4);
    compared.check();
}

#[test]
fn a_rollback_that_does_not_lead_to_the_headers_root_changes_nothing() {
    let mut compared = Compared::new();
    compared.commit(&vec![vec![Action::Transfer { from: 0, to: 1, value: 5 }]; 3]);
    // One account's history says something else than what was there.
    let write = compared.writer.begin().unwrap();
    {
        let mut history = write.open_table(ACCOUNT_HISTORY).unwrap();
        let wrong = callboard_chain::Account { nonce: 99, ..Default::default() };
        history
            .insert(&crate::keys::account_at(account(0), 2), crate::codec::encode_account(&wrong).as_slice())
            .unwrap();
    }
    compared.write(write);
    let before = dump(&compared.store);
    let error = compared.writer.rollback(1).unwrap_err();
    assert!(matches!(error, RollbackError::StateRoot { to: 1, .. }), "{error}");
    assert!(error.is_fatal());
    assert_eq!(dump(&compared.store), before);
    assert_eq!(compared.writer.head().height, 3);
}

#[test]
fn a_wrong_account_or_slot_is_found_by_recomputing_the_root() {
    let mut compared = Compared::new();
    let deploy = Action::Deploy { from: 0, contract: 0, code: 1 };
    let set = Action::Store { from: 0, contract: 0, slot: 1, value: 7 };
    compared.commit(&[vec![deploy, set]]);
    let root = compared.writer.head().state_root;
    assert_eq!(recomputed(&compared.store.snapshot().unwrap()).unwrap(), root);
    let slot = U256::from(1) << 200;
    let write = compared.writer.begin().unwrap();
    crate::batch::write_storage(&write, &[((contract(0), slot), U256::from(8))].into()).unwrap();
    compared.write(write);
    let error = recomputed(&compared.store.snapshot().unwrap()).unwrap_err();
    assert!(matches!(error, crate::RootError::StorageRoot { address, .. } if address == contract(0)), "{error}");
    let write = compared.writer.begin().unwrap();
    crate::batch::write_storage(&write, &[((contract(0), slot), U256::from(7))].into()).unwrap();
    let account_0 = compared.fixture.state.accounts[&account(0)];
    let richer = callboard_chain::Account { balance: account_0.balance + U256::from(1), ..account_0 };
    crate::batch::write_accounts(&write, [(&account(0), Some(&richer))]).unwrap();
    compared.write(write);
    assert_ne!(recomputed(&compared.store.snapshot().unwrap()).unwrap(), root);
    let write = compared.writer.begin().unwrap();
    crate::batch::write_accounts(&write, [(&account(0), Some(&account_0))]).unwrap();
    crate::batch::write_storage(&write, &[((account(50), slot), U256::from(7))].into()).unwrap();
    compared.write(write);
    let error = recomputed(&compared.store.snapshot().unwrap()).unwrap_err();
    assert!(
        matches!(error, crate::RootError::Scan(crate::ScanError::Orphan { address }) if address == account(50)),
        "{error}"
    );
}

#[test]
fn accounts_are_listed_by_address() {
    let compared = Compared::new();
    let snapshot = compared.store.snapshot().unwrap();
    let all: Vec<_> = compared.fixture.state.accounts.clone().into_iter().collect();
    assert_eq!(snapshot.accounts(3).unwrap(), all[..3]);
    assert_eq!(snapshot.accounts(1000).unwrap(), all);
    assert_eq!(all.iter().map(|one| one.0).collect::<BTreeSet<_>>().len(), ACCOUNTS);
}
