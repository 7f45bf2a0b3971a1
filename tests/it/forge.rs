//! An authority in the test's own hands: a chain sealed with the development authority's key, block by block, and
//! blocks that are wrong in any way wanted.

use crate::support::node::{Node, SOON};
use crate::support::until;
use alloy_consensus::{Header, SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_trie::Nibbles;
use callboard::dev;
use callboard_chain::genesis::{Genesis, GenesisAccount, SealedGenesis};
use callboard_chain::keys::SecretKey;
use callboard_chain::live::{LiveState, Proposal};
use callboard_chain::proof::transactions_root;
use callboard_chain::transaction::recover_sender;
use callboard_chain::trie::StateTrie;
use callboard_chain::{BaseFeePolicy, Block, ChainConfig, Hardfork, Seal, StateReadError, Transaction, TrieReader};
use callboard_store::{CommitBatch, LatestState, NewChain, Store, StoreConfig, StoreWriter};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The chain's id.
pub(crate) const CHAIN_ID: u64 = 1337;

/// The authority's key.
pub(crate) fn authority() -> SecretKey {
    dev::key(dev::AUTHORITY_ACCOUNT)
}

/// A chain that the test extends.
pub(crate) struct Forge {
    pub(crate) genesis: SealedGenesis,
    store: Store,
    writer: StoreWriter,
    live: LiveState<LatestState>,
    /// Besides those of [`Self::new`].
    accounts: u64,
    _folder: tempfile::TempDir,
}

impl Forge {
    /// Block 0 of a chain on which development accounts 0 to 3 are rich.
    pub(crate) fn new() -> Self {
        Self::with_name("forge")
    }

    /// The same, of a chain of this name.
    pub(crate) fn with_name(name: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        // Blocks are a second apart, and none is to lie in the future.
        Self::over(config(name), now - 1_000, 0)
    }

    /// The same as [`Self::new`], with this many accounts besides.
    pub(crate) fn with_accounts(count: u64) -> Self {
        let timestamp = Self::new().genesis.block().header().timestamp;
        Self::over(config("forge"), timestamp, count)
    }

    /// The same, of a chain whose configuration differs in this.
    pub(crate) fn with(change: impl FnOnce(&mut ChainConfig)) -> Self {
        let mut config = config("forge");
        change(&mut config);
        Self::over(config, Self::new().genesis.block().header().timestamp, 0)
    }

    /// A chain on which everything is as it was the last time, times and hashes included. Its blocks are old.
    pub(crate) fn at(timestamp: u64) -> Self {
        Self::over(config("forge"), timestamp, 0)
    }

    /// Another chain over the same block 0.
    pub(crate) fn twin(&self) -> Self {
        Self::over(self.genesis.config().clone(), self.genesis.block().header().timestamp, self.accounts)
    }

    fn over(config: ChainConfig, timestamp: u64, accounts: u64) -> Self {
        let rich = GenesisAccount { balance: dev::balance(), ..GenesisAccount::default() };
        let mut alloc: BTreeMap<_, _> = (0..4).map(|index| (dev::key(index).address(), rich.clone())).collect();
        let numbered = |number: u64| Address::from_word(U256::from((1u128 << 100) + u128::from(number)).into());
        alloc.extend((0..accounts).map(|number| (numbered(number), rich.clone())));
        let genesis = Genesis { config: config.clone(), timestamp, alloc }.with_predeploys();
        let genesis = SealedGenesis::seal(genesis, &authority()).expect("a genesis");
        let mut trie = StateTrie::new(alloy_trie::EMPTY_ROOT_HASH);
        trie.apply(&Nothing, &mut genesis.changes()).expect("applied");
        let new = NewChain {
            chain_id: CHAIN_ID,
            genesis_json: genesis.json(),
            genesis: &genesis.confirmed(),
            trie: &trie.take_updates(),
        };
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("chain.redb");
        let (store, writer) = Store::create(path, &StoreConfig::default(), new).expect("created");
        let base = store.latest();
        let live = LiveState::new(Arc::new(config), base, genesis.block().header().clone());
        Self { genesis, store, writer, live, accounts, _folder: folder }
    }

    /// A follower of this chain that has its genesis from a file and knows nobody.
    pub(crate) fn follower(&self) -> Node {
        let mut node = Node::follower("follower", &[]);
        std::fs::write(node.path("genesis.json"), self.genesis.json()).expect("written");
        node.set("genesis.file", "genesis.json");
        node
    }

    /// Seals the next block with these transactions, a second after the last.
    pub(crate) fn extend(&mut self, transactions: &[Transaction]) -> Block {
        let timestamp = self.live.head().timestamp + 1;
        self.extend_at(timestamp, transactions)
    }

    /// The same, with this timestamp.
    pub(crate) fn extend_at(&mut self, timestamp: u64, transactions: &[Transaction]) -> Block {
        let with_sender =
            |transaction: &Transaction| (transaction.clone(), recover_sender(transaction).expect("signed"));
        let candidates = transactions.iter().map(with_sender).collect();
        let built = self.live.build(Proposal { timestamp, candidates }, &|| false).expect("built");
        assert_eq!(built.skipped, [], "valid transactions");
        let seal = Seal::sign(&authority(), built.hash);
        let block = self.live.seal_candidate(built.hash, seal).expect("sealed").value().clone();
        let batch = self.live.take_batch().expect("a block");
        self.writer.commit(CommitBatch { blocks: batch.blocks, trie: batch.trie }).expect("committed");
        self.live.on_durable(block.height(), 1_000);
        block
    }

    /// Seals `count` blocks, each with a transfer from account 0.
    pub(crate) fn extend_by(&mut self, count: u64) -> Vec<Block> {
        let first = self.live.head().number;
        (first..first + count).map(|nonce| self.extend(&[transfer(0, nonce, 1)])).collect()
    }

    /// All of its blocks but block 0.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let snapshot = self.store.snapshot().expect("readable");
        let block = |height| snapshot.block(height).expect("readable").expect("a block");
        (1..=snapshot.head().height).map(block).collect()
    }

    /// The header of a confirmed block.
    pub(crate) fn header(&self, height: u64) -> Header {
        self.store.snapshot().expect("readable").header(height).expect("readable").expect("a block")
    }
}

