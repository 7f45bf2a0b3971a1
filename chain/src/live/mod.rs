//! The confirmed state, in memory ahead of disk.
//!
//! [`LiveState`] is the only maker of [`Confirmed`] blocks. It executes each verified block on the state of its
//! parent and compares gas, receipts, bloom and state root with the header: there is no path on which one of these
//! checks is left out. Blocks it has confirmed wait in a batch until the caller makes them durable.

mod build;
mod error;
mod overlay;
#[cfg(test)]
mod tests;
mod touched;

pub use build::{Built, Proposal, Skipped};
pub use error::{BuildError, ConfirmError, SealCandidateError};
pub use touched::{Touched, TouchedAccount};

use crate::execution::{Executed, execute_block};
use crate::proof::receipts_root;
use crate::trie::{StateTrie, TrieError, TrieUpdates};
use crate::verify::verify_child_of;
use crate::{Block, BlockChanges, ChainConfig, Confirmed, Receipt, StateReader, TrieReader, Verified};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bloom};
use build::Candidate;
use overlay::{Overlay, View};
use std::collections::VecDeque;
use std::sync::Arc;

/// The newest durable state: it moves forward as batches are committed, and may do so at any time, since what is newer
/// lies over it.
pub trait DurableState: StateReader + TrieReader {}

impl<R: StateReader + TrieReader> DurableState for R {}

/// The state after the highest confirmed block.
pub struct LiveState<R> {
    config: Arc<ChainConfig>,
    base: R,
    head: Header,
    head_hash: B256,
    overlay: Overlay,
    trie: StateTrie,
    candidate: Option<Candidate>,
    unstored: Vec<Confirmed<Block>>,
    recent: VecDeque<(u64, B256)>,
    lost: Option<TrieError>,
}

/// A step of confirming a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its transactions run, and its receipts are compared.
    Execute,
    /// The trie takes its changes, and the state root is compared.
    Root,
}

/// Confirmed blocks that are to be stored in one transaction, with the trie nodes they changed.
#[derive(Debug)]
pub struct Batch {
    /// The blocks, ascending and without a gap.
    pub blocks: Vec<Confirmed<Block>>,
    /// Trie nodes as they stand after the last of them.
    pub trie: TrieUpdates,
}

/// Hashes of confirmed blocks kept at hand, to tell a known block from a conflicting one without a read.
const RECENT_HASHES: usize = 256;

impl<R: DurableState> LiveState<R> {
    /// Starts at the durable head that `base` reads.
    pub fn new(config: Arc<ChainConfig>, base: R, head: Header) -> Self {
        let head_hash = head.hash_slow();
        let trie = StateTrie::new(head.state_root);
        let recent = VecDeque::from([(head.number, head_hash)]);
        Self {
            config,
            base,
            head,
            head_hash,
            overlay: Overlay::default(),
            trie,
            candidate: None,
            unstored: Vec::new(),
            recent,
            lost: None,
        }
    }

    /// The highest confirmed header.
    pub fn head(&self) -> &Header {
        &self.head
    }

