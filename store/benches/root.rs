//! What it costs to hash the whole flat state, which the background check does once a round.
//!
//! `cargo bench -p callboard-store --bench root`

#[allow(dead_code, unreachable_pub)]
#[path = "../src/tests/fixture.rs"]
mod fixture;

use callboard_store::{NewChain, Store, StoreConfig};
use fixture::Fixture;
use std::time::Instant;

fn main() {
    // The first fit into memory; the others are sorted in files.
    for accounts in [10_000, 800_000] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (fixture, trie) = Fixture::new(accounts);
        let genesis = NewChain { chain_id: 1337, genesis_json: b"{}", genesis: fixture.genesis(), trie: &trie };
        let path = folder.path().join("chain.redb");
        let (store, _writer) = Store::create(path, &StoreConfig::default(), genesis).expect("an empty folder");
        let (begun, mut longest, mut last) = (Instant::now(), 0.0f64, Instant::now());
        let mut tell = |_| {
            longest = longest.max(last.elapsed().as_secs_f64());
            last = Instant::now();
            true
        };
        let root = store.state_root_at(0, folder.path(), &mut tell).expect("readable");
        let taken = begun.elapsed().as_secs_f64();
        assert_eq!(root, Some(store.snapshot().expect("readable").head().state_root));
        println!(
            "{accounts} accounts: {taken:.2} s, {:.1} µs an account, longest part {:.0} ms",
            taken * 1e6 / accounts as f64,
            longest * 1e3
        );
    }
}
