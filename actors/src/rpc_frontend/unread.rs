//! Answers that clients have not read yet: how many bytes they may take together, and the body that tells when its client
//! reads.

use super::connections::Line;
use super::limits::{Limit, Refusal};
use super::rate::{Holder, SHARES, holder};
use super::text::{PIECE, Text};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// So much of what one connection has not read is not counted: all connections together hold some 30 MB of it, and who asks
/// for little is answered however much others have asked for.
pub(crate) const UNCOUNTED: usize = 64 << 10;
/// What has to be read of an answer within the time that a client has for it: 70 kbit/s at the default, which every line has.
const PROGRESS: usize = 256 << 10;

/// What all answers that are not read yet may take, over every connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AnswerBudget {
    most: usize,
    held: Arc<Mutex<Held>>,
}

/// What is taken of the budget.
#[derive(Debug, Default)]
struct Held {
    all: usize,
    by: HashMap<Holder, usize>,
}

/// An answer does not fit beside those that are not read yet.
#[derive(Debug, thiserror::Error)]
enum Full {
    /// Beside those of all.
    #[error(
        "busy: this answer has {bytes} bytes, and answers that clients have not read yet may take {most} together: \
         try again later or ask for less"
    )]
    All {
        /// What the answer takes.
        bytes: usize,
        /// What all may take.
        most: usize,
    },
    /// Beside those of the same holder.
    #[error(
        "busy: this answer has {bytes} bytes, your address has not read {held} yet, and one address may have {share} of \
         the {most} for all: read those answers first, or ask for less"
    )]
    Share {
        /// What the answer takes.
        bytes: usize,
        /// What the holder has taken.
        held: usize,
        /// What one holder may take.
        share: usize,
        /// What all may take.
        most: usize,
    },
}

/// Who reads answers: an HTTP request has one of its own, the calls of a WebSocket have one together. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    holder: Holder,
    /// Bytes of its answers that are not counted.
    uncounted: Rc<Cell<usize>>,
}

/// What one answer takes of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    budget: AnswerBudget,
    reader: Reader,
    counted: usize,
    uncounted: usize,
}

impl Reader {
    /// One who has nothing to read yet.
    pub(crate) fn at(from: Option<SocketAddr>) -> Self {
        Self { holder: holder(from), uncounted: Rc::default() }
    }
}

impl AnswerBudget {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    /// Nothing yet.
    pub(crate) fn room(&self, reader: &Reader) -> Room {
        Room { budget: self.clone(), reader: reader.clone(), counted: 0, uncounted: 0 }
    }

    /// Room for an answer of this length.
    pub(crate) fn room_for(&self, reader: &Reader, bytes: usize) -> Result<Room, Refusal> {
        let mut room = self.room(reader);
        room.grow(bytes)?;
        Ok(room)
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held.lock().all
    }
}

impl Held {
    /// Takes so many bytes for an answer that has taken some `before`. While no other is held there is room, so that a bound
    /// below the longest answer never keeps it from everybody; and while its holder has no other, a share is no bound.
    fn take(&mut self, holder: Holder, before: usize, bytes: usize, most: usize) -> Result<(), Full> {
        let (others, share) = (self.all.saturating_sub(before), most.div_ceil(SHARES));
        let held = self.by.get(&holder).map_or(0, |held| held.saturating_sub(before));
        let (all, own) = (others.saturating_add(bytes), held.saturating_add(bytes));
        if others > 0 && all > most {
            return Err(Full::All { bytes, most });
        }
        if held > 0 && own > share {
            return Err(Full::Share { bytes, held, share, most });
        }
        self.all = all;
        self.by.insert(holder, own);
        Ok(())
    }

