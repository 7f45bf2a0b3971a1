//! The whole state through random blocks, against alloy's roots computed from nothing.

use super::{Nodes, account, address, change, changes, slot};
use crate::{Account, AccountChange, BlockChanges, StateTrie, StorageChange, keccak256, trie::TrieError};
use alloy_primitives::{Address, B256, U256, map::B256Map};
use alloy_trie::{
    EMPTY_ROOT_HASH, TrieAccount,
    root::{state_root_unsorted, storage_root_unsorted},
};
use proptest::{collection::vec, prelude::*};
use std::collections::{BTreeMap, BTreeSet};

type Slots = BTreeMap<U256, U256>;

/// The state as plain maps. `storage_root` of the accounts in it is not kept up.
#[derive(Debug, Clone, Default)]
struct Model(BTreeMap<Address, (Account, Slots)>);

impl Model {
    fn storage_root(slots: &Slots) -> B256 {
        storage_root_unsorted(slots.iter().map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), *value)))
    }

    fn account(&self, address: &Address) -> Option<Account> {
        let (account, slots) = self.0.get(address)?;
        Some(Account { storage_root: Self::storage_root(slots), ..*account })
    }

    fn root(&self) -> B256 {
        let accounts = self.0.keys().map(|address| {
            let Account { nonce, balance, storage_root, code_hash } = self.account(address).unwrap();
            (keccak256(address), TrieAccount { nonce, balance, storage_root, code_hash })
        });
        state_root_unsorted(accounts.collect::<B256Map<_>>())
    }

    /// What turns `self` into `after`, as an executor reports it: storage roots after are not filled in.
    fn changes_to(&self, after: &Self) -> BlockChanges {
        let mut changes = BlockChanges::default();
        for address in self.0.keys().chain(after.0.keys()).copied().collect::<BTreeSet<_>>() {
            let [old, new] = [self, after].map(|model| model.0.get(&address).cloned().unwrap_or_default().1);
            for slot in old.keys().chain(new.keys()).copied().collect::<BTreeSet<_>>() {
                let [before, after] = [&old, &new].map(|slots| slots.get(&slot).copied().unwrap_or_default());
                if before != after {
                    changes.storage.push(StorageChange { address, slot, before, after });
                }
            }
            let (before, filled) = (self.account(&address), after.account(&address));
            if before != filled {
                let after = filled.map(|account| Account { storage_root: B256::repeat_byte(0xee), ..account });
                changes.accounts.push(AccountChange { address, before, after });
            }
        }
        changes
    }
}

#[derive(Debug, Clone)]
enum Action {
    Pay(u8, u64),
    Store(u8, u64, u64),
    Remove(u8),
}

#[derive(Debug, Clone)]
enum Step {
    Block(Vec<Action>),
    Revert,
    Commit,
    CommitAndShrink(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![
        4 => (0..40u8, 1..1000u64).prop_map(|(account, value)| Action::Pay(account, value)),
        6 => (0..10u8, 0..30u64, 0..3u64).prop_map(|(account, slot, value)| Action::Store(account, slot, value)),
        1 => (0..40u8).prop_map(Action::Remove),
    ];
    prop_oneof![
        6 => vec(action, 0..25).prop_map(Step::Block),
        2 => Just(Step::Revert),
        2 => Just(Step::Commit),
        2 => (0..60usize).prop_map(Step::CommitAndShrink),
        1 => Just(Step::Reopen),
    ]
}

struct Run {
    trie: StateTrie,
    nodes: Nodes,
    model: Model,
    /// The blocks so far: the state before, and the changes.
    blocks: Vec<(Model, BlockChanges)>,
}

impl Run {
    fn new() -> Self {
        Self { trie: StateTrie::new(EMPTY_ROOT_HASH), nodes: Nodes::default(), model: Model::default(), blocks: vec![] }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Block(actions) => self.block(actions),
            Step::Revert => self.revert(),
            Step::Commit => self.commit(),
            Step::CommitAndShrink(nodes) => {
                self.commit();
                self.trie.shrink(nodes);
                assert!(self.trie.loaded() <= nodes);
            }
            Step::Reopen => {
                self.commit();
                self.trie = StateTrie::new(self.model.root());
            }
        }
        assert_eq!(self.trie.root(), self.model.root());
    }

    fn block(&mut self, actions: Vec<Action>) {
        let before = self.model.clone();
        for action in actions {
            match action {
                Action::Pay(number, value) => {
                    self.model.0.entry(address(number)).or_default().0.balance += U256::from(value);
                }
                Action::Store(number, slot, value) => {
                    let (account, slots) = self.model.0.entry(address(number)).or_default();
                    account.nonce += 1;
                    match value {
                        0 => slots.remove(&U256::from(slot)),
                        _ => slots.insert(U256::from(slot), U256::from(value) << (slot % 36 * 7)),
                    };
                }
                Action::Remove(number) => drop(self.model.0.remove(&address(number))),
            }
        }
        let mut changes = before.changes_to(&self.model);
        assert_eq!(self.trie.apply(&self.nodes, &mut changes).unwrap(), self.model.root());
        for change in &changes.accounts {
            assert_eq!(change.after, self.model.account(&change.address), "the storage root is filled in");
        }
        self.blocks.push((before, changes));
    }

    fn revert(&mut self) {
        if let Some((before, changes)) = self.blocks.pop() {
            self.model = before;
            assert_eq!(self.trie.revert(&self.nodes, &changes).unwrap(), self.model.root());
        }
    }

