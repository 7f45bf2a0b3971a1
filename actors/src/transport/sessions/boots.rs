//! Runs of a node: two processes with one node key are told apart by their boot ids.

use crate::transport::hello::HelloError;
use crate::transport::{BootId, NodeId};
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// What an old process had under way when it ended arrives within this time after its successor's hello.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);
/// Earlier runs remembered of a node.
const MAX_EARLIER: usize = 8;
/// Nodes remembered; beyond them the one that said hello longest ago is forgotten.
const MAX_NODES: usize = 1_024;

/// The boot ids under which nodes said hello.
#[derive(Debug, Default)]
pub(super) struct Boots(HashMap<NodeId, Runs>);

#[derive(Debug)]
struct Runs {
    newest: BootId,
    since: Instant,
    earlier: VecDeque<BootId>,
}

impl Boots {
    /// A node has proven who it is. A run that another one has replaced does not come back: a process has one boot id
    /// for life, so both are alive.
    pub(super) fn on_hello(&mut self, now: Instant, node_id: NodeId, boot_id: BootId) -> Result<(), HelloError> {
        let Some(runs) = self.0.get_mut(&node_id) else {
            self.make_room();
            self.0.insert(node_id, Runs { newest: boot_id, since: now, earlier: VecDeque::new() });
            return Ok(());
        };
        if runs.newest == boot_id {
            return Ok(());
        }
        if runs.earlier.contains(&boot_id) {
            return Err(HelloError::TwoProcesses { node_id });
        }
        if runs.earlier.len() >= MAX_EARLIER {
            runs.earlier.pop_front();
        }
        runs.earlier.push_back(std::mem::replace(&mut runs.newest, boot_id));
        runs.since = now;
        Ok(())
    }

    /// Whether a newer run of this node said hello long enough ago for the one that asks now to be gone by now.
    pub(super) fn is_outlived(&self, now: Instant, node_id: NodeId, boot_id: BootId) -> bool {
        let is_outlived = |runs: &Runs| runs.newest != boot_id && now.saturating_duration_since(runs.since) > FAREWELL;
        self.0.get(&node_id).is_some_and(is_outlived)
    }

    fn make_room(&mut self) {
        if self.0.len() < MAX_NODES {
            return;
        }
        let oldest = self.0.iter().min_by_key(|(_, runs)| runs.since).map(|(node_id, _)| *node_id);
        oldest.map(|node_id| self.0.remove(&node_id));
    }
}
