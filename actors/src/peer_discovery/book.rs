//! The peer book. Identity is the node key; an address is a hint, and it is resolved anew on each dial.

use super::messages::{PeerReport, PeerState};
use crate::callboard::Role;
use crate::transport::client::Reach;
use crate::transport::wire::PeerAddress;
use crate::transport::{NodeId, PeerUrl};
use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

/// Addresses that are known by hearsay, at a time.
pub(super) const MAX_CANDIDATES: usize = 256;
/// Addresses in the book, without seeds and candidates.
pub(super) const MAX_PROVEN: usize = 1_024;
/// Pause after the first failed dial; doubled with each further one.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause before a seed is dialled again.
pub(super) const LONGEST_SEED_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause before any other address is dialled again, and pause after one was refused.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Dials of an address in a row that fail before it is forgotten; seeds never are.
pub(super) const MAX_FAILURES: u32 = 10;

/// Where a dial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DialState {
    Waiting,
    Dialling,
    Connected,
    Refused,
    Banned,
}

/// Whom to dial.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) is_seed: bool,
    pub(super) reach: Reach,
    pub(super) expected: Option<NodeId>,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    /// Who answered at the last dial that succeeded.
    node: Option<(NodeId, Role)>,
    /// Whether a dial has ever succeeded; the others are hearsay.
    is_proven: bool,
    state: DialState,
    next_dial: Instant,
    failures: u32,
    reason: Option<String>,
}

/// Addresses, each with what is known of it.
#[derive(Debug, Default)]
pub(super) struct Book(BTreeMap<PeerUrl, Entry>);

impl Book {
    pub(super) fn add_seed(&mut self, now: Instant, url: PeerUrl) {
        let target = Target { is_seed: true, reach: Reach::Anywhere, expected: None };
        self.0.insert(url, Entry::new(now, target, false));
    }

    /// A peer of an earlier run; its address was proven then.
    pub(super) fn add_remembered(&mut self, now: Instant, address: PeerAddress) {
        let reach = if address.url.is_local_only() { Reach::Anywhere } else { Reach::NotLocal };
        let target = Target { is_seed: false, reach, expected: Some(address.node_id) };
        if self.proven_count() < MAX_PROVEN {
            self.0.entry(address.url).or_insert_with(|| Entry::new(now, target, true));
        }
    }

    /// An address by hearsay.
    pub(super) fn add_candidate(&mut self, now: Instant, address: PeerAddress, reach: Reach) {
        let candidates = self.0.values().filter(|entry| !entry.is_proven && !entry.target.is_seed).count();
        if candidates < MAX_CANDIDATES && self.proven_count() < MAX_PROVEN {
            let target = Target { is_seed: false, reach, expected: Some(address.node_id) };
            self.0.entry(address.url).or_insert_with(|| Entry::new(now, target, false));
        }
    }

    pub(super) fn urls(&self) -> HashSet<PeerUrl> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn is_seed(&self, peer: NodeId) -> bool {
        self.of(peer).any(|entry| entry.target.is_seed)
    }

    /// Takes what is due: seeds always, of the others at most `others`; never more than `dials` under way at a time.
    pub(super) fn take_due(&mut self, now: Instant, dials: usize, others: usize) -> Vec<(PeerUrl, Target)> {
        let under_way = self.0.values().filter(|entry| entry.state == DialState::Dialling);
        let (all, beside_seeds) =
            under_way.fold((0, 0), |(all, others), entry| (all + 1, others + usize::from(!entry.target.is_seed)));
        let (mut dials, mut others) = (dials.saturating_sub(all), others.saturating_sub(beside_seeds));
        let mut taken = Vec::new();
        let mut due: Vec<_> = self.0.iter_mut().filter(|(_, entry)| entry.is_due(now)).collect();
        due.sort_by_key(|(_, entry)| (!entry.target.is_seed, entry.next_dial));
        for (url, entry) in due {
            if dials == 0 || (!entry.target.is_seed && others == 0) {
                break;
            }
            dials -= 1;
            others -= usize::from(!entry.target.is_seed);
            entry.state = DialState::Dialling;
            taken.push((url.clone(), entry.target));
        }
        taken
    }

    /// A dial succeeded; whether the address is a seed's. `None` where the address is not in the book any more.
    pub(super) fn prove(&mut self, url: &PeerUrl, peer: NodeId, role: Role) -> Option<bool> {
        let entry = self.0.get_mut(url)?;
        entry.node = Some((peer, role));
        entry.is_proven = true;
        entry.state = DialState::Connected;
        entry.failures = 0;
        entry.reason = None;
        Some(entry.target.is_seed)
    }

