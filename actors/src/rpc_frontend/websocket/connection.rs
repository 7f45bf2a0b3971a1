//! One WebSocket: its messages are answered while it is pinged and pushed to. One task writes, so that answers and pushes
//! never mix, and the answer to a subscription comes before what it pushes. While the client does not read, the task waits,
//! and its bounded queue fills; while it has as many calls under way as it may, no more are read.

use super::calls::{Answered, Calls};
use super::push;
use super::subscriptions::Subscriptions;
use crate::event_stream::{Event, SubscriptionEnded};
use crate::rpc_frontend::connections::CutHandle;
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::text::Text;
use actix_web::web;
use actix_ws::{
    AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Closed, Item, ProtocolError, Session,
};
use bytes::Bytes;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior};

/// How often the client is pinged.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A client that has said nothing since so many pings, not even that it hears them, is gone.
const UNHEARD_PINGS: u32 = 3;
/// Longest piece that is handed to the connection at once. It holds some dozens of them, whatever their length, and copies
/// them twice.
const PIECE: usize = 4 << 10;

/// Who is at the other end.
pub(super) struct Peer {
    pub(super) frontend: web::Data<Frontend>,
    pub(super) from: Option<SocketAddr>,
    pub(super) cut: Option<CutHandle>,
}

/// Why a connection ends.
enum End {
    /// The client is gone.
    Gone,
    /// The client has closed it, and hears its own code again (RFC 6455 §5.5.1).
    Closed(Option<CloseReason>),
    /// It is closed with this code and sentence.
    Close(CloseCode, String),
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Gone
    }
}

/// Serves the connection to its end. Nothing here waits for a client for ever: whoever does not read is cut
/// ([`crate::rpc_frontend::unread`]), and then nothing can be sent any more.
pub(super) async fn serve(peer: Peer, session: Session, messages: AggregatedMessageStream) {
    let subscriptions = Rc::new(Subscriptions::new(peer.cut.clone()));
    // Without a genesis there is nothing to hear of yet; a subscription asks again.
    let _ = subscriptions.open(&*peer.frontend.ports.events).await;
    let mut connection = Connection { peer: &peer, session, subscriptions, unheard: 0 };
    let reason = match connection.run(messages).await {
        End::Gone => return,
        End::Closed(reason) => reason.map(|reason| CloseReason { description: None, ..reason }),
        End::Close(code, reason) => Some(CloseReason { code, description: Some(reason) }),
    };
    // Whoever is gone needs no farewell.
    let _ = connection.session.close(reason).await;
}

struct Connection<'a> {
    peer: &'a Peer,
    session: Session,
    subscriptions: Rc<Subscriptions>,
    /// Pings since the client was last heard.
    unheard: u32,
}

