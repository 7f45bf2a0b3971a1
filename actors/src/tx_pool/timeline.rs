//! What happened to transactions, step by step: those in the pool, and the newest that are in it no longer.

use super::newest::Newest;
use super::queue::Waiting;
use super::state::DropReason;
use crate::transport::NodeId;
use alloy_primitives::B256;
use std::collections::HashMap;

/// Steps that are kept of one transaction; repetitions count as one.
pub(super) const MAX_STEPS: usize = 16;
/// Characters that are kept of a reason, which may be a peer's words.
const MAX_REASON: usize = 256;
/// Nodes that are named of those to which a transaction was forwarded.
const MAX_NAMED: usize = 8;

/// Where a transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This node's JSON-RPC or REST.
    Rpc,
    /// Another node.
    Peer(NodeId),
    /// A block that was undone.
    Block,
}

/// What happened to a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It came.
    Arrived {
        /// From where.
        from: Source,
    },
    /// It was checked, and is in the pool.
    Checked,
    /// It was handed on, to be brought to the authority.
    Forwarded {
        /// To whom: connected nodes that are the authority, or seeds. Nobody where none is connected.
        to: Vec<NodeId>,
    },
    /// A node on the way to the authority, or the authority, has taken it.
    Acknowledged {
        /// Which.
        by: NodeId,
    },
    /// A node on the way to the authority, or the authority, does not take it now.
    NotNow {
        /// Which.
        by: NodeId,
        /// Its words.
        reason: String,
    },
    /// It left the pool.
    Dropped {
        /// Why.
        reason: DropReason,
        /// The transaction that took its place, or used its nonce, where that is known.
        by: Option<B256>,
        /// What the build said of one that could not be executed.
        detail: Option<String>,
    },
    /// The authority, or the node on the way there, did not take it, and it was dropped here.
    RefusedBy {
        /// Who.
        by: NodeId,
        /// Its words.
        reason: String,
    },
    /// This node did not take it.
    Refused {
        /// Who offered it.
        from: Source,
        /// Why.
        reason: String,
    },
    /// It was offered again while it was kept out for what stands in an earlier step.
    KeptOut {
        /// Who offered it.
        from: Source,
    },
}

impl Step {
    /// The name that users see.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Arrived { .. } => "arrived",
            Self::Checked => "checked",
            Self::Forwarded { .. } => "forwarded",
            Self::Acknowledged { .. } => "acknowledged",
            Self::NotNow { .. } => "notNow",
            Self::Dropped { .. } => "dropped",
            Self::RefusedBy { .. } | Self::Refused { .. } => "refused",
            Self::KeptOut { .. } => "keptOut",
        }
    }

    fn cut(mut self) -> Self {
        match &mut self {
            Self::NotNow { reason, .. } | Self::RefusedBy { reason, .. } | Self::Refused { reason, .. } => {
                shorten(reason)
            }
            Self::Dropped { detail: Some(detail), .. } => shorten(detail),
            Self::Forwarded { to } => to.truncate(MAX_NAMED),
            _ => {}
        }
        self
    }
}

fn shorten(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(MAX_REASON) {
        text.truncate(at);
    }
}

/// A step with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it happened first, unix seconds.
    pub at: u64,
    /// When it happened last, unix seconds.
    pub last: u64,
    /// How often.
    pub times: u64,
    /// What happened.
    pub step: Step,
}

/// Where a transaction is, or where it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// In the pool.
    Held {
        /// What it waits for.
        waiting: Waiting,
        /// Whether this node brings it to the authority.
        forwarded: bool,
        /// The node that took it last from here: the authority, or one on the way there. `None` again once it does not.
        acknowledged_by: Option<NodeId>,
    },
    /// It left the pool.
    Dropped(DropReason),
    /// The authority, or the node on the way there, did not take it, and it was dropped here.
    RefusedBy {
        /// Who.
        by: NodeId,
        /// Its words.
        reason: String,
    },
    /// This node did not take it.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Where a transaction is, and how it came there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Where it is.
    pub fate: Fate,
    /// What happened, oldest first.
    pub timeline: Vec<Entry>,
}

/// The steps of one transaction, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<Entry>);

impl Line {
    /// Adds a step. What happens again and again (a forward, an answer to it) is counted where it stands.
    fn add(&mut self, at: u64, step: Step) {
        let step = step.cut();
        let life = self.0.iter().rposition(|entry| matches!(entry.step, Step::Arrived { .. })).unwrap_or(0);
        if let Some(same) = self.0[life..].iter_mut().find(|entry| entry.step == step) {
            (same.last, same.times) = (at, same.times.saturating_add(1));
            return;
        }
        if self.0.len() == MAX_STEPS {
            // The first one, where it came from, says more than what followed.
            self.0.remove(1);
        }
        self.0.push(Entry { at, last: at, times: 1, step });
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// How it ended; `None` for one that did not.
    pub(super) fn end(&self) -> Option<Fate> {
        self.0.iter().rev().find_map(|entry| match &entry.step {
            Step::Dropped { reason, .. } => Some(Fate::Dropped(*reason)),
            Step::RefusedBy { by, reason } => Some(Fate::RefusedBy { by: *by, reason: reason.clone() }),
            Step::Refused { reason, .. } => Some(Fate::Refused { reason: reason.clone() }),
            _ => None,
        })
    }
}

/// A line for each transaction in the pool, and for the newest of those that left it and of those that never came in: two
/// memories, so that a flood of what is refused pushes out nothing that left the pool. What is in a block is not kept: the
/// store answers that. It is a memory for questions only.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    held: HashMap<B256, Line>,
    dropped: Newest<Line>,
    refused: Newest<Line>,
}

impl Timeline {
    /// The pool took it.
    pub(super) fn on_taken(&mut self, at: u64, hash: B256, from: Source) {
        let mut line = self.dropped.remove(&hash).or_else(|| self.refused.remove(&hash)).unwrap_or_default();
        line.add(at, Step::Arrived { from });
        line.add(at, Step::Checked);
        self.held.insert(hash, line);
    }

    /// Something happened to one in the pool.
    pub(super) fn on_step(&mut self, at: u64, hash: &B256, step: Step) {
        if let Some(line) = self.held.get_mut(hash) {
            line.add(at, step);
        }
    }

    /// It left the pool: `step` says how.
    pub(super) fn on_left(&mut self, at: u64, hash: B256, step: Step) {
        let mut line = self.held.remove(&hash).unwrap_or_default();
        line.add(at, step);
        self.dropped.put(hash, line);
    }

    /// A block has it.
    pub(super) fn on_included(&mut self, hash: &B256) {
        self.held.remove(hash);
    }

    /// It was not taken. One that is in the pool all the same stays as it is.
    pub(super) fn on_refused(&mut self, at: u64, hash: B256, step: Step) {
        if self.held.contains_key(&hash) {
            return;
        }
        if let Some(line) = self.dropped.get_mut(&hash) {
            return line.add(at, step);
        }
        let mut line = self.refused.remove(&hash).unwrap_or_default();
        line.add(at, step);
        self.refused.put(hash, line);
    }

    /// What is known of a transaction.
    pub(super) fn of(&self, hash: &B256) -> Option<&Line> {
        self.held.get(hash).or_else(|| self.dropped.get(hash)).or_else(|| self.refused.get(hash))
    }
}
