//! What all nodes of a simulation share: time, chance, the network, the log of events and the properties.

use super::chain::{FIXTURES, HEARTBEAT, Memo, WALL_AT_START};
use super::network::{Message, Network, Packet};
use super::properties::Properties;
use super::rng::Rng;
use alloy_primitives::Bytes;
use callboard_chain::verify::VerifyError;
use callboard_chain::{Block, SecretKey, Verified};
use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::time::{Duration, Instant};

/// Something that happens at an instant.
#[derive(Debug)]
pub(crate) enum Event {
    /// A packet is there.
    Arrive(Packet),
    /// A node or liar looks at its clock. Of an older run of the process where `epoch` differs.
    Tick { place: usize, epoch: u64 },
    /// A batch has reached the disk.
    Committed { place: usize, epoch: u64 },
    /// The sealed block has reached the high-water file.
    Marked { place: usize, epoch: u64 },
    /// A client has sent a transaction.
    Submit,
    /// The next fault of the story.
    Fault(usize),
}

/// A check of the shell that a test takes out, to see that the properties notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// A block is announced and answered for only when it is durable.
    DurableBeforeAnnounced,
    /// No height is sealed below or at the high-water mark.
    HighWater,
    /// A peer's head counts only under the authority's seal.
    SealedHeads,
    /// A block is imported only under the authority's seal.
    SealedBlocks,
    /// A sealed block that differs from ours reaches the sync coordinator.
    Differences,
    /// What is brought unasked is not taken where it is older than what the living head allows.
    LivingBranch,
    /// Nothing panics.
    NoPanic,
}

/// Events that may wait at a time: more means that something multiplies.
const MAX_EVENTS: usize = 20_000;

pub(crate) struct Env {
    pub(crate) now: Duration,
    pub(crate) rng: Rng,
    pub(crate) network: Network,
    pub(crate) log: Log,
    pub(crate) properties: Properties,
    pub(crate) memo: Memo,
    pub(crate) removed: Option<Guard>,
    /// Transfers that the authority's clients have submitted.
    pub(crate) submitted: usize,
    pub(crate) authority_is_gone: bool,
    /// Blocks that an honest node has made durable: what everybody can know.
    public: BTreeMap<u64, Block>,
    queue: BTreeMap<(Duration, u64), Event>,
    numbers: u64,
    /// Only differences to it count: the cores of peer discovery and broadcaster measure time in instants.
    base: Instant,
}

impl Env {
    pub(crate) fn new(rng: Rng, network: Network, properties: Properties, log: Log, removed: Option<Guard>) -> Self {
        Self {
            now: Duration::ZERO,
            rng,
            network,
            log,
            properties,
            memo: Memo::default(),
            removed,
            submitted: 0,
            authority_is_gone: false,
            public: BTreeMap::from([(0, FIXTURES.genesis.block().clone())]),
            queue: BTreeMap::new(),
            numbers: 0,
            base: Instant::now(),
        }
    }

    pub(crate) fn instant(&self) -> Instant {
        self.base + self.now
    }

    /// When that instant is.
    pub(crate) fn time_of(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.base)
    }

    /// What a wall clock shows that is `ahead` milliseconds of the true one.
    pub(crate) fn wall(&self, ahead: i64) -> Duration {
        let wall = Duration::from_secs(WALL_AT_START) + self.now;
        let skew = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 { wall.saturating_sub(skew) } else { wall + skew }
    }

    /// Checks everything about a block that needs no state.
    pub(crate) fn verify_block(&mut self, bytes: &Bytes) -> Result<Verified<Block>, VerifyError> {
        match self.memo.verify_block(bytes) {
            Err(VerifyError::Seal(_)) if self.is_removed(Guard::SealedBlocks) => {
                self.memo.verify_block(resealed(bytes, &FIXTURES.authority).bytes())
            }
            verified => verified,
        }
    }

    pub(crate) fn is_removed(&self, guard: Guard) -> bool {
        self.removed == Some(guard)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        let number = self.number();
        self.queue.insert((self.now + delay, number), event);
        self.properties.bounded("events", self.queue.len(), MAX_EVENTS);
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let ((at, _), event) = self.queue.pop_first()?;
        self.now = at;
        Some(event)
    }

    pub(crate) fn send(&mut self, from: usize, to: usize, message: Message) {
        let packet = Packet { from, to, message };
        for delay in self.network.delays(self.now, &packet, &mut self.rng) {
            self.after(delay, Event::Arrive(packet.clone()));
        }
    }

    /// An honest node holds this block.
    pub(crate) fn publish(&mut self, block: &Block) {
        self.properties.exists(block);
        self.public.entry(block.height()).or_insert_with(|| block.clone());
    }

    pub(crate) fn public_height(&self) -> u64 {
        self.public.last_key_value().map_or(0, |(height, _)| *height)
    }

    /// The block at that height, or the newest one below.
    pub(crate) fn public_block(&self, height: u64) -> Block {
        let (_, block) = self.public.range(..=height).next_back().expect("block 0 is public");
        block.clone()
    }

    pub(crate) fn note(&mut self, what: Arguments<'_>) {
        self.log.note(self.now, what);
    }
}

/// The block as if the authority had sealed it.
fn resealed(bytes: &Bytes, key: &SecretKey) -> Block {
    let block = Block::decode(bytes.clone()).expect("it was decoded before its seal was looked at");
    Block::sealed(block.header().clone(), block.transactions().to_vec(), key)
}

/// Whether a block of this time is older than three heartbeats.
pub(crate) fn is_stale(timestamp: u64, wall: Duration) -> bool {
    wall.as_secs().saturating_sub(timestamp) > HEARTBEAT * callboard_actors::sync_coordinator::STALE_HEARTBEATS
}

/// The hash of everything that happened, in order; printed as it happens where wanted.
#[derive(Debug)]
pub(crate) struct Log {
    hash: u64,
    print: bool,
}

impl Log {
    pub(crate) fn new(print: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, print }
    }

    fn note(&mut self, now: Duration, what: Arguments<'_>) {
        let line = format!("{:>10.4} {what}", now.as_secs_f64());
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        if self.print {
            println!("{line}");
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}
