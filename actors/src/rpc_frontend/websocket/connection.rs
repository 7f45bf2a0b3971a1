//! One WebSocket: its requests one after the other, and between them what is pushed. One task writes, so that answers and
//! pushes never mix, and the answer to a subscription comes before what it pushes. While the client does not read, the
//! task waits, and its bounded queue fills.

use super::push;
use super::subscriptions::Subscriptions;
use crate::event_stream::{Event, SubscriptionEnded};
use crate::rpc_frontend::guard::CutHandle;
use crate::rpc_frontend::jsonrpc::{Caller, answer};
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::server::Frontend;
use actix_web::web;
use actix_ws::{
    AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Closed, Item, ProtocolError, Session,
};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How often the client is pinged.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A client that has said nothing for this long, not even that it hears the pings, is gone.
const SILENT_FOR: Duration = Duration::from_secs(90);
/// How long one message may wait for the client to read.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// Longest piece that is handed to the connection at once. It holds some dozens of them, whatever their length.
const PIECE: usize = 16 << 10;

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

/// Serves the connection to its end.
pub(super) async fn serve(peer: Peer, session: Session, messages: AggregatedMessageStream) {
    let subscriptions = Subscriptions::new(peer.cut.clone());
    // Without a genesis there is nothing to hear of yet; a subscription asks again.
    let _ = subscriptions.open(&*peer.frontend.ports.events).await;
    let mut connection = Connection { peer: &peer, session, subscriptions: &subscriptions };
    let end = connection.run(messages).await;
    let reason = match end {
        End::Gone => return,
        End::Closed(reason) => reason.map(|reason| CloseReason { description: None, ..reason }),
        End::Close(code, reason) => Some(CloseReason { code, description: Some(reason) }),
    };
    if tokio::time::timeout(READ_WITHIN, connection.session.close(reason)).await.is_err() {
        peer.cut("the client did not read that its connection is being closed");
    }
}

impl Peer {
    /// Cuts the connection of a client that does not read what it asked for.
    fn cut(&self, reason: &'static str) {
        tracing::info!(from = ?self.from, reason, "a WebSocket was cut");
        self.frontend.metrics.refused(Limit::Reading);
        self.cut.iter().for_each(CutHandle::now);
    }
}

struct Connection<'a> {
    peer: &'a Peer,
    session: Session,
    subscriptions: &'a Subscriptions,
}

impl Connection<'_> {
    async fn run(&mut self, mut messages: AggregatedMessageStream) -> End {
        let mut pings = tokio::time::interval(PING_EVERY);
        let mut heard = Instant::now();
        loop {
            let live = self.subscriptions.live();
            let next = async {
                match &live {
                    Some(live) => live.next().await,
                    None => std::future::pending().await,
                }
            };
            let outcome = tokio::select! {
                message = messages.recv() => {
                    heard = Instant::now();
                    self.on_message(message).await
                }
                event = next => self.on_event(event).await,
                _ = pings.tick() => self.on_tick(heard).await,
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    async fn on_message(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<(), End> {
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
        let caller = Caller { from: self.peer.from, subscriptions: Some(self.subscriptions) };
        if let Some(text) = answer(&self.peer.frontend, &body, caller).await.text {
            self.send(vec![text.into()]).await?;
        }
        Ok(())
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

    async fn on_tick(&mut self, heard: Instant) -> Result<(), End> {
        if heard.elapsed() > SILENT_FOR {
            return Err(End::Close(CloseCode::Policy, "no answer to pings".to_owned()));
        }
        Ok(self.session.ping(b"").await?)
    }

    /// Sends a text that is given in parts, as one message in pieces. A long part is not copied: its pieces are of it.
    async fn send(&mut self, parts: Vec<Bytes>) -> Result<(), End> {
        let sending = async {
            if parts.iter().map(Bytes::len).sum::<usize>() <= PIECE {
                let text = String::from_utf8(parts.concat()).expect("JSON was written as UTF-8");
                return self.session.text(text).await;
            }
            let mut pieces = pieces(parts).peekable();
            let mut first = true;
            while let Some(piece) = pieces.next() {
                let item = match (std::mem::take(&mut first), pieces.peek()) {
                    (true, _) => Item::FirstText(piece),
                    (false, Some(_)) => Item::Continue(piece),
                    (false, None) => Item::Last(piece),
                };
                self.session.continuation(item).await?;
            }
            Ok(())
        };
        match tokio::time::timeout(READ_WITHIN, sending).await {
            Ok(sent) => Ok(sent?),
            Err(_) => {
                // Half a message may be under way, so nothing can be said any more.
                self.peer.cut("the client did not read a message in time");
                Err(End::Gone)
            }
        }
    }
}

/// The parts one after the other, none longer than [`PIECE`]. Of more than one piece in all.
fn pieces(parts: Vec<Bytes>) -> impl Iterator<Item = Bytes> {
    parts.into_iter().flat_map(|mut part| {
        std::iter::from_fn(move || (!part.is_empty()).then(|| part.split_to(part.len().min(PIECE))))
    })
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

    #[test]
    fn a_long_result_is_sent_in_pieces_of_the_bytes_that_all_subscriptions_share() {
        let result = Bytes::from("x".repeat(3 * PIECE + 1));
        let shared = result.as_ptr_range();
        for id in ["0x1", "0x2"] {
            let parts = push::notification(id, result.clone());
            let whole = parts.concat();
            let pieces: Vec<_> = pieces(parts.into()).collect();
            assert_eq!(pieces.concat(), whole);
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
            let of_result = pieces.iter().filter(|piece| shared.contains(&piece.as_ptr())).map(Bytes::len);
            assert_eq!(of_result.sum::<usize>(), result.len(), "nothing of it was copied");
        }
    }
}
