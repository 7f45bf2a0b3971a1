//! Messages of peer discovery.

use crate::callboard::Role;
use crate::transport::client::Session;
use crate::transport::sessions::Guest;
use crate::transport::wire::PeerAddress;
use crate::transport::{NodeId, PeerUrl, SealedHead};
use actix::Message;
use alloy_primitives::B256;
use serde::Serialize;
use std::net::IpAddr;

/// To the sync coordinator and the broadcaster: a dialled peer has proven who it is and that it is on this chain.
#[derive(Debug, Clone)]
pub struct PeerConnected {
    /// How to ask it.
    pub session: Session,
    /// Whether it is a configured seed.
    pub is_seed: bool,
}

/// To the sync coordinator and the broadcaster: a connected peer is gone; what it was asked for will not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerLost {
    /// Who.
    pub node_id: NodeId,
    /// Why, for people.
    pub reason: String,
}

/// To the sync coordinator, about once a second for each connected peer: its head. The seal is checked; whether it
/// has the blocks below is its claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub node_id: NodeId,
    /// Its head.
    pub head: SealedHead,
}

/// To the sync coordinator: at a configured seed or a dialled address answers a chain with another genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignChain {
    /// Where.
    pub url: PeerUrl,
    /// Whether that is a configured seed.
    pub is_seed: bool,
    /// Hash of its genesis block.
    pub genesis_hash: B256,
    /// Whether its genesis was had and compared with ours; only the seeds' are asked for.
    pub is_compared: bool,
    /// Whether it has this chain's id and authority: then it is a fork of this chain from the start.
    pub same_chain_and_authority: bool,
    /// Timestamp of its newest sealed block, unix seconds; known only where it has this chain's id and authority.
    pub newest_timestamp: Option<u64>,
    /// What differs, one sentence each; empty where its genesis could not be had.
    pub differences: Vec<String>,
}

/// To the sync coordinator, once: every seed and remembered peer has been dialled, and those that could be reached have
/// shown their heads or failed to. Before that a starting authority waits, up to `peers.start_wait_s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstDialsEnded {
    /// Peers connected by then.
    pub connected: usize,
}

/// From whoever checks what peers send: a peer did something that an honest one does not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerMisbehaved {
    /// Who.
    pub node_id: NodeId,
    /// What.
    pub offence: Offence,
    /// The details, for the log.
    pub detail: String,
}

/// How bad it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// A block whose seal or body does not match its header, a status whose seal is not the authority's, a frame
    /// that is no frame: no honest node sends it. Banned at once.
    Forged,
    /// Something an honest node may send in a bad moment. Ten within the time a point takes to fade are a ban.
    Odd,
}

/// From the sync coordinator or a stream's reader: a session no longer works (its stream broke, or a request was
/// refused for the session). The peer is dialled again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionBroken {
    /// Who.
    pub node_id: NodeId,
    /// Why.
    pub reason: String,
}

/// From the server: a node has opened a session here.
#[derive(Debug, Clone)]
pub struct PeerGreeted {
    /// Who.
    pub guest: Guest,
}

/// From the server: which addresses may be told to a peer? `None` where discovery is off.
#[derive(Debug, Clone, Copy)]
pub struct AddressesRequest {
    /// Who asks; it is not told its own.
    pub node_id: NodeId,
    /// Where it is; addresses of this machine or link are told only there.
    pub remote: Option<IpAddr>,
}

/// From the server, or from a peer that was asked: addresses of other nodes, by hearsay.
#[derive(Debug, Clone)]
pub struct AddressesTold {
    /// Who told them.
    pub node_id: NodeId,
    /// Where it is; decides whether addresses of this machine or link are believed.
    pub remote: Option<IpAddr>,
    /// What it told.
    pub addresses: Vec<PeerAddress>,
}

/// From RPC and the monitor: every known peer.
#[derive(Debug, Clone, Copy)]
pub struct PeersRequest;

/// One entry of `callboard_peers`. Times are unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerReport {
    /// Node id; null until the first hello.
    pub id: Option<NodeId>,
    /// Where it is dialled; null for a peer that only dials us.
    pub url: Option<PeerUrl>,
    /// Every address under which it is known here.
    pub urls: Vec<PeerUrl>,
    /// Whether it is a configured seed.
    pub seed: bool,
    /// The role it claims.
    pub role: Option<Role>,
    /// Who dialled whom; null while there is no session.
    pub direction: Option<Direction>,
    /// `connected`, `inbound`, `dialling`, `waiting`, `refused` or `banned`.
    pub state: PeerState,
    /// 0 where nothing is held against it; -10 is a ban. An offence fades after a minute.
    pub score: i32,
    /// Until when it is not talked to, and why.
    pub ban: Option<BanReport>,
    /// Why it is not connected.
    pub reason: Option<String>,
    /// Its head's height.
    pub height: Option<u64>,
    /// Its head's hash.
    pub hash: Option<B256>,
    /// Since when it is in this state.
    pub since: Option<u64>,
    /// Its clock less ours, as measured over the last polls; negative where it is behind.
    pub clock_skew_seconds: Option<f64>,
}

/// See [`PeerReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BanReport {
    /// When it ends, unix seconds.
    pub until: u64,
    /// What it did.
    pub reason: String,
}

/// See [`PeerReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// This node dialled it.
    Outbound,
    /// It dialled this node.
    Inbound,
    /// Each dialled the other.
    Both,
}

impl PeerReport {
    /// A node of which no address is known.
    pub(super) fn of(id: NodeId, state: PeerState) -> Self {
        Self {
            id: Some(id),
            url: None,
            urls: Vec::new(),
            seed: false,
            role: None,
            direction: None,
            state,
            score: 0,
            ban: None,
            reason: None,
            height: None,
            hash: None,
            since: None,
            clock_skew_seconds: None,
        }
    }
}

/// See [`PeerReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// Dialled, proven, polled.
    Connected,
    /// Has a session here and is not dialled from here.
    Inbound,
    /// A dial is under way.
    Dialling,
    /// The next dial waits for its time.
    Waiting,
    /// It answered or asked, and it is no peer: this node itself, another chain, not allowed. Tried again, rarely.
    Refused,
    /// It misbehaved.
    Banned,
}

impl Message for PeerConnected {
    type Result = ();
}

impl Message for PeerLost {
    type Result = ();
}

impl Message for PeerStatus {
    type Result = ();
}

impl Message for ForeignChain {
    type Result = ();
}

impl Message for FirstDialsEnded {
    type Result = ();
}

impl Message for PeerMisbehaved {
    type Result = ();
}

impl Message for SessionBroken {
    type Result = ();
}

impl Message for PeerGreeted {
    type Result = ();
}

impl Message for AddressesRequest {
    type Result = Option<Vec<PeerAddress>>;
}

impl Message for AddressesTold {
    type Result = ();
}

impl Message for PeersRequest {
    type Result = Vec<PeerReport>;
}
