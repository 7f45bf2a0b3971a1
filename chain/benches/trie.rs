//! What the state root costs: blocks of 100 transfers, each touching 2 random accounts, nodes read from memory.
//!
//! `cargo bench -p callboard-chain --bench trie [accounts…]` prints microseconds per transfer.

#![allow(missing_docs)]

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use callboard_chain::{
    Account, AccountChange, BlockChanges, StateReadError, StateTrie, TrieReader, TrieUpdates, keccak256,
};
use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

const TRANSFERS: usize = 100;
const BLOCKS: usize = 300;
const BLOCKS_PER_COMMIT: usize = 100;

#[derive(Default)]
struct Nodes(HashMap<(Option<B256>, Nibbles), Bytes>);

impl Nodes {
    fn apply(&mut self, updates: TrieUpdates) {
        for (position, node) in updates.nodes {
            match node {
                Some(node) => self.0.insert(position, node),
                None => self.0.remove(&position),
            };
        }
    }
}

impl TrieReader for Nodes {
    fn trie_node(&self, owner: Option<B256>, path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(self.0.get(&(owner, *path)).cloned())
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same blocks in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit
    }
}

fn address(number: usize) -> Address {
    Address::from_slice(&keccak256((number as u64).to_be_bytes())[12..])
}

struct Chain {
    random: Random,
    accounts: Vec<(Address, Account)>,
}

impl Chain {
    fn genesis(count: usize) -> (Self, BlockChanges) {
        let account =
            |number| (address(number), Account { balance: U256::from(10).pow(U256::from(20)), ..Account::default() });
        let mut accounts: Vec<_> = (0..count).map(account).collect();
        accounts.sort_unstable_by_key(|(address, _)| *address);
        let created = accounts.iter().map(|(address, account)| AccountChange {
            address: *address,
            before: None,
            after: Some(*account),
        });
        let changes = BlockChanges { accounts: created.collect(), ..BlockChanges::default() };
        (Self { random: Random(1), accounts }, changes)
    }

    fn block(&mut self) -> BlockChanges {
        let mut touched = BTreeMap::new();
        for _ in 0..TRANSFERS {
            let amount = U256::from(1 + self.random.below(1_000_000));
            let [from, to] = [0, 1].map(|_| self.random.below(self.accounts.len()));
            for number in [from, to] {
                touched.entry(number).or_insert(self.accounts[number].1);
            }
            let sender = &mut self.accounts[from].1;
            sender.nonce += 1;
            sender.balance -= amount;
            self.accounts[to].1.balance += amount;
        }
        let changed = touched.into_iter().map(|(number, before)| {
            let (address, after) = self.accounts[number];
            AccountChange { address, before: Some(before), after: Some(after) }
        });
        BlockChanges { accounts: changed.collect(), ..BlockChanges::default() }
    }
}

fn per_transfer(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / (BLOCKS * TRANSFERS) as f64
}

fn measure(count: usize, max_nodes: usize) {
    let (mut chain, mut genesis) = Chain::genesis(count);
    let mut nodes = Nodes::default();
    let mut trie = StateTrie::new(EMPTY_ROOT_HASH);
    let start = Instant::now();
    let root = trie.apply(&nodes, &mut genesis).expect("readable nodes");
    let built = start.elapsed();
    nodes.apply(trie.take_updates());
    let mut trie = StateTrie::new(root);
    let [mut apply, mut take, mut shrink] = [Duration::ZERO; 3];
    let mut taken = 0;
    // The first blocks load the trie and are not measured.
    for number in 0..BLOCKS * 2 {
        let mut block = chain.block();
        let start = Instant::now();
        trie.apply(&nodes, &mut block).expect("readable nodes");
        let applied = start.elapsed();
        apply += if number < BLOCKS { Duration::ZERO } else { applied };
        if number % BLOCKS_PER_COMMIT == BLOCKS_PER_COMMIT - 1 {
            let start = Instant::now();
            let updates = trie.take_updates();
            let measured = if number < BLOCKS { Duration::ZERO } else { start.elapsed() };
            taken += if number < BLOCKS { 0 } else { updates.nodes.len() };
            take += measured;
            nodes.apply(updates);
            let start = Instant::now();
            trie.shrink(max_nodes);
            shrink += if number < BLOCKS { Duration::ZERO } else { start.elapsed() };
        }
    }
    println!(
        "{count:>9} accounts: root {:.2}, updates {:.2} ({:.2} nodes), shrink {:.2} µs per transfer; {} nodes in memory; genesis {:.2} µs per account",
        per_transfer(apply),
        per_transfer(take),
        taken as f64 / (BLOCKS * TRANSFERS) as f64,
        per_transfer(shrink),
        trie.loaded(),
        built.as_secs_f64() * 1e6 / count as f64,
    );
}

fn hash_cost() {
    for length in [20, 32, 104, 532] {
        let mut data = vec![7u8; length];
        let start = Instant::now();
        for _ in 0..100_000 {
            let hash = keccak256(&data);
            data[0] = hash[0];
        }
        println!("keccak256 of {length} bytes: {:.3} µs", start.elapsed().as_secs_f64() * 10.0);
    }
}

fn main() {
    let counts: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    hash_cost();
    let counts = if counts.is_empty() { vec![1_000, 100_000] } else { counts };
    for count in counts {
        measure(count, usize::MAX);
    }
}
