//! Long chains, built at once by the code that an authority runs, for tests and benches that need many blocks.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Signature, TxKind, U256};
use callboard::configuration::Configuration;
use callboard::{dev, start};
use callboard_chain::live::{LiveState, Proposal};
use callboard_chain::{Seal, SecretKey, Transaction};
use callboard_store::CommitBatch;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What may go wrong while a chain is built.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// The configuration of the authority whose chain this is: its heartbeat is longer than any run.
pub(crate) const AUTHORITY: &str = "[node]\ndev = true\n[genesis]\nheartbeat_s = 3600\n";

/// Blocks built between two commits.
const BATCH: u64 = 250;
/// What is kept in memory of the state while building.
const KEPT_NODES: usize = 400_000;

/// The data folder of a development authority in `home`, with `blocks` blocks of `transfers` transfers each.
pub(crate) fn build(home: &Path, blocks: u64, transfers: u64) -> Result<(), Failure> {
    std::fs::create_dir_all(home)?;
    let configuration = Configuration::from_toml(AUTHORITY, home)?;
    let mut chain = start::create(&configuration)?.chain.ok_or("a development chain is made at once")?;
    let config = Arc::new(chain.genesis.config().clone());
    let mut live = LiveState::new(config, chain.store.latest()?, chain.genesis.block().header().clone());
    let (authority, senders) = (dev::key(dev::AUTHORITY_ACCOUNT), (0..dev::FUNDED_ACCOUNTS).map(dev::key));
    let mut wallets: Vec<(SecretKey, u64)> = senders.map(|key| (key, 0)).collect();
    for height in 1..=blocks {
        let candidates =
            (0..transfers).map(|number| transfer(&mut wallets, height, number)).collect::<Result<_, _>>()?;
        let timestamp = live.head().timestamp.max(now().saturating_sub(60));
        let built = live.build(Proposal { timestamp, candidates }, &|| false)?;
        if built.transactions.len() as u64 != transfers {
            return Err(format!("block {height} holds {} transfers", built.transactions.len()).into());
        }
        live.seal_candidate(built.hash, Seal::sign(&authority, built.hash))?;
        if height % BATCH == 0 || height == blocks {
            let batch = live.take_batch().ok_or("blocks wait to be stored")?;
            chain.writer.commit(CommitBatch { blocks: batch.blocks, trie: batch.trie })?;
            live.on_durable(height, KEPT_NODES);
        }
    }
    Ok(())
}

/// One wei to an account of its own.
fn transfer(wallets: &mut [(SecretKey, u64)], height: u64, number: u64) -> Result<(Transaction, Address), Failure> {
    let place = usize::try_from(number)? % wallets.len();
    let (key, nonce) = &mut wallets[place];
    let to = Address::from_word(U256::from(height * 10_000 + number + 1).into());
    let unsigned = TxEip1559 {
        chain_id: 1337,
        nonce: *nonce,
        gas_limit: 21_000,
        to: TxKind::Call(to),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    *nonce += 1;
    let signature = Signature::from_raw_array(&key.sign(unsigned.signature_hash()))?;
    Ok((unsigned.into_signed(signature).into(), key.address()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
