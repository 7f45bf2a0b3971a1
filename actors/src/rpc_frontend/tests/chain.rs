//! A real chain in a real store, built by the chain's own proposer code.

use crate::rpc_frontend::{Chain, ChainAccess};
use crate::testing::{StoredChain, key};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip7702, TxLegacy};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use callboard_chain::genesis::{Genesis, GenesisAccount, SealedGenesis};
use callboard_chain::keys::SecretKey;
use callboard_chain::{BaseFeePolicy, Block, ChainConfig, Hardfork, Transaction};
use callboard_store::{Durable, Store, StoreConfig, StoreWriter};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The chain's id.
pub(super) const CHAIN_ID: u64 = 1337;
/// Timestamp of block 0; each block is a second later than its parent.
pub(super) const GENESIS_TIME: u64 = 1_700_000_000;
/// A contract: reverts with `Error("no")` when called with data, otherwise emits a log with topic 7 and returns 42.
pub(super) const CONTRACT: Address = Address::repeat_byte(0xcc);
/// A contract that never ends by itself.
pub(super) const ENDLESS: Address = Address::repeat_byte(0xee);

/// A chain and the keys that can move it.
pub(super) struct TestChain {
    pub(super) access: ChainAccess,
    pub(super) genesis: SealedGenesis,
    chain: StoredChain,
}

/// A chain that can be read, and whose database was changed behind its back.
pub(super) struct TamperedChain {
    pub(super) access: ChainAccess,
    _writer: StoreWriter,
    _folder: tempfile::TempDir,
}

/// The authority.
pub(super) fn authority() -> SecretKey {
    key(1)
}

/// An account with 10 ether, by number from 2.
pub(super) fn user(number: u8) -> SecretKey {
    key(number)
}

fn config(policy: BaseFeePolicy) -> ChainConfig {
    ChainConfig {
        chain_id: CHAIN_ID,
        name: "rpc".to_owned(),
        authority: authority().address(),
        forks: vec![(Hardfork::Osaka, 0)],
        base_fee_policy: policy,
        initial_base_fee: if policy == BaseFeePolicy::Zero { 0 } else { 1_000_000_000 },
        gas_limit: 30_000_000,
        max_block_bytes: 1_000_000,
        heartbeat_seconds: 60,
    }
}

fn alloc() -> BTreeMap<Address, GenesisAccount> {
    let rich = |balance: u128| GenesisAccount { balance: U256::from(balance), ..GenesisAccount::default() };
    let mut alloc: BTreeMap<_, _> = (2..5).map(|number| (user(number).address(), rich(10u128.pow(19)))).collect();
    let code = |code: Vec<u8>| GenesisAccount { code: code.into(), nonce: 1, ..GenesisAccount::default() };
    let storage = BTreeMap::from([(U256::ZERO, U256::from(0x2a))]);
    alloc.insert(CONTRACT, GenesisAccount { storage, ..code(contract_code()) });
    // JUMPDEST PUSH1 0 JUMP
    alloc.insert(ENDLESS, code(vec![0x5b, 0x60, 0x00, 0x56]));
    alloc
}

fn contract_code() -> Vec<u8> {
    let mut code = Vec::new();
    let revert_at = 21;
    code.extend([0x36, 0x60, revert_at, 0x57]); // CALLDATASIZE PUSH1 revert JUMPI
    code.extend([0x60, 0x07, 0x5f, 0x5f, 0xa1]); // PUSH1 7 PUSH0 PUSH0 LOG1
    code.extend([0x60, 0x2a, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]); // MSTORE 42, RETURN 32 bytes
    code.resize(usize::from(revert_at), 0xfe);
    let reason_at = revert_at + 11;
    code.extend([0x5b, 0x60, 0x64, 0x60, reason_at, 0x5f, 0x39, 0x60, 0x64, 0x5f, 0xfd]); // copy and REVERT 100 bytes
    code.extend(revert_data());
    code
}

