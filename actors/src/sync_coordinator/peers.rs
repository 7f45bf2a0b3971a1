//! What is known of the connected peers.

use super::messages::{KnownHead, Target};
use crate::transport::NodeId;
use alloy_primitives::B256;
use std::collections::BTreeMap;
use std::time::Duration;

/// First pause after a peer failed us; doubles with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause after failures: a seed that comes back is used again within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A peer that kept the front waiting is asked last for this long; doubles with each time, less each range it brings.
const FIRST_SLOW_TIME: Duration = Duration::from_secs(30);
/// At most so many doublings: a quarter of an hour.
const MAX_SLOWNESS: u32 = 5;

/// One connected peer.
#[derive(Debug, Default)]
pub(super) struct PeerView {
    /// Its newest sealed head.
    pub(super) head: Option<KnownHead>,
    /// Whether we have the block of that head.
    pub(super) agrees: bool,
    /// It shows a branch that differs from ours.
    pub(super) differs: bool,
    /// It has brought a block that the operator has accepted as dead, above this height.
    pub(super) dead_above: Option<u64>,
    /// How its chain compares with that of another peer.
    pub(super) compared: Option<Compared>,
    /// On another branch: the head at which it was last looked at again.
    pub(super) looked_at: Option<B256>,
    /// Not before then is it looked at again.
    pub(super) look_again_at: Duration,
    /// Its head has been above ours since then.
    pub(super) ahead_since: Option<Duration>,
    /// Not before then is it asked again for its block at our head.
    pub(super) ask_at_head_at: Duration,
    /// The block of unknown origin that it was last asked about.
    pub(super) asked_about: Option<B256>,
    failures: u32,
    paused_until: Duration,
    /// Its blocks became part of our chain, and it has not failed since.
    has_helped: bool,
    /// How many of its live streams ended in failure or lagged since one last brought a block. Ranges do not make up for that:
    /// who serves them and streams nothing would keep this node two seconds behind for ever.
    failed_streams: u32,
    /// How often it kept the front waiting, less the whole ranges that it has brought since.
    slowness: u32,
    /// Until then it is asked for blocks only where nobody else has them.
    slow_until: Duration,
}

/// Another peer was asked for its block at the height of this one's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compared {
    /// Who was asked.
    pub(super) with: NodeId,
    /// The head that was compared.
    pub(super) head: KnownHead,
    /// Whether both have that block: then this peer's chain through it is a part of the other's.
    pub(super) same: bool,
}

/// The connected peers.
#[derive(Debug, Default)]
pub(super) struct Peers {
    connected: BTreeMap<NodeId, PeerView>,
    /// Failures of peers that are gone, and until when they are left alone: who hangs up is not forgiven for it.
    gone: BTreeMap<NodeId, Past>,
}

/// What is remembered of a peer that is gone.
#[derive(Debug, Clone, Copy, Default)]
struct Past {
    failures: u32,
    paused_until: Duration,
    failed_streams: u32,
    slowness: u32,
    slow_until: Duration,
}

/// Peers that are gone and remembered.
const MAX_GONE: usize = 1_024;

impl Peers {
    /// A peer, known from now on.
    pub(super) fn entry(&mut self, peer: NodeId) -> &mut PeerView {
        let gone = &mut self.gone;
        self.connected.entry(peer).or_insert_with(|| {
            let past = gone.remove(&peer).unwrap_or_default();
            let Past { failures, paused_until, failed_streams, slowness, slow_until } = past;
            PeerView { failures, paused_until, failed_streams, slowness, slow_until, ..PeerView::default() }
        })
    }

    /// What is known of a connected peer.
    pub(super) fn get(&self, peer: NodeId) -> Option<&PeerView> {
        self.connected.get(&peer)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, peer: NodeId) -> Option<&mut PeerView> {
        self.connected.get_mut(&peer)
    }

