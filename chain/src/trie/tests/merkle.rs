//! One trie against the reference, with keys that meet: short, over few nibbles, and some of them prefixes of others.

use super::{Nodes, reference};
use crate::trie::{MerkleTrie, TrieUpdates};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles};
use proptest::{collection::vec, prelude::*, sample::select};

#[derive(Debug, Clone)]
enum Step {
    Set(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    Clear,
    Root,
    Commit,
    Cut(usize),
    Reopen,
}

fn step(key: impl Strategy<Value = Vec<u8>> + Clone) -> impl Strategy<Value = Step> {
    let value = prop_oneof![vec(1..3u8, 1..3), vec(any::<u8>(), 1..70)];
    prop_oneof![
        12 => (key.clone(), value).prop_map(|(key, value)| Step::Set(key, value)),
        10 => key.prop_map(Step::Remove),
        1 => Just(Step::Clear),
        2 => Just(Step::Root),
        4 => Just(Step::Commit),
        3 => (0..6usize).prop_map(Step::Cut),
        2 => Just(Step::Reopen),
    ]
}

struct Run {
    trie: MerkleTrie,
    nodes: Nodes,
    values: reference::Values,
}

impl Run {
    fn new() -> Self {
        Self { trie: MerkleTrie::new(None, EMPTY_ROOT_HASH), nodes: Nodes::default(), values: Default::default() }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Set(key, value) => self.set(key, value),
            Step::Remove(key) => self.set(key, Vec::new()),
            Step::Clear => {
                self.trie.clear(&self.nodes).unwrap();
                self.values.clear();
            }
            Step::Root => assert_eq!(self.trie.root(), reference::build(&self.values).0),
            Step::Commit => self.commit(),
            Step::Cut(depth) => self.trie.cut(0, depth),
            Step::Reopen => {
                self.commit();
                self.trie = MerkleTrie::new(None, self.trie.root());
            }
        }
    }

    fn set(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.trie.set(&self.nodes, &Nibbles::from_nibbles(&key), &value).unwrap();
        if value.is_empty() {
            self.values.remove(&key)
        } else {
            self.values.insert(key, value)
        };
    }

    /// Commits, and compares what is stored with what the reference stores: no node missing, none left over.
    fn commit(&mut self) {
        let mut updates = TrieUpdates::default();
        self.trie.take_updates(&mut updates);
        self.nodes.apply(updates);
        let (root, expected) = reference::build(&self.values);
        assert_eq!(self.trie.root(), root);
        let stored: Vec<_> = self.nodes.0.iter().map(|((_, path), node)| (*path, node.clone())).collect();
        assert_eq!(stored, expected.into_iter().collect::<Vec<_>>());
    }

    fn finish(mut self) {
        self.commit();
        for (key, value) in self.values.clone() {
            assert_eq!(self.trie.get(&self.nodes, &Nibbles::from_nibbles(key)).unwrap(), Some(value));
        }
        let leaves = self.trie.leaves(&self.nodes).unwrap();
        let expected = self.values.into_iter().map(|(key, value)| (Nibbles::from_nibbles(key), value));
        assert_eq!(leaves, expected.collect::<Vec<_>>());
    }
}

fn run(steps: Vec<Step>) {
    let mut run = Run::new();
    steps.into_iter().for_each(|step| run.take(step));
    run.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn trie_of_keys_of_one_length_is_the_reference_whatever_happens(
        steps in vec(step(vec(select(vec![0u8, 1, 15]), 5)), 1..60)
    ) {
        run(steps);
    }

    #[test]
    fn trie_with_keys_that_are_prefixes_of_others_is_the_reference_whatever_happens(
        steps in vec(step(vec(select(vec![0u8, 15]), 0..6)), 1..60)
    ) {
        run(steps);
    }

    #[test]
    fn reference_agrees_with_the_hash_builder_of_alloy(
        values in proptest::collection::btree_map(vec(0..4u8, 6), vec(any::<u8>(), 1..50), 1..30)
    ) {
        let mut builder = HashBuilder::default();
        values.iter().for_each(|(key, value)| builder.add_leaf(Nibbles::from_nibbles(key), value));
        prop_assert_eq!(reference::build(&values).0, builder.root());
    }
}

#[test]
fn updates_hold_only_the_nodes_on_the_changed_path() {
    let mut run = Run::new();
    (0..=255u8).for_each(|number| run.set(vec![number >> 4, number & 15, 3], vec![number; 40]));
    run.commit();
    run.set(vec![4, 2, 3], vec![7; 40]);
    let mut updates = TrieUpdates::default();
    run.trie.take_updates(&mut updates);
    let paths: Vec<_> = updates.nodes.keys().map(|(_, path)| path.to_vec()).collect();
    assert_eq!(paths, [vec![], vec![4], vec![4, 2]]);
    assert!(updates.nodes.values().all(Option::is_some));
}

#[test]
fn writing_the_same_value_again_changes_nothing() {
    let mut run = Run::new();
    run.set(vec![1, 2], vec![1; 40]);
    run.set(vec![1, 3], vec![2; 40]);
    run.commit();
    run.set(vec![1, 2], vec![1; 40]);
    run.set(vec![2, 2], Vec::new());
    let mut updates = TrieUpdates::default();
    run.trie.take_updates(&mut updates);
    assert_eq!(updates, TrieUpdates::default());
}