    /// A dial failed. An address that failed too often, or by hearsay and refused, is forgotten; the node that was
    /// known there is returned then.
    pub(super) fn fail(
        &mut self,
        now: Instant,
        url: &PeerUrl,
        state: DialState,
        reason: &str,
        jitter: u64,
    ) -> Option<NodeId> {
        let entry = self.0.get_mut(url)?;
        entry.failures = entry.failures.saturating_add(1);
        entry.state = state;
        entry.reason = Some(reason.to_owned());
        entry.next_dial = now + entry.pause(jitter);
        let is_hopeless = entry.failures >= MAX_FAILURES || (state == DialState::Refused && !entry.is_proven);
        if entry.target.is_seed || !is_hopeless {
            return None;
        }
        let gone = self.0.remove(url)?;
        let peer = gone.node.map(|(peer, _)| peer).or(gone.target.expected);
        // On disk there is one address a node: it stays while another one is known.
        peer.filter(|peer| gone.is_proven && self.of(*peer).next().is_none())
    }

    /// A connected node is gone: all its addresses may be dialled again.
    pub(super) fn release(&mut self, now: Instant, peer: NodeId, reason: &str) {
        self.postpone(peer, DialState::Waiting, now + FIRST_PAUSE, reason);
    }

    /// Puts off all addresses of a node.
    pub(super) fn postpone(&mut self, peer: NodeId, state: DialState, until: Instant, reason: &str) {
        for entry in self.0.values_mut().filter(|entry| entry.is_of(peer) && entry.state != DialState::Dialling) {
            entry.state = state;
            entry.next_dial = until;
            entry.reason = Some(reason.to_owned());
        }
    }

    /// Addresses that this node has dialled with success, and can vouch for now.
    pub(super) fn proven(&self) -> impl Iterator<Item = PeerAddress> {
        let connected = self.0.iter().filter(|(_, entry)| entry.state == DialState::Connected);
        connected.filter_map(|(url, entry)| Some(PeerAddress { node_id: entry.node?.0, url: url.clone() }))
    }

    pub(super) fn reports(&self) -> impl Iterator<Item = PeerReport> {
        self.0.iter().map(|(url, entry)| entry.report(url))
    }

    fn of(&self, peer: NodeId) -> impl Iterator<Item = &Entry> {
        self.0.values().filter(move |entry| entry.is_of(peer))
    }

    fn proven_count(&self) -> usize {
        self.0.values().filter(|entry| entry.is_proven && !entry.target.is_seed).count()
    }
}

impl Entry {
    fn new(now: Instant, target: Target, is_proven: bool) -> Self {
        let state = DialState::Waiting;
        Self { target, node: None, is_proven, state, next_dial: now, failures: 0, reason: None }
    }

    fn is_due(&self, now: Instant) -> bool {
        !matches!(self.state, DialState::Dialling | DialState::Connected) && now >= self.next_dial
    }

    fn is_of(&self, peer: NodeId) -> bool {
        self.node.map(|(node, _)| node).or(self.target.expected) == Some(peer)
    }

    /// Doubled with each failure up to a bound, times 0.75 to 1.25.
    fn pause(&self, jitter: u64) -> Duration {
        let longest = if self.target.is_seed { LONGEST_SEED_PAUSE } else { LONGEST_PAUSE };
        let doubled = 1u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = match self.state {
            DialState::Refused => longest,
            _ => FIRST_PAUSE.saturating_mul(doubled).min(longest),
        };
        pause.mul_f64(0.75 + (jitter % 501) as f64 / 1_000.0)
    }

    fn report(&self, url: &PeerUrl) -> PeerReport {
        PeerReport {
            id: self.node.map(|(node, _)| node).or(self.target.expected),
            url: Some(url.clone()),
            seed: self.target.is_seed,
            role: self.node.map(|(_, role)| role),
            state: match self.state {
                DialState::Waiting => PeerState::Waiting,
                DialState::Dialling => PeerState::Dialling,
                DialState::Connected => PeerState::Connected,
                DialState::Refused => PeerState::Refused,
                DialState::Banned => PeerState::Banned,
            },
            reason: self.reason.clone(),
            height: None,
            hash: None,
        }
    }
}
