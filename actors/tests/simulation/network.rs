//! The network: delays, loses, reorders and repeats what nodes send, and keeps the parts of a partition apart.
//!
//! Questions and answers travel alone. A stream of blocks is a connection: its frames keep their order, a lost one
//! comes later, and where a partition cuts it nothing comes any more.

use super::chain::PLACES;
use super::rng::Rng;
use alloy_primitives::{B256, Bytes};
use callboard_actors::callboard::Role;
use callboard_actors::transport::wire::{PeerAddress, StatusBody};
use callboard_actors::transport::{NodeId, PeerUrl};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What travels. `request` and `stream` number what an answer belongs to; `session` is the token of a hello.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Hello { request: u64, id: NodeId, genesis: B256, advertise: Option<PeerUrl> },
    Welcome { request: u64, id: NodeId, role: Role, session: u64 },
    WrongChain { request: u64, genesis: B256, newest: u64 },
    Refused { request: u64 },
    GetStatus { request: u64, session: u64 },
    Status { request: u64, body: Box<StatusBody> },
    GetAddresses { request: u64, session: u64 },
    Addresses { request: u64, told: Vec<PeerAddress> },
    GetBlocks { stream: u64, session: u64, from: u64, count: Option<u64> },
    Frame { stream: u64, block: Bytes },
    End { stream: u64 },
    Cancel { stream: u64 },
    Push { session: u64, block: Bytes },
}

#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: Message,
}

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
    /// Of a thousand.
    pub(crate) lost: u64,
    /// Of a thousand.
    pub(crate) repeated: u64,
}

impl Conditions {
    pub(crate) const GOOD: Self =
        Self { shortest: Duration::from_millis(1), longest: Duration::from_millis(20), lost: 0, repeated: 0 };
}

/// A lost piece of a stream is sent again after this.
const SENT_AGAIN: Duration = Duration::from_millis(400);

pub(crate) struct Network {
    pub(crate) conditions: Conditions,
    /// The part each place is in.
    pub(crate) parts: [u8; PLACES],
    /// When the newest frame of each stream arrives.
    streams: BTreeMap<u64, Duration>,
    cut: BTreeSet<u64>,
}

impl Network {
    pub(crate) fn new(conditions: Conditions) -> Self {
        Self { conditions, parts: [0; PLACES], streams: BTreeMap::new(), cut: BTreeSet::new() }
    }

    /// When the packet arrives: never, once or twice.
    pub(crate) fn delays(&mut self, now: Duration, packet: &Packet, rng: &mut Rng) -> Vec<Duration> {
        let apart = self.parts[packet.from] != self.parts[packet.to];
        let Conditions { shortest, longest, lost, repeated } = self.conditions;
        let delay = rng.between(shortest, longest);
        let is_lost = rng.chance(lost);
        match packet.message {
            Message::Frame { stream, .. } | Message::End { stream } => {
                if apart {
                    self.cut.insert(stream);
                }
                if self.cut.contains(&stream) {
                    return Vec::new();
                }
                let again = if is_lost { SENT_AGAIN } else { Duration::ZERO };
                let newest = self.streams.entry(stream).or_default();
                *newest = (now + delay + again).max(*newest);
                vec![newest.saturating_sub(now)]
            }
            _ if apart || is_lost => Vec::new(),
            Message::GetBlocks { .. } | Message::Cancel { .. } => vec![delay],
            _ if rng.chance(repeated) => vec![delay, delay + rng.between(shortest, longest)],
            _ => vec![delay],
        }
    }

    /// Nobody reads this stream any more.
    pub(crate) fn forget(&mut self, stream: u64) {
        self.streams.remove(&stream);
        self.cut.remove(&stream);
    }
}
