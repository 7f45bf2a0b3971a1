//! What the sync coordinator is told, what it answers, and what its core wants done.

use crate::callboard::Phase;
use crate::transport::{NodeId, SealedHead};
use actix::Message;
use alloy_primitives::B256;

/// A stream of the coordinator's own ended. Signalled by the stream's task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StreamEnded {
    /// Which one; a late word of an older stream is dropped.
    pub(super) generation: u64,
    /// From whom it came.
    pub(super) peer: NodeId,
    /// How it ended.
    pub(super) outcome: StreamOutcome,
}

/// On an authority: a block carries its seal, and it lacks that block. Offered by the importer, which is about to import
/// the block; what is missing below it has to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct OwnBlockMet {
    /// The height of the block.
    pub height: u64,
}

/// The first height at which a peer's chain differs from ours was looked for. Signalled by the search's task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DifferenceFound {
    /// What was found.
    pub(super) outcome: StreamOutcome,
    /// Whose chain.
    pub(super) peer: NodeId,
}

/// What a peer that failed us did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerFault {
    /// Its connection or session broke, or it stopped answering.
    Broken,
    /// It sent what no honest node sends.
    Forged,
    /// It sent what an honest node may send in a bad moment.
    Odd,
}

/// How a stream of blocks ended.
#[derive(Debug)]
pub(super) enum StreamOutcome {
    /// All that was asked for is durable, or the node is stopping.
    Done,
    /// The peer failed us.
    PeerFailed {
        /// How, for people.
        reason: String,
        /// How bad it was.
        fault: PeerFault,
    },
    /// The routing table imports nothing in this phase.
    Refused(String),
    /// A validly sealed chain that is not ours.
    Diverged(Divergence),
    /// A validly sealed block that this node cannot confirm.
    LocalFault(String),
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

impl From<&SealedHead> for KnownHead {
    fn from(head: &SealedHead) -> Self {
        Self { height: head.height(), hash: head.hash(), timestamp: head.timestamp() }
    }
}

/// How a peer's sealed head compares with our own chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// We have the same block at that height.
    Agrees,
    /// It is above our head.
    Ahead,
    /// We have another block at that height.
    Differs {
        /// The hash of ours.
        ours: B256,
    },
}

/// Two validly sealed chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The height at which the difference was seen: the first differing one where `last_common_height` is known.
    pub height: u64,
    /// Our block there; `None` where we have none.
    pub ours: Option<B256>,
    /// The peer's block there.
    pub theirs: B256,
    /// The peer that showed it; `None` where a configured seed has another genesis, so that no session stands.
    pub peer: Option<NodeId>,
    /// That peer in words: its node id or address.
    pub shown_by: String,
    /// The highest height at which both chains agree; `None` where the genesis differs or it is not known yet.
    pub last_common_height: Option<u64>,
    /// The timestamp of the newest block that the other branch has shown, unix seconds.
    pub theirs_timestamp: u64,
}

/// What the node is catching up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Who showed it.
    pub peer: NodeId,
    /// The sealed head.
    pub head: KnownHead,
}

/// How a range or live stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchEnd {
    /// All that was asked for came and was imported, or the stream was stopped by us.
    Done,
    /// The peer failed us: connection, deadline, refused bytes.
    Failed,
}

/// What is known of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerFigures {
    /// Who.
    pub peer: NodeId,
    /// Its newest sealed head.
    pub head: Option<KnownHead>,
    /// It shows a block that differs from ours.
    pub differs: bool,
}

/// What the core wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Fetch, verify and import these heights, both included.
    FetchRange {
        /// From whom.
        peer: NodeId,
        /// First height.
        from: u64,
        /// Last height.
        through: u64,
    },
    /// Import what the peer confirms from this height on, for as long as it lasts.
    FollowLive {
        /// From whom.
        peer: NodeId,
        /// First height.
        from: u64,
    },
    /// End the stream that is open.
    StopStream,
    /// The phase is another one.
    PhaseChanged(Phase),
    /// The authority may, or must not, propose.
    Permission {
        /// Whether it may.
        may_propose: bool,
    },
    /// A validly sealed chain that differs from ours, and is alive.
    Diverged(Divergence),
    /// A validly sealed branch that differs from ours, but nobody extends it any more.
    DeadBranchSeen(Divergence),
    /// The peer that diverged now agrees, or is gone.
    DivergenceCleared {
        /// Who, in words.
        shown_by: String,
    },
}