    /// The hash of the highest confirmed block.
    pub fn head_hash(&self) -> B256 {
        self.head_hash
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<ChainConfig> {
        &self.config
    }

    /// Blocks confirmed and not yet taken as a batch.
    pub fn unstored(&self) -> &[Confirmed<Block>] {
        &self.unstored
    }

    /// Executes `block` on its parent's state and, where every root is as its header says, makes it the head.
    ///
    /// On any error the state is as it was before.
    pub fn confirm(&mut self, block: Verified<Block>) -> Result<Confirmed<Block>, ConfirmError> {
        self.confirm_in_steps(block, &mut |_| {})
    }

    /// As [`Self::confirm`]; `begin` is told of each step as it begins, so that the caller can time it.
    pub fn confirm_in_steps(
        &mut self,
        block: Verified<Block>,
        begin: &mut dyn FnMut(Step),
    ) -> Result<Confirmed<Block>, ConfirmError> {
        begin(Step::Execute);
        self.check_trie()?;
        self.check_position(block.value())?;
        verify_child_of(block.value().header(), &self.head, self.head_hash, &self.config)?;
        self.discard_candidate()?;
        let view = View { overlay: &self.overlay, base: &self.base };
        let executed = execute_block(&view, &self.config, &block).map_err(ConfirmError::Execution)?;
        check_execution(block.value().header(), &executed)?;
        let Executed { receipts, mut changes, .. } = executed;
        begin(Step::Root);
        self.apply_to_trie(&block, &mut changes)?;
        Ok(self.advance(block, receipts.into(), changes))
    }

    /// Takes what was confirmed since the last batch. `None` while there is nothing, or while a candidate waits for
    /// its seal (its trie nodes must not reach the disk).
    pub fn take_batch(&mut self) -> Option<Batch> {
        if self.unstored.is_empty() || self.candidate.is_some() {
            return None;
        }
        Some(Batch { blocks: std::mem::take(&mut self.unstored), trie: self.trie.take_updates() })
    }

    /// The batch taken last, which ended with the block at `height`, is durable: reads go to disk for what only it and
    /// earlier blocks touched, and at most about `trie_nodes` unchanged trie nodes stay in memory. At most one batch
    /// may be on its way to disk: whatever was taken before this call is durable.
    pub fn on_durable(&mut self, height: u64, trie_nodes: usize) {
        self.overlay.forget_through(height);
        self.trie.shrink(trie_nodes);
    }

    /// Trie nodes in memory; never less than there are.
    pub fn trie_nodes(&self) -> usize {
        self.trie.loaded()
    }

    fn check_position(&self, block: &Block) -> Result<(), ConfirmError> {
        let (height, theirs) = (block.height(), block.hash());
        let expected = self.head.number.saturating_add(1);
        if height > self.head.number {
            return if height == expected { Ok(()) } else { Err(ConfirmError::Gap { expected, actual: height }) };
        }
        match self.confirmed_hash(height)? {
            Some(ours) if ours != theirs => Err(ConfirmError::Conflict { height, ours, theirs }),
            _ => Err(ConfirmError::Known { height }),
        }
    }

    fn confirmed_hash(&self, height: u64) -> Result<Option<B256>, crate::StateReadError> {
        match self.recent.iter().find(|(at, _)| *at == height) {
            Some((_, hash)) => Ok(Some(*hash)),
            None => View { overlay: &self.overlay, base: &self.base }.block_hash(height),
        }
    }

    fn apply_to_trie(&mut self, block: &Verified<Block>, changes: &mut BlockChanges) -> Result<(), ConfirmError> {
        let expected = block.value().header().state_root;
        let actual = self.trie.apply(&self.base, changes)?;
        if actual == expected {
            return Ok(());
        }
        self.take_back(changes);
        let view = View { overlay: &self.overlay, base: &self.base };
        // It ran a moment ago: what can fail now is reading.
        let touched = Touched::by(block, &self.config, &view, changes).map_err(ConfirmError::Execution)?;
        let (height, touched) = (block.value().height(), Arc::new(touched));
        Err(ConfirmError::StateRoot { height, expected, actual, touched })
    }

    /// Undoes changes that do not lead to the header's state root. What the block found before it may be what is wrong,
    /// so where everything is durable the trie is opened anew rather than made of that. Otherwise it must come out as
    /// it was, or nothing can be built on it any more.
    fn take_back(&mut self, changes: &BlockChanges) {
        let expected = self.head.state_root;
        if self.overlay.is_empty() {
            self.trie = StateTrie::new(expected);
            return;
        }
        let error = match self.trie.revert(&self.base, changes) {
            Ok(actual) if actual == expected => return,
            Ok(actual) => TrieError::NotTakenBack { expected, actual },
            Err(error) => error,
        };
        // What is not stored yet would be stored with this trie; it is fetched again instead.
        self.unstored.clear();
        self.lost = Some(error);
    }

    /// An error where the trie was lost; the caller stops the node.
    fn check_trie(&mut self) -> Result<(), TrieError> {
        self.lost.take().map_or(Ok(()), Err)
    }

    fn advance(&mut self, block: Verified<Block>, receipts: Arc<[Receipt]>, changes: BlockChanges) -> Confirmed<Block> {
        self.head = block.value().header().clone();
        self.head_hash = block.value().hash();
        self.overlay.apply(self.head.number, self.head_hash, &changes);
        if self.recent.len() == RECENT_HASHES {
            self.recent.pop_front();
        }
        self.recent.push_back((self.head.number, self.head_hash));
        let confirmed = Confirmed::new(block, receipts, Arc::new(changes));
        self.unstored.push(confirmed.clone());
        confirmed
    }
}

impl<R> std::fmt::Debug for LiveState<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let height = self.head.number;
        f.debug_struct("LiveState").field("height", &height).field("unstored", &self.unstored.len()).finish()
    }
}

/// Compares what executing a block gave with what its header says, but for the state root.
pub fn check_execution(header: &Header, executed: &Executed) -> Result<(), ConfirmError> {
    let height = header.number;
    if executed.gas_used != header.gas_used {
        let receipts = executed.receipts.clone().into();
        return Err(ConfirmError::GasUsed { height, expected: header.gas_used, actual: executed.gas_used, receipts });
    }
    let actual = receipts_root(&executed.receipts);
    if actual != header.receipts_root {
        let receipts = executed.receipts.clone().into();
        return Err(ConfirmError::ReceiptsRoot { height, expected: header.receipts_root, actual, receipts });
    }
    check_bloom(height, &header.logs_bloom, &executed.logs_bloom)
}

fn check_bloom(height: u64, expected: &Bloom, actual: &Bloom) -> Result<(), ConfirmError> {
    if expected == actual {
        return Ok(());
    }
    Err(ConfirmError::LogsBloom { height, expected: Box::new(*expected), actual: Box::new(*actual) })
}
