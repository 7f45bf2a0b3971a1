//! A small real chain in a temporary directory, for the tests of several actors.

use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use callboard_chain::genesis::{Genesis, GenesisAccount, SealedGenesis};
use callboard_chain::live::{LiveState, Proposal};
use callboard_chain::trie::StateTrie;
use callboard_chain::{
    BaseFeePolicy, Block, ChainConfig, Hardfork, Seal, SecretKey, StateReadError, Transaction, TrieReader,
    transaction::recover_sender,
};
use callboard_store::{CommitBatch, Durable, LatestState, NewChain, Store, StoreConfig, StoreWriter};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys of tests, by number. Key 1 is the authority's.
pub(crate) fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes([byte; 32]).unwrap()
}

/// The genesis of the chain with this id, on which key 9 has 1,000 wei.
pub(crate) fn genesis(chain_id: u64, gas_limit: u64) -> SealedGenesis {
    let config = ChainConfig {
        chain_id,
        name: "test".to_owned(),
        authority: key(1).address(),
        forks: vec![(Hardfork::Osaka, 0)],
        base_fee_policy: BaseFeePolicy::Zero,
        initial_base_fee: 0,
        gas_limit,
        max_block_bytes: 1 << 20,
        heartbeat_seconds: 60,
    };
    let rich = GenesisAccount { balance: U256::from(1_000), ..GenesisAccount::default() };
    let alloc = BTreeMap::from([(key(9).address(), rich)]);
    SealedGenesis::seal(Genesis { config, timestamp: 1_000, alloc }, &key(1)).unwrap()
}

/// A chain on disk, and the state after its newest block.
pub(crate) struct StoredChain {
    pub(crate) genesis: SealedGenesis,
    pub(crate) store: Store,
    pub(crate) writer: StoreWriter,
    pub(crate) live: LiveState<LatestState>,
    pub(crate) folder: tempfile::TempDir,
}

impl StoredChain {
    /// Block 0.
    pub(crate) fn new(genesis: SealedGenesis) -> Self {
        let mut trie = StateTrie::new(EMPTY_ROOT_HASH);
        trie.apply(&Nothing, &mut genesis.changes()).unwrap();
        let chain = NewChain {
            chain_id: genesis.config().chain_id,
            genesis_json: genesis.json(),
            genesis: &genesis.confirmed(),
            trie: &trie.take_updates(),
        };
        let folder = tempfile::tempdir().unwrap();
        let small = StoreConfig { cache_bytes: 4 << 20, ..StoreConfig::default() };
        let (store, writer) = Store::create(folder.path().join("chain.redb"), &small, chain).unwrap();
        let config = Arc::new(genesis.config().clone());
        let live = LiveState::new(config, store.latest(), genesis.block().header().clone());
        Self { genesis, store, writer, live, folder }
    }

    /// Seals the next block, which is not stored yet.
    pub(crate) fn seal(&mut self, transactions: &[Transaction]) -> Block {
        let with_sender = |transaction: &Transaction| (transaction.clone(), recover_sender(transaction).unwrap());
        let candidates = transactions.iter().map(with_sender).collect();
        let timestamp = self.live.head().timestamp + 1;
        let built = self.live.build(Proposal { timestamp, candidates }, &|| false).unwrap();
        assert_eq!(built.skipped, [], "a test's transactions are valid");
        self.live.seal_candidate(built.hash, Seal::sign(&key(1), built.hash)).unwrap().value().clone()
    }

    /// Stores what was sealed.
    pub(crate) fn store(&mut self) -> Vec<Durable<Block>> {
        let batch = self.live.take_batch().unwrap();
        let durable = self.writer.commit(CommitBatch { blocks: batch.blocks, trie: batch.trie }).unwrap();
        self.live.on_durable(self.live.head().number, 1_000);
        durable
    }
}

impl StoredChain {
    /// Takes the chain back to the block at this height.
    pub(crate) fn roll_back(&mut self, to: u64) {
        self.writer.rollback(to).unwrap();
        let header = self.store.snapshot().unwrap().header(to).unwrap().unwrap();
        let config = Arc::new(self.genesis.config().clone());
        self.live = LiveState::new(config, self.store.latest(), header);
    }
}

struct Nothing;

impl TrieReader for Nothing {
    fn trie_node(&self, _: Option<B256>, _: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(None)
    }
}
