//! Blocks that were fetched and wait for their turn, handed out in height order.

use std::collections::BTreeMap;

/// Blocks after the front that may be brought although the bytes are used up: enough for every core to verify one,
/// so that the front never waits for what lies behind it.
const ROOM_AT_FRONT: u64 = 4;

/// Fetched blocks by height.
#[derive(Debug)]
pub struct Staging<B> {
    front: u64,
    blocks: BTreeMap<u64, B>,
}

impl<B> Staging<B> {
    /// Nothing waits; `front` is the height that is handed out next.
    pub fn new(front: u64) -> Self {
        Self { front, blocks: BTreeMap::new() }
    }

    /// Whether the block of this height may be brought now, where `is_full` says whether all that was brought takes
    /// the bytes it may. At the front there is always room, so whatever later ranges hold, the front moves.
    pub fn has_room(&self, height: u64, is_full: bool) -> bool {
        !is_full || height < self.front.saturating_add(ROOM_AT_FRONT)
    }

    /// Keeps a block until its turn. One below the front is dropped; a later one of a height takes the place of an
    /// earlier one.
    pub fn put(&mut self, height: u64, block: B) {
        if height >= self.front {
            self.blocks.insert(height, block);
        }
    }

    /// The block at the front, if it has come. The front moves on.
    pub fn take(&mut self) -> Option<(u64, B)> {
        let block = self.blocks.remove(&self.front)?;
        let height = self.front;
        self.front = self.front.saturating_add(1);
        Some((height, block))
    }

    /// The block at the front, if it has come. It stays.
    pub fn front(&self) -> Option<&B> {
        self.blocks.get(&self.front)
    }

    /// Whether the block at the front has come.
    pub fn is_waiting(&self) -> bool {
        self.front().is_some()
    }

    /// Everything below `front` is imported, by whatever way.
    pub fn advance(&mut self, front: u64) {
        if front > self.front {
            self.front = front;
            self.blocks = self.blocks.split_off(&front);
        }
    }

    /// Forgets what waits; `front` is the height that is handed out next.
    pub fn clear(&mut self, front: u64) {
        self.blocks.clear();
        self.front = front;
    }
}
