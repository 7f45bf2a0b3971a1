//! The memory that streams of blocks may hold together, whoever reads or sends slowly.
//!
//! Every stream holds up to [`FREE_BYTES`] of its own. What is beyond is taken from one budget. A stream that is
//! **served** and finds it used up waits for nobody: it goes on in small parts. A stream that is **read** waits, for as
//! long as [`PATIENCE`]; and while anybody waits, a stream that has held memory for longer than that for a block that
//! is still not whole is given up. So whoever is slow, the others get on.

use crate::monitor::Metrics;
use bytes::Bytes;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// Bytes that all streams of blocks, served and read, hold beyond their own.
pub const STREAM_BYTES: usize = 96 << 20;
/// Most of them that streams which are served hold, and blocks that wait for such: the rest, four of the largest
/// blocks, is left for reading, so that no guest keeps this node from following.
pub const SERVED_BYTES: usize = 64 << 20;
/// What every stream may hold of its own; a connection that is served buffers as much again, and 32 KiB: with
/// `MAX_OF_NODES` connections 30 MiB.
pub const FREE_BYTES: usize = 64 << 10;
/// How long a block may take to become whole while others wait for memory. A link that brings the largest block within
/// this time, 4.5 Mbit/s, is never given up for it; without anybody waiting, none is.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

const SERVED: Direction = Direction { direction: "served" };
const READ: Direction = Direction { direction: "read" };

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StreamBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Arc<Semaphore>,
    served: Arc<Semaphore>,
    patience: Duration,
    /// Streams that wait for memory.
    waiting: watch::Sender<usize>,
    waits: Family<Direction, Counter>,
    held: Gauge,
    /// Bytes held now, and the most that ever were.
    level: Mutex<Level>,
}

#[derive(Debug, Default)]
struct Level {
    now: usize,
    #[cfg(test)]
    highest: usize,
}

/// Memory of a stream that is served, or of a block that waits for such streams. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    room: Room,
    share: OwnedSemaphorePermit,
}

/// Memory taken from the budget. Given back when it is dropped.
#[derive(Debug)]
struct Room {
    budget: StreamBudget,
    permit: OwnedSemaphorePermit,
}

/// The memory of one stream that is read.
#[derive(Debug)]
pub(crate) struct ReadRoom {
    budget: StreamBudget,
    rooms: Vec<Room>,
    since: Option<Instant>,
}

/// All memory for streams is in use, and has been for as long as a stream waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no block became whole within {waited:?} while the memory for streams of blocks was used up; this one gives way"
)]
pub struct NoRoom {
    /// How long.
    pub waited: Duration,
}

impl Default for StreamBudget {
    fn default() -> Self {
        Self::of(STREAM_BYTES, SERVED_BYTES, PATIENCE)
    }
}

impl StreamBudget {
    /// Registers `callboard_peer_stream_bytes` and `callboard_peer_stream_waits_total`.
    pub fn register(metrics: &Metrics) -> Self {
        let budget = Self::default();
        metrics.register(|registry| {
            let help = "Bytes that streams of blocks between nodes hold in memory beyond 64 KiB each";
            registry.register("callboard_peer_stream_bytes", help, budget.0.held.clone());
            let help =
                "Streams of blocks that found their memory used up: those served go on in small parts, those read wait";
            registry.register("callboard_peer_stream_waits", help, budget.0.waits.clone());
        });
        budget
    }

    pub(crate) fn of(all: usize, served: usize, patience: Duration) -> Self {
        let semaphore = |bytes| Arc::new(Semaphore::new(bytes));
        Self(Arc::new(Inner {
            all: semaphore(all),
            served: semaphore(served),
            patience,
            waiting: watch::Sender::new(0),
            waits: Family::default(),
            held: Gauge::default(),
            level: Mutex::default(),
        }))
    }

    /// Memory for a stream that is served; `None`, counted, where it is used up.
    pub(crate) fn serve(&self, bytes: usize) -> Option<Served> {
        let room = self.try_serve(bytes);
        if room.is_none() {
            self.0.waits.get_or_create(&SERVED).inc();
        }
        room
    }

    fn try_serve(&self, bytes: usize) -> Option<Served> {
        let number = u32::try_from(bytes).ok()?;
        let share = self.0.served.clone().try_acquire_many_owned(number).ok()?;
        let permit = self.0.all.clone().try_acquire_many_owned(number).ok()?;
        Some(Served { room: self.room(permit), share })
    }

    /// These bytes, counted for as long as anybody holds them or a part of them; `None` where memory is used up.
    pub(crate) fn share(&self, bytes: &Bytes) -> Option<Bytes> {
        let room = self.serve(bytes.len())?;
        Some(Bytes::from_owner(Shared { bytes: bytes.clone(), _room: room }))
    }

    /// For a stream that is to be read.
    pub(crate) fn read_room(&self) -> ReadRoom {
        ReadRoom { budget: self.clone(), rooms: Vec::new(), since: None }
    }

    fn room(&self, permit: OwnedSemaphorePermit) -> Room {
        self.change(|level| level.now += permit.num_permits());
        Room { budget: self.clone(), permit }
    }

    fn change(&self, change: impl FnOnce(&mut Level)) {
        let mut level = self.0.level.lock();
        change(&mut level);
        #[cfg(test)]
        {
            level.highest = level.highest.max(level.now);
        }
        self.0.held.set(i64::try_from(level.now).unwrap_or(i64::MAX));
    }