/// `Error("no")` as Solidity encodes it.
pub(super) fn revert_data() -> Vec<u8> {
    let mut data = vec![0x08, 0xc3, 0x79, 0xa0];
    data.extend(U256::from(32).to_be_bytes::<32>());
    data.extend(U256::from(2).to_be_bytes::<32>());
    data.extend(*b"no");
    data.resize(100, 0);
    data
}

impl TestChain {
    /// Block 0 of a chain with free gas.
    pub(super) fn new() -> Self {
        Self::with(BaseFeePolicy::Zero)
    }

    pub(super) fn with(policy: BaseFeePolicy) -> Self {
        let genesis = Genesis { config: config(policy), timestamp: GENESIS_TIME, alloc: alloc() }.with_predeploys();
        let genesis = SealedGenesis::seal(genesis, &authority()).unwrap();
        let chain = StoredChain::new(genesis.clone());
        let access = accessible(&genesis, &chain.store);
        Self { access, genesis, chain }
    }

    /// Seals and stores a block of these transactions.
    pub(super) fn extend(&mut self, transactions: &[Transaction]) -> Block {
        self.extend_durably(transactions).value().clone()
    }

    /// Forgets the state of all blocks below this one.
    pub(super) fn prune(&mut self, below: u64) {
        self.chain.writer.prune_history(below).unwrap();
    }

    /// Adds so many empty blocks.
    pub(super) fn extend_by(&mut self, blocks: u64) {
        for height in 1..=blocks {
            self.chain.seal(&[]);
            if height.is_multiple_of(1_000) || height == blocks {
                self.chain.store();
            }
        }
    }

    /// Takes the chain back, as an operator does.
    pub(super) fn roll_back(&mut self, to: u64) {
        self.chain.roll_back(to);
    }

    /// Changes its database in a way that no node does. Nobody reads the chain meanwhile.
    pub(super) fn tamper(self, change: impl FnOnce(&redb::WriteTransaction)) -> TamperedChain {
        let Self { access, genesis, chain: StoredChain { store, writer, live, folder, .. } } = self;
        drop((access, store, writer, live));
        let path = folder.path().join("chain.redb");
        let database = redb::Database::open(&path).unwrap();
        let write = database.begin_write().unwrap();
        change(&write);
        write.commit().unwrap();
        drop(database);
        let (store, writer) = Store::open(&path, &StoreConfig::default(), None).unwrap();
        TamperedChain { access: accessible(&genesis, &store), _writer: writer, _folder: folder }
    }

    /// As [`Self::extend`]; the block as the store gives it out.
    pub(super) fn extend_durably(&mut self, transactions: &[Transaction]) -> Durable<Block> {
        self.chain.seal(transactions);
        self.chain.store().pop().unwrap()
    }
}

fn accessible(genesis: &SealedGenesis, store: &Store) -> ChainAccess {
    let access = ChainAccess::new();
    access.open(Chain { store: store.clone(), config: Arc::new(genesis.config().clone()) });
    access
}

/// Signs anything that can be signed.
pub(super) fn sign<T>(transaction: T, key: &SecretKey) -> Transaction
where
    T: SignableTransaction<Signature>,
    Transaction: From<alloy_consensus::Signed<T>>,
{
    let signature = key.sign(transaction.signature_hash());
    transaction.into_signed(Signature::from_raw_array(&signature).unwrap()).into()
}

/// A legacy transfer at gas price 0, as ethers sends it.
pub(super) fn legacy(nonce: u64) -> TxLegacy {
    TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_price: 0,
        gas_limit: 21_000,
        to: TxKind::Call(user(3).address()),
        value: U256::from(1_000),
        input: Bytes::new(),
    }
}

/// A type 2 transaction with a tip of 1 wei, as cast sends it.
pub(super) fn dynamic(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(CONTRACT),
        ..TxEip1559::default()
    }
}

/// A type 4 transaction that authorizes nothing.
pub(super) fn delegating(nonce: u64) -> TxEip7702 {
    TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 1,
        to: user(3).address(),
        ..TxEip7702::default()
    }
}
