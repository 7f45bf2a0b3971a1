//! What the reconciler is asked, and what it says.

use actix::Message;
use serde::Serialize;

/// The newest result of the background check: `lastReconciled` of `callboard_syncStatus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// The height whose state was hashed, or at which something is wrong.
    pub height: u64,
    /// When, unix seconds.
    pub at: u64,
    /// Whether everything that was looked at is right.
    pub ok: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Check this range now, at full speed. Asked by the admin RPC, again and again until the answer is
/// [`VerifyState::Done`] or [`VerifyState::NotDone`]; a check that nobody asks about any more is given up. Answered at once. When the receiver is
/// behind, the caller hears that the node is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Result<VerifyState, VerifyRefused>")]
pub struct VerifyRange {
    /// The first block; `None` for the first whose state is kept.
    pub from: Option<u64>,
    /// The last block; `None` for the head.
    pub to: Option<u64>,
}

/// How far a check of a range has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum VerifyState {
    /// It goes on: ask again.
    Running {
        /// The first block.
        from: u64,
        /// The last block.
        to: u64,
        /// The block or state it is at.
        at: u64,
    },
    /// It has ended.
    Done {
        /// The first block.
        from: u64,
        /// The last block.
        to: u64,
        /// What is wrong; `None` where nothing is.
        fault: Option<String>,
    },
    /// It could not be made to its end, which says nothing of the chain.
    NotDone {
        /// The first block.
        from: u64,
        /// The last block.
        to: u64,
        /// Why, and what to do.
        reason: String,
    },
}

impl VerifyState {
    /// The first block and the last.
    pub fn range(&self) -> (u64, u64) {
        match *self {
            Self::Running { from, to, .. } | Self::Done { from, to, .. } | Self::NotDone { from, to, .. } => (from, to),
        }
    }
}

/// Why a range is not being checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyRefused {
    /// Another range is.
    #[error("the blocks {from} to {to} are being verified; ask again when that has ended")]
    Busy {
        /// Its first block.
        from: u64,
        /// Its last block.
        to: u64,
    },
    /// It cannot be begun.
    #[error("{0}")]
    Range(String),
}
