//! Who is let in, and the sessions of those who were.

mod allowance;
mod boots;
#[cfg(test)]
mod tests;

pub(crate) use allowance::Work;

use super::clock::{ClockSample, ClockSkew};
use super::{AddressRange, NodeId, hello::HelloError, hello::Party, hello::Token};
use allowance::Allowances;
use alloy_primitives::B256;
use boots::Boots;
use callboard_chain::keccak256;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A session that is not used for this long ends. Peers poll every second; ten minutes outlive a suspended laptop's
/// short nap and keep the table small.
pub const SESSION_IDLE: Duration = Duration::from_secs(600);
/// Sessions of one node at a time: it may know us under several addresses. A further one ends the oldest.
pub const SESSIONS_PER_NODE: usize = 4;
/// Streams of blocks that one node may have open: one that follows, some that fetch ranges. A further one ends the
/// oldest: it is most likely one whose reader is gone, which is not noticed before the next block is written to it.
pub const STREAMS_PER_NODE: usize = 8;
/// Nodes of one address range that may have a session: a quarter of the default `peers.max`.
pub const NODES_PER_RANGE: usize = 16;
/// Nodes turned away that are remembered for the report of peers.
const MAX_TURNED_AWAY: usize = 32;
/// Bans remembered at a time; beyond them the one that ends first is forgotten.
pub const MAX_BANS: usize = 4_096;

/// Who may have a session.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Most nodes with a session.
    pub max_peers: usize,
    /// If not empty, nobody else is let in.
    pub allow: HashSet<NodeId>,
}

/// The session table. Shared by the server, which looks sessions up, and by PeerDiscovery, which bans. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    admission: Admission,
    /// Keyed by the hash of the token: how long a look-up takes says nothing about any token.
    sessions: HashMap<B256, Entry>,
    streams: HashMap<NodeId, VecDeque<OpenStream>>,
    last_stream: u64,
    bans: HashMap<NodeId, Instant>,
    reserved: HashSet<NodeId>,
    boots: Boots,
    allowances: Allowances,
    turned_away: VecDeque<TurnedAway>,
}

#[derive(Debug)]
struct Entry {
    guest: Guest,
    used: Instant,
    /// By what it says while it asks.
    clock: ClockSkew,
}

/// A node that has a session here.
#[derive(Debug, Clone)]
pub struct Guest {
    /// What it said in its hello.
    pub party: Party,
    /// Where its hello came from.
    pub remote: Option<IpAddr>,
    /// Since when.
    pub since: Instant,
}

/// A node that is no peer of this node and said hello here. Who it is is its claim.
#[derive(Debug, Clone)]
pub struct TurnedAway {
    /// What it said.
    pub party: Party,
    /// Where its hello came from.
    pub remote: Option<IpAddr>,
    /// Why it was turned away.
    pub reason: String,
    /// When.
    pub at: Instant,
}

/// A request is not answered although its sender had a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// There is no such session (any more).
    Unknown,
    /// Another process with the same node key said hello later, and both are alive.
    TwoProcesses(NodeId),
    /// The node asks too often.
    TooManyRequests,
}

#[derive(Debug)]
struct OpenStream {
    number: u64,
    /// Dropped to end the stream.
    _alive: oneshot::Sender<()>,
}

/// A stream that counts against its node until it is dropped.
#[derive(Debug)]
pub struct StreamSlot {
    sessions: Sessions,
    node_id: NodeId,
    number: u64,
    alive: oneshot::Receiver<()>,
}

impl StreamSlot {
    /// Waits until a newer stream takes the place. To be awaited again only while it has not ended.
    pub async fn pushed_out(&mut self) {
        (&mut self.alive).await.ok();
    }
}

impl Sessions {
    /// An empty table.
    pub fn new(admission: Admission) -> Self {
        Self(Arc::new(Mutex::new(Table {
            admission,
            sessions: HashMap::new(),
            streams: HashMap::new(),
            last_stream: 0,
            bans: HashMap::new(),
            reserved: HashSet::new(),
            boots: Boots::default(),
            allowances: Allowances::default(),
            turned_away: VecDeque::new(),
        })))
    }

