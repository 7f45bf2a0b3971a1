//! The peer book. Identity is the node key; an address is a hint, and it is resolved anew on each dial.

use super::hearsay::{Hearsay, MAX_DIALS_TOLD};
use crate::callboard::Role;
use crate::transport::client::Reach;
use crate::transport::wire::PeerAddress;
use crate::transport::{AddressRange, NodeId, PeerUrl};
use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    time::{Duration, Instant},
};

/// Addresses that are known by hearsay, at a time.
pub(super) const MAX_CANDIDATES: usize = 256;
/// Of these, by the word of one node: what it knows of a small network, and no more of the table.
pub(super) const MAX_PER_TELLER: usize = 32;
/// Addresses in the book, without seeds and candidates.
pub(super) const MAX_PROVEN: usize = 1_024;
/// Addresses of one host, unless it is on this machine or in a private network: a host has 65,535 ports.
pub(super) const MAX_PER_HOST: usize = 4;
/// Addresses of one range in the book.
pub(super) const MAX_PER_RANGE: usize = 32;
/// Connected peers of one range, beside the seeds: who owns a range must not be all that this node sees.
pub(super) const MAX_CONNECTED_PER_RANGE: usize = 4;
/// Pause after the first failed dial; doubled with each further one.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause before a seed that did not answer is dialled again. It is below the time that an authority which starts
/// waits for its guests: they tell it of blocks that a restored database lacks.
pub(super) const LONGEST_SEED_PAUSE: Duration = Duration::from_secs(4);
/// Pause after a seed was refused.
pub(super) const REFUSED_SEED_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause before any other address is dialled again, and pause after one was refused.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Dials of an address in a row that fail before it is forgotten; seeds never are.
pub(super) const MAX_FAILURES: u32 = 10;
/// An address at which nobody has answered for so long is forgotten, also where no dial was due: it is stale.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(7 * 86_400);

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

/// An address and what is known of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) target: Target,
    /// Who answered at the last dial that succeeded.
    pub(super) node: Option<(NodeId, Role)>,
    /// Whether a dial has ever succeeded; the others are hearsay.
    pub(super) is_proven: bool,
    pub(super) state: DialState,
    /// Since when it is in this state.
    pub(super) since: Instant,
    pub(super) reason: Option<String>,
    /// Who told it.
    teller: Option<NodeId>,
    range: Option<AddressRange>,
    /// When it was learned, or answered last.
    seen: Instant,
    next_dial: Instant,
    failures: u32,
}

/// Addresses, each with what is known of it.
#[derive(Debug)]
pub(super) struct Book {
    entries: BTreeMap<PeerUrl, Entry>,
    hearsay: Hearsay,
}

impl Book {
    pub(super) fn new(now: Instant) -> Self {
        Self { entries: BTreeMap::new(), hearsay: Hearsay::new(now) }
    }

    pub(super) fn add_seed(&mut self, now: Instant, url: PeerUrl) {
        let target = Target { is_seed: true, reach: Reach::Anywhere, expected: None };
        self.entries.insert(url.clone(), Entry::new(now, &url, target));
    }

    /// A peer of an earlier run; its address was proven then.
    pub(super) fn add_remembered(&mut self, now: Instant, PeerAddress { node_id, url }: PeerAddress) {
        let reach = if url.is_local_only() { Reach::Anywhere } else { Reach::NotLocal };
        let target = Target { is_seed: false, reach, expected: Some(node_id) };
        if self.proven_count() < MAX_PROVEN {
            let entry = Entry { is_proven: true, ..Entry::new(now, &url, target) };
            self.entries.entry(url).or_insert(entry);
        }
    }

