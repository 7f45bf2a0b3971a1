//! What went wrong with a request to a peer.

use crate::transport::{NoRoom, StatusError, frames::FrameError, hello::HelloError, wire::Refusal};
use callboard_chain::Blame;
use std::time::Duration;

/// A request to a peer failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct CallError {
    /// The request's URL.
    pub url: String,
    /// What was expected, and what came.
    pub problem: Problem,
}

/// See [`CallError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No connection, or it broke.
    #[error("no connection: {reason}")]
    Unreachable {
        /// What the network said.
        reason: String,
    },
    /// Too little came for too long.
    #[error("stalled: {actual} bytes came in {window:?}, at least {expected} were expected")]
    Stalled {
        /// Fewest bytes expected.
        expected: u64,
        /// Bytes that came.
        actual: u64,
        /// Within this time.
        window: Duration,
    },
    /// Nothing came although a block was due.
    #[error("silent: no block came for {waited:?}")]
    Silent {
        /// How long the stream was waited for.
        waited: Duration,
    },
    /// The answer is longer than it may be.
    #[error("the answer is longer than the {expected} bytes that are allowed")]
    TooLong {
        /// Most bytes allowed.
        expected: u64,
    },
    /// The peer refused.
    #[error("refused with HTTP status {status}: {} ({})", refusal.message, refusal.code)]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        refusal: Box<Refusal>,
    },
    /// The answer is not of the protocol.
    #[error("{expected} was expected; {actual}")]
    Malformed {
        /// What should have come.
        expected: &'static str,
        /// What came.
        actual: String,
    },
    /// The stream of blocks is malformed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// All memory for streams of blocks is in use.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The hello failed on this side.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// What the peer says of its head does not hold together.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl CallError {
    /// Whose fault: the peer's where it answered something that cannot be right, nobody's where it did not answer,
    /// refused or was too slow.
    pub const fn blame(&self) -> Blame {
        match &self.problem {
            Problem::TooLong { .. } | Problem::Malformed { .. } => Blame::Peer,
            // A truncated stream is how a dying connection looks.
            Problem::Frame(FrameError::Truncated { .. }) => Blame::Nobody,
            Problem::Frame(_) | Problem::Status(_) => Blame::Peer,
            Problem::Hello(error) => error.blame(),
            Problem::Unreachable { .. } | Problem::Stalled { .. } | Problem::Silent { .. } => Blame::Nobody,
            Problem::Refused { .. } | Problem::NoRoom(_) => Blame::Nobody,
        }
    }

    /// Whether it is this node that could not go on.
    pub const fn is_ours(&self) -> bool {
        matches!(self.problem, Problem::NoRoom(_))
    }

    /// The refusal's code, where the peer refused.
    pub fn refusal_code(&self) -> Option<&str> {
        match &self.problem {
            Problem::Refused { refusal, .. } => Some(&refusal.code),
            _ => None,
        }
    }
}
