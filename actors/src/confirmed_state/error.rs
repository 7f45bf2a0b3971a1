//! Why a verified block was not imported.

use callboard_chain::Blame;
use callboard_chain::live::ConfirmError;

/// Why ConfirmedState did not take a verified block.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It does not extend the confirmed state.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
    /// More is confirmed than the disk has taken: try again once a block becomes durable.
    #[error("{blocks} confirmed blocks wait for the disk; try again once they are durable")]
    Backlogged {
        /// How many wait.
        blocks: usize,
    },
}

impl ImportError {
    /// This node's state cannot be trusted or read any more.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Confirm(error) if error.is_fatal())
    }

    /// Whether blocks that stand on this one may be tried all the same: it is there already.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Confirm(ConfirmError::Known { .. }))
    }

    /// Who is at fault.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Confirm(error) => error.blame(),
            Self::Backlogged { .. } => Blame::Nobody,
        }
    }
}