    /// Waits, counted, until there is memory.
    async fn wait_for(&self, bytes: u32) -> Result<Room, NoRoom> {
        if let Ok(permit) = self.0.all.clone().try_acquire_many_owned(bytes) {
            return Ok(self.room(permit));
        }
        self.0.waits.get_or_create(&READ).inc();
        let _waiting = Waiting::begin(self);
        let (all, waited) = (self.0.all.clone(), self.0.patience);
        match tokio::time::timeout(waited, all.acquire_many_owned(bytes)).await {
            Ok(Ok(permit)) => Ok(self.room(permit)),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(NoRoom { waited }),
        }
    }

    /// Returns while somebody waits for memory.
    async fn is_wanted(&self) {
        // The sender lives in `self`.
        self.0.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.map(drop).unwrap_or_default();
    }

    /// The most bytes that were held at a time.
    #[cfg(test)]
    pub(crate) fn highest(&self) -> usize {
        self.0.level.lock().highest
    }

    /// Bytes held now.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.0.level.lock().now
    }

    /// How often a stream that is served, and one that is read, found memory used up.
    #[cfg(test)]
    pub(crate) fn waits(&self) -> [u64; 2] {
        [&SERVED, &READ].map(|direction| self.0.waits.get_or_create(direction).get())
    }
}

struct Waiting<'a>(&'a StreamBudget);

impl<'a> Waiting<'a> {
    fn begin(budget: &'a StreamBudget) -> Self {
        budget.0.waiting.send_modify(|waiting| *waiting += 1);
        Self(budget)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let bytes = self.permit.num_permits();
        self.budget.change(|level| level.now -= bytes);
    }
}

impl Served {
    /// Gives back what is beyond `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let spare = self.share.num_permits().saturating_sub(bytes);
        drop(self.share.split(spare));
        drop(self.room.permit.split(spare));
        self.room.budget.change(|level| level.now -= spare);
    }
}

impl ReadRoom {
    /// The stream is about to hold so many bytes.
    pub(crate) async fn grow_to(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let held: usize = self.rooms.iter().map(|room| room.permit.num_permits()).sum();
        let missing = bytes.saturating_sub(FREE_BYTES).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing.next_multiple_of(FREE_BYTES)).unwrap_or(u32::MAX);
        self.since.get_or_insert_with(Instant::now);
        self.rooms.push(self.budget.wait_for(missing).await?);
        Ok(())
    }

    /// What was held is handed on.
    pub(crate) fn clear(&mut self) {
        self.rooms.clear();
        self.since = None;
    }

    /// Returns when what this stream holds is wanted by others and was held for too long.
    pub(crate) async fn gives_way(&self) -> NoRoom {
        let Some(since) = self.since else { return std::future::pending().await };
        let waited = self.budget.0.patience;
        tokio::time::sleep_until(since + waited).await;
        self.budget.is_wanted().await;
        NoRoom { waited }
    }
}

/// Bytes with the memory they are counted in.
struct Shared {
    bytes: Bytes,
    _room: Served,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    fn budget() -> StreamBudget {
        StreamBudget::of(1_024 * KIB, 512 * KIB, Duration::from_secs(15))
    }

    #[test]
    fn what_is_served_leaves_a_part_for_reading_and_what_is_given_back_can_be_taken_again() {
        let budget = budget();
        let mut first = budget.serve(400 * KIB).expect("room");
        assert!(budget.serve(200 * KIB).is_none());
        assert_eq!((budget.held(), budget.waits()), (400 * KIB, [1, 0]));
        first.shrink_to(100 * KIB);
        let second = budget.serve(200 * KIB).expect("room");
        assert_eq!(budget.held(), 300 * KIB);
        drop((first, second));
        assert_eq!((budget.held(), budget.highest()), (0, 400 * KIB));
    }

    #[test]
    fn shared_bytes_are_counted_once_until_the_last_part_of_them_is_dropped() {
        let budget = budget();
        let block = budget.share(&Bytes::from(vec![7; 300 * KIB])).expect("room");
        let mut parts = vec![block.clone(), block.slice(5..10)];
        drop(block);
        assert_eq!(budget.held(), 300 * KIB);
        assert!(budget.share(&Bytes::from(vec![7; 300 * KIB])).is_none());
        parts.clear();
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_read_waits_and_whoever_held_memory_too_long_gives_way() {
        let budget = budget();
        let (mut slow, mut quick) = (budget.read_room(), budget.read_room());
        slow.grow_to(FREE_BYTES).await.expect("its own");
        assert_eq!(budget.held(), 0);
        slow.grow_to(1_000 * KIB).await.expect("room");
        let nobody_waits = tokio::time::timeout(Duration::from_secs(600), slow.gives_way());
        assert!(nobody_waits.await.is_err(), "it may take its time");
        let both = async {
            tokio::join!(
                async {
                    let no_room = slow.gives_way().await;
                    slow.clear();
                    no_room
                },
                quick.grow_to(500 * KIB),
            )
        };
        let both = tokio::time::timeout(Duration::from_secs(600), both).await;
        let (given_up, grown) = both.expect("somebody gives way");
        assert_eq!((given_up.waited, grown), (Duration::from_secs(15), Ok(())));
        assert_eq!(budget.waits(), [0, 1]);
        let begun = Instant::now();
        let mut third = budget.read_room();
        assert_eq!(third.grow_to(900 * KIB).await, Err(NoRoom { waited: Duration::from_secs(15) }));
        assert_eq!(begun.elapsed(), Duration::from_secs(15), "nobody waits without end");
        assert_eq!(budget.0.waiting.borrow().to_owned(), 0);
    }
}