    /// Opens a session for a node that has proven who it is. `token`: 32 fresh random bytes.
    pub fn open(&self, now: Instant, guest: Guest, token: [u8; 32]) -> Result<Token, HelloError> {
        let mut table = self.0.lock();
        let node_id = guest.party.node_id;
        table.forget_idle(now);
        table.check(now, node_id, guest.remote)?;
        table.boots.on_hello(now, node_id, guest.party.boot_id)?;
        table.make_room(node_id);
        table.turned_away.retain(|away| away.party.node_id != node_id);
        table.sessions.insert(keccak256(token), Entry { guest, used: now, clock: ClockSkew::default() });
        Ok(Token(token))
    }

    /// The node that holds `token`; counts as a use, and as a request.
    pub(crate) fn find(&self, now: Instant, token: &Token) -> Result<Guest, SessionError> {
        let mut table = self.0.lock();
        let key = keccak256(token.0);
        let entry = table.sessions.get_mut(&key).ok_or(SessionError::Unknown)?;
        if now.saturating_duration_since(entry.used) > SESSION_IDLE {
            return Err(SessionError::Unknown);
        }
        entry.used = now;
        let guest = entry.guest.clone();
        let Party { node_id, boot_id, .. } = guest.party;
        if table.boots.is_outlived(now, node_id, boot_id) {
            table.sessions.remove(&key);
            return Err(SessionError::TwoProcesses(node_id));
        }
        match table.allowances.take(now, node_id, Work::Requests, 1) {
            true => Ok(guest),
            false => Err(SessionError::TooManyRequests),
        }
    }

    /// Whether a node may have `amount` of this work done for it now; it counts then.
    pub(crate) fn spend(&self, now: Instant, node_id: NodeId, work: Work, amount: u64) -> bool {
        self.0.lock().allowances.take(now, node_id, work, amount)
    }

    /// Takes one of a node's [`STREAMS_PER_NODE`] streams; the oldest gives way where all are taken.
    pub fn open_stream(&self, node_id: NodeId) -> StreamSlot {
        let mut table = self.0.lock();
        table.last_stream += 1;
        let number = table.last_stream;
        let (_alive, alive) = oneshot::channel();
        let streams = table.streams.entry(node_id).or_default();
        if streams.len() >= STREAMS_PER_NODE {
            streams.pop_front();
        }
        streams.push_back(OpenStream { number, _alive });
        StreamSlot { sessions: self.clone(), node_id, number, alive }
    }

    /// Ends a node's sessions and lets it in again only after `until`.
    pub fn ban(&self, node_id: NodeId, until: Instant) {
        let mut table = self.0.lock();
        if table.bans.len() >= MAX_BANS {
            let first = table.bans.iter().min_by_key(|(_, until)| **until).map(|(node_id, _)| *node_id);
            first.map(|node_id| table.bans.remove(&node_id));
        }
        table.bans.insert(node_id, until);
        table.sessions.retain(|_, entry| entry.guest.party.node_id != node_id);
    }

    /// Remembers that a node was turned away; whether it is the first time in a while.
    pub(crate) fn turn_away(&self, away: TurnedAway) -> bool {
        let mut table = self.0.lock();
        let before = table.turned_away.len();
        table.turned_away.retain(|other| other.party.node_id != away.party.node_id);
        let is_new = table.turned_away.len() == before;
        if table.turned_away.len() >= MAX_TURNED_AWAY {
            table.turned_away.pop_front();
        }
        table.turned_away.push_back(away);
        is_new
    }

    /// Nodes that were lately turned away.
    pub fn turned_away(&self) -> Vec<TurnedAway> {
        self.0.lock().turned_away.iter().cloned().collect()
    }

    /// Keeps a place for a configured seed, whatever `max_peers` says.
    pub fn reserve(&self, node_id: NodeId) {
        self.0.lock().reserved.insert(node_id);
    }

