//! Long chains, built at once by the code that an authority runs, for tests and benches that need many blocks.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use callboard::configuration::Configuration;
use callboard::{dev, start};
use callboard_chain::live::{LiveState, Proposal};
use callboard_chain::{Seal, SecretKey, Transaction};
use callboard_store::{CommitBatch, LatestState};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What may go wrong while a chain is built.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A transaction and who sends it.
pub(crate) type Candidate = (Transaction, Address);

/// The configuration of the authority whose chain this is: its heartbeat is longer than any run.
pub(crate) const AUTHORITY: &str = "[node]\ndev = true\n[genesis]\nheartbeat_s = 3600\n";

/// Blocks built between two commits.
const BATCH: u64 = 250;
/// What is kept in memory of the state while building.
const KEPT_NODES: usize = 400_000;

/// A chain that grows block by block.
pub(crate) struct Builder {
    chain: start::Chain,
    live: LiveState<LatestState>,
    authority: SecretKey,
    height: u64,
}

impl Builder {
    /// Block 0 of a development chain, in the data folder of `home`.
    pub(crate) fn new(home: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(home)?;
        let configuration = Configuration::from_toml(AUTHORITY, home)?;
        let chain = start::create(&configuration)?.chain.ok_or("a development chain is made at once")?;
        let config = Arc::new(chain.genesis.config().clone());
        let live = LiveState::new(config, chain.store.latest(), chain.genesis.block().header().clone());
        Ok(Self { chain, live, authority: dev::key(dev::AUTHORITY_ACCOUNT), height: 0 })
    }

    /// The height of the newest block.
    #[allow(dead_code, reason = "the benches use it")]
    pub(crate) fn height(&self) -> u64 {
        self.height
    }

    /// Seals the next block with all of these transactions.
    pub(crate) fn block(&mut self, candidates: Vec<Candidate>) -> Result<(), Failure> {
        let (live, count, height) = (&mut self.live, candidates.len(), self.height + 1);
        let timestamp = live.head().timestamp.max(now().saturating_sub(60));
        let built = live.build(Proposal { timestamp, candidates }, &|| false)?;
        if built.transactions.len() != count {
            let (holds, skipped) = (built.transactions.len(), built.skipped.first());
            return Err(format!("block {height} holds {holds} of {count} transactions: {skipped:?}").into());
        }
        live.seal_candidate(built.hash, Seal::sign(&self.authority, built.hash))?;
        self.height = height;
        if height.is_multiple_of(BATCH) { self.commit() } else { Ok(()) }
    }

    /// Makes what is left durable, and closes the database.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.commit()
    }

    fn commit(&mut self) -> Result<(), Failure> {
        if let Some(batch) = self.live.take_batch() {
            self.chain.writer.commit(CommitBatch { blocks: batch.blocks, trie: batch.trie })?;
            self.live.on_durable(self.height, KEPT_NODES);
        }
        Ok(())
    }
}

/// An account that sends, and its next nonce.
pub(crate) struct Wallet {
    key: SecretKey,
    address: Address,
    nonce: u64,
    chain_id: u64,
    max_fee_per_gas: u128,
}

impl Wallet {
    /// One that has sent nothing.
    pub(crate) fn new(key: SecretKey) -> Self {
        Self { address: key.address(), key, nonce: 0, chain_id: 1337, max_fee_per_gas: 0 }
    }

    /// The same account on another chain, after `nonce` transactions.
    #[allow(dead_code, reason = "the benches use it")]
    pub(crate) fn on(self, chain_id: u64, nonce: u64, max_fee_per_gas: u128) -> Self {
        Self { chain_id, nonce, max_fee_per_gas, ..self }
    }

    /// Those that a development chain gives a balance.
    pub(crate) fn funded() -> Vec<Self> {
        (0..dev::FUNDED_ACCOUNTS).map(|index| Self::new(dev::key(index))).collect()
    }

    /// Its address.
    #[allow(dead_code, reason = "the benches use it")]
    pub(crate) fn address(&self) -> Address {
        self.address
    }

    /// The address of the contract that its next transaction makes, if it makes one.
    #[allow(dead_code, reason = "the benches use it")]
    pub(crate) fn next_contract(&self) -> Address {
        self.address.create(self.nonce)
    }

    /// Signs its next transaction.
    pub(crate) fn sign(&mut self, to: TxKind, value: u64, input: Bytes, gas_limit: u64) -> Result<Candidate, Failure> {
        let unsigned = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            max_fee_per_gas: self.max_fee_per_gas,
            gas_limit,
            to,
            value: U256::from(value),
            input,
            ..TxEip1559::default()
        };
        self.nonce += 1;
        let signature = Signature::from_raw_array(&self.key.sign(unsigned.signature_hash()))?;
        Ok((unsigned.into_signed(signature).into(), self.address))
    }

    /// Signs a transfer.
    pub(crate) fn transfer(&mut self, to: Address, value: u64) -> Result<Candidate, Failure> {
        self.sign(TxKind::Call(to), value, Bytes::new(), 21_000)
    }
}

/// The data folder of a development authority in `home`, with `blocks` blocks of `transfers` transfers each: one wei
/// to an account of its own.
pub(crate) fn build(home: &Path, blocks: u64, transfers: u64) -> Result<(), Failure> {
    let (mut builder, mut wallets) = (Builder::new(home)?, Wallet::funded());
    for height in 1..=blocks {
        let transfer = |number: u64| {
            let place = usize::try_from(number)? % wallets.len();
            wallets[place].transfer(Address::from_word(U256::from(height * 10_000 + number + 1).into()), 1)
        };
        builder.block((0..transfers).map(transfer).collect::<Result<_, _>>()?)?;
    }
    builder.finish()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