    /// An address by hearsay: taken, or why not. `is_exempt`: its node is on the operator's list, so that limits by
    /// host and range leave it alone.
    pub(super) fn add_candidate(
        &mut self,
        now: Instant,
        PeerAddress { node_id, url }: PeerAddress,
        reach: Reach,
        teller: NodeId,
        is_exempt: bool,
    ) -> Result<(), &'static str> {
        if self.entries.contains_key(&url) {
            return Ok(());
        }
        let target = Target { is_seed: false, reach, expected: Some(node_id) };
        let entry = Entry { teller: Some(teller), ..Entry::new(now, &url, target) };
        let candidates = || self.entries.values().filter(|entry| !entry.is_proven && !entry.target.is_seed);
        if candidates().count() >= MAX_CANDIDATES || self.proven_count() >= MAX_PROVEN {
            return Err("book_full");
        }
        if candidates().filter(|entry| entry.teller == Some(teller)).count() >= MAX_PER_TELLER {
            return Err("teller_full");
        }
        if !is_exempt && self.host_count(&url) >= MAX_PER_HOST {
            return Err("host_full");
        }
        if !is_exempt && self.range_count(entry.range) >= MAX_PER_RANGE {
            return Err("range_full");
        }
        if !self.hearsay.may_try(now, &url) {
            return Err("tried");
        }
        self.entries.insert(url, entry);
        Ok(())
    }

    pub(super) fn urls(&self) -> HashSet<PeerUrl> {
        self.entries.keys().cloned().collect()
    }

    pub(super) fn is_seed(&self, peer: NodeId) -> bool {
        self.of(peer).any(|entry| entry.target.is_seed)
    }

    pub(super) fn entry(&self, url: &PeerUrl) -> Option<&Entry> {
        self.entries.get(url)
    }

    /// Takes what is due: seeds always, of the others at most `others`; never more than `dials` under way at a time.
    pub(super) fn take_due(&mut self, now: Instant, dials: usize, others: usize) -> Vec<(PeerUrl, Target)> {
        let under_way = self.entries.values().filter(|entry| entry.state == DialState::Dialling);
        let (all, beside_seeds) =
            under_way.fold((0, 0), |(all, others), entry| (all + 1, others + usize::from(!entry.target.is_seed)));
        let (mut dials, mut others) = (dials.saturating_sub(all), others.saturating_sub(beside_seeds));
        let mut taken = Vec::new();
        let mut due: Vec<_> = self.entries.iter_mut().filter(|(_, entry)| entry.is_due(now)).collect();
        // What has been proven before what somebody told.
        due.sort_by_key(|(_, entry)| (!entry.target.is_seed, !entry.is_proven, entry.next_dial));
        for (url, entry) in due {
            let is_hearsay = !entry.target.is_seed && !entry.is_proven;
            if dials == 0 || (!entry.target.is_seed && others == 0) || (is_hearsay && !self.hearsay.may_dial(now)) {
                break;
            }
            dials -= 1;
            others -= usize::from(!entry.target.is_seed);
            entry.enter(now, DialState::Dialling);
            taken.push((url.clone(), entry.target));
        }
        taken
    }

    /// A dial succeeded; whether the address is a seed's. `None` where the address is not in the book any more.
    pub(super) fn prove(
        &mut self,
        now: Instant,
        url: &PeerUrl,
        peer: NodeId,
        role: Role,
        remote: Option<IpAddr>,
    ) -> Option<bool> {
        let entry = self.entries.get_mut(url)?;
        entry.node = Some((peer, role));
        entry.is_proven = true;
        entry.range = remote.and_then(AddressRange::of);
        entry.seen = now;
        entry.enter(now, DialState::Connected);
        entry.failures = 0;
        entry.reason = None;
        Some(entry.target.is_seed)
    }

    /// Whether so many nodes of this address's range are connected, beside the seeds, that another one is too many.
    pub(super) fn is_range_full(&self, remote: Option<IpAddr>) -> bool {
        let Some(range) = remote.and_then(AddressRange::of) else { return false };
        let connected =
            |entry: &&Entry| entry.state == DialState::Connected && !entry.target.is_seed && entry.range == Some(range);
        let nodes: HashSet<_> = self.entries.values().filter(connected).map(|entry| entry.node).collect();
        nodes.len() >= MAX_CONNECTED_PER_RANGE
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
        let entry = self.entries.get_mut(url)?;
        entry.failures = entry.failures.saturating_add(1);
        entry.enter(now, state);
        entry.reason = Some(reason.to_owned());
        entry.next_dial = now + entry.pause(jitter);
        let most = if entry.is_proven { MAX_FAILURES } else { MAX_DIALS_TOLD };
        let is_hopeless = entry.failures >= most || (state == DialState::Refused && !entry.is_proven);
        if entry.target.is_seed || !is_hopeless {
            return None;
        }
        self.forget(now, url)
    }

    /// Forgets addresses at which nobody has answered for [`FORGET_AFTER`]; the nodes that were known there only.
    pub(super) fn forget_stale(&mut self, now: Instant) -> Vec<NodeId> {
        let is_stale = |entry: &Entry| {
            let is_idle = !matches!(entry.state, DialState::Dialling | DialState::Connected);
            is_idle && !entry.target.is_seed && now.saturating_duration_since(entry.seen) >= FORGET_AFTER
        };
        let stale: Vec<PeerUrl> =
            self.entries.iter().filter(|(_, entry)| is_stale(entry)).map(|(url, _)| url.clone()).collect();
        stale.iter().filter_map(|url| self.forget(now, url)).collect()
    }

    fn forget(&mut self, now: Instant, url: &PeerUrl) -> Option<NodeId> {
        let gone = self.entries.remove(url)?;
        if !gone.is_proven {
            self.hearsay.give_up(now, url.clone());
        }
        // On disk there is one address a node: it stays while another one is known.
        gone.peer().filter(|peer| gone.is_proven && self.of(*peer).next().is_none())
    }

    /// A connected node is gone: all its addresses may be dialled again.
    pub(super) fn release(&mut self, now: Instant, peer: NodeId, reason: &str) {
        self.postpone(now, peer, DialState::Waiting, now + FIRST_PAUSE, reason);
    }

    /// Puts off all addresses of a node.
    pub(super) fn postpone(&mut self, now: Instant, peer: NodeId, state: DialState, until: Instant, reason: &str) {
        let of_peer = |entry: &&mut Entry| entry.is_of(peer) && entry.state != DialState::Dialling;
        for entry in self.entries.values_mut().filter(of_peer) {
            if entry.state == DialState::Connected {
                entry.seen = now;
            }
            entry.enter(now, state);
            entry.next_dial = until;
            entry.reason = Some(reason.to_owned());
        }
    }

    /// Addresses that this node has dialled with success, and can vouch for now.
    pub(super) fn proven(&self) -> impl Iterator<Item = PeerAddress> {
        let connected = self.entries.iter().filter(|(_, entry)| entry.state == DialState::Connected);
        connected.filter_map(|(url, entry)| Some(PeerAddress { node_id: entry.node?.0, url: url.clone() }))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&PeerUrl, &Entry)> {
        self.entries.iter()
    }

    fn of(&self, peer: NodeId) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(move |entry| entry.is_of(peer))
    }

    fn proven_count(&self) -> usize {
        self.entries.values().filter(|entry| entry.is_proven && !entry.target.is_seed).count()
    }

    fn host_count(&self, url: &PeerUrl) -> usize {
        if url.ip().is_some_and(|ip| AddressRange::of(ip).is_none()) || url.is_local_only() {
            return 0;
        }
        let same_host = |(other, entry): &(&PeerUrl, &Entry)| !entry.target.is_seed && other.host() == url.host();
        self.entries.iter().filter(same_host).count()
    }

    fn range_count(&self, range: Option<AddressRange>) -> usize {
        let Some(range) = range else { return 0 };
        self.entries.values().filter(|entry| !entry.target.is_seed && entry.range == Some(range)).count()
    }
}

