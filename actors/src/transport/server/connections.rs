//! Connections to the listener: a storm of them must keep nobody else out.
//!
//! A connection on which a session has been shown is its node's. All others are strangers', and when there are too many
//! of them the oldest gives way: a hello takes milliseconds, idling takes long. Of the nodes' connections one of the
//! node that holds most gives way, so that one which has none gets one, whoever holds all the others; the first few of
//! seeds and allowed ids are kept for them.

use crate::transport::{NodeId, PeerMetrics, is_exempt};
use parking_lot::Mutex;
use socket2::{SockRef, Socket};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Shutdown},
    sync::Arc,
};
use tokio::net::TcpStream;

/// Connections without a session: a network's worth of hellos under way.
pub(super) const MAX_STRANGERS: usize = 128;
/// Connections of one address, and of nodes at one address, unless it is of this machine or of a private network.
pub(super) const MAX_PER_ADDRESS: usize = 32;
/// Connections of one node: its streams, and as many short requests.
pub(super) const MAX_PER_NODE: usize = 16;
/// Connections of all nodes together: three for each of the default `peers.max`. A node that follows needs two.
pub(super) const MAX_OF_NODES: usize = 192;
/// Connections that a seed or an allowed id does not lose to others: its stream, a range, and its questions.
const KEPT_PER_NODE: usize = 4;

/// The open connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    table: Arc<Mutex<Table>>,
    metrics: PeerMetrics,
}

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<u64, Open>,
    last: u64,
    requests: u64,
}

#[derive(Debug)]
struct Open {
    remote: Option<IpAddr>,
    node: Option<NodeId>,
    /// Its node is a seed or an allowed id.
    is_kept: bool,
    /// Answers under way that take long.
    busy: u32,
    /// Which request was its last.
    used: u64,
    /// To close it with.
    socket: Option<Socket>,
}

/// One connection, for as long as it is open.
#[derive(Debug)]
pub(super) struct Connection {
    number: u64,
    connections: Connections,
}

/// A connection does something that takes long and is bounded elsewhere, until this is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    number: u64,
    connections: Connections,
}

impl Connections {
    pub(super) fn new(metrics: PeerMetrics) -> Self {
        Self { table: Arc::default(), metrics }
    }

    /// A connection was made; another one, or this one, is closed where there are too many.
    pub(super) fn open(&self, socket: &TcpStream) -> Connection {
        let remote = socket.peer_addr().ok().map(|address| address.ip().to_canonical());
        self.admit(remote, SockRef::from(socket).try_clone().ok())
    }

    fn admit(&self, remote: Option<IpAddr>, socket: Option<Socket>) -> Connection {
        let mut table = self.table.lock();
        table.last += 1;
        let number = table.last;
        table.open.insert(number, Open { remote, node: None, is_kept: false, busy: 0, used: 0, socket });
        let strangers = table.count(Open::is_stranger);
        let of_address = table.count(|open| open.remote == remote);
        let is_storm = of_address > MAX_PER_ADDRESS && remote.is_some_and(|remote| !is_exempt(remote));
        let too_many = match (is_storm, strangers > MAX_STRANGERS) {
            (true, _) => Some(table.gives_way_at_address(number, remote)),
            (false, true) => table.oldest_stranger(|_, _| true),
            (false, false) => None,
        };
        if let Some(too_many) = too_many {
            table.close(too_many);
            self.metrics.refused("too_many_connections");
        }
        drop(table);
        Connection { number, connections: self.clone() }
    }

    /// Closes a connection that takes too long with what it does.
    pub(super) fn close(&self, number: u64) {
        self.table.lock().close(number);
    }

    /// A connection does something that takes long and is bounded elsewhere: a stranger's does not give way meanwhile,
    /// a node's only after those that do nothing.
    pub(super) fn busy(&self, number: u64) -> Busy {
        if let Some(open) = self.table.lock().open.get_mut(&number) {
            open.busy += 1;
        }
        Busy { number, connections: self.clone() }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.table.lock().open.len()
    }
}

impl Connection {
    /// Its number among all connections.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// A request of this node came; whether the node may have this connection, too. `is_kept`: it is a seed or an
    /// allowed id.
    pub(super) fn greet(&self, node: NodeId, is_kept: bool) -> bool {
        let mut table = self.connections.table.lock();
        if table.is_of(self.number, node) {
            return true;
        }
        let admitted = table.make_room(self.number, node, is_kept);
        match admitted {
            Ok(closed) => (0..closed).for_each(|_| self.connections.metrics.refused("too_many_connections")),
            Err(Full) => return false,
        }
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.table.lock().open.remove(&self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(open) = self.connections.table.lock().open.get_mut(&self.number) {
            open.busy = open.busy.saturating_sub(1);
        }
    }
}

/// Nobody gives way to this connection.
struct Full;

impl Table {
    /// Whether the connection is the node's already. Counts as a use of it.
    fn is_of(&mut self, number: u64, node: NodeId) -> bool {
        self.requests += 1;
        let used = self.requests;
        self.open.get_mut(&number).is_some_and(|open| {
            open.used = used;
            open.node == Some(node)
        })
    }

