//! Where one block or transaction came from: its origin, and the peer that sent it.

use super::Origin;
use crate::transport::NodeId;

/// Where a block or transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// Its origin, by which it is routed.
    pub origin: Origin,
    /// The peer that sent it, to whom it is never sent back.
    pub peer: Option<NodeId>,
}

impl Provenance {
    /// Sealed here.
    pub const PROPOSER: Self = Self { origin: Origin::Proposer, peer: None };
    /// Given by an operator.
    pub const OPERATOR: Self = Self { origin: Origin::Operator, peer: None };

    /// Sent by a peer.
    pub const fn peer(peer: NodeId) -> Self {
        Self { origin: Origin::Peer, peer: Some(peer) }
    }
}
