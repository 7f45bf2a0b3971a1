//! What a block costs at different batch sizes, and what opening costs after a kill.
//!
//! `cargo bench -p callboard-store`

#[allow(dead_code, unreachable_pub)]
#[path = "../src/tests/fixture.rs"]
mod fixture;

use callboard_store::{CommitBatch, NewChain, Store, StoreConfig, StoreWriter};
use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use fixture::{Action, Fixture};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ACCOUNTS: usize = 10_000;
const TRANSFERS: usize = 100;

/// Blocks of the file that is opened after a kill.
const KILLED_BLOCKS: usize = 1_024;

struct Chain {
    folder: TempDir,
    fixture: Fixture,
    writer: StoreWriter,
}

impl Chain {
    fn new(config: StoreConfig) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (fixture, trie) = Fixture::new(ACCOUNTS);
        let genesis = NewChain { chain_id: 1337, genesis_json: b"{}", genesis: fixture.genesis(), trie: &trie };
        let path = folder.path().join("chain.redb");
        let (_, writer) = Store::create(path, &config, genesis).expect("an empty folder");
        Self { folder, fixture, writer }
    }

    /// The next `blocks` blocks, ready to be committed.
    fn batch(&mut self, blocks: usize) -> CommitBatch {
        let first = self.writer.head().height as usize + 1;
        let blocks = (first..first + blocks).map(|height| self.fixture.add(&transfers(height), 1)).collect();
        self.fixture.blocks.drain(..self.fixture.blocks.len() - 1);
        CommitBatch { blocks, trie: self.fixture.take_updates() }
    }

    /// The file as a kill would leave it now.
    fn killed(&self) -> PathBuf {
        let copy = self.folder.path().join("killed.redb");
        std::fs::copy(self.folder.path().join("chain.redb"), &copy).expect("a copy");
        copy
    }
}

fn transfers(height: usize) -> Vec<Action> {
    // Steps prime to the number of accounts, so that senders and recipients are spread over all of them.
    let number = |step: usize, index: usize| (height * TRANSFERS + index) * step % ACCOUNTS;
    (0..TRANSFERS).map(|index| Action::Transfer { from: number(7, index), to: number(13, index), value: 1 }).collect()
}

fn commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit, 100 transfers a block");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(1));
    for blocks in [1, 64, 1_024] {
        let mut chain = Chain::new(StoreConfig::default());
        group.throughput(Throughput::Elements(blocks as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{blocks} blocks")), |bencher| {
            bencher.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let batch = chain.batch(blocks);
                    let start = Instant::now();
                    chain.writer.commit(batch).expect("a commit");
                    spent += start.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

fn open_after_a_kill(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open after a kill");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for quick_repair in [true, false] {
        let config = StoreConfig { quick_repair, ..StoreConfig::default() };
        let mut chain = Chain::new(config);
        for _ in 0..KILLED_BLOCKS / 64 {
            let batch = chain.batch(64);
            chain.writer.commit(batch).expect("a commit");
        }
        let name = if quick_repair { "quick repair" } else { "full repair" };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || chain.killed(),
                |path| Store::open(path, &config, None).expect("a repaired file"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, commit, open_after_a_kill);
criterion_main!(benches);