    /// Commits, and compares what is stored with what a trie built at once stores.
    fn commit(&mut self) {
        self.nodes.apply(self.trie.take_updates());
        let mut fresh = StateTrie::new(EMPTY_ROOT_HASH);
        fresh.apply(&Nodes::default(), &mut Model::default().changes_to(&self.model)).unwrap();
        let mut expected = Nodes::default();
        expected.apply(fresh.take_updates());
        assert_eq!(self.nodes, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn state_is_what_alloy_computes_whatever_happens(steps in vec(step(), 1..40)) {
        let mut run = Run::new();
        steps.into_iter().for_each(|step| run.take(step));
        while !run.blocks.is_empty() {
            run.revert();
        }
        run.commit();
        assert_eq!(run.nodes, Nodes::default(), "nothing is left once every block is reverted");
    }
}

/// A state of 300 accounts, the first ten with 50 slots each, committed.
fn large() -> Run {
    let mut run = Run::new();
    run.block((0..=255).map(|number| Action::Pay(number, 5)).collect());
    run.block((0..500).map(|count| Action::Store((count % 10) as u8, count, 2)).collect());
    run.commit();
    run
}

#[test]
fn shrink_keeps_the_upper_trie_and_what_is_not_taken() {
    let mut run = large();
    run.block(vec![Action::Pay(200, 1), Action::Store(3, 1_000, 2)]);
    let loaded = run.trie.loaded();
    run.trie.shrink(loaded - 1);
    assert!((17..loaded).contains(&run.trie.loaded()), "{} of {loaded} nodes left", run.trie.loaded());
    run.trie.shrink(0);
    assert!(run.trie.loaded() > 0, "what is not taken stays");
    assert_eq!(run.trie.root(), run.model.root());
    run.commit();
    run.trie.shrink(0);
    assert_eq!(run.trie.loaded(), 0);
    run.block(vec![Action::Remove(3), Action::Store(4, 3, 1)]);
    run.commit();
}

#[test]
fn shrink_within_the_limit_drops_nothing() {
    let mut run = large();
    let loaded = run.trie.loaded();
    run.trie.shrink(loaded);
    assert_eq!(run.trie.loaded(), loaded);
}

#[test]
fn storage_that_was_emptied_leaves_nothing_in_memory_and_is_found_empty_again() {
    let mut run = Run::new();
    for (value, tries) in [(1, 10), (0, 0), (2, 10)] {
        run.block((0..10).map(|number| Action::Store(number, 7, value)).collect());
        run.commit();
        assert_eq!((run.trie.storage_tries(), run.trie.root()), (tries, run.model.root()));
    }
    run.block((0..10).map(Action::Remove).collect());
    run.commit();
    assert_eq!(run.trie.storage_tries(), 0);
}

#[test]
fn account_that_disappears_loses_all_stored_nodes_even_if_its_slots_are_not_listed() {
    let mut run = large();
    run.trie = StateTrie::new(run.model.root());
    let before = run.model.account(&address(4));
    run.model.0.remove(&address(4));
    run.trie.apply(&run.nodes, &mut changes(vec![change(4, before, None)], vec![])).unwrap();
    run.commit();
}

#[test]
fn account_created_again_in_one_block_starts_from_the_listed_slots() {
    let mut run = Run::new();
    run.block(vec![Action::Store(1, 1, 2), Action::Store(1, 2, 2), Action::Pay(2, 1)]);
    run.commit();
    run.block(vec![Action::Remove(1), Action::Store(1, 2, 1)]);
    run.commit();
    run.revert();
    run.commit();
}

#[test]
fn storage_of_an_unlisted_account_is_refused() {
    let mut trie = StateTrie::new(EMPTY_ROOT_HASH);
    for unlisted in [1, 5, 9] {
        let accounts = vec![change(3, None, Some(account(1))), change(7, None, Some(account(1)))];
        let mut changes = changes(accounts, vec![slot(unlisted, 1, 0, 1)]);
        let error = trie.apply(&Nodes::default(), &mut changes).unwrap_err();
        assert!(matches!(error, TrieError::AccountNotListed { address } if address == super::address(unlisted)));
    }
}

#[test]
fn storage_root_that_is_not_the_accounts_is_refused() {
    let mut trie = StateTrie::new(EMPTY_ROOT_HASH);
    let mut first = changes(vec![change(1, None, Some(account(1)))], vec![slot(1, 1, 0, 1)]);
    trie.apply(&Nodes::default(), &mut first).unwrap();
    let wrong = Account { storage_root: EMPTY_ROOT_HASH, ..account(1) };
    let mut second = changes(vec![change(1, Some(wrong), Some(account(2)))], vec![slot(1, 2, 0, 1)]);
    let error = trie.apply(&Nodes::default(), &mut second).unwrap_err();
    let actual = first.accounts[0].after.unwrap().storage_root;
    assert!(
        matches!(error, TrieError::StorageRoot { expected: EMPTY_ROOT_HASH, actual: a, .. } if a == actual),
        "{error}"
    );
}

#[test]
fn revert_that_does_not_lead_back_is_refused() {
    let mut trie = StateTrie::new(EMPTY_ROOT_HASH);
    let mut first = changes(vec![change(1, None, Some(account(1)))], vec![slot(1, 1, 0, 1)]);
    trie.apply(&Nodes::default(), &mut first).unwrap();
    let before = first.accounts[0].after;
    let mut second = changes(vec![change(1, before, Some(account(2)))], vec![slot(1, 1, 1, 2)]);
    trie.apply(&Nodes::default(), &mut second).unwrap();
    second.storage[0].before = U256::from(7);
    let error = trie.revert(&Nodes::default(), &second).unwrap_err();
    assert!(matches!(error, TrieError::StorageRoot { expected, .. } if expected == before.unwrap().storage_root));
}