impl Entry {
    fn new(now: Instant, url: &PeerUrl, target: Target) -> Self {
        Self {
            target,
            node: None,
            is_proven: false,
            state: DialState::Waiting,
            since: now,
            reason: None,
            teller: None,
            range: url.ip().and_then(AddressRange::of),
            seen: now,
            next_dial: now,
            failures: 0,
        }
    }

    /// Who answers there, as far as is known.
    pub(super) fn peer(&self) -> Option<NodeId> {
        self.node.map(|(node, _)| node).or(self.target.expected)
    }

    fn enter(&mut self, now: Instant, state: DialState) {
        if self.state != state {
            self.since = now;
        }
        self.state = state;
    }

    fn is_due(&self, now: Instant) -> bool {
        !matches!(self.state, DialState::Dialling | DialState::Connected) && now >= self.next_dial
    }

    fn is_of(&self, peer: NodeId) -> bool {
        self.peer() == Some(peer)
    }

    /// Doubled with each failure up to a bound, times 0.75 to 1.25.
    fn pause(&self, jitter: u64) -> Duration {
        let (longest, refused) = match self.target.is_seed {
            true => (LONGEST_SEED_PAUSE, REFUSED_SEED_PAUSE),
            false => (LONGEST_PAUSE, LONGEST_PAUSE),
        };
        let doubled = 1u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = match self.state {
            DialState::Refused => refused,
            _ => FIRST_PAUSE.saturating_mul(doubled).min(longest),
        };
        pause.mul_f64(0.75 + (jitter % 501) as f64 / 1_000.0)
    }
}
