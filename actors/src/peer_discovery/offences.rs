//! What peers did wrong.

use super::messages::Offence;
use crate::transport::NodeId;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Points at which a node is banned.
pub(super) const BAN_AT: u32 = 10;
/// A point fades after this: what happens once an hour is bad luck.
const FADE: Duration = Duration::from_secs(60);
/// Nodes with points remembered at a time.
const MAX_NODES: usize = 4_096;

/// Points of nodes, fading with time, and bans.
#[derive(Debug, Default)]
pub(super) struct Offences {
    points: HashMap<NodeId, (u32, Instant)>,
    bans: HashMap<NodeId, Instant>,
}

impl Offences {
    /// Counts an offence; whether the node is to be banned. Its points are gone then.
    pub(super) fn add(&mut self, now: Instant, node: NodeId, offence: Offence) -> bool {
        self.points.retain(|_, (points, since)| faded(*points, *since, now) > 0);
        let points = match offence {
            Offence::Forged => BAN_AT,
            Offence::Odd => 1 + self.points.get(&node).map_or(0, |(points, since)| faded(*points, *since, now)),
        };
        if points >= BAN_AT {
            self.points.remove(&node);
            return true;
        }
        if self.points.len() < MAX_NODES || self.points.contains_key(&node) {
            self.points.insert(node, (points, now));
        }
        false
    }

    /// Bans a node.
    pub(super) fn ban(&mut self, now: Instant, node: NodeId, until: Instant) {
        self.bans.retain(|_, until| *until > now);
        if self.bans.len() < MAX_NODES {
            self.bans.insert(node, until);
        }
    }

    /// Whether a node is banned.
    pub(super) fn is_banned(&self, now: Instant, node: NodeId) -> bool {
        self.bans.get(&node).is_some_and(|until| now < *until)
    }
}

fn faded(points: u32, since: Instant, now: Instant) -> u32 {
    let fades = now.saturating_duration_since(since).as_secs() / FADE.as_secs();
    points.saturating_sub(u32::try_from(fades).unwrap_or(u32::MAX))
}
