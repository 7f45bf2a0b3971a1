//! Who is let in, and the sessions of those who were.

use super::{NodeId, hello::HelloError, hello::Party, hello::Token};
use alloy_primitives::B256;
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
}

#[derive(Debug)]
struct Entry {
    guest: Guest,
    used: Instant,
}

/// A node that has a session here.
#[derive(Debug, Clone)]
pub struct Guest {
    /// What it said in its hello.
    pub party: Party,
    /// Where its hello came from.
    pub remote: Option<IpAddr>,
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
        })))
    }

    /// Whether a node may have a session, before or after it has proven who it is.
    pub fn check(&self, now: Instant, node_id: NodeId) -> Result<(), HelloError> {
        self.0.lock().check(now, node_id)
    }

    /// Opens a session for a node that has proven who it is. `token`: 32 fresh random bytes.
    pub fn open(&self, now: Instant, guest: Guest, token: [u8; 32]) -> Result<Token, HelloError> {
        let mut table = self.0.lock();
        let node_id = guest.party.node_id;
        table.forget_idle(now);
        table.check(now, node_id)?;
        table.make_room(node_id);
        table.sessions.insert(keccak256(token), Entry { guest, used: now });
        Ok(Token(token))
    }

    /// The node that holds `token`; counts as a use.
    pub fn find(&self, now: Instant, token: &Token) -> Option<Guest> {
        let mut table = self.0.lock();
        let entry = table.sessions.get_mut(&keccak256(token.0))?;
        if now.saturating_duration_since(entry.used) > SESSION_IDLE {
            return None;
        }
        entry.used = now;
        Some(entry.guest.clone())
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

    /// Keeps a place for a configured seed, whatever `max_peers` says.
    pub fn reserve(&self, node_id: NodeId) {
        self.0.lock().reserved.insert(node_id);
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
    fn check(&mut self, now: Instant, node_id: NodeId) -> Result<(), HelloError> {
        self.bans.retain(|_, until| *until > now);
        if let Some(until) = self.bans.get(&node_id) {
            let seconds = until.saturating_duration_since(now).as_secs().max(1);
            return Err(HelloError::Banned { node_id, seconds });
        }
        if !self.admission.allow.is_empty() && !self.admission.allow.contains(&node_id) {
            return Err(HelloError::NotAllowed { node_id });
        }
        let max = self.admission.max_peers;
        if !self.reserved.contains(&node_id) && self.others(node_id) >= max {
            return Err(HelloError::Full { max });
        }
        Ok(())
    }

    /// Nodes without a reserved place, other than `node_id`, that have a session.
    fn others(&self, node_id: NodeId) -> usize {
        let nodes = self.sessions.values().map(|entry| entry.guest.party.node_id);
        nodes.filter(|other| *other != node_id && !self.reserved.contains(other)).collect::<HashSet<_>>().len()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callboard::Role;
    use crate::transport::BootId;
    use callboard_chain::keys::SecretKey;

    fn node(byte: u8) -> NodeId {
        NodeId::of(&SecretKey::from_bytes([byte; 32]).unwrap())
    }

    fn guest(byte: u8) -> Guest {
        let party = Party {
            node_id: node(byte),
            boot_id: BootId([byte; 16]),
            nonce: [0; 32],
            genesis_hash: B256::ZERO,
            role: Role::Follower,
            advertise: None,
        };
        Guest { party, remote: None }
    }

    fn sessions(max_peers: usize) -> Sessions {
        Sessions::new(Admission { max_peers, allow: HashSet::new() })
    }

    #[test]
    fn token_finds_its_node_until_it_idles_out() {
        let (sessions, now) = (sessions(2), Instant::now());
        let token = sessions.open(now, guest(1), [9; 32]).unwrap();
        assert_eq!(sessions.find(now, &token).unwrap().party.node_id, node(1));
        assert!(sessions.find(now, &Token([8; 32])).is_none());
        let later = now + SESSION_IDLE;
        assert!(sessions.find(later, &token).is_some(), "each use prolongs it");
        assert!(sessions.find(later + SESSION_IDLE, &token).is_some());
        assert!(sessions.find(later + 2 * SESSION_IDLE + Duration::from_millis(1), &token).is_none());
    }

    #[test]
    fn table_is_bounded_by_nodes_and_by_sessions_of_a_node() {
        let (sessions, now) = (sessions(2), Instant::now());
        sessions.open(now, guest(1), [1; 32]).unwrap();
        sessions.open(now, guest(2), [2; 32]).unwrap();
        assert_eq!(sessions.open(now, guest(3), [3; 32]).unwrap_err(), HelloError::Full { max: 2 });
        sessions.reserve(node(3));
        sessions.open(now, guest(3), [3; 32]).unwrap();

        for number in 10..20u8 {
            let when = now + Duration::from_secs(u64::from(number));
            sessions.open(when, guest(1), [number; 32]).unwrap();
        }
        let alive = (10..20).filter(|number| sessions.find(now, &Token([*number; 32])).is_some()).count();
        assert_eq!(alive, SESSIONS_PER_NODE);
        assert!(sessions.find(now, &Token([19; 32])).is_some(), "the newest stay");
        assert_eq!(sessions.guests(now).len(), 3);
    }

    #[test]
    fn place_of_an_idle_node_is_free_again() {
        let (sessions, now) = (sessions(1), Instant::now());
        sessions.open(now, guest(1), [1; 32]).unwrap();
        let later = now + SESSION_IDLE + Duration::from_secs(1);
        assert!(sessions.open(later, guest(2), [2; 32]).is_ok());
    }

    #[test]
    fn ban_ends_sessions_and_expires() {
        let (sessions, now) = (sessions(2), Instant::now());
        let token = sessions.open(now, guest(1), [1; 32]).unwrap();
        sessions.ban(node(1), now + Duration::from_secs(60));
        assert!(sessions.find(now, &token).is_none());
        let error = sessions.open(now, guest(1), [2; 32]).unwrap_err();
        assert_eq!(error, HelloError::Banned { node_id: node(1), seconds: 60 });
        assert!(sessions.open(now + Duration::from_secs(61), guest(1), [2; 32]).is_ok());
    }

    #[test]
    fn with_an_allow_list_nobody_else_is_let_in() {
        let sessions = Sessions::new(Admission { max_peers: 9, allow: HashSet::from([node(1)]) });
        assert!(sessions.open(Instant::now(), guest(1), [1; 32]).is_ok());
        let error = sessions.open(Instant::now(), guest(2), [2; 32]).unwrap_err();
        assert_eq!(error, HelloError::NotAllowed { node_id: node(2) });
    }

    #[test]
    fn streams_are_bounded_for_each_node_and_the_oldest_gives_way() {
        let sessions = sessions(2);
        let mut slots: Vec<_> = (0..STREAMS_PER_NODE).map(|_| sessions.open_stream(node(1))).collect();
        let other = sessions.open_stream(node(2));
        assert!(!slots.iter().any(is_pushed_out));
        slots.push(sessions.open_stream(node(1)));
        assert!(is_pushed_out(&slots[0]) && !slots[1..].iter().any(is_pushed_out));
        assert!(!is_pushed_out(&other), "another node's streams are its own");
        slots.pop();
        slots.push(sessions.open_stream(node(1)));
        assert!(!slots[1..].iter().any(is_pushed_out), "a place that was given back is free");
        drop((slots, other));
        assert!(sessions.0.lock().streams.is_empty());
    }

    fn is_pushed_out(slot: &StreamSlot) -> bool {
        !slot.sessions.0.lock().streams[&slot.node_id].iter().any(|stream| stream.number == slot.number)
    }
}
