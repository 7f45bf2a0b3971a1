//! What `callboard_peers` shows.

use super::book::{DialState, Entry};
use super::messages::{BanReport, Direction, PeerReport, PeerState};
use super::state::State;
use crate::transport::sessions::{Guest, TurnedAway};
use crate::transport::{NodeId, PeerUrl, SealedHead};
use std::{collections::BTreeMap, time::Instant};

/// The same instant on both clocks: reports give unix seconds.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// The monotonic clock.
    pub now: Instant,
    /// The wall clock, unix seconds.
    pub unix: u64,
}

impl Clocks {
    fn past(self, then: Instant) -> u64 {
        self.unix.saturating_sub(self.now.saturating_duration_since(then).as_secs())
    }

    fn future(self, then: Instant) -> u64 {
        self.unix.saturating_add(then.saturating_duration_since(self.now).as_secs())
    }
}

impl State {
    /// Every known peer: each address in the book, addresses of one node together; nodes that have a session here;
    /// nodes that are banned, and those that were lately turned away.
    pub fn report(&self, clocks: Clocks, guests: &[Guest], turned_away: &[TurnedAway]) -> Vec<PeerReport> {
        let (mut nodes, mut reports) = (BTreeMap::new(), Vec::new());
        for (url, entry) in self.book.entries() {
            let report = self.of_entry(clocks, url, entry);
            // Whose address a told one is, is only claimed.
            match report.id.filter(|_| entry.is_proven) {
                Some(id) => add(&mut nodes, id, report),
                None => reports.push(report),
            }
        }
        for guest in guests {
            add_guest(&mut nodes, clocks, guest);
        }
        for node in self.offences.bans(clocks.now) {
            nodes.entry(node).or_insert_with(|| PeerReport::of(node, PeerState::Banned));
        }
        for TurnedAway { party, reason, at, .. } in turned_away {
            nodes.entry(party.node_id).or_insert_with(|| PeerReport {
                role: Some(party.role),
                direction: Some(Direction::Inbound),
                reason: Some(reason.clone()),
                since: Some(clocks.past(*at)),
                ..PeerReport::of(party.node_id, PeerState::Refused)
            });
        }
        reports.extend(nodes.into_values());
        reports.into_iter().map(|report| self.with_score(clocks, report)).collect()
    }

    fn of_entry(&self, clocks: Clocks, url: &PeerUrl, entry: &Entry) -> PeerReport {
        let state = match entry.state {
            DialState::Waiting => PeerState::Waiting,
            DialState::Dialling => PeerState::Dialling,
            DialState::Connected => PeerState::Connected,
            DialState::Refused => PeerState::Refused,
            DialState::Banned => PeerState::Banned,
        };
        let connected = entry.peer().filter(|_| state == PeerState::Connected).and_then(|id| self.connected.get(&id));
        let head = connected.and_then(|connected| connected.head.as_ref());
        PeerReport {
            id: entry.peer(),
            url: Some(url.clone()),
            urls: vec![url.clone()],
            seed: entry.target.is_seed,
            role: entry.node.map(|(_, role)| role),
            direction: connected.map(|_| Direction::Outbound),
            state,
            score: 0,
            ban: None,
            reason: entry.reason.clone(),
            height: head.map(SealedHead::height),
            hash: head.map(SealedHead::hash),
            since: Some(clocks.past(entry.since)),
            clock_skew_seconds: connected.and_then(|connected| connected.clock.seconds()),
        }
    }

    fn with_score(&self, clocks: Clocks, mut report: PeerReport) -> PeerReport {
        let Some(id) = report.id else { return report };
        report.score = self.offences.score(clocks.now, id);
        if let Some(ban) = self.offences.ban_of(clocks.now, id) {
            report.ban = Some(BanReport { until: clocks.future(ban.until), reason: ban.reason.clone() });
            report.since.get_or_insert(clocks.past(ban.since));
        }
        report
    }
}

/// Several addresses of one node are one entry, in the state that says most.
fn add(nodes: &mut BTreeMap<NodeId, PeerReport>, id: NodeId, report: PeerReport) {
    let Some(known) = nodes.get_mut(&id) else {
        nodes.insert(id, report);
        return;
    };
    let mut urls = std::mem::take(&mut known.urls);
    urls.extend(report.urls.iter().cloned());
    let seed = known.seed || report.seed;
    if rank(report.state) < rank(known.state) {
        *known = report;
    }
    (known.urls, known.seed) = (urls, seed);
}

fn add_guest(nodes: &mut BTreeMap<NodeId, PeerReport>, clocks: Clocks, guest: &Guest) {
    let id = guest.party.node_id;
    let report = nodes.entry(id).or_insert_with(|| PeerReport::of(id, PeerState::Inbound));
    if report.state == PeerState::Connected {
        report.direction = Some(Direction::Both);
        return;
    }
    report.state = PeerState::Inbound;
    report.direction = Some(Direction::Inbound);
    report.role = Some(guest.party.role);
    report.since = Some(clocks.past(guest.since));
}

fn rank(state: PeerState) -> u8 {
    match state {
        PeerState::Connected => 0,
        PeerState::Inbound => 1,
        PeerState::Banned => 2,
        PeerState::Dialling => 3,
        PeerState::Waiting => 4,
        PeerState::Refused => 5,
    }
}
