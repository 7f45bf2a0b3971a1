//! The core of peer discovery: whom to dial, score, ban, forget.

use super::book::{Book, DialState, Target};
use super::messages::Offence;
use super::offences::{Ban, Offences};
use crate::callboard::Role;
use crate::transport::client::Reach;
use crate::transport::clock::{ClockSample, ClockSkew};
use crate::transport::sessions::Guest;
use crate::transport::wire::{MAX_ADDRESSES, PeerAddress};
use crate::transport::{NodeId, PeerUrl, SealedHead, is_local_only};
use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    time::{Duration, Instant},
};

/// How often a connected peer is asked for its head: a gap is seen within a second.
pub(super) const POLL_EVERY: Duration = Duration::from_secs(1);
/// Polls in a row that may fail before a peer counts as lost.
pub(super) const MAX_MISSED_POLLS: u32 = 3;
/// How often a connected peer is asked for addresses.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// Dials under way at a time.
pub(super) const MAX_DIALS: usize = 16;
/// Peers that are dialled beside the seeds: enough to find blocks when a few are down.
pub(super) const OUTBOUND_PEERS: usize = 16;
/// How long a node that misbehaved is not talked to.
pub(super) const BAN: Duration = Duration::from_secs(600);
/// The same for a configured seed: the operator trusts it, and it may be all there is.
pub(super) const SEED_BAN: Duration = Duration::from_secs(60);

/// What the core is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Configured addresses; they keep reserved places and are never forgotten.
    pub seeds: Vec<PeerUrl>,
    /// Most peers at a time.
    pub max_peers: usize,
    /// If not empty, nobody else is a peer.
    pub allow: HashSet<NodeId>,
    /// Whether addresses are told and believed.
    pub discovery: bool,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Say hello and report with [`State::on_dialled`].
    Dial {
        /// Where.
        url: PeerUrl,
        /// Which addresses it may resolve to.
        reach: Reach,
        /// Who has to answer, where that is known.
        expected: Option<NodeId>,
        /// Whether it is a configured seed.
        is_seed: bool,
    },
    /// Ask for its head and report with [`State::on_polled`].
    Poll {
        /// Whom.
        peer: NodeId,
        /// Which connection; an answer for an older one is dropped.
        number: u64,
    },
    /// Ask for addresses and report with [`State::on_told`].
    AskAddresses {
        /// Whom.
        peer: NodeId,
    },
    /// The node just dialled is a peer from now on.
    Connected {
        /// Who.
        peer: NodeId,
        /// Whether it is a configured seed.
        is_seed: bool,
    },
    /// It no longer is.
    Lost {
        /// Who.
        peer: NodeId,
        /// Why, for people.
        reason: String,
    },
    /// Its head.
    Status {
        /// Whose.
        peer: NodeId,
        /// The head, under the authority's seal.
        head: Box<SealedHead>,
    },
    /// End its sessions here and let it in again only then.
    Ban {
        /// Whom.
        peer: NodeId,
        /// When it ends.
        until: Instant,
    },
    /// Keep a place for this seed.
    Reserve {
        /// Whose.
        peer: NodeId,
    },
    /// Remember this peer's address on disk.
    Remember(PeerAddress),
    /// Forget it on disk.
    Forget {
        /// Whom.
        peer: NodeId,
    },
    /// Every seed and remembered peer has been dialled once.
    FirstDialsEnded {
        /// Peers connected by then.
        connected: usize,
    },
}

/// A dial that reached a node of this chain.
#[derive(Debug, Clone)]
pub struct Dialled {
    /// Who answered.
    pub peer: NodeId,
    /// The role it claims.
    pub role: Role,
    /// The address that its host name stood for.
    pub remote: Option<IpAddr>,
}

/// A dial or poll that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it says of the peer.
    pub kind: FailureKind,
    /// The details, for people.
    pub reason: String,
}

/// See [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Nobody answered, or too slowly.
    Unreachable,
    /// Whoever answers is no peer for this node, or does not want it.
    Refused,
    /// It answered something that no honest node answers.
    Misbehaved,
}

