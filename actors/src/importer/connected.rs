//! The peers that can be asked about a block.

use crate::transport::NodeId;
use crate::transport::client::Session;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sessions of this node with other nodes. The sync coordinator keeps it; peer discovery bounds how many there are.
/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Connected(Arc<RwLock<BTreeMap<NodeId, Session>>>);

impl Connected {
    /// A peer can be asked.
    pub fn insert(&self, session: Session) {
        self.0.write().insert(session.node_id(), session);
    }

    /// A peer is gone.
    pub fn remove(&self, peer: NodeId) {
        self.0.write().remove(&peer);
    }

    /// Where a peer answers.
    pub(super) fn url(&self, peer: NodeId) -> Option<String> {
        self.0.read().get(&peer).map(|session| session.url().to_string())
    }

    /// At most `limit` peers, `first` before all others.
    pub(super) fn sessions(&self, first: Option<NodeId>, limit: usize) -> Vec<Session> {
        let connected = self.0.read();
        let sender = first.and_then(|peer| connected.get(&peer));
        let others = connected.iter().filter(|(peer, _)| Some(**peer) != first).map(|(_, session)| session);
        sender.into_iter().chain(others).take(limit).cloned().collect()
    }
}
