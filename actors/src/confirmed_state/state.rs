//! The core of ConfirmedState: confirm blocks in order, and decide when what is confirmed goes to disk.

use super::error::ImportError;
use crate::callboard::Provenance;
use alloy_primitives::B256;
use callboard_chain::live::{Batch, BuildError, Built, DurableState, LiveState, Proposal, SealCandidateError, Step};
use callboard_chain::trie::TrieError;
use callboard_chain::{Block, Confirmed, Seal, Verified};
use std::time::Duration;

/// How much is confirmed before it is committed, while catching up. Following, every block is committed at once.
#[derive(Debug, Clone, Copy)]
pub struct CommitPolicy {
    /// Transactions.
    pub transactions: usize,
    /// Canonical bytes.
    pub bytes: usize,
    /// Age of the oldest block that is not committed.
    pub age: Duration,
}

/// Trie nodes kept in memory between commits: the upper levels of a trie of a million accounts.
pub const TRIE_NODES_IN_MEMORY: usize = 400_000;

/// What the core wants done.
#[derive(Debug)]
pub enum Effect {
    /// Commit these blocks in one transaction; where each came from stands beside it.
    Store {
        /// The blocks and the trie nodes after them.
        batch: Batch,
        /// The origin of each block, in order.
        origins: Vec<Provenance>,
    },
}

/// What is confirmed, what is on its way to disk, and what waits for that.
#[derive(Debug)]
pub struct State<R> {
    live: LiveState<R>,
    policy: CommitPolicy,
    each_block_at_once: bool,
    in_flight: bool,
    waiting: Waiting,
}

#[derive(Debug, Default)]
struct Waiting {
    origins: Vec<Provenance>,
    transactions: usize,
    bytes: usize,
    since: Option<Duration>,
}

impl<R: DurableState> State<R> {
    /// Starts at the durable head.
    pub fn new(live: LiveState<R>, policy: CommitPolicy) -> Self {
        Self { live, policy, each_block_at_once: false, in_flight: false, waiting: Waiting::default() }
    }

    /// The live state, for reading.
    pub fn live(&self) -> &LiveState<R> {
        &self.live
    }

    /// Whether each block is committed as soon as the disk is free, or batches are gathered.
    pub fn on_following(&mut self, following: bool) -> Option<Effect> {
        self.each_block_at_once = following;
        self.flush_if_due(Duration::ZERO)
    }

    /// Confirms a block from outside; `begin` is told of each step as it begins.
    pub fn on_import(
        &mut self,
        now: Duration,
        block: Verified<Block>,
        origin: Provenance,
        begin: &mut dyn FnMut(Step),
    ) -> Result<(Confirmed<Block>, Option<Effect>), ImportError> {
        if self.in_flight && self.is_full() {
            return Err(ImportError::Backlogged { blocks: self.live.unstored().len() });
        }
        let confirmed = self.live.confirm_in_steps(block, begin)?;
        let effect = self.on_confirmed(now, &confirmed, origin);
        Ok((confirmed, effect))
    }

    /// Builds the authority's next block.
    pub fn on_build(&mut self, proposal: Proposal, out_of_time: &dyn Fn() -> bool) -> Result<Built, BuildError> {
        self.live.build(proposal, out_of_time)
    }

    /// Confirms the built block with its seal.
    pub fn on_seal(
        &mut self,
        now: Duration,
        hash: B256,
        seal: Seal,
    ) -> Result<(Confirmed<Block>, Option<Effect>), SealCandidateError> {
        let confirmed = self.live.seal_candidate(hash, seal)?;
        let effect = self.on_confirmed(now, &confirmed, Provenance::PROPOSER);
        Ok((confirmed, effect))
    }

    /// The batch that was on its way is durable through `height`.
    pub fn on_stored(&mut self, now: Duration, height: u64) -> Option<Effect> {
        self.in_flight = false;
        self.live.on_durable(height, TRIE_NODES_IN_MEMORY);
        self.flush_if_due(now)
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Duration) -> Option<Effect> {
        self.flush_if_due(now)
    }

    /// Hands over everything confirmed, whatever its age: the node stops.
    pub fn on_stop(&mut self) -> Result<Option<Effect>, TrieError> {
        self.live.discard_candidate()?;
        Ok(if self.in_flight { None } else { self.flush() })
    }

    /// Whether a batch is on its way to disk.
    pub fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    fn on_confirmed(&mut self, now: Duration, confirmed: &Confirmed<Block>, origin: Provenance) -> Option<Effect> {
        self.waiting.origins.push(origin);
        self.waiting.transactions = self.waiting.transactions.saturating_add(confirmed.value().transactions().len());
        self.waiting.bytes = self.waiting.bytes.saturating_add(confirmed.value().bytes().len());
        self.waiting.since.get_or_insert(now);
        self.flush_if_due(now)
    }

    fn flush_if_due(&mut self, now: Duration) -> Option<Effect> {
        let since = self.waiting.since?;
        let due = self.each_block_at_once || self.is_full() || now.saturating_sub(since) >= self.policy.age;
        if due && !self.in_flight { self.flush() } else { None }
    }

    fn is_full(&self) -> bool {
        self.waiting.transactions >= self.policy.transactions || self.waiting.bytes >= self.policy.bytes
    }

    fn flush(&mut self) -> Option<Effect> {
        let batch = self.live.take_batch()?;
        let origins = std::mem::take(&mut self.waiting).origins;
        self.in_flight = true;
        Some(Effect::Store { batch, origins })
    }
}
