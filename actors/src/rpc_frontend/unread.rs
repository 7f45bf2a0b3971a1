//! Answers that clients have not read yet: how many bytes they may take together, and the body that tells when its client
//! reads.

use super::connections::Line;
use super::limits::{Limit, Refusal};
use super::text::{PIECE, Text};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// Answers up to this length are not counted: all connections together hold some 30 MB of them, and who asks for little is
/// answered however much others have asked for.
pub(crate) const UNCOUNTED: usize = 64 << 10;
/// What has to be read of an answer within the time that a client has for it: 70 kbit/s at the default, which every line has.
const PROGRESS: usize = 256 << 10;

/// What all answers that are not read yet may take, over every connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AnswerBudget {
    most: usize,
    held: Arc<AtomicUsize>,
}

/// What one answer takes of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    budget: AnswerBudget,
    bytes: usize,
}

impl AnswerBudget {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    /// Nothing yet.
    pub(crate) fn room(&self) -> Room {
        Room { budget: self.clone(), bytes: 0 }
    }

    /// Room for an answer of this length.
    pub(crate) fn room_for(&self, bytes: usize) -> Result<Room, Refusal> {
        let mut room = self.room();
        room.grow(bytes)?;
        Ok(room)
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }
}

impl Room {
    /// Makes room for an answer that has become this long. While no other is held there is room, so that a bound below the
    /// longest answer never keeps it from everybody.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= UNCOUNTED || bytes <= self.bytes {
            return Ok(());
        }
        let AnswerBudget { most, held } = &self.budget;
        let with_this = |all: usize| {
            let others = all.saturating_sub(self.bytes);
            let all = others.saturating_add(bytes);
            (others == 0 || all <= *most).then_some(all)
        };
        match held.fetch_update(Ordering::AcqRel, Ordering::Acquire, with_this) {
            Ok(_) => {
                self.bytes = bytes;
                Ok(())
            }
            Err(_) => Err(Limit::Unread.refuse(format!(
                "busy: this answer has {bytes} bytes, and answers that clients have not read yet may take {most} together: \
                 try again later or ask for less"
            ))),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// A body whose connection is cut where its client does not read. The server asks for the next piece once the client has
/// made room for it: what was handed out and not asked for again waits for the client, and nothing else does.
pub(crate) struct WatchedBody {
    body: BoxBody,
    line: Option<Arc<Line>>,
    /// Bytes since the client last had the whole time for what comes.
    handed: usize,
    _room: Option<Room>,
}

impl WatchedBody {
    pub(crate) fn new(body: BoxBody, line: Option<Arc<Line>>, room: Option<Room>) -> Self {
        line.iter().for_each(|line| line.wait_for_client());
        Self { body: in_pieces(body), line, handed: 0, _room: room }
    }

    fn on_piece(&mut self, bytes: usize) {
        let Some(line) = &self.line else { return };
        self.handed = self.handed.saturating_add(bytes);
        if self.handed >= PROGRESS || !line.waits_for_client() {
            self.handed = 0;
            line.wait_for_client();
        }
    }

    fn on_nothing(&mut self) {
        self.line.iter().for_each(|line| line.go_on());
    }
}

/// The server copies what it is handed before it looks whether the client reads.
fn in_pieces(body: BoxBody) -> BoxBody {
    match body.try_into_bytes() {
        Ok(bytes) if bytes.len() > PIECE => BoxBody::new(Text::from([bytes])),
        Ok(bytes) => BoxBody::new(bytes),
        Err(body) => body,
    }
}

impl MessageBody for WatchedBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let polled = this.body.as_pin_mut().poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(piece))) => this.on_piece(piece.len()),
            _ => this.on_nothing(),
        }
        polled
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.on_nothing();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_share_a_budget_that_a_single_one_may_go_beyond() {
        let budget = AnswerBudget::new(3 * UNCOUNTED);
        let mut first = budget.room_for(4 * UNCOUNTED).expect("nothing else is held");
        let refusal = budget.room_for(2 * UNCOUNTED).unwrap_err();
        assert_eq!((refusal.limit, refusal.retry_after), (Limit::Unread, Some(1)));
        assert!(refusal.message.ends_with("(rpc.limit.unread_bytes)"), "{refusal}");
        assert!(budget.room_for(UNCOUNTED).is_ok(), "short answers are never refused");
        first.grow(5 * UNCOUNTED).expect("still alone");
        drop(first);
        assert_eq!(budget.held(), 0);
        let mut one = budget.room_for(2 * UNCOUNTED).unwrap();
        let other = budget.room_for(UNCOUNTED + 1);
        assert!(other.is_err(), "a byte too many");
        one.grow(3 * UNCOUNTED).unwrap();
        assert_eq!(budget.held(), 3 * UNCOUNTED);
    }
}