fn config(name: &str) -> ChainConfig {
    ChainConfig {
        chain_id: CHAIN_ID,
        name: name.to_owned(),
        authority: authority().address(),
        forks: vec![(Hardfork::Osaka, 0)],
        base_fee_policy: BaseFeePolicy::Zero,
        initial_base_fee: 0,
        gas_limit: 30_000_000,
        max_block_bytes: 8_388_608,
        heartbeat_seconds: 3_600,
    }
}

struct Nothing;

impl TrieReader for Nothing {
    fn trie_node(&self, _: Option<B256>, _: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(None)
    }
}

/// Signs anything that can be signed.
pub(crate) fn sign<T>(transaction: T, key: &SecretKey) -> Transaction
where
    T: SignableTransaction<Signature>,
    Transaction: From<alloy_consensus::Signed<T>>,
{
    let signature = key.sign(transaction.signature_hash());
    transaction.into_signed(Signature::from_raw_array(&signature).expect("a signature")).into()
}

/// A transfer at gas price 0, unsigned.
pub(crate) fn unsigned(nonce: u64, to: Address, value: u64) -> TxLegacy {
    TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_price: 0,
        gas_limit: 21_000,
        to: TxKind::Call(to),
        value: U256::from(value),
        input: Bytes::new(),
    }
}

/// A transfer of a development account to the next one.
pub(crate) fn transfer(from: u32, nonce: u64, value: u64) -> Transaction {
    sign(unsigned(nonce, dev::key(from + 1).address(), value), &dev::key(from))
}

/// The block with another header, under its old seal.
pub(crate) fn with_header(block: &Block, falsify: impl FnOnce(&mut Header)) -> Block {
    let mut header = block.header().clone();
    falsify(&mut header);
    Block::from_parts(header, block.transactions().to_vec(), *block.seal())
}

/// The block with other transactions, under its old header and seal.
pub(crate) fn with_body(block: &Block, transactions: Vec<Transaction>) -> Block {
    Block::from_parts(block.header().clone(), transactions, *block.seal())
}

/// What a wrong authority would send: the same header and transactions, sealed anew.
pub(crate) fn sealed_again(block: &Block) -> Block {
    Block::sealed(block.header().clone(), block.transactions().to_vec(), &authority())
}

/// The block with the transactions root of its transactions, sealed anew.
pub(crate) fn consistent(block: &Block) -> Block {
    let root = transactions_root(block.transactions());
    sealed_again(&with_header(block, |header| header.transactions_root = root))
}

/// What `importBlock` takes.
pub(crate) fn posted(block: &Block) -> Value {
    json!({ "raw": block.bytes() })
}

/// Posts a block that is taken. A node listens a moment before it imports: until then it says 503.
#[track_caller]
pub(crate) fn import(node: &Node, block: &Block) {
    let expected = json!({ "success": true, "imported": true, "height": block.height(), "hash": block.hash() });
    let answer = until("the node imports", SOON, || {
        let answer = node.post("/rpc/importBlock", &posted(block));
        (answer.0 != 503).then_some(answer)
    });
    assert_eq!(answer, (200, expected), "block {}", block.height());
}