    /// The peer is gone.
    pub(super) fn remove(&mut self, peer: NodeId) {
        // It may come back with another chain.
        for view in self.connected.values_mut() {
            view.compared.take_if(|compared| compared.with == peer);
        }
        let is_bad = |view: &PeerView| view.failures > 0 || view.failed_streams > 0 || view.slowness > 0;
        let Some(view) = self.connected.remove(&peer).filter(is_bad) else {
            return;
        };
        if self.gone.len() >= MAX_GONE
            && let Some(first) = self.gone.iter().min_by_key(|(_, past)| past.paused_until).map(|(peer, _)| *peer)
        {
            self.gone.remove(&first);
        }
        let PeerView { failures, paused_until, failed_streams, slowness, slow_until, .. } = view;
        self.gone.insert(peer, Past { failures, paused_until, failed_streams, slowness, slow_until });
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &PeerView)> {
        self.connected.iter().map(|(peer, view)| (*peer, view))
    }

    /// Notes since when each has been ahead of `height`.
    pub(super) fn watch_ahead(&mut self, now: Duration, height: u64) {
        for view in self.connected.values_mut() {
            let is_ahead = !view.differs && view.head.is_some_and(|head| head.height > height);
            view.ahead_since = is_ahead.then(|| view.ahead_since.unwrap_or(now));
        }
    }

    /// A peer that has been ahead for longer than `time`, and may be asked for its block at our head.
    pub(super) fn stays_ahead(&self, now: Duration, time: Duration) -> Option<NodeId> {
        let stays = |view: &PeerView| view.ahead_since.is_some_and(|since| now.saturating_sub(since) > time);
        self.usable(now).find(|(_, view)| stays(view) && now >= view.ask_at_head_at).map(|(peer, _)| peer)
    }

    /// A peer whose chain may hold a block that is not in ours, and that was not asked about it.
    pub(super) fn to_ask_about(&self, now: Duration, height: u64, block: B256) -> Option<NodeId> {
        let may_hold = |view: &PeerView| !view.agrees && view.head.is_some_and(|head| head.height >= height);
        self.usable(now).find(|(_, view)| may_hold(view) && view.asked_about != Some(block)).map(|(peer, _)| peer)
    }

    /// Whether any of them has shown a head.
    pub(super) fn any_heard(&self) -> bool {
        self.connected.values().any(|view| view.head.is_some())
    }

    /// The newest sealed head above `height` of a peer that is not on another branch.
    pub(super) fn newest_above(&self, height: u64) -> Option<Target> {
        newest(self.iter().filter(|(_, view)| !view.differs), height)
    }

    /// Whether the peer may be asked for something.
    pub(super) fn is_usable(&self, now: Duration, peer: NodeId) -> bool {
        self.connected.get(&peer).is_some_and(|view| view.paused_until <= now)
    }

    /// Peers of our branch that may be asked for blocks.
    pub(super) fn usable(&self, now: Duration) -> impl Iterator<Item = (NodeId, &PeerView)> {
        self.iter().filter(move |(_, view)| !view.differs && view.paused_until <= now)
    }

    /// The newest sealed head above `height` that could be fetched now, of the peers that failed least: whoever shows the
    /// newest head and sends nothing must not keep the node from what others have. `leads_to` says up to which head a
    /// peer's blocks are wanted.
    pub(super) fn goal(
        &self,
        now: Duration,
        height: u64,
        leads_to: impl Fn(&PeerView) -> Option<KnownHead>,
    ) -> Option<Target> {
        let able = || {
            let wanted = |(peer, view)| Some((peer, view, leads_to(view)?));
            self.usable(now).filter_map(wanted).filter(|(_, _, head): &(_, &PeerView, _)| head.height > height)
        };
        let least = able().map(|(_, view, _)| view.failures).min()?;
        let best = able().filter(|(_, view, _)| view.failures == least);
        best.map(|(peer, _, head)| Target { peer, head }).max_by_key(|target| target.head.rank())
    }

    /// Up to which height a peer's blocks lead to `goal`, as far as is known.
    pub(super) fn leads_through(view: &PeerView, peer: NodeId, goal: &Target) -> Option<u64> {
        if peer == goal.peer || view.head.is_some_and(|head| head.hash == goal.head.hash) {
            return Some(goal.head.height);
        }
        view.compared.filter(|compared| compared.with == goal.peer && compared.same).map(|same| same.head.height)
    }

