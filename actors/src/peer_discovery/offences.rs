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
    bans: HashMap<NodeId, Ban>,
}

/// A node that is not talked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ban {
    pub(super) since: Instant,
    pub(super) until: Instant,
    pub(super) reason: String,
}

impl Offences {
    /// Counts an offence; whether the node is to be banned. Its points are gone then.
    pub(super) fn add(&mut self, now: Instant, node: NodeId, offence: Offence) -> bool {
        self.points.retain(|_, (points, since)| faded(*points, *since, now) > 0);
        let points = match offence {
            Offence::Forged => BAN_AT,
            Offence::Odd => 1 + self.points_of(now, node),
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

    /// 0 for a node that did nothing wrong, down to −10 for one that is banned; grows back by one a minute.
    pub(super) fn score(&self, now: Instant, node: NodeId) -> i32 {
        let points = if self.ban_of(now, node).is_some() { BAN_AT } else { self.points_of(now, node) };
        -i32::try_from(points).unwrap_or(i32::MAX)
    }

    /// Bans a node.
    pub(super) fn ban(&mut self, node: NodeId, ban: Ban) {
        self.bans.retain(|_, other| other.until > ban.since);
        if self.bans.len() < MAX_NODES {
            self.bans.insert(node, ban);
        }
    }

    /// The ban in force.
    pub(super) fn ban_of(&self, now: Instant, node: NodeId) -> Option<&Ban> {
        self.bans.get(&node).filter(|ban| now < ban.until)
    }

    /// Every ban in force.
    pub(super) fn bans(&self, now: Instant) -> impl Iterator<Item = NodeId> {
        self.bans.iter().filter(move |(_, ban)| now < ban.until).map(|(node, _)| *node)
    }

    fn points_of(&self, now: Instant, node: NodeId) -> u32 {
        self.points.get(&node).map_or(0, |(points, since)| faded(*points, *since, now))
    }
}

fn faded(points: u32, since: Instant, now: Instant) -> u32 {
    let fades = now.saturating_duration_since(since).as_secs() / FADE.as_secs();
    points.saturating_sub(u32::try_from(fades).unwrap_or(u32::MAX))
}
