//! Why a hello failed.

use super::super::NodeId;
use alloy_primitives::B256;
use callboard_chain::Blame;

/// A hello was refused, on either side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The message is not what belongs here.
    #[error("the hello message is malformed: {reason}")]
    Malformed {
        /// What the reader said.
        reason: String,
    },
    /// Another version of the protocol.
    #[error("this node speaks version {expected} of the peer protocol, the other side version {actual}")]
    Version {
        /// Ours.
        expected: u32,
        /// Theirs.
        actual: u32,
    },
    /// A node dialled itself.
    #[error("that is this node itself")]
    ThisNode,
    /// Two nodes run with one node key.
    #[error(
        "the node at the other end has this node's id {node_id} and is another process: \
         this data directory was copied from a running node; delete node.key"
    )]
    CopiedDirectory {
        /// The id of both.
        node_id: NodeId,
    },
    /// Two nodes run with one node key, and both have said hello here.
    #[error(
        "another process with node id {node_id} has said hello here after this one: \
         this data directory was copied from a running node; delete node.key"
    )]
    TwoProcesses {
        /// The id of both.
        node_id: NodeId,
    },
    /// Another chain, told apart by its genesis.
    #[error("wrong chain: the genesis is {expected} here and {actual} there")]
    WrongChain {
        /// Ours.
        expected: B256,
        /// Theirs.
        actual: B256,
    },
    /// Somebody else answers at this address.
    #[error("node {expected} was expected at this address, node {actual} answers")]
    OtherNode {
        /// Who was dialled.
        expected: NodeId,
        /// Who answered.
        actual: NodeId,
    },
    /// The signature is not by the key that the node id names, over this very exchange.
    #[error("the signature is not that of node {node_id} over this hello")]
    Signature {
        /// Who was claimed.
        node_id: NodeId,
    },
    /// The proof answers no challenge that is open: used before, too late, or never given.
    #[error("no challenge with this nonce is open: it was used, has expired or was never given")]
    NoSuchChallenge,
    /// The node is not on the list of allowed nodes.
    #[error("node {node_id} is not in this node's peers.allow")]
    NotAllowed {
        /// Who asked.
        node_id: NodeId,
    },
    /// The node misbehaved and has to wait.
    #[error("node {node_id} is banned here for another {seconds} s")]
    Banned {
        /// Who asked.
        node_id: NodeId,
        /// Seconds left.
        seconds: u64,
    },
    /// No place is left.
    #[error("this node has {max} peers, which is its peers.max")]
    Full {
        /// The limit.
        max: usize,
    },
    /// No place is left for the address range.
    #[error("this node has {max} peers of your address range, which is the most; peers.allow exempts nodes from that")]
    RangeFull {
        /// The limit.
        max: usize,
    },
}

impl HelloError {
    /// A short name for the answer's `code` and for counters.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed_hello",
            Self::Version { .. } => "version",
            Self::ThisNode => "this_node",
            Self::CopiedDirectory { .. } | Self::TwoProcesses { .. } => "copied_directory",
            Self::WrongChain { .. } => "wrong_chain",
            Self::OtherNode { .. } => "other_node",
            Self::Signature { .. } => "signature",
            Self::NoSuchChallenge => "no_such_challenge",
            Self::NotAllowed { .. } => "not_allowed",
            Self::Banned { .. } => "banned",
            Self::Full { .. } => "full",
            Self::RangeFull { .. } => "range_full",
        }
    }

    /// Whose fault: the other side's for a malformed or forged message, this node's for a copied key, nobody's for
    /// the rest.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Malformed { .. } | Self::Signature { .. } => Blame::Peer,
            Self::CopiedDirectory { .. } => Blame::Local,
            _ => Blame::Nobody,
        }
    }
}
