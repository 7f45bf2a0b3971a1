//! Connections to the listener: a storm of them must keep nobody else out.
//!
//! A connection on which a session has been shown is its node's. All others are strangers', and when there are too many
//! of them the oldest gives way: a hello takes milliseconds, idling takes long.

use crate::transport::{NodeId, PeerMetrics, is_exempt};
use parking_lot::Mutex;
use socket2::{SockRef, Socket};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Shutdown},
    sync::Arc,
};
use tokio::net::TcpStream;

/// Connections without a session: a network's worth of hellos under way.
pub(super) const MAX_STRANGERS: usize = 128;
/// Connections of one address, unless it is of this machine or of a private network.
pub(super) const MAX_PER_ADDRESS: usize = 32;
/// Connections of one node: its streams, and as many short requests.
pub(super) const MAX_PER_NODE: usize = 32;

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
}

#[derive(Debug)]
struct Open {
    remote: Option<IpAddr>,
    node: Option<NodeId>,
    /// It does something that takes long and is bounded elsewhere.
    is_busy: bool,
    /// To close it with; given back once it is a node's.
    socket: Option<Socket>,
}

/// One connection, for as long as it is open.
#[derive(Debug)]
pub(super) struct Connection {
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
        table.open.insert(number, Open { remote, node: None, is_busy: false, socket });
        let strangers = table.open.values().filter(|open| open.is_stranger()).count();
        let of_address = table.open.values().filter(|open| open.remote == remote).count();
        let is_storm = of_address > MAX_PER_ADDRESS && remote.is_some_and(|remote| !is_exempt(remote));
        let oldest = |of: &dyn Fn(&Open) -> bool| {
            table.open.iter().find(|(_, open)| open.is_stranger() && of(open)).map(|(number, _)| *number)
        };
        let too_many = match (is_storm, strangers > MAX_STRANGERS) {
            (true, _) => oldest(&|open| open.remote == remote),
            (false, true) => oldest(&|_| true),
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

    /// Says whether a connection does something that takes long and is bounded elsewhere: then it does not give way.
    pub(super) fn set_busy(&self, number: u64, is_busy: bool) {
        if let Some(open) = self.table.lock().open.get_mut(&number) {
            open.is_busy = is_busy;
        }
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

    /// A request of this node came; whether the node may have this connection, too.
    pub(super) fn greet(&self, node: NodeId) -> bool {
        let mut table = self.connections.table.lock();
        let others = table.open.iter().filter(|(number, open)| **number != self.number && open.node == Some(node));
        if others.count() >= MAX_PER_NODE {
            return false;
        }
        if let Some(open) = table.open.get_mut(&self.number) {
            open.node = Some(node);
            open.socket = None;
        }
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.table.lock().open.remove(&self.number);
    }
}

impl Table {
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
        self.node.is_none() && !self.is_busy
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
        assert!(node.greet(NodeId::of(&key(1))));
        let busy = connections.admit(ip("127.0.0.1"), None);
        connections.set_busy(busy.number(), true);
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

    #[test]
    fn connections_of_a_node_are_bounded() {
        let connections = connections();
        let held: Vec<_> = (0..2 * MAX_PER_NODE).map(|_| connections.admit(ip("10.0.0.1"), None)).collect();
        let greeted = held.iter().filter(|connection| connection.greet(NodeId::of(&key(1)))).count();
        assert_eq!(greeted, MAX_PER_NODE);
        assert!(held[0].greet(NodeId::of(&key(1))), "a further request on one of them");
        assert!(held[MAX_PER_NODE].greet(NodeId::of(&key(2))), "another node has its own");
    }
}