    /// Makes a connection the node's; how many others were closed for it.
    fn make_room(&mut self, number: u64, node: NodeId, is_kept: bool) -> Result<usize, Full> {
        let Some(remote) = self.open.get(&number).map(|open| open.remote) else { return Ok(0) };
        let mut closed = 0;
        let is_own = |open: &Open| open.node == Some(node);
        if self.count(is_own) >= MAX_PER_NODE {
            let idle = self.open.iter().filter(|(_, open)| is_own(open) && open.busy == 0);
            let (idle, _) = idle.min_by_key(|(_, open)| open.used).ok_or(Full)?;
            self.close(*idle);
            closed += 1;
        }
        let at_address = |open: &Open| open.node.is_some() && open.remote == remote;
        if remote.is_some_and(|remote| !is_exempt(remote)) && self.count(at_address) >= MAX_PER_ADDRESS {
            closed += self.close_one(is_kept, at_address)?;
        }
        if self.count(|open| open.node.is_some()) >= MAX_OF_NODES {
            closed += self.close_one(is_kept, |open| open.node.is_some())?;
        }
        if let Some(open) = self.open.get_mut(&number) {
            (open.node, open.is_kept) = (Some(node), is_kept);
        }
        Ok(closed)
    }

    fn count(&self, of: impl Fn(&Open) -> bool) -> usize {
        self.open.values().filter(|open| of(open)).count()
    }

    fn oldest_stranger(&self, of: impl Fn(u64, &Open) -> bool) -> Option<u64> {
        self.open.iter().find(|(number, open)| open.is_stranger() && of(**number, open)).map(|(number, _)| *number)
    }

    /// Where an address has too many: another stranger there, or an idle connection of a node, or else the new one. So
    /// whoever shares an address with nodes that hold all it may have can still say hello.
    fn gives_way_at_address(&self, new: u64, remote: Option<IpAddr>) -> u64 {
        let stranger = self.oldest_stranger(|number, open| number != new && open.remote == remote);
        let idle = || self.gives_way(|open| open.node.is_some() && open.busy == 0 && open.remote == remote);
        stranger.or_else(|| idle().filter(|(_, is_kept)| !is_kept).map(|(number, _)| number)).unwrap_or(new)
    }

    /// Closes one of these for another connection. What is kept gives way only to what is kept, too.
    fn close_one(&mut self, for_kept: bool, of: impl Fn(&Open) -> bool) -> Result<usize, Full> {
        let (number, is_kept) = self.gives_way(of).ok_or(Full)?;
        if is_kept && !for_kept {
            return Err(Full);
        }
        self.close(number);
        Ok(1)
    }

    /// Of these the one of the node that holds most that does nothing for the longest time, and whether it is kept.
    fn gives_way(&self, of: impl Fn(&Open) -> bool) -> Option<(u64, bool)> {
        let mut held: HashMap<NodeId, usize> = HashMap::new();
        self.open.values().filter_map(|open| open.node).for_each(|node| *held.entry(node).or_default() += 1);
        let held_by = |open: &Open| open.node.and_then(|node| held.get(&node)).copied().unwrap_or_default();
        let is_kept = |open: &Open| open.is_kept && held_by(open) <= KEPT_PER_NODE;
        self.open
            .iter()
            .filter(|(_, open)| of(open))
            .min_by_key(|(_, open)| (is_kept(open), Reverse(held_by(open)), open.busy > 0, open.used))
            .map(|(number, open)| (*number, is_kept(open)))
    }