    /// A peer whose chain has not been compared with that of `goal`'s peer, and could help between `front` and there.
    pub(super) fn to_compare(
        &self,
        now: Duration,
        goal: &Target,
        front: u64,
        is_worth_it: impl Fn(&PeerView) -> bool,
    ) -> Option<(NodeId, KnownHead)> {
        let open = |view: &PeerView, head: &KnownHead| match view.compared {
            Some(compared) if compared.with == goal.peer => {
                compared.head.hash != head.hash && (!compared.same || compared.head.height < front)
            }
            _ => true,
        };
        self.usable(now)
            .filter(|(peer, _)| *peer != goal.peer)
            .filter_map(|(peer, view)| Some((peer, view, view.head?)))
            .filter(|(_, _, head)| (front..=goal.head.height).contains(&head.height) && head.hash != goal.head.hash)
            .find(|(_, view, head)| open(view, head) && is_worth_it(view))
            .map(|(peer, _, head)| (peer, head))
    }

    /// The peer to follow: the one whose streams failed least, of those the one that failed least, and of those the one with
    /// the newest head.
    pub(super) fn live_source(&self, now: Duration) -> Option<NodeId> {
        self.usable(now)
            .filter_map(|(peer, view)| Some((peer, view, view.head?.rank())))
            .min_by_key(|(_, view, rank)| (view.failed_streams, view.failures, std::cmp::Reverse(*rank)))
            .map(|(peer, ..)| peer)
    }

    /// The peer failed us: it is left alone for a while, longer each time.
    pub(super) fn pause(&mut self, now: Duration, peer: NodeId) {
        if let Some(view) = self.connected.get_mut(&peer) {
            let pause = FIRST_PAUSE.saturating_mul(1 << view.failures.min(10)).min(LONGEST_PAUSE);
            view.failures = view.failures.saturating_add(1);
            view.has_helped = false;
            view.paused_until = now.saturating_add(pause);
        }
    }

    /// Blocks of the peer are part of our chain now. That one comes now and then is no merit of a slow one.
    pub(super) fn forgive(&mut self, now: Duration, peer: NodeId) {
        if let Some(view) = self.connected.get_mut(&peer).filter(|view| !view.is_slow(now)) {
            view.failures = 0;
            view.has_helped = true;
        }
    }

    /// The peer's live stream failed, or brought nothing while others were ahead.
    pub(super) fn on_stream_failed(&mut self, now: Duration, peer: NodeId) {
        self.pause(now, peer);
        if let Some(view) = self.connected.get_mut(&peer) {
            view.failed_streams = view.failed_streams.saturating_add(1);
        }
    }

    /// A block of the peer's live stream is part of our chain now.
    pub(super) fn on_streamed(&mut self, peer: NodeId) {
        if let Some(view) = self.connected.get_mut(&peer) {
            view.failed_streams = 0;
        }
    }

    /// The peer kept the front waiting while others could have brought it.
    pub(super) fn on_slow(&mut self, now: Duration, peer: NodeId) {
        self.pause(now, peer);
        if let Some(view) = self.connected.get_mut(&peer) {
            view.slow_until = now.saturating_add(FIRST_SLOW_TIME.saturating_mul(1 << view.slowness.min(MAX_SLOWNESS)));
            view.slowness = view.slowness.saturating_add(1).min(MAX_SLOWNESS);
        }
    }

    /// The peer has brought a whole range.
    pub(super) fn on_range(&mut self, peer: NodeId) {
        if let Some(view) = self.connected.get_mut(&peer) {
            view.slowness = view.slowness.saturating_sub(1);
        }
    }
}

impl PeerView {
    /// How often it failed since it last helped.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether it has lately kept the front waiting.
    pub(super) fn is_slow(&self, now: Duration) -> bool {
        now < self.slow_until
    }

    /// Whether its blocks became part of our chain, and it has not failed since.
    pub(super) fn has_helped(&self) -> bool {
        self.has_helped
    }

    /// The hash of the head it shows.
    pub(super) fn head_hash(&self) -> Option<B256> {
        self.head.map(|head| head.hash)
    }
}

fn newest<'a>(peers: impl Iterator<Item = (NodeId, &'a PeerView)>, above: u64) -> Option<Target> {
    peers
        .filter_map(|(peer, view)| Some(Target { peer, head: view.head? }))
        .filter(|target| target.head.height > above)
        .max_by_key(|target| target.head.rank())
}
