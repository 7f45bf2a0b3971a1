//! What the core is told, what it wants done, and what it answers.

use super::given_up::GivenUp;
use crate::callboard::{Phase, Role};
use crate::transport::{NodeId, SealedHead};
use actix::Message;
use alloy_primitives::B256;
use callboard_chain::Block;
use std::collections::BTreeSet;
use std::time::Duration;

/// On an authority: a block carries its seal, and it lacks that block. Offered by the importer, which is about to import
/// the block; what is missing below it has to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct OwnBlockMet {
    /// The height of the block.
    pub height: u64,
}

/// A block that carries the authority's seal and differs from ours, whoever brought it, asked for or not. Offered by
/// whoever watches over seals; where the mailbox is full, the next block or status that shows it tells it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct OtherBlockMet {
    /// The block.
    pub block: KnownHead,
    /// The hash of our block of that height.
    pub ours: B256,
    /// Who brought it, where that is a node.
    pub from: Option<NodeId>,
    /// It stands on our block below it: here the chains part.
    pub stands_on_ours: bool,
}

/// A block that carries the authority's valid seal stands on our chain and cannot be confirmed, whoever brought it.
/// Offered by the importer; where the mailbox is full, fetching the block tells it again.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct UnconfirmableMet {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// What is wrong, in words.
    pub reason: String,
}

/// What the background check found of the stored chain. Signalled by assembly with each of its results.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct DamageFound {
    /// What is wrong, and what to do about it; `None` where nothing is.
    pub damaged: Option<String>,
}

/// From the peer server: a node that has a session here shows its head; the seal is checked. Offered; where the mailbox is
/// full, it is shown again.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct GuestStatus {
    /// Who.
    pub node_id: NodeId,
    /// Its head.
    pub head: SealedHead,
}

/// For whom an authority that starts waits beside the peers that it dials: nodes that dial it, and that it cannot dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedGuests {
    /// Those of earlier runs.
    These(BTreeSet<NodeId>),
    /// It has run before, and what it remembered is gone: whoever may come.
    Unknown,
}

impl Default for ExpectedGuests {
    /// Nobody.
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

/// Names one fetch for as long as the process lives.
pub type FetchId = u64;
/// Names one question to a peer for as long as the process lives.
pub type QuestionId = u64;

/// What the core is told once, at the start.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What this node is.
    pub role: Role,
    /// The chain's heartbeat, seconds.
    pub heartbeat_seconds: u64,
    /// The authority, and a follower with seeds, wait this long for their peers' first answers. A follower fetches a head
    /// that is stale only then: whoever answers first may show a dead branch.
    pub start_wait: Duration,
    /// Behind a sealed head and without a new block for this long, a node is stalled and fetches from another peer.
    pub stall_after: Duration,
    /// Most blocks between the confirmed head and the highest block asked for; at least 1.
    pub window_blocks: u64,
    /// Whether seeds are configured: then a follower is not in sync before one of them was heard.
    pub has_seeds: bool,
    /// The highest block that the authority ever sealed, as far as its high-water mark and what it remembers of its peers
    /// say.
    pub high_water: Option<u64>,
    /// Whose heads an authority waits for that it cannot ask.
    pub guests: ExpectedGuests,
    /// What the authority sealed and knowingly gave up, or what a follower's operator rolled back for another branch: it is
    /// no branch of anybody's, and is not taken back.
    pub given_up: GivenUp,
    /// Blocks of other branches, by height and hash, that the operator has accepted as known and dead.
    pub accepted: BTreeSet<(u64, B256)>,
    /// The durable head at the start.
    pub head: KnownHead,
}

/// The essence of a head whose header carries the authority's valid seal, or of our own durable head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownHead {
    /// Height.
    pub height: u64,
    /// Block hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
}

impl KnownHead {
    /// On one chain the newer head is the higher one. Of two branches the newer one is alive, whatever the heights: an
    /// authority that went back to an old backup is lower than those that have followed it before.
    pub(super) fn rank(&self) -> (u64, u64) {
        (self.timestamp, self.height)
    }
}

impl From<&Block> for KnownHead {
    fn from(block: &Block) -> Self {
        Self { height: block.height(), hash: block.hash(), timestamp: block.header().timestamp }
    }
}

impl From<&SealedHead> for KnownHead {
    fn from(head: &SealedHead) -> Self {
        Self { height: head.height(), hash: head.hash(), timestamp: head.timestamp() }
    }
}

/// Who shows another chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Witness {
    /// A peer of this chain's genesis.
    Peer(NodeId),
    /// A configured seed with another genesis, by its URL: no session stands.
    Seed(String),
    /// The sealed block itself, which somebody brought who is not asked for blocks.
    Block(B256),
}

