//! A range of blocks checked from a state that is known: `chain verify`.
//!
//! The state before the first block is read from the flat tables and the history and built into a trie of its own,
//! whose root must be the sealed one. On it every block is executed again, and every state root compared. At the end
//! the flat state after the last block is hashed by other code ([`RootComputation`]). No stored trie node is believed.

use super::check::{CheckedBlock, Fault, check_block, check_genesis};
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::B256;
use callboard_chain::ChainConfig;
use callboard_chain::trie::StateTrie;
use callboard_store::{AddressRows, RootComputation, ScratchTrie, Store, TrieBuild};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keys of the flat state read in one step: some tens of milliseconds.
const PART: usize = 4_000;
/// Trie nodes kept in memory.
const TRIE_NODES: usize = 100_000;

/// How far a check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeProgress {
    /// The state before the first block, or after the last one, is being hashed.
    State {
        /// The height whose state it is.
        height: u64,
    },
    /// This block is right.
    Block {
        /// Its height.
        height: u64,
    },
    /// All is right.
    Done,
}

/// A check of a range, step by step; each step takes one snapshot and some tens of milliseconds, or one block.
pub struct RangeCheck {
    store: Store,
    config: Arc<ChainConfig>,
    folder: PathBuf,
    from: u64,
    to: u64,
    scratch: ScratchTrie,
    trie: StateTrie,
    rows: AddressRows,
    work: Work,
}

enum Work {
    Base(TrieBuild),
    Rows,
    Blocks { next: u64 },
    Root(RootComputation),
    Done,
}

impl RangeCheck {
    /// From `from` (else the first block whose state is kept) to `to` (else the head). The state before `from` must be
    /// kept. Temporary files go to `folder`.
    pub fn new(
        store: Store,
        config: Arc<ChainConfig>,
        folder: &Path,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Self, Fault> {
        let snapshot = store.snapshot()?;
        let oldest = snapshot.pruned_below();
        let from = from.unwrap_or(if oldest == 0 { 0 } else { oldest.saturating_add(1) });
        let to = to.unwrap_or(snapshot.head().height);
        if from > to {
            return Err(Fault::Range { from, to });
        }
        let base = from.saturating_sub(1);
        snapshot.state_at(to)?;
        snapshot.state_at(base)?;
        if from == 0 {
            check_genesis(&snapshot, &config)?;
        }
        let scratch = ScratchTrie::create(&folder.join(format!("verify-{}.redb", std::process::id())))?;
        let trie = StateTrie::new(EMPTY_ROOT_HASH);
        let work = Work::Base(TrieBuild::new(base));
        drop(snapshot);
        let rows = AddressRows::of(from..=to);
        Ok(Self { store, config, folder: folder.to_owned(), from, to, scratch, trie, rows, work })
    }

    /// The same check, from so far above the oldest state that is kept by now that half of those which are kept can be
    /// forgotten before it is there.
    pub(super) fn begin_later(&self) -> Result<Self, Fault> {
        let snapshot = self.store.snapshot()?;
        let from = snapshot.pruned_below().midpoint(snapshot.head().height).saturating_add(1).min(self.to);
        drop(snapshot);
        Self::new(self.store.clone(), self.config.clone(), &self.folder, Some(from), Some(self.to))
    }

    /// The first height.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The last height.
    pub fn to(&self) -> u64 {
        self.to
    }

    /// Goes on a little.
    pub fn step(&mut self) -> Result<RangeProgress, Fault> {
        match &self.work {
            Work::Base(_) => self.build_base(),
            Work::Rows => self.count_rows(),
            Work::Blocks { next } => self.check(*next),
            Work::Root(_) => self.hash(),
            Work::Done => Ok(RangeProgress::Done),
        }
    }

    /// Builds the next accounts and slots of the state before the first block into a trie.
    fn build_base(&mut self) -> Result<RangeProgress, Fault> {
        let Work::Base(build) = &mut self.work else { return Ok(RangeProgress::Done) };
        let height = build.height();
        let nodes = build.step(&self.store.snapshot()?, &self.scratch);
        let nodes = nodes.map_err(|source| Fault::Base { height, source })?;
        self.scratch.write(&nodes).map_err(Fault::ScratchWrite)?;
        if let Some(actual) = build.root() {
            let expected = self.header_root(height)?;
            if actual != expected {
                return Err(self.state_root(height, expected, actual));
            }
            if let Work::Base(build) = std::mem::replace(&mut self.work, Work::Rows) {
                self.trie = build.into_trie();
            }
        }
        Ok(RangeProgress::State { height })
    }

    fn count_rows(&mut self) -> Result<RangeProgress, Fault> {
        if let Some(stray) = self.rows.count(&self.store.snapshot()?, PART)? {
            return Err(stray.into());
        }
        if self.rows.is_counted() {
            self.work = Work::Blocks { next: self.from.max(1) };
        }
        Ok(RangeProgress::State { height: self.from.saturating_sub(1) })
    }

    fn check(&mut self, height: u64) -> Result<RangeProgress, Fault> {
        if height > self.to {
            self.work = Work::Root(RootComputation::new(self.to, &self.folder));
            return Ok(RangeProgress::State { height: self.to });
        }
        let snapshot = self.store.snapshot()?;
        let CheckedBlock { executed, address_rows } = check_block(&snapshot, &self.config, height)?;
        if let Some(stray) = self.rows.on_block(&snapshot, height, address_rows)? {
            return Err(stray.into());
        }
        let mut changes = executed.changes;
        let actual = self.trie.apply(&self.scratch, &mut changes).map_err(|source| Fault::Trie { height, source })?;
        let expected = self.header_root(height)?;
        if actual != expected {
            return Err(Fault::StateRoot { height, expected, actual, difference: None });
        }
        self.put_aside()?;
        self.work = Work::Blocks { next: height.saturating_add(1) };
        Ok(RangeProgress::Block { height })
    }

    fn hash(&mut self) -> Result<RangeProgress, Fault> {
        let Work::Root(computation) = &mut self.work else { return Ok(RangeProgress::Done) };
        let height = self.to;
        let failed = |source| Fault::Root { height, source };
        if !computation.advance(self.store.snapshot()?, PART).map_err(failed)? {
            return Ok(RangeProgress::State { height });
        }
        let Work::Root(computation) = std::mem::replace(&mut self.work, Work::Done) else {
            return Ok(RangeProgress::Done);
        };
        let (expected, actual) = (self.header_root(height)?, computation.root().map_err(failed)?);
        if actual != expected { Err(self.state_root(height, expected, actual)) } else { Ok(RangeProgress::Done) }
    }

    fn header_root(&self, height: u64) -> Result<B256, Fault> {
        Ok(self.store.snapshot()?.header(height)?.ok_or(Fault::Missing { height })?.state_root)
    }

    fn state_root(&self, height: u64, expected: B256, actual: B256) -> Fault {
        Fault::StateRoot { height, expected, actual, difference: difference(&self.store) }
    }

    /// Puts what changed of the trie on disk, so that memory stays bounded.
    fn put_aside(&mut self) -> Result<(), Fault> {
        self.scratch.write(&self.trie.take_updates()).map_err(Fault::ScratchWrite)?;
        self.trie.shrink(TRIE_NODES);
        Ok(())
    }
}

/// The first key at which the flat state and the state trie differ, in words.
pub(super) fn difference(store: &Store) -> Option<String> {
    match store.first_difference() {
        Ok(difference) => difference.map(|difference| difference.to_string()),
        Err(error) => Some(error.to_string()),
    }
}