    /// Its reader then sees the end, and drops it.
    fn close(&mut self, number: u64) {
        if let Some(socket) = self.open.remove(&number).and_then(|open| open.socket) {
            // It may be gone already.
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Open {
    fn is_stranger(&self) -> bool {
        self.node.is_none() && self.busy == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::testing::key;

    fn connections() -> Connections {
        Connections::new(PeerMetrics::default())
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn is_open(connection: &Connection) -> bool {
        connection.connections.table.lock().open.contains_key(&connection.number)
    }

    #[test]
    fn oldest_stranger_gives_way_and_never_a_node() {
        let connections = connections();
        let node = connections.admit(ip("127.0.0.1"), None);
        assert!(node.greet(NodeId::of(&key(1)), false));
        let busy = connections.admit(ip("127.0.0.1"), None);
        let _download = connections.busy(busy.number());
        let storm: Vec<_> = (0..1_000).map(|_| connections.admit(ip("127.0.0.1"), None)).collect();
        assert!(is_open(&node) && is_open(&busy));
        assert_eq!(storm.iter().filter(|connection| is_open(connection)).count(), MAX_STRANGERS);
        assert!(is_open(&storm[999]) && !is_open(&storm[0]));
        assert_eq!(connections.metrics.refusals("too_many_connections"), 1_000 - MAX_STRANGERS as u64);
        drop((storm, node, busy));
        assert_eq!(connections.count(), 0);
    }

    #[test]
    fn storm_of_one_address_pushes_out_only_its_own() {
        let connections = connections();
        let other = connections.admit(ip("198.51.100.1"), None);
        let storm: Vec<_> = (0..1_000).map(|_| connections.admit(ip("203.0.113.1"), None)).collect();
        assert!(is_open(&other));
        assert_eq!(storm.iter().filter(|connection| is_open(connection)).count(), MAX_PER_ADDRESS);
    }

    /// Connections of one node at one address.
    fn held(connections: &Connections, count: usize, remote: &str, node: u8) -> Vec<Connection> {
        let held: Vec<_> = (0..count).map(|_| connections.admit(ip(remote), None)).collect();
        held.iter().for_each(|connection| assert!(connection.greet(NodeId::of(&key(node)), false)));
        held
    }

    fn count_open(held: &[Connection]) -> usize {
        held.iter().filter(|connection| is_open(connection)).count()
    }

    #[test]
    fn connections_of_a_node_are_bounded_and_of_its_own_the_longest_idle_gives_way() {
        let connections = connections();
        let held = held(&connections, MAX_PER_NODE, "10.0.0.1", 1);
        assert!(held[0].greet(NodeId::of(&key(1)), false), "a further request on one of them");
        let further = connections.admit(ip("10.0.0.1"), None);
        assert!(further.greet(NodeId::of(&key(1)), false));
        assert!(is_open(&held[0]) && !is_open(&held[1]) && is_open(&further));
        let streams: Vec<_> = held.iter().chain([&further]).map(|held| connections.busy(held.number())).collect();
        let too_many = connections.admit(ip("10.0.0.1"), None);
        assert!(!too_many.greet(NodeId::of(&key(1)), false), "all of them are busy");
        assert!(too_many.greet(NodeId::of(&key(2)), false), "another node has its own");
        drop(streams);
        assert!(connections.admit(ip("10.0.0.1"), None).greet(NodeId::of(&key(1)), false));
    }

    #[test]
    fn node_without_a_connection_gets_one_although_others_with_sessions_hold_all() {
        let connections = connections();
        let few = held(&connections, 2, "10.0.0.2", 99);
        let storm: Vec<_> = (1..=16).flat_map(|node| held(&connections, MAX_PER_NODE, "10.0.0.1", node)).collect();
        assert_eq!(count_open(&storm) + few.len(), MAX_OF_NODES);
        assert_eq!(count_open(&few), 2, "whoever holds few loses nothing to those who hold many");
        let newcomers: Vec<_> = (100..140).flat_map(|node| held(&connections, 1, "10.0.0.3", node)).collect();
        assert_eq!((count_open(&newcomers), count_open(&few)), (40, 2));
        assert_eq!(connections.count(), MAX_OF_NODES);
    }

    #[test]
    fn idle_connection_gives_way_before_one_that_is_busy() {
        let connections = connections();
        let storm: Vec<_> = (1..=12).flat_map(|node| held(&connections, MAX_PER_NODE, "10.0.0.1", node)).collect();
        let streams: Vec<_> = storm.iter().step_by(2).map(|held| connections.busy(held.number())).collect();
        let _newcomers: Vec<_> = (100..120).flat_map(|node| held(&connections, 1, "10.0.0.3", node)).collect();
        assert!(streams.iter().all(|busy| connections.table.lock().open.contains_key(&busy.number)));
    }

    #[test]
    fn connections_of_seeds_and_allowed_ids_are_kept_for_them() {
        let connections = connections();
        let seed = connections.admit(ip("10.0.0.2"), None);
        assert!(seed.greet(NodeId::of(&key(99)), true));
        let storm: Vec<_> = (1..=90).flat_map(|node| held(&connections, 4, "10.0.0.1", node)).collect();
        assert!(is_open(&seed) && count_open(&storm) == MAX_OF_NODES - 1);
    }

    #[test]
    fn nodes_of_one_public_address_take_only_so_many() {
        let connections = connections();
        let storm: Vec<_> = (1..=8).flat_map(|node| held(&connections, 8, "203.0.113.1", node)).collect();
        assert_eq!(count_open(&storm), MAX_PER_ADDRESS);
        let neighbour = connections.admit(ip("203.0.113.1"), None);
        assert!(neighbour.greet(NodeId::of(&key(50)), false) && is_open(&neighbour), "it can still say hello");
        assert_eq!(count_open(&storm), MAX_PER_ADDRESS - 1);
    }
}