/// Owns the peer book.
#[derive(Debug)]
pub struct State {
    settings: Settings,
    pub(super) book: Book,
    pub(super) connected: BTreeMap<NodeId, Connected>,
    pub(super) offences: Offences,
    last_number: u64,
    first_dials: Option<HashSet<PeerUrl>>,
}

/// A peer that this node has dialled.
#[derive(Debug)]
pub(super) struct Connected {
    /// Of the session: a peer that is lost and dialled again gets another one.
    number: u64,
    url: PeerUrl,
    is_seed: bool,
    next_poll: Instant,
    polling: bool,
    missed: u32,
    next_ask: Instant,
    pub(super) head: Option<SealedHead>,
    pub(super) clock: ClockSkew,
}

impl State {
    /// The state at start. `remembered`: peers of earlier runs.
    pub fn new(now: Instant, settings: Settings, remembered: Vec<PeerAddress>) -> Self {
        let mut book = Book::new(now);
        settings.seeds.iter().for_each(|seed| book.add_seed(now, seed.clone()));
        remembered.into_iter().for_each(|address| book.add_remembered(now, address));
        let first_dials = Some(book.urls());
        let offences = Offences::default();
        Self { settings, book, connected: BTreeMap::new(), offences, last_number: 0, first_dials }
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Effect> {
        let forgotten = self.book.forget_stale(now);
        let mut effects: Vec<Effect> = forgotten.into_iter().map(|peer| Effect::Forget { peer }).collect();
        effects.extend(self.dial_due(now));
        effects.extend(self.poll_due(now));
        effects.extend(self.end_of_first_dials());
        effects
    }

    /// A dial ended. `jitter`: any number, drawn anew each time.
    pub fn on_dialled(
        &mut self,
        now: Instant,
        url: &PeerUrl,
        result: Result<Dialled, Failure>,
        jitter: u64,
    ) -> Vec<Effect> {
        self.first_dials.as_mut().map(|waiting| waiting.remove(url));
        let mut effects = match result.and_then(|dialled| self.check_welcome(now, url, dialled)) {
            Ok(dialled) => self.welcome(now, url, dialled),
            Err(failure) => self.on_dial_failed(now, url, &failure, jitter),
        };
        effects.extend(self.end_of_first_dials());
        effects
    }

    /// A connected peer said its time.
    pub(super) fn on_clock(&mut self, peer: NodeId, sample: ClockSample) {
        if let Some(connected) = self.connected.get_mut(&peer) {
            connected.clock.add(sample);
        }
    }

    /// A poll ended.
    pub fn on_polled(
        &mut self,
        now: Instant,
        peer: NodeId,
        number: u64,
        result: Result<SealedHead, Failure>,
    ) -> Vec<Effect> {
        let Some(connected) = self.connected.get_mut(&peer).filter(|connected| connected.number == number) else {
            return Vec::new();
        };
        connected.polling = false;
        let mut effects = self.on_poll_result(now, peer, result);
        effects.extend(self.end_of_first_dials());
        effects
    }

    fn on_poll_result(&mut self, now: Instant, peer: NodeId, result: Result<SealedHead, Failure>) -> Vec<Effect> {
        let Some(connected) = self.connected.get_mut(&peer) else { return Vec::new() };
        match result {
            Ok(head) => {
                connected.missed = 0;
                connected.head = Some(head.clone());
                vec![Effect::Status { peer, head: Box::new(head) }]
            }
            Err(Failure { kind: FailureKind::Misbehaved, reason }) => {
                self.on_misbehaved(now, peer, Offence::Forged, &reason)
            }
            Err(Failure { kind: FailureKind::Refused, reason }) => self.lose(now, peer, &reason),
            Err(Failure { kind: FailureKind::Unreachable, reason }) => {
                connected.missed += 1;
                if connected.missed < MAX_MISSED_POLLS { Vec::new() } else { self.lose(now, peer, &reason) }
            }
        }
    }

    /// A peer did what an honest one does not do.
    pub fn on_misbehaved(&mut self, now: Instant, peer: NodeId, offence: Offence, reason: &str) -> Vec<Effect> {
        if !self.offences.add(now, peer, offence) {
            return Vec::new();
        }
        let is_seed = self.book.is_seed(peer);
        let until = now + if is_seed { SEED_BAN } else { BAN };
        let told = format!("banned: {reason}");
        let mut effects = self.lose(now, peer, &told);
        self.book.postpone(now, peer, DialState::Banned, until, &told);
        self.offences.ban(peer, Ban { since: now, until, reason: reason.to_owned() });
        effects.push(Effect::Ban { peer, until });
        effects
    }

    /// A session no longer works; the peer is dialled again.
    pub fn on_session_broken(&mut self, now: Instant, peer: NodeId, reason: &str) -> Vec<Effect> {
        self.lose(now, peer, reason)
    }

    /// A node opened a session here and may have said where it can be dialled.
    pub fn on_greeted(&mut self, now: Instant, guest: Guest) -> Vec<&'static str> {
        let node_id = guest.party.node_id;
        let address = guest.party.advertise.map(|url| PeerAddress { node_id, url });
        self.on_told(now, node_id, guest.remote, address.into_iter().collect())
    }

