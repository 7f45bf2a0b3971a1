mod authority;
mod batch;
mod catching_up;
mod following;
mod given_up;
mod hand_over;
mod living;
mod searching;
mod staging;
mod verdict;

use super::messages::{Effect, FetchEnd, FetchId, KnownHead, Setup};
use super::state::State;
use crate::callboard::{Phase, Role};
use crate::transport::NodeId;
use alloy_primitives::B256;
use callboard_chain::SecretKey;
use std::collections::BTreeSet;
use std::time::Duration;

/// Unix seconds at the monotonic second 0.
const WALL: u64 = 1_000_000;
/// Three heartbeats of the chain in these tests.
const STALE: u64 = 180;

fn peer(number: u8) -> NodeId {
    NodeId::of(&SecretKey::from_bytes([number; 32]).unwrap())
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A block of our chain, sealed at the start.
fn head(height: u64) -> KnownHead {
    KnownHead { height, hash: hash(height), timestamp: WALL }
}

fn hash(height: u64) -> B256 {
    B256::from(alloy_primitives::U256::from(height + 1))
}

/// A block of another branch.
fn other(height: u64, timestamp: u64) -> KnownHead {
    KnownHead { height, hash: other_hash(height), timestamp }
}

fn other_hash(height: u64) -> B256 {
    B256::from(alloy_primitives::U256::from(height + 1) << 128)
}

fn setup(role: Role, height: u64) -> Setup {
    Setup {
        role,
        heartbeat_seconds: 60,
        start_wait: secs(5),
        stall_after: secs(60),
        window_blocks: 1_024,
        has_seeds: false,
        high_water: None,
        guests: Default::default(),
        given_up: Default::default(),
        accepted: BTreeSet::new(),
        head: head(height),
    }
}

/// A core, its clock, and a chain that it is told of as the store would.
struct Node {
    state: State,
    now: Duration,
    /// Everything the core wanted since it was looked at last.
    effects: Vec<Effect>,
}

impl Node {
    fn new(setup: Setup) -> Self {
        Self { state: State::new(setup, Duration::ZERO), now: Duration::ZERO, effects: Vec::new() }
    }

    fn follower(height: u64) -> Self {
        Self::new(setup(Role::Follower, height))
    }

    /// A follower at `height`, level with peer 1, whose stream is open.
    fn following(height: u64) -> Self {
        let mut node = Self::follower(height);
        node.connect(1, head(height));
        assert_eq!(node.live(), [(peer(1), height + 1)]);
        assert_eq!(node.state.phase(), Phase::Following);
        node.take();
        node
    }

    fn wall(&self) -> u64 {
        WALL + self.now.as_secs()
    }

    fn tell(&mut self, event: impl FnOnce(&mut State, Duration, u64) -> Vec<Effect>) -> &mut Self {
        let wall = self.wall();
        let effects = event(&mut self.state, self.now, wall);
        self.effects.extend(effects);
        self
    }

    /// What the core wanted since the last look.
    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = secs(seconds);
        self.tell(State::on_tick)
    }

    fn connect(&mut self, number: u8, shown: KnownHead) -> &mut Self {
        let url = format!("http://10.0.0.{number}:9545");
        self.tell(|state, now, wall| state.on_peer_connected(now, wall, peer(number), &url));
        self.shows(number, shown)
    }

    /// The peer shows a head; ours at that height is known as far as our head goes.
    fn shows(&mut self, number: u8, shown: KnownHead) -> &mut Self {
        let ours = (shown.height <= self.state.head().height).then(|| hash(shown.height));
        self.tell(|state, now, wall| state.on_peer_head(now, wall, peer(number), shown, ours))
    }

    fn imported(&mut self, height: u64) -> &mut Self {
        self.tell(|state, now, wall| state.on_imported(now, wall, height))
    }

    fn durable(&mut self, head: KnownHead) -> &mut Self {
        self.tell(|state, now, wall| state.on_durable(now, wall, head))
    }

    fn ended(&mut self, id: FetchId, through: Option<u64>, end: FetchEnd) -> &mut Self {
        self.tell(|state, now, wall| state.on_fetch_ended(now, wall, id, through, end))
    }

    /// Of a fetch that goes on, this came so far.
    fn came(&mut self, id: FetchId, through: u64, bytes: u64) -> &mut Self {
        self.state.on_came(id, Some(through), bytes);
        self
    }

    fn lost(&mut self, number: u8) -> &mut Self {
        self.tell(|state, now, wall| state.on_peer_lost(now, wall, peer(number)))
    }

    /// Ranges that were asked for since the last look: id, peer, first, last.
    fn ranges(&self) -> Vec<(FetchId, NodeId, u64, u64)> {
        let range = |effect: &Effect| match effect {
            Effect::FetchRange { id, peer, from, through } => Some((*id, *peer, *from, *through)),
            _ => None,
        };
        self.effects.iter().filter_map(range).collect()
    }

    /// Streams that were begun since the last look: peer, first.
    fn live(&self) -> Vec<(NodeId, u64)> {
        let live = |effect: &Effect| match effect {
            Effect::FollowLive { peer, from, .. } => Some((*peer, *from)),
            _ => None,
        };
        self.effects.iter().filter_map(live).collect()
    }

    fn phases(&self) -> Vec<Phase> {
        let phase = |effect: &Effect| match effect {
            Effect::PhaseChanged(phase) => Some(*phase),
            _ => None,
        };
        self.effects.iter().filter_map(phase).collect()
    }

    /// Answers every range and question in full, with peers that all have our chain, until nothing is asked for; the
    /// heads that were reached.
    fn serve_all(&mut self, chain: impl Fn(NodeId, u64) -> KnownHead) {
        for _ in 0..10_000 {
            let effects = self.take();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.serve(&effect, &chain);
            }
        }
        panic!("the core never has enough");
    }

    fn serve(&mut self, effect: &Effect, chain: &impl Fn(NodeId, u64) -> KnownHead) {
        match *effect {
            Effect::FetchRange { id, from, through, .. } => {
                assert!(from <= through);
                self.ended(id, Some(through), FetchEnd::Done);
                self.imported(through);
                self.durable(head(through));
            }
            Effect::AskBlock { id, peer, height } => {
                let ours = (height <= self.state.head().height).then(|| hash(height));
                let parent = chain(peer, height.saturating_sub(1)).hash;
                let answer = super::messages::Answer::Block { theirs: chain(peer, height), parent, ours };
                self.tell(|state, now, wall| state.on_answer(now, wall, id, answer));
            }
            _ => {}
        }
    }
}

fn permits(effects: &[Effect], may_propose: bool) -> bool {
    effects.contains(&Effect::Permission { may_propose })
}