    /// Whether the node is a configured seed or an allowed id.
    pub(crate) fn is_kept(&self, node_id: NodeId) -> bool {
        let table = self.0.lock();
        table.reserved.contains(&node_id) || table.admission.allow.contains(&node_id)
    }

    /// A node that has a session says its time.
    pub(crate) fn on_clock(&self, node_id: NodeId, sample: ClockSample) {
        let mut table = self.0.lock();
        let of_node = table.sessions.values_mut().filter(|entry| entry.guest.party.node_id == node_id);
        of_node.for_each(|entry| entry.clock.add(sample));
    }

    /// How far a node's clock is ahead of ours, seconds, by its own word; `None` where that is not known.
    pub fn clock_of(&self, node_id: NodeId) -> Option<f64> {
        let table = self.0.lock();
        let mut of_node = table.sessions.values().filter(|entry| entry.guest.party.node_id == node_id);
        of_node.find_map(|entry| entry.clock.seconds())
    }

    /// The nodes that have a session, each once.
    pub fn guests(&self, now: Instant) -> Vec<Guest> {
        let mut table = self.0.lock();
        table.forget_idle(now);
        let mut seen = HashSet::new();
        table
            .sessions
            .values()
            .map(|entry| &entry.guest)
            .filter(|guest| seen.insert(guest.party.node_id))
            .cloned()
            .collect()
    }
}

impl Table {
    fn check(&mut self, now: Instant, node_id: NodeId, remote: Option<IpAddr>) -> Result<(), HelloError> {
        self.bans.retain(|_, until| *until > now);
        if let Some(until) = self.bans.get(&node_id) {
            let seconds = until.saturating_duration_since(now).as_secs().max(1);
            return Err(HelloError::Banned { node_id, seconds });
        }
        if !self.admission.allow.is_empty() && !self.admission.allow.contains(&node_id) {
            return Err(HelloError::NotAllowed { node_id });
        }
        if self.reserved.contains(&node_id) {
            return Ok(());
        }
        let max = self.admission.max_peers;
        if self.others(node_id).len() >= max {
            return Err(HelloError::Full { max });
        }
        let is_listed = self.admission.allow.contains(&node_id);
        if !is_listed && self.is_range_full(node_id, remote) {
            return Err(HelloError::RangeFull { max: NODES_PER_RANGE });
        }
        Ok(())
    }

    fn is_range_full(&self, node_id: NodeId, remote: Option<IpAddr>) -> bool {
        let Some(range) = remote.and_then(AddressRange::of) else { return false };
        let in_range = |guest: &&&Guest| guest.remote.and_then(AddressRange::of) == Some(range);
        self.others(node_id).values().filter(in_range).count() >= NODES_PER_RANGE
    }

    /// Nodes without a reserved place, other than `node_id`, that have a session.
    fn others(&self, node_id: NodeId) -> HashMap<NodeId, &Guest> {
        let guests = self.sessions.values().map(|entry| (entry.guest.party.node_id, &entry.guest));
        guests.filter(|(other, _)| *other != node_id && !self.reserved.contains(other)).collect()
    }

    fn make_room(&mut self, node_id: NodeId) {
        let mut own: Vec<_> = self.sessions.iter().filter(|(_, entry)| entry.guest.party.node_id == node_id).collect();
        if own.len() < SESSIONS_PER_NODE {
            return;
        }
        own.sort_by_key(|(_, entry)| entry.used);
        let oldest = *own[0].0;
        self.sessions.remove(&oldest);
    }

    fn forget_idle(&mut self, now: Instant) {
        self.sessions.retain(|_, entry| now.saturating_duration_since(entry.used) <= SESSION_IDLE);
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut table = self.sessions.0.lock();
        if let Some(streams) = table.streams.get_mut(&self.node_id) {
            streams.retain(|stream| stream.number != self.number);
            if streams.is_empty() {
                table.streams.remove(&self.node_id);
            }
        }
    }
}
