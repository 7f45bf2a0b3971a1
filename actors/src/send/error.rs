//! Why a message was not sent, or not answered.

use std::time::Duration;

/// A question went without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The receiver is alive but did not answer in time. It may still act on the message.
    #[error("{actor} did not answer {message} within {deadline:?}")]
    Timeout {
        /// Who was asked.
        actor: &'static str,
        /// What was asked.
        message: &'static str,
        /// How long the asker waited.
        deadline: Duration,
    },
    /// The receiver has ended, or ended while it held the message.
    #[error("{actor} has ended and cannot answer {message}")]
    Closed {
        /// Who was asked.
        actor: &'static str,
        /// What was asked.
        message: &'static str,
    },
    /// The receiver's mailbox is full; the message was not sent.
    #[error("{actor} is busy: {message} refused, {capacity} messages are waiting")]
    Full {
        /// Who was asked.
        actor: &'static str,
        /// What was asked.
        message: &'static str,
        /// The mailbox capacity.
        capacity: usize,
    },
}

/// An offered message was not taken; it comes back.
#[derive(PartialEq, Eq)]
pub enum OfferError<M> {
    /// The receiver's mailbox is full.
    Full(M),
    /// The receiver has ended.
    Closed(M),
}

impl<M> OfferError<M> {
    /// The message that was not taken.
    pub fn into_message(self) -> M {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl<M> std::fmt::Debug for OfferError<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full",
            Self::Closed(_) => "Closed",
        })
    }
}

impl<M> std::fmt::Display for OfferError<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the receiver's mailbox is full",
            Self::Closed(_) => "the receiver has ended",
        })
    }
}

impl<M> std::error::Error for OfferError<M> {}