impl std::fmt::Display for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Seed(url) => f.write_str(url),
            Self::Block(hash) => write!(f, "block {hash}"),
        }
    }
}

/// Two validly sealed chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The first differing height where `last_common_height` is known or the genesis differs; otherwise a height at
    /// which the difference was seen.
    pub height: u64,
    /// Our block there; `None` where we have none.
    pub ours: Option<B256>,
    /// The other block there.
    pub theirs: B256,
    /// Who shows it.
    pub witness: Witness,
    /// The highest height at which both chains agree; `None` where the genesis differs or it is not known yet.
    pub last_common_height: Option<u64>,
    /// The timestamp of the newest block that the other branch has shown, unix seconds.
    pub theirs_timestamp: u64,
}

/// A configured seed shows another genesis with this chain's id and authority: one of the two was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignGenesis {
    /// The seed's URL.
    pub seed: String,
    /// Hash of our genesis block.
    pub ours: B256,
    /// Hash of theirs.
    pub theirs: B256,
    /// Timestamp of the newest sealed block that the seed has shown, unix seconds.
    pub newest_timestamp: u64,
}

/// What the node is catching up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Who showed it.
    pub peer: NodeId,
    /// The sealed head.
    pub head: KnownHead,
}

/// How a fetch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchEnd {
    /// All that was asked for came.
    Done,
    /// The peer failed us: connection, deadline, refused bytes, fewer blocks than it has shown.
    Failed,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A block with the authority's valid seal, at the height asked for.
    Block {
        /// The peer's.
        theirs: KnownHead,
        /// The hash of the block below the peer's, by its header.
        parent: B256,
        /// The hash of ours at that height; `None` where we have none.
        ours: Option<B256>,
    },
    /// No answer, or one that is worth nothing.
    Failed,
}

/// Why a fetched block did not become part of this chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportEnd {
    /// Its seal is valid, and its parent, or the block of its height, is another one here. All blocks below it that
    /// were imported are durable when this is told.
    OtherChain {
        /// Who sent it.
        peer: NodeId,
        /// The block.
        block: KnownHead,
        /// Our block of its height; `None` where we have none.
        ours: Option<B256>,
    },
    /// It cannot be taken now, and nobody is to blame.
    NotNow {
        /// Who sent it.
        peer: NodeId,
    },
    /// The peer sent what it should not have.
    PeerFault {
        /// Who.
        peer: NodeId,
    },
    /// It is validly sealed, and this node cannot confirm it: this node or the authority is wrong.
    Fault {
        /// In words.
        reason: String,
    },
}

/// How a peer's sealed head stands to our chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has shown none.
    Unknown,
    /// We have the same block at that height.
    Agrees,
    /// It is above our head.
    Ahead,
    /// It shows a branch that differs from ours.
    Differs,
    /// It shows a branch that the operator has accepted as known and dead.
    Accepted,
}

/// What is known of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerFigures {
    /// Who.
    pub peer: NodeId,
    /// Its newest sealed head.
    pub head: Option<KnownHead>,
    /// How that stands to ours.
    pub standing: Standing,
}

/// What the core wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Fetch and verify these heights, both included, and keep them until they are handed to the importer in height
    /// order.
    FetchRange {
        /// Which fetch.
        id: FetchId,
        /// From whom.
        peer: NodeId,
        /// First height.
        from: u64,
        /// Last height.
        through: u64,
    },
    /// Fetch and verify what the peer confirms from this height on, for as long as it lasts.
    FollowLive {
        /// Which fetch.
        id: FetchId,
        /// From whom.
        peer: NodeId,
        /// First height.
        from: u64,
    },
    /// Give a fetch up; nothing more is told of it.
    StopFetch {
        /// Which.
        id: FetchId,
    },
    /// Forget every block that was fetched and not imported.
    DropStaged,
    /// Ask a peer for its block at a height, and tell it beside our own one.
    AskBlock {
        /// Which question.
        id: QuestionId,
        /// Whom.
        peer: NodeId,
        /// Height.
        height: u64,
    },
    /// Commit each block at once, or gather batches.
    Pace {
        /// Whether each block is a commit.
        each_block: bool,
    },
    /// The phase is another one.
    PhaseChanged(Phase),
    /// The authority may, or must not, propose.
    Permission {
        /// Whether it may.
        may_propose: bool,
    },
    /// A validly sealed chain that differs from ours, and is alive; again where more is known of it.
    Diverged(Divergence),
    /// A validly sealed branch that differs from ours, but nobody extends it any more.
    DeadBranchSeen(Divergence),
    /// The divergence told last is over: nobody shows that branch, or nobody extends it any more.
    DivergenceCleared(Divergence),
}
