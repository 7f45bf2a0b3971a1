//! Death guard and ordered stop.
//!
//! A panicking handler ends its actor, and actix restarts nothing. An actor that is gone is a node that is silently
//! wrong, so the supervisor hears of it at once and stops the node in order.

use crate::send::{AskError, Inbox};
use actix::Message;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// An actor has ended without having been told to, or cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("actor {actor} {cause}")]
pub struct ActorDied {
    /// Its name.
    pub actor: &'static str,
    /// How.
    pub cause: Cause,
}

/// How an actor died.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// A handler panicked.
    #[error("panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// It ended without a panic and without having been told to.
    #[error("ended without having been told to")]
    Ended,
    /// It takes no messages: signals have piled up beyond any rate this node produces.
    #[error("has hung with {waiting} messages waiting")]
    Hung {
        /// Messages in its mailbox.
        waiting: usize,
    },
}

/// Hears of dead actors.
#[derive(Debug)]
pub struct DeathWatch(mpsc::Receiver<ActorDied>);

impl DeathWatch {
    pub(crate) fn new(deaths: mpsc::Receiver<ActorDied>) -> Self {
        Self(deaths)
    }

    /// The next death; `None` once no actor and no registry is left.
    pub async fn next(&mut self) -> Option<ActorDied> {
        self.0.recv().await
    }

    /// A death that has already been reported.
    pub fn try_next(&mut self) -> Option<ActorDied> {
        self.0.try_recv().ok()
    }
}

/// A database cannot be used any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{database} cannot be used: {reason}; the node has stopped")]
pub struct StorageFailed {
    /// Which one: the name of its file.
    pub database: &'static str,
    /// What was met.
    pub reason: String,
}

/// Where whoever meets a storage error outside an actor says so, and the supervisor hears of it: the node stops. Cheap
/// to clone.
#[derive(Debug, Clone)]
pub struct StorageGuard(watch::Sender<Option<StorageFailed>>);

impl Default for StorageGuard {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl StorageGuard {
    /// The chain's database, by the name of its file.
    pub const CHAIN: &'static str = "chain.redb";
    /// What the node remembers for itself, by the name of its file.
    pub const NODE: &'static str = "node.redb";

    /// `database` cannot be used any more. The first error is the one that is told.
    pub fn failed(&self, database: &'static str, reason: &dyn std::fmt::Display) {
        let failed = StorageFailed { database, reason: reason.to_string() };
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                tracing::error!(database, %reason, "a database cannot be used any more; the node stops");
                *first = Some(failed);
            }
            is_first
        });
    }

    /// Reports the error of `result`, and hands it on.
    pub fn watch<T, E: std::fmt::Display>(&self, database: &'static str, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|error| self.failed(database, error))
    }

    /// The first failure, when there is one.
    pub async fn failure(&self) -> StorageFailed {
        let mut failed = self.0.subscribe();
        match failed.wait_for(Option::is_some).await.ok().and_then(|failed| failed.clone()) {
            Some(failed) => failed,
            // Only where no sender is left, and this is one.
            None => std::future::pending().await,
        }
    }

    /// The failure that was reported first.
    pub fn failure_now(&self) -> Option<StorageFailed> {
        self.0.borrow().clone()
    }
}

/// Asks an actor to finish what must be finished, answer, and end (`ctx.stop()`). Sent by the supervisor only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop;

impl Message for Stop {
    type Result = ();
}

/// What became of a [`Stop`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopOutcome {
    /// Answered and ended in time.
    Stopped,
    /// Had ended before.
    AlreadyGone,
    /// Did not answer, or did not end, within its deadline.
    TooSlow {
        /// The deadline.
        deadline: Duration,
    },
}

/// Actors in the order in which they are to stop.
#[derive(Debug, Default)]
pub struct StopOrder(Vec<(Inbox<Stop>, Duration)>);

impl StopOrder {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops this actor after those before it; it gets `deadline` to answer and end.
    #[must_use]
    pub fn then(mut self, inbox: Inbox<Stop>, deadline: Duration) -> Self {
        self.0.push((inbox, deadline));
        self
    }

    /// Stops one after the other. An actor that is too slow is left behind: the next ones still get their turn.
    pub async fn stop(self) -> Vec<(&'static str, StopOutcome)> {
        let mut outcomes = Vec::with_capacity(self.0.len());
        for (inbox, deadline) in self.0 {
            let actor = inbox.meter().actor().name();
            let outcome = stop_one(&inbox, deadline).await;
            if let StopOutcome::TooSlow { .. } = outcome {
                tracing::error!(actor, ?deadline, "actor did not stop in time");
            }
            outcomes.push((actor, outcome));
        }
        outcomes
    }
}

async fn stop_one(inbox: &Inbox<Stop>, deadline: Duration) -> StopOutcome {
    let meter = inbox.meter().actor();
    meter.stopping();
    let stopping = async {
        let answer = inbox.ask_urgently(Stop, deadline).await;
        if answer.is_ok() {
            meter.wait_ended().await;
        }
        answer
    };
    match tokio::time::timeout(deadline, stopping).await {
        Ok(Ok(())) => StopOutcome::Stopped,
        Ok(Err(AskError::Closed { .. })) => StopOutcome::AlreadyGone,
        Ok(Err(_)) | Err(_) => StopOutcome::TooSlow { deadline },
    }
}
