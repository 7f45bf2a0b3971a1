//! Why a block was not confirmed, and why none could be built.

use super::Touched;
use crate::execution::ExecutionError;
use crate::seal::SealError;
use crate::trie::TrieError;
use crate::verify::HeaderError;
use crate::{Blame, Check, Receipt, StateReadError};
use alloy_primitives::{B256, Bloom};
use std::sync::Arc;

/// Why a verified block does not extend the confirmed state.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The same block is confirmed already.
    #[error("block {height} is known already")]
    Known {
        /// Its height.
        height: u64,
    },
    /// Another block of this height is confirmed, and both carry the authority's seal.
    #[error("block {height} differs: ours is {ours}, this one is {theirs}, both validly sealed")]
    Conflict {
        /// The height of both.
        height: u64,
        /// The hash of ours.
        ours: B256,
        /// The hash of the other.
        theirs: B256,
    },
    /// Blocks between the head and this one are missing.
    #[error("block {actual} does not follow the head; the next block is {expected}")]
    Gap {
        /// The height that comes next.
        expected: u64,
        /// The block's height.
        actual: u64,
    },
    /// The header breaks a rule that binds it to its parent.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A transaction cannot be executed on the parent's state.
    #[error(transparent)]
    Execution(ExecutionError),
    /// Executing it uses another amount of gas than the header says.
    #[error("gas used of block {height} differs: the header says {expected}, execution used {actual}")]
    GasUsed {
        /// The block's height.
        height: u64,
        /// What the header says.
        expected: u64,
        /// What execution used.
        actual: u64,
        /// What execution gave.
        receipts: Arc<[Receipt]>,
    },
    /// The receipts have another root than the header says.
    #[error("receipts root of block {height} differs: the header says {expected}, execution gives {actual}")]
    ReceiptsRoot {
        /// The block's height.
        height: u64,
        /// What the header says.
        expected: B256,
        /// What execution gives.
        actual: B256,
        /// What execution gave.
        receipts: Arc<[Receipt]>,
    },
    /// The logs have another bloom filter than the header says.
    #[error("logs bloom of block {height} differs: the header says {expected}, execution gives {actual}")]
    LogsBloom {
        /// The block's height.
        height: u64,
        /// What the header says.
        expected: Box<Bloom>,
        /// What execution gives.
        actual: Box<Bloom>,
    },
    /// The state after the block has another root than the header says.
    #[error("state root of block {height} differs: the header says {expected}, execution gives {actual}")]
    StateRoot {
        /// The block's height.
        height: u64,
        /// What the header says.
        expected: B256,
        /// What execution gives.
        actual: B256,
        /// What the block touched here.
        touched: Arc<Touched>,
    },
    /// The trie could not be read or written.
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateReadError),
}

impl ConfirmError {
    /// Seal and body were valid, so what fails here is never the sender's fault: either this node or the authority
    /// is wrong.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Known { .. } | Self::Gap { .. } | Self::Conflict { .. } => Blame::Nobody,
            Self::Header(error) => error.blame(),
            _ => Blame::Local,
        }
    }

    /// The check that failed; `None` where the block was not judged: it is known already, or the state cannot be read.
    pub fn failed(&self) -> Option<Check> {
        Some(match self {
            Self::Known { .. } | Self::Trie(_) | Self::State(_) => return None,
            Self::Conflict { .. } => Check::Hash,
            Self::Gap { .. } => Check::Parent,
            Self::Header(error) => error.failed(),
            Self::Execution(_) => Check::Execution,
            Self::GasUsed { .. } => Check::GasUsed,
            Self::ReceiptsRoot { .. } => Check::ReceiptsRoot,
            Self::LogsBloom { .. } => Check::LogsBloom,
            Self::StateRoot { .. } => Check::StateRoot,
        })
    }

    /// A short stable name of the check that failed, for metrics and refusal records; `known` or `state` where the
    /// block was not judged.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Known { .. } => "known",
            _ => self.failed().map_or("state", Check::name),
        }
    }

    /// What the check expected, and what it found.
    pub fn expected_and_actual(&self) -> (String, String) {
        fn both(expected: impl ToString, actual: impl ToString) -> (String, String) {
            (expected.to_string(), actual.to_string())
        }
        match self {
            Self::Known { height } => both("a new block", format!("block {height}, which is confirmed")),
            Self::Conflict { ours, theirs, .. } => both(ours, theirs),
            Self::Gap { expected, actual } => both(expected, actual),
            Self::Header(error) => error.expected_and_actual(),
            Self::Execution(error) => error.expected_and_actual(),
            Self::GasUsed { expected, actual, .. } => both(expected, actual),
            Self::ReceiptsRoot { expected, actual, .. } | Self::StateRoot { expected, actual, .. } => {
                both(expected, actual)
            }
            Self::LogsBloom { expected, actual, .. } => both(expected, actual),
            Self::Trie(_) | Self::State(_) => both("a state that can be read", self),
        }
    }

    /// This node's state cannot be trusted or read any more: the caller stops the node.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Trie(_) | Self::State(_)) || matches!(self, Self::Execution(error) if error.is_fatal())
    }
}

/// Why the authority could not build a block.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The proposed timestamp is below the parent's.
    #[error("timestamp {actual} is below the parent's {parent}: the clock went backwards")]
    Timestamp {
        /// The parent's timestamp, unix seconds.
        parent: u64,
        /// The proposed one.
        actual: u64,
    },
    /// The head is the last block that a height can number.
    #[error("no height is left")]
    HeightExhausted,
    /// A block-start call or a read failed.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// The trie could not be read or written.
    #[error(transparent)]
    Trie(#[from] TrieError),
}

/// Why a seal did not turn the built candidate into a block.
#[derive(Debug, thiserror::Error)]
pub enum SealCandidateError {
    /// No candidate with this hash is waiting: another block was confirmed, or another candidate was built.
    #[error("no candidate with hash {hash} is waiting for a seal")]
    NoCandidate {
        /// The hash that was sealed.
        hash: B256,
    },
    /// The seal is not the authority's.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl BuildError {
    /// This node's state cannot be trusted or read any more: the caller stops the node.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Trie(_) => true,
            Self::Execution(error) => error.is_fatal(),
            Self::Timestamp { .. } | Self::HeightExhausted => false,
        }
    }
}
