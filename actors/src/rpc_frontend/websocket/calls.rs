//! The calls of one connection that are under way.

use super::subscriptions::Subscriptions;
use crate::rpc_frontend::gate::{OwnTurns, taking_turns};
use crate::rpc_frontend::jsonrpc::{Caller, Reply, answer};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::unread::Reader;
use actix_web::web;
use bytes::Bytes;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

/// Messages of one connection that are answered at once, at most. Further ones stay with the client.
pub(super) const AT_ONCE: usize = 8;
/// Bytes of messages that are being answered, from which on no more are read: long ones come one at a time.
const BYTES_AT_ONCE: usize = 64 << 10;
/// A message that is answered within this is answered before the next one is looked at, so that answers come in the order of
/// their questions; one that takes longer lets others pass.
pub(super) const STEP_ASIDE: Duration = Duration::from_millis(50);

/// The messages that are being answered, each by a task: while the client does not read one answer, the others are not left
/// where nobody counts what they hold.
pub(super) struct Calls {
    frontend: web::Data<Frontend>,
    from: Option<SocketAddr>,
    /// One for all of them: the short answers of a connection are counted together.
    reader: Reader,
    subscriptions: Rc<Subscriptions>,
    turns: OwnTurns,
    under_way: JoinSet<Answered>,
    bytes: usize,
    last: u64,
    /// When the newest of them lets others pass.
    aside: Instant,
}

/// A message that has been answered.
pub(super) struct Answered {
    /// Its number on this connection.
    pub(super) message: u64,
    pub(super) reply: Reply,
    bytes: usize,
}

impl Calls {
    pub(super) fn new(
        frontend: web::Data<Frontend>,
        from: Option<SocketAddr>,
        subscriptions: Rc<Subscriptions>,
    ) -> Self {
        let turns = frontend.gate.own_turns();
        let (under_way, bytes, last) = Default::default();
        let reader = Reader::at(from);
        Self { frontend, from, reader, subscriptions, turns, under_way, bytes, last, aside: Instant::now() }
    }

    /// Begins to answer a message.
    pub(super) fn begin(&mut self, body: Bytes) {
        self.last = self.last.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(body.len());
        self.aside = Instant::now() + STEP_ASIDE;
        let (message, from, reader) = (self.last, self.from, self.reader.clone());
        let (frontend, subscriptions) = (self.frontend.clone(), Rc::clone(&self.subscriptions));
        let answering = taking_turns(&self.turns, async move {
            let caller = Caller { from, reader: &reader, subscriptions: Some(subscriptions.asked_by(message)) };
            let reply = answer(&frontend, &body, caller).await;
            Answered { message, reply, bytes: body.len() }
        });
        self.under_way.spawn_local(answering);
    }

    /// From when on another message may be begun; `None` until one has been answered.
    pub(super) fn may_begin(&self) -> Option<Instant> {
        let few = self.under_way.len() < AT_ONCE && self.bytes < BYTES_AT_ONCE;
        match (self.under_way.is_empty(), few) {
            (true, _) => Some(Instant::now()),
            (false, true) => Some(self.aside),
            (false, false) => None,
        }
    }

    /// The next one that has been answered; never, where none is under way.
    pub(super) async fn answered(&mut self) -> Result<Answered, JoinError> {
        match self.under_way.join_next().await {
            Some(answered) => {
                let bytes = answered.as_ref().map_or(0, |answered| answered.bytes);
                self.bytes = self.bytes.saturating_sub(bytes);
                answered
            }
            None => std::future::pending().await,
        }
    }

    /// Whether none is under way.
    pub(super) fn are_done(&self) -> bool {
        self.under_way.is_empty()
    }
}
