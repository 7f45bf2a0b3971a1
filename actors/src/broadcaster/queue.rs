//! The announcements that wait for one follow stream.

use super::messages::{Announced, Announcement};
use crate::transport::FREE_BYTES;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Announcements that wait for one stream; who is further behind reads from the store. The bytes of all streams together
/// are bounded by [`crate::transport::StreamBudget`].
pub(super) const MAX_QUEUED: usize = 16;
/// Their bytes together: eight of the longest blocks that are queued with their bytes.
pub(super) const MAX_QUEUED_BYTES: usize = 8 * FREE_BYTES;

/// The broadcaster's end.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: mpsc::Sender<(Announcement, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
}

/// The stream's end.
#[derive(Debug)]
pub struct Announcements(mpsc::Receiver<(Announcement, OwnedSemaphorePermit)>);

/// Why an announcement was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// As many announcements, or bytes, wait as may.
    Full,
    /// The stream has ended.
    Closed,
}

/// A queue for one stream.
pub(super) fn queue() -> (Queue, Announcements) {
    let (waiting, announcements) = mpsc::channel(MAX_QUEUED);
    (Queue { waiting, room: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)) }, Announcements(announcements))
}

impl Queue {
    /// Puts an announcement at the end.
    pub(super) fn push(&self, announcement: Announcement) -> Result<(), NotQueued> {
        if self.is_closed() {
            return Err(NotQueued::Closed);
        }
        let bytes = match &announcement.block {
            Announced::Bytes(canonical) => canonical.len(),
            Announced::Own | Announced::Stored => 0,
        };
        let bytes = u32::try_from(bytes).map_err(|_| NotQueued::Full)?;
        let room = self.room.clone().try_acquire_many_owned(bytes).map_err(|_| NotQueued::Full)?;
        self.waiting.try_send((announcement, room)).map_err(|_| NotQueued::Full)
    }

    /// Whether the stream has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.waiting.is_closed()
    }
}

impl Announcements {
    /// The next announcement; `None` when the stream has fallen behind and has to go on from the store.
    pub async fn next(&mut self) -> Option<Announcement> {
        self.0.recv().await.map(|(announcement, _room)| announcement)
    }
}
