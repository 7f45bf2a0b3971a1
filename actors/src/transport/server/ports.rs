//! What the server asks of the actors.

use crate::broadcaster::Subscribe;
use crate::peer_discovery::{AddressesRequest, AddressesTold, PeerGreeted};
use crate::send::Inbox;
use crate::sync_coordinator::GuestStatus;
use crate::transport::{NodeId, wire::TransactionAnswer};
use actix::Message;
use bytes::Bytes;

/// Where the server's requests go.
#[derive(Debug, Clone)]
pub struct ServerPorts {
    /// PeerDiscovery: somebody has a session.
    pub greeted: Inbox<PeerGreeted>,
    /// PeerDiscovery: addresses to tell.
    pub addresses: Inbox<AddressesRequest>,
    /// PeerDiscovery: addresses told.
    pub told: Inbox<AddressesTold>,
    /// Broadcaster: what is new.
    pub subscribe: Inbox<Subscribe>,
    /// Where transactions from peers are routed.
    pub transactions: Inbox<PeerTransactions>,
    /// Where blocks that peers push are routed.
    pub blocks: Inbox<PeerBlock>,
    /// The sync coordinator: a guest shows its head.
    pub shown: Inbox<GuestStatus>,
}

/// To the routing of transactions: a peer sent these. One answer for each, in order, is promised.
#[derive(Debug, Clone)]
pub struct PeerTransactions {
    /// Who.
    pub from: NodeId,
    /// EIP-2718 bytes, unchecked, each at most 128 KiB.
    pub transactions: Vec<Bytes>,
}

/// To the routing of blocks: a peer pushed this. Answered once it is imported or refused, so that whoever pushes several
/// keeps their order.
#[derive(Debug, Clone)]
pub struct PeerBlock {
    /// Who.
    pub from: NodeId,
    /// Canonical bytes, unchecked, at most as long as a block may be.
    pub canonical: Bytes,
}

impl Message for PeerTransactions {
    type Result = Vec<TransactionAnswer>;
}

impl Message for PeerBlock {
    type Result = ();
}
