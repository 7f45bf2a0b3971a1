//! Where one block or transaction came from: its origin, who sent it, and which way it came.

use super::Origin;
use crate::transport::NodeId;
use serde::Serialize;
use std::net::SocketAddr;

/// Which way a block or transaction came into this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Path {
    /// It was made here.
    Sealed,
    /// It was fetched from a peer.
    Stream,
    /// A peer's stream brought it as it came into being.
    Live,
    /// A peer pushed it.
    Push,
    /// An operator posted it.
    ImportBlock,
    /// An operator imported a file into the stopped node.
    File,
}

impl Path {
    /// As it stands in records and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Stream => "stream",
            Self::Live => "live",
            Self::Push => "push",
            Self::ImportBlock => "importBlock",
            Self::File => "file",
        }
    }
}

/// Where a block or transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// Its origin, by which it is routed.
    pub origin: Origin,
    /// The peer that sent it, to whom it is never sent back.
    pub peer: Option<NodeId>,
    /// Which way it came.
    pub path: Path,
    /// The address of the operator's client.
    pub client: Option<SocketAddr>,
}

impl Provenance {
    /// Sealed here.
    pub const PROPOSER: Self = Self { origin: Origin::Proposer, peer: None, path: Path::Sealed, client: None };
    /// Given by an operator.
    pub const OPERATOR: Self = Self::operator(None);

    /// Imported by an operator from a file.
    pub const FILE: Self = Self { path: Path::File, ..Self::OPERATOR };

    /// Posted by an operator from this address.
    pub const fn operator(client: Option<SocketAddr>) -> Self {
        Self { origin: Origin::Operator, peer: None, path: Path::ImportBlock, client }
    }

    /// Fetched from a peer.
    pub const fn peer(peer: NodeId) -> Self {
        Self { origin: Origin::Peer, peer: Some(peer), path: Path::Stream, client: None }
    }

    /// Sent by a peer as it came into being.
    pub const fn live(peer: NodeId) -> Self {
        Self { path: Path::Live, ..Self::peer(peer) }
    }

    /// Pushed by a peer.
    pub const fn pushed(peer: NodeId) -> Self {
        Self { path: Path::Push, ..Self::peer(peer) }
    }

    /// Who sent it, in words: a node id, or an operator and the client's address.
    pub fn sender(&self) -> String {
        match (self.peer, self.client) {
            (Some(peer), _) => peer.to_string(),
            (None, Some(client)) => format!("{} at {client}", self.origin),
            (None, None) => self.origin.to_string(),
        }
    }
}
