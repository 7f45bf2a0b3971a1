//! A node in the test's own hands that dials a real one, and keeps to the protocol.

use super::node::Node;
use alloy_primitives::Bytes;
use callboard_actors::callboard::Role;
use callboard_actors::peer_discovery::chain_identity;
use callboard_actors::transport::client::{BlockStream, Pace, PeerClient, Reach, Session};
use callboard_actors::transport::hello::Identity;
use callboard_actors::transport::wire::TransactionResult;
use callboard_actors::transport::{BootId, ChainFacts};
use callboard_chain::{Block, SealedGenesis, SecretKey};
use std::time::Duration;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(40);

/// A session with a node.
pub(crate) struct Guest {
    runtime: tokio::runtime::Runtime,
    session: Session,
}

impl Guest {
    /// Says hello to the node under a key made of `number`.
    pub(crate) fn of(node: &Node, number: u8) -> Self {
        let genesis = SealedGenesis::from_json(&node.peer_get("genesis")).expect("a genesis");
        let identity = Identity {
            key: SecretKey::from_bytes([number; 32]).expect("a key"),
            boot_id: BootId([number; 16]),
            genesis_hash: genesis.hash(),
            chain: ChainFacts::of(&genesis),
            role: Role::Follower,
            advertise: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let url = node.peer_url().parse().expect("a URL");
        let session = runtime.block_on(async {
            let client = PeerClient::new(Pace::default(), None).expect("a client");
            client.hello(&url, Reach::Anywhere, &identity, chain_identity(&genesis), None).await.expect("a session")
        });
        Self { runtime, session }
    }

    /// Hands in one transaction.
    pub(crate) fn submit(&self, transaction: &Bytes) -> TransactionResult {
        let submitted = self.session.submit(std::slice::from_ref(&transaction.0));
        self.runtime.block_on(submitted).expect("answered").remove(0).result
    }

    /// Pushes a block.
    pub(crate) fn push(&self, block: &Block) {
        self.runtime.block_on(self.session.push_block(block.bytes().0.clone())).expect("taken");
    }

    /// Follows from a height on.
    pub(crate) fn follow(&self, from: u64) -> Following<'_> {
        let stream = self.runtime.block_on(self.session.follow(from, PATIENCE)).expect("a stream");
        Following { guest: self, stream }
    }
}

/// A stream of blocks.
pub(crate) struct Following<'a> {
    guest: &'a Guest,
    stream: BlockStream,
}

impl Following<'_> {
    /// The next block.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Block {
        let bytes = self.guest.runtime.block_on(self.stream.next_block()).expect("a frame");
        Block::decode(bytes.expect("no end").into()).expect("a block")
    }
    /// Takes so many blocks without a look at them.
    #[track_caller]
    pub(crate) fn pass(&mut self, count: u64) {
        self.guest.runtime.block_on(async {
            for _ in 0..count {
                self.stream.next_block().await.expect("a frame").expect("no end");
            }
        });
    }
}