impl Connection<'_> {
    async fn run(&mut self, mut messages: AggregatedMessageStream) -> End {
        let mut calls = Calls::new(self.peer.frontend.clone(), self.peer.from, Rc::clone(&self.subscriptions));
        let mut pings = tokio::time::interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let live = self.subscriptions.live();
            let next = async {
                match &live {
                    Some(live) => live.next().await,
                    None => std::future::pending().await,
                }
            };
            let outcome = tokio::select! {
                message = heard(calls.may_begin(), &mut messages) => self.on_message(message, &mut calls).await,
                answered = calls.answered() => self.on_answered(answered).await,
                event = next => self.on_event(event).await,
                _ = pings.tick() => self.on_tick(calls.may_begin().is_some()).await,
            };
            match outcome {
                Ok(()) => {}
                Err(End::Closed(reason)) => return self.finish(calls, reason).await,
                Err(end) => return end,
            }
        }
    }

    async fn on_message(
        &mut self,
        message: Option<Result<AggregatedMessage, ProtocolError>>,
        calls: &mut Calls,
    ) -> Result<(), End> {
        self.unheard = 0;
        let body = match message {
            None => return Err(End::Gone),
            Some(Ok(AggregatedMessage::Close(reason))) => return Err(End::Closed(reason)),
            Some(Err(ProtocolError::Overflow)) => {
                let limit = self.peer.frontend.config.max_body_bytes;
                self.peer.frontend.metrics.refused(Limit::Body);
                let refusal = Limit::Body.refuse(format!("message too large: at most {limit} bytes"));
                return Err(End::Close(CloseCode::Size, refusal.message));
            }
            Some(Err(error)) => return Err(End::Close(CloseCode::Protocol, error.to_string())),
            Some(Ok(AggregatedMessage::Pong(_))) => return Ok(()),
            Some(Ok(AggregatedMessage::Ping(payload))) => return Ok(self.session.pong(&payload).await?),
            Some(Ok(AggregatedMessage::Text(text))) => text.into_bytes(),
            Some(Ok(AggregatedMessage::Binary(bytes))) => bytes,
        };
        calls.begin(body);
        Ok(())
    }

    async fn on_answered(&mut self, answered: Result<Answered, JoinError>) -> Result<(), End> {
        let Answered { message, reply, .. } = answered.map_err(|error| {
            tracing::error!(%error, "a call over WebSocket ended abnormally");
            End::Close(CloseCode::Error, "internal error".to_owned())
        })?;
        if let Some(text) = reply.text {
            self.send(text).await?;
        }
        self.subscriptions.on_answered(message);
        Ok(())
    }

    /// Whoever asks and says goodbye still gets the answers.
    async fn finish(&mut self, mut calls: Calls, reason: Option<CloseReason>) -> End {
        while !calls.are_done() {
            let answered = calls.answered().await;
            if let Err(end) = self.on_answered(answered).await {
                return end;
            }
        }
        End::Closed(reason)
    }

    async fn on_event(&mut self, event: Result<Event, SubscriptionEnded>) -> Result<(), End> {
        let event = event.map_err(ended)?;
        for (id, kind) in self.subscriptions.pushes(&event) {
            match &event {
                Event::Blocks(blocks) => {
                    for result in blocks.iter().flat_map(|block| push::block(&kind, block)) {
                        self.push(&id, result).await?;
                    }
                }
                Event::Pending(event) => {
                    if let Some(result) = push::pending(&kind, event) {
                        self.push(&id, result).await?;
                    }
                }
                Event::Sync(event) => self.push(&id, push::Syncing::of(&event.report).text()).await?,
                Event::Routes(_) => {}
            }
        }
        Ok(())
    }

    async fn push(&mut self, id: &str, result: Bytes) -> Result<(), End> {
        if let Some(why) = self.subscriptions.live().and_then(|live| live.ended()).filter(|why| why.is_too_slow()) {
            return Err(ended(why));
        }
        self.send(push::notification(id, result).into()).await
    }

    /// A client that is not listened to for the calls it has under way is not gone.
    async fn on_tick(&mut self, listening: bool) -> Result<(), End> {
        if listening {
            if self.unheard >= UNHEARD_PINGS {
                return Err(End::Close(CloseCode::Policy, "no answer to pings".to_owned()));
            }
            self.unheard = self.unheard.saturating_add(1);
        }
        Ok(self.session.ping(b"").await?)
    }

    /// Sends a text as one message, a long one in pieces.
    async fn send(&mut self, mut text: Text) -> Result<(), End> {
        let mut piece = text.piece(PIECE).unwrap_or_default();
        if text.len() == 0 {
            return Ok(self.session.text(utf8(piece)).await?);
        }
        self.session.continuation(Item::FirstText(piece)).await?;
        loop {
            piece = text.piece(PIECE).unwrap_or_default();
            if text.len() == 0 {
                return Ok(self.session.continuation(Item::Last(piece)).await?);
            }
            self.session.continuation(Item::Continue(piece)).await?;
        }
    }
}

/// What the client says next, from then on.
async fn heard(
    from: Option<Instant>,
    messages: &mut AggregatedMessageStream,
) -> Option<Result<AggregatedMessage, ProtocolError>> {
    match from {
        Some(from) => tokio::time::sleep_until(from).await,
        None => std::future::pending().await,
    }
    messages.recv().await
}

fn utf8(text: Bytes) -> String {
    String::from_utf8(text.into()).expect("JSON was written as UTF-8")
}

fn ended(why: SubscriptionEnded) -> End {
    match why {
        SubscriptionEnded::Stopping => End::Close(CloseCode::Away, why.to_string()),
        _ => End::Close(CloseCode::Again, why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc_frontend::text;

    #[test]
    fn a_long_result_is_sent_in_pieces_of_the_bytes_that_all_subscriptions_share() {
        let result = Bytes::from("x".repeat(3 * text::PIECE + 1));
        let shared = result.as_ptr_range();
        for id in ["0x1", "0x2"] {
            let parts = push::notification(id, result.clone());
            let whole = parts.concat();
            let mut text = Text::from(parts);
            let pieces: Vec<_> = std::iter::from_fn(|| text.piece(PIECE)).collect();
            assert_eq!(pieces.concat(), whole);
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
            let of_result = pieces.iter().filter(|piece| shared.contains(&piece.as_ptr())).map(Bytes::len);
            assert_eq!(of_result.sum::<usize>(), result.len(), "nothing of it was copied");
        }
    }
}