    fn give_back(&mut self, holder: Holder, bytes: usize) {
        self.all = self.all.saturating_sub(bytes);
        if let Entry::Occupied(mut entry) = self.by.entry(holder) {
            *entry.get_mut() = entry.get().saturating_sub(bytes);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Room {
    /// Makes room for an answer that has become this long.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= self.counted || (self.counted == 0 && self.stays_uncounted(bytes)) {
            return Ok(());
        }
        let taken = self.budget.held.lock().take(self.reader.holder, self.counted, bytes, self.budget.most);
        taken.map_err(|full| Limit::Unread.refuse(full))?;
        self.counted = bytes;
        self.stays_uncounted(0);
        Ok(())
    }

    /// Whether it need not be counted, beside what else its reader has that is not.
    fn stays_uncounted(&mut self, bytes: usize) -> bool {
        let others = self.reader.uncounted.get().saturating_sub(self.uncounted);
        let all = others.saturating_add(bytes);
        if all > UNCOUNTED {
            return false;
        }
        self.reader.uncounted.set(all);
        self.uncounted = bytes;
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.stays_uncounted(0);
        if self.counted > 0 {
            self.budget.held.lock().give_back(self.reader.holder, self.counted);
        }
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

    fn reader(last: u8) -> Reader {
        Reader::at(Some(([10, 0, 0, last], 1).into()))
    }

    #[test]
    fn answers_share_a_budget_that_a_single_one_may_go_beyond() {
        let budget = AnswerBudget::new(3 * UNCOUNTED);
        let [one, other] = [1, 2].map(reader);
        let mut first = budget.room_for(&one, 4 * UNCOUNTED).expect("nothing else is held");
        let refusal = budget.room_for(&other, 2 * UNCOUNTED).unwrap_err();
        assert_eq!((refusal.limit, refusal.retry_after), (Limit::Unread, Some(1)));
        assert!(refusal.message.ends_with("(rpc.limit.unread_bytes)"), "{refusal}");
        assert!(budget.room_for(&other, UNCOUNTED).is_ok(), "short answers are never refused");
        first.grow(5 * UNCOUNTED).expect("still alone");
        drop(first);
        assert_eq!(budget.held(), 0);
        let mut first = budget.room_for(&one, 2 * UNCOUNTED).unwrap();
        assert!(budget.room_for(&other, UNCOUNTED + 1).is_err(), "a byte too many");
        first.grow(3 * UNCOUNTED).unwrap();
        assert_eq!(budget.held(), 3 * UNCOUNTED);
    }

    #[test]
    fn one_address_takes_no_more_than_its_share_however_many_connections_it_has() {
        let budget = AnswerBudget::new(16 * UNCOUNTED);
        let first = budget.room_for(&reader(1), 2 * UNCOUNTED).unwrap();
        let mut second = budget.room_for(&reader(1), 2 * UNCOUNTED).expect("a quarter");
        let refusal = second.grow(2 * UNCOUNTED + 1).unwrap_err();
        let sentence = "busy: this answer has 131073 bytes, your address has not read 131072 yet, and one address may have \
                        262144 of the 1048576 for all: read those answers first, or ask for less (rpc.limit.unread_bytes)";
        assert_eq!((refusal.message.as_str(), refusal.retry_after), (sentence, Some(1)));
        assert!(budget.room_for(&reader(1), 2 * UNCOUNTED).is_err(), "a third one");
        let long = budget.room_for(&reader(2), 5 * UNCOUNTED).expect("one alone, of another address");
        let mapped = Reader::at(Some(("::ffff:10.0.0.2".parse::<std::net::IpAddr>().unwrap(), 1).into()));
        assert!(budget.room_for(&mapped, 2 * UNCOUNTED).is_err(), "the same address, written as IPv6");
        drop(first);
        second.grow(4 * UNCOUNTED).expect("what is given back counts no more");
        drop((second, long));
        assert!(budget.held.lock().by.is_empty(), "nobody is remembered");
    }

    #[test]
    fn short_answers_are_counted_as_soon_as_one_reader_has_many_of_them() {
        let budget = AnswerBudget::new(16 * UNCOUNTED);
        let socket = reader(1);
        let mut first = budget.room_for(&socket, UNCOUNTED / 2).unwrap();
        let second = budget.room_for(&socket, UNCOUNTED / 2).unwrap();
        assert_eq!(budget.held(), 0);
        let third = budget.room_for(&socket, 10).unwrap();
        assert_eq!(budget.held(), 10);
        assert!(budget.room_for(&reader(1), UNCOUNTED).is_ok() && budget.held() == 10, "another connection");
        first.grow(UNCOUNTED).unwrap();
        assert_eq!(budget.held(), UNCOUNTED + 10, "counted as a whole");
        let fourth = budget.room_for(&socket, UNCOUNTED / 2).unwrap();
        assert_eq!(budget.held(), UNCOUNTED + 10, "in place of the one that is counted now");
        drop((first, second, third, fourth));
        assert_eq!((budget.held(), socket.uncounted.get()), (0, 0));
    }
}