    /// `teller` at `remote` told addresses. They are dialled, and only what answers as told enters the book. Why some
    /// were not taken comes back.
    pub fn on_told(
        &mut self,
        now: Instant,
        teller: NodeId,
        remote: Option<IpAddr>,
        addresses: Vec<PeerAddress>,
    ) -> Vec<&'static str> {
        let too_many = addresses.len().saturating_sub(MAX_ADDRESSES).min(1);
        let told = addresses.into_iter().take(MAX_ADDRESSES);
        let ignored = told.filter_map(|address| self.add_told(now, teller, remote, address).err());
        ignored.chain(std::iter::repeat_n("too_many", too_many)).collect()
    }

    fn add_told(
        &mut self,
        now: Instant,
        teller: NodeId,
        remote: Option<IpAddr>,
        address: PeerAddress,
    ) -> Result<(), &'static str> {
        let teller_is_local = remote.is_some_and(is_local_only);
        let is_listed = self.settings.allow.contains(&address.node_id);
        if !self.settings.discovery {
            return Err("discovery_off");
        }
        if !is_listed && !self.settings.allow.is_empty() {
            return Err("not_allowed");
        }
        if !teller_is_local && address.url.is_local_only() {
            return Err("local_address");
        }
        if self.offences.ban_of(now, address.node_id).is_some() {
            return Err("banned");
        }
        if self.connected.contains_key(&address.node_id) {
            return Ok(());
        }
        let reach = if teller_is_local { Reach::Anywhere } else { Reach::NotLocal };
        self.book.add_candidate(now, address, reach, teller, is_listed)
    }

    /// Addresses for `peer` at `remote`, each one dialled from here with success; `None` where discovery is off.
    /// Addresses of this machine or link are of use to nobody elsewhere.
    pub fn addresses_for(&self, peer: NodeId, remote: Option<IpAddr>) -> Option<Vec<PeerAddress>> {
        let is_local = remote.is_some_and(is_local_only);
        let is_of_use = |address: &PeerAddress| address.node_id != peer && (is_local || !address.url.is_local_only());
        let told = self.book.proven().filter(is_of_use).take(MAX_ADDRESSES);
        self.settings.discovery.then(|| told.collect())
    }

    /// Why the last dial of an address failed.
    pub(super) fn reason_at(&self, url: &PeerUrl) -> Option<&str> {
        self.book.entry(url)?.reason.as_deref()
    }

    fn dial_due(&mut self, now: Instant) -> Vec<Effect> {
        let beside_seeds = self.connected.values().filter(|connected| !connected.is_seed).count();
        let wanted = OUTBOUND_PEERS.min(self.settings.max_peers).saturating_sub(beside_seeds);
        let dial = |(url, target): (PeerUrl, Target)| Effect::Dial {
            url,
            reach: target.reach,
            expected: target.expected,
            is_seed: target.is_seed,
        };
        self.book.take_due(now, MAX_DIALS, wanted).into_iter().map(dial).collect()
    }

    fn poll_due(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (peer, connected) in &mut self.connected {
            if now >= connected.next_poll && !connected.polling {
                connected.polling = true;
                connected.next_poll = now + POLL_EVERY;
                effects.push(Effect::Poll { peer: *peer, number: connected.number });
            }
            if self.settings.discovery && now >= connected.next_ask {
                connected.next_ask = now + ASK_EVERY;
                effects.push(Effect::AskAddresses { peer: *peer });
            }
        }
        effects
    }

    fn check_welcome(&self, now: Instant, url: &PeerUrl, dialled: Dialled) -> Result<Dialled, Failure> {
        let refused = |reason: &str| Err(Failure { kind: FailureKind::Refused, reason: reason.to_owned() });
        let is_listed = self.settings.allow.contains(&dialled.peer);
        if !self.settings.allow.is_empty() && !is_listed {
            return refused("it is not in this node's peers.allow");
        }
        if self.offences.ban_of(now, dialled.peer).is_some() {
            return refused("it is banned here");
        }
        let is_known = self.book.entry(url).is_some_and(|entry| entry.target.is_seed)
            || self.connected.contains_key(&dialled.peer);
        if !is_listed && !is_known && self.book.is_range_full(dialled.remote) {
            return refused("enough peers of its address range are connected");
        }
        Ok(dialled)
    }

    fn welcome(&mut self, now: Instant, url: &PeerUrl, dialled: Dialled) -> Vec<Effect> {
        let peer = dialled.peer;
        let Some(is_seed) = self.book.prove(now, url, peer, dialled.role, dialled.remote) else { return Vec::new() };
        let mut effects = Vec::new();
        if is_seed {
            effects.push(Effect::Reserve { peer });
        } else {
            effects.push(Effect::Remember(PeerAddress { node_id: peer, url: url.clone() }));
        }
        if let Some(known) = self.connected.get_mut(&peer) {
            // The same node under another address.
            known.is_seed |= is_seed;
            return effects;
        }
        self.last_number += 1;
        let connected = Connected {
            number: self.last_number,
            url: url.clone(),
            is_seed,
            next_poll: now,
            polling: false,
            missed: 0,
            next_ask: now,
            head: None,
            clock: ClockSkew::default(),
        };
        self.connected.insert(peer, connected);
        effects.push(Effect::Connected { peer, is_seed });
        effects.extend(self.poll_due(now));
        effects
    }

    fn on_dial_failed(&mut self, now: Instant, url: &PeerUrl, failure: &Failure, jitter: u64) -> Vec<Effect> {
        let state = match failure.kind {
            FailureKind::Unreachable => DialState::Waiting,
            FailureKind::Refused | FailureKind::Misbehaved => DialState::Refused,
        };
        let gone = self.book.fail(now, url, state, &failure.reason, jitter);
        gone.map(|peer| Effect::Forget { peer }).into_iter().collect()
    }

    fn lose(&mut self, now: Instant, peer: NodeId, reason: &str) -> Vec<Effect> {
        let Some(lost) = self.connected.remove(&peer) else { return Vec::new() };
        self.book.release(now, peer, reason);
        tracing::debug!(%peer, url = %lost.url, reason, "peer lost");
        vec![Effect::Lost { peer, reason: reason.to_owned() }]
    }

    /// The first dials have ended when each has failed, or its peer has shown its head or missed a poll: who waits for
    /// this wants to know what the peers have, not only that they are there.
    fn end_of_first_dials(&mut self) -> Option<Effect> {
        let has_answered = |peer: &Connected| peer.head.is_some() || peer.missed > 0;
        if !self.first_dials.as_ref()?.is_empty() || !self.connected.values().all(has_answered) {
            return None;
        }
        self.first_dials = None;
        Some(Effect::FirstDialsEnded { connected: self.connected.len() })
    }
}
