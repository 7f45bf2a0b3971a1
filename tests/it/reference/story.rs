//! The chain that the reference tells of, and the nodes that it asks. Keys and times are fixed, so hashes are.

use crate::forge::{Forge, import, sign, transfer, unsigned, with_body};
use crate::support::node::Node;
use alloy_consensus::TxLegacy;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use callboard::dev;
use callboard_actors::rpc_frontend::TransactionProof;
use callboard_chain::proof::prove_transaction;
use callboard_chain::{Block, Transaction};

/// 2026-01-01T00:00:00Z.
const BEGAN: u64 = 1_767_225_600;
/// Blocks that the node has before it is asked.
const KNOWN: u64 = 3;

/// Of which node something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// One that has blocks from its operator only.
    Alone,
    /// The same, later: it follows an authority.
    Following,
    /// Another that was shown two blocks of one height.
    Diverged,
}

/// What the examples ask about.
pub(super) struct Facts {
    /// Accounts 0 to 3.
    pub(super) accounts: Vec<Address>,
    /// Blocks 1 to 6.
    pub(super) blocks: Vec<Block>,
    /// Blocks 5 and 6 with other transactions than their own.
    pub(super) damaged: [Block; 2],
    /// A block whose parent is nowhere.
    pub(super) far: Block,
    /// What waits in the pool.
    pub(super) pending: Transaction,
    /// What is still to be sent.
    pub(super) new: Transaction,
    forge: Forge,
}

impl Facts {
    pub(super) fn new() -> Self {
        let mut forge = Forge::at(BEGAN);
        let accounts: Vec<Address> = (0..4).map(|index| dev::key(index).address()).collect();
        let ether = TxLegacy { value: U256::from(10).pow(U256::from(18)), ..unsigned(0, accounts[1], 0) };
        let sign = |transaction, from| sign(transaction, &dev::key(from));
        let blocks = vec![
            forge.extend(&[sign(ether, 0)]),
            forge.extend(&[sign(message(1, accounts[1], "hello"), 0), transfer(1, 0, 5)]),
            forge.extend(&[sign(message(1, accounts[0], "hello to you"), 1)]),
            forge.extend(&[transfer(0, 2, 7)]),
            forge.extend(&[transfer(0, 3, 7), transfer(1, 2, 9)]),
            forge.extend(&[transfer(0, 4, 7)]),
        ];
        let far = forge.extend(&[]);
        let damaged = [4, 5].map(|index| with_body(&blocks[index], vec![transfer(0, index as u64 - 1, 8)]));
        Self { accounts, blocks, damaged, far, pending: transfer(2, 0, 3), new: transfer(3, 0, 4), forge }
    }

    /// The hash of a confirmed transaction.
    pub(super) fn transaction(&self, height: usize) -> B256 {
        *self.blocks[height - 1].transactions()[0].tx_hash()
    }

    /// Its bytes.
    pub(super) fn raw_transaction(&self, height: usize) -> Bytes {
        raw(&self.blocks[height - 1].transactions()[0])
    }

    /// The proof of a confirmed transaction.
    pub(super) fn proof(&self, height: usize) -> TransactionProof {
        prove_transaction(&self.blocks[height - 1], 0).expect("it has one").into()
    }

    /// A proof that proves nothing.
    pub(super) fn wrong_proof(&self, height: usize) -> TransactionProof {
        TransactionProof { index: 1, ..self.proof(height) }
    }
}

/// A transaction that says something.
fn message(nonce: u64, to: Address, text: &str) -> TxLegacy {
    TxLegacy { input: Bytes::copy_from_slice(text.as_bytes()), gas_limit: 30_000, ..unsigned(nonce, to, 0) }
}

/// The canonical bytes of a transaction.
pub(super) fn raw(transaction: &Transaction) -> Bytes {
    transaction.encoded_2718().into()
}

/// The nodes.
pub(super) struct Story {
    pub(super) facts: Facts,
    node: Node,
    peer: Option<Node>,
}

impl Story {
    pub(super) fn new() -> Self {
        let facts = Facts::new();
        let mut node = facts.forge.follower();
        node.set("rpc.admin", "127.0.0.1:0").start();
        (1..=KNOWN).for_each(|height| import(&node, &facts.blocks[height as usize - 1]));
        node.send(&[raw(&facts.pending)]);
        Self { facts, node, peer: None }
    }

    /// The node to ask next.
    pub(super) fn turn_to(&mut self, at: At) -> &Node {
        match at {
            At::Alone => {}
            At::Following => self.follow(),
            At::Diverged => self.diverge(),
        }
        &self.node
    }

    /// An authority over the same blocks seals another at once, because the last one is old; the node gets it.
    fn follow(&mut self) {
        let height = self.node.height();
        self.node.stop();
        let mut authority = Node::authority();
        authority.set("genesis.file", "genesis.json");
        std::fs::copy(self.node.path("genesis.json"), authority.path("genesis.json")).expect("copied");
        std::fs::create_dir_all(authority.data("")).expect("a folder");
        std::fs::copy(self.node.database(), authority.database()).expect("copied");
        authority.start().reaches(height + 1);
        self.node.follow(&[&authority]).start().reaches(height + 1);
        self.node.is_phase("following");
        self.peer = Some(authority);
    }

    /// A new node, with one block 1, that follows one with another.
    fn diverge(&mut self) {
        let with_first = |block: &Block| {
            let mut node = self.facts.forge.follower();
            node.set("rpc.admin", "127.0.0.1:0").start();
            import(&node, block);
            node
        };
        let other = with_first(&self.facts.forge.twin().extend(&[transfer(0, 0, 2)]));
        let mut node = with_first(&self.facts.blocks[0]);
        node.stop().follow(&[&other]).start().is_phase("diverged");
        (self.node, self.peer) = (node, Some(other));
    }
}
