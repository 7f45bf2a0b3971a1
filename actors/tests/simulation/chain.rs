//! The chain that the nodes run, the keys of its people, and what a checked block or head need not be checked twice.

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use callboard_actors::transport::wire::StatusBody;
use callboard_actors::transport::{NodeId, PeerUrl, SealedHead, StatusError};
use callboard_chain::genesis::{Genesis, GenesisAccount, SealedGenesis};
use callboard_chain::verify::{VerifyError, child_header, verify_block};
use callboard_chain::{BaseFeePolicy, Block, ChainConfig, Hardfork, SecretKey, Transaction, Verified};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The wall clock when a simulation begins, unix seconds.
pub(crate) const WALL_AT_START: u64 = 1_700_000_000;
/// The chain's heartbeat, seconds: short, so that a run sees many of them.
pub(crate) const HEARTBEAT: u64 = 5;
/// Most nodes and liars of one simulation.
pub(crate) const PLACES: usize = 24;
const CHAIN_ID: u64 = 1337;

/// Everything that no seed changes, made once.
pub(crate) struct Fixtures {
    pub(crate) authority: SecretKey,
    /// Seals as nobody on this chain may.
    pub(crate) impostor: SecretKey,
    pub(crate) genesis: SealedGenesis,
    /// What the authority would begin anew: the same chain id and key, another genesis.
    pub(crate) other_genesis: SealedGenesis,
    pub(crate) config: Arc<ChainConfig>,
    /// Transfers of one account, by nonce.
    pub(crate) transfers: Vec<(Transaction, Address)>,
    /// Blocks that the authority sealed before the simulation began and that nobody extends.
    pub(crate) dead_branch: Vec<Block>,
    /// Of nodes and liars, by place.
    pub(crate) ids: Vec<NodeId>,
    /// Ids cost nothing: what a banned liar calls itself next.
    pub(crate) spare_ids: Vec<NodeId>,
    pub(crate) urls: Vec<PeerUrl>,
}

pub(crate) static FIXTURES: LazyLock<Fixtures> = LazyLock::new(Fixtures::new);

impl Fixtures {
    fn new() -> Self {
        let (authority, impostor, payer) = (key(1), key(2), key(3));
        let genesis = genesis(&authority, &payer, WALL_AT_START - 100);
        let config = Arc::new(genesis.config().clone());
        Self {
            other_genesis: self::genesis(&authority, &payer, WALL_AT_START - 99),
            transfers: (0..96).map(|nonce| (transfer(&payer, nonce), payer.address())).collect(),
            dead_branch: dead_branch(&genesis, &authority),
            ids: (0..PLACES).map(|place| NodeId::of(&key(100 + place as u8))).collect(),
            spare_ids: (0..40).map(|number| NodeId::of(&key(150 + number))).collect(),
            urls: (0..PLACES).map(url).collect(),
            authority,
            impostor,
            genesis,
            config,
        }
    }

    pub(crate) fn place_of(&self, url: &PeerUrl) -> Option<usize> {
        self.urls.iter().position(|other| other == url)
    }
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes([byte; 32]).expect("a small number is a key")
}

/// The address of a place; there is nobody where no place is.
pub(crate) fn url(place: usize) -> PeerUrl {
    format!("http://10.0.0.{place}:8600").parse().expect("it is an address")
}

fn genesis(authority: &SecretKey, payer: &SecretKey, timestamp: u64) -> SealedGenesis {
    let config = ChainConfig {
        chain_id: CHAIN_ID,
        name: "simulated".to_owned(),
        authority: authority.address(),
        forks: vec![(Hardfork::Osaka, 0)],
        base_fee_policy: BaseFeePolicy::Zero,
        initial_base_fee: 0,
        gas_limit: 30_000_000,
        max_block_bytes: 1 << 20,
        heartbeat_seconds: HEARTBEAT,
    };
    let rich = GenesisAccount { balance: U256::from(1_000_000), ..GenesisAccount::default() };
    let alloc = BTreeMap::from([(payer.address(), rich)]);
    SealedGenesis::seal(Genesis { config, timestamp, alloc }, authority).expect("it is a valid genesis")
}

fn transfer(payer: &SecretKey, nonce: u64) -> Transaction {
    let to = TxKind::Call(Address::with_last_byte(nonce as u8 % 8 + 1));
    let unsigned = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_price: 0,
        gas_limit: 21_000,
        to,
        value: U256::ONE,
        input: Bytes::new(),
    };
    let bytes = payer.sign(unsigned.signature_hash());
    unsigned.into_signed(Signature::from_bytes_and_parity(&bytes[..64], bytes[64] == 1)).into()
}

/// Empty blocks change no state, so they are valid on it: only seals and parents tell this branch from a live one.
fn dead_branch(genesis: &SealedGenesis, authority: &SecretKey) -> Vec<Block> {
    let mut parent = genesis.block().clone();
    let mut branch = Vec::new();
    for _ in 0..60 {
        parent = empty_child(&parent, 0, genesis.config(), authority);
        branch.push(parent.clone());
    }
    branch
}

/// An empty block on `parent`, sealed with `key`; its time is not below its parent's.
pub(crate) fn empty_child(parent: &Block, timestamp: u64, config: &ChainConfig, key: &SecretKey) -> Block {
    let timestamp = timestamp.max(parent.header().timestamp);
    Block::sealed(child_header(parent.header(), timestamp, config), Vec::new(), key)
}

/// Verdicts that depend on bytes alone are kept: the same block and the same head reach every node.
#[derive(Default)]
pub(crate) struct Memo {
    blocks: BTreeMap<Bytes, Result<Verified<Block>, VerifyError>>,
    heads: BTreeMap<(Bytes, Bytes, u64, B256, u64), SealedHead>,
}

impl Memo {
    pub(crate) fn verify_block(&mut self, bytes: &Bytes) -> Result<Verified<Block>, VerifyError> {
        if let Some(known) = self.blocks.get(bytes) {
            return known.clone();
        }
        let verified = verify_block(bytes.clone(), &FIXTURES.config);
        self.blocks.insert(bytes.clone(), verified.clone());
        verified
    }

    /// The block, if its seal is the authority's.
    pub(crate) fn verify_seal(&mut self, bytes: &Bytes) -> Option<Block> {
        if let Some(Ok(known)) = self.blocks.get(bytes) {
            return Some(known.value().clone());
        }
        let block = Block::decode(bytes.clone()).ok()?;
        block.seal().verify(block.hash(), FIXTURES.config.authority).is_ok().then_some(block)
    }

    pub(crate) fn verify_head(&mut self, body: &StatusBody) -> Result<SealedHead, StatusError> {
        let key = (body.header.clone(), body.seal.clone(), body.height, body.hash, body.timestamp);
        if let Some(known) = self.heads.get(&key) {
            return Ok(known.clone());
        }
        let head = SealedHead::verify(body, FIXTURES.config.authority, FIXTURES.config.commitment())?;
        self.heads.insert(key, head.clone());
        Ok(head)
    }
}
