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
        make_room(&mut self.points, node, |(points, since)| (*points, *since));
        self.points.insert(node, (points, now));
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
        make_room(&mut self.bans, node, |other| other.until);
        self.bans.insert(node, ban);
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

/// Where no more nodes are remembered, the one that counts least is forgotten for `node`. Otherwise whoever comes when all
/// places are taken could do what he likes: ids cost nothing.
fn make_room<T, K: Ord>(nodes: &mut HashMap<NodeId, T>, node: NodeId, weight: impl Fn(&T) -> K) {
    if nodes.len() >= MAX_NODES
        && !nodes.contains_key(&node)
        && let Some(least) = nodes.iter().min_by_key(|(_, kept)| weight(kept)).map(|(node, _)| *node)
    {
        nodes.remove(&least);
    }
}

fn faded(points: u32, since: Instant, now: Instant) -> u32 {
    let fades = now.saturating_duration_since(since).as_secs() / FADE.as_secs();
    points.saturating_sub(u32::try_from(fades).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u32) -> NodeId {
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        NodeId::of(&callboard_chain::SecretKey::from_bytes(bytes).unwrap())
    }

    #[test]
    fn whoever_is_banned_when_all_places_are_taken_is_banned_and_the_ban_that_ends_first_gives_way() {
        let now = Instant::now();
        let mut offences = Offences::default();
        for number in 0..=MAX_NODES as u32 {
            let until = now + Duration::from_secs(60 + u64::from(number));
            offences.ban(node(number), Ban { since: now, until, reason: String::new() });
        }
        assert!(offences.ban_of(now, node(MAX_NODES as u32)).is_some());
        assert!(offences.ban_of(now, node(0)).is_none());
        assert_eq!(offences.bans(now).count(), MAX_NODES);
    }

    #[test]
    fn points_of_a_newcomer_are_counted_when_all_places_are_taken() {
        let now = Instant::now();
        let mut offences = Offences::default();
        for number in 0..MAX_NODES as u32 {
            offences.add(now, node(number), Offence::Odd);
        }
        let newcomer = node(MAX_NODES as u32);
        let answers: Vec<_> = (0..BAN_AT).map(|_| offences.add(now, newcomer, Offence::Odd)).collect();
        assert_eq!(answers.last(), Some(&true));
        assert_eq!(offences.points.len(), MAX_NODES - 1);
    }
}
