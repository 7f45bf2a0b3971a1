//! Rows of the look-up by address that belong to no block.
//!
//! That each transaction is listed as it must be is seen from its block. What is listed besides is seen only by reading
//! the whole table, which is ordered by address. So its rows are counted by height first, and each block says how many
//! of them are its own: where there are more, one is looked for by name.

use crate::address::{Role, roles};
use crate::keys::{self, TransactionLocation};
use crate::{Snapshot, StorageError};
use alloy_primitives::Address;
use callboard_chain::Block;
use std::ops::RangeInclusive;

/// Counts kept, each of as many heights as are needed for the range: half a mebibyte.
const MAX_COUNTS: u64 = 65_536;

/// A row that belongs to no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the look-up by address lists {address} as {role} of transaction {} of block {}, which is none of its",
    .location.index, .location.height
)]
pub struct StrayRow {
    /// Under which address.
    pub address: Address,
    /// Where it leads.
    pub location: TransactionLocation,
    /// As what.
    pub role: Role,
}

/// The rows of the blocks of a range, counted part by part.
#[derive(Debug)]
pub struct AddressRows {
    heights: RangeInclusive<u64>,
    /// Heights that are counted together.
    width: u64,
    counts: Vec<u64>,
    /// The first key that was not read; `None` at the end.
    next: Option<[u8; 32]>,
}

impl AddressRows {
    /// Nothing is counted; these blocks are there.
    pub fn of(heights: RangeInclusive<u64>) -> Self {
        let number = heights.end().saturating_sub(*heights.start()).saturating_add(1);
        let width = number.div_ceil(MAX_COUNTS).max(1);
        let counts = vec![0; usize::try_from(number.div_ceil(width)).unwrap_or_default()];
        Self { heights, width, counts, next: Some([0; 32]) }
    }

    /// The heights.
    pub fn heights(&self) -> RangeInclusive<u64> {
        self.heights.clone()
    }

    /// Whether all rows have been read.
    pub fn is_counted(&self) -> bool {
        self.next.is_none()
    }

    /// Reads at most `limit` further rows. A row above the head belongs to no block and is told at once.
    pub fn count(&mut self, snapshot: &Snapshot, limit: usize) -> Result<Option<StrayRow>, StorageError> {
        let Some(first) = self.next.take() else { return Ok(None) };
        let head = snapshot.head().height;
        for (read, row) in snapshot.view().addresses.range::<&[u8; 32]>(&first..)?.enumerate() {
            let (key, role) = row?;
            if read == limit {
                self.next = Some(*key.value());
                return Ok(None);
            }
            let row = stray(key.value(), role.value());
            if row.location.height > head {
                return Ok(Some(row));
            }
            if let Some(count) = self.place(row.location.height).and_then(|place| self.counts.get_mut(place)) {
                *count = count.saturating_add(1);
            }
        }
        Ok(None)
    }

    /// The block at `height` has so many rows. Told of each block of the range, in order; where those of some blocks are
    /// more than theirs, one that is none of theirs.
    pub fn on_block(&mut self, snapshot: &Snapshot, height: u64, rows: u64) -> Result<Option<StrayRow>, StorageError> {
        let Some(place) = self.place(height) else { return Ok(None) };
        let first = self.heights.start().saturating_add((place as u64).saturating_mul(self.width));
        let last = first.saturating_add(self.width - 1).min(*self.heights.end());
        let Some(count) = self.counts.get_mut(place) else { return Ok(None) };
        *count = count.saturating_sub(rows);
        if height < last || *count == 0 {
            return Ok(None);
        }
        find(snapshot, first..=last)
    }

    fn place(&self, height: u64) -> Option<usize> {
        let above = self.heights.contains(&height).then(|| height - self.heights.start())?;
        usize::try_from(above / self.width).ok()
    }
}

/// How many rows a block has.
pub fn address_rows(block: &Block, senders: &[Address]) -> u64 {
    let of_each =
        block.transactions().iter().zip(senders).map(|(transaction, sender)| roles(transaction, *sender).len());
    of_each.sum::<usize>() as u64
}

/// The first row of these blocks that is none of theirs.
fn find(snapshot: &Snapshot, heights: RangeInclusive<u64>) -> Result<Option<StrayRow>, StorageError> {
    for row in snapshot.view().addresses.range::<&[u8; 32]>(&[0; 32]..)? {
        let (key, role) = row?;
        let row = stray(key.value(), role.value());
        if heights.contains(&row.location.height) && !is_of_its_block(snapshot, &row)? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

fn is_of_its_block(snapshot: &Snapshot, row: &StrayRow) -> Result<bool, StorageError> {
    let TransactionLocation { height, index } = row.location;
    let (Some(block), Some(senders)) = (snapshot.block(height)?, snapshot.senders(height)?) else { return Ok(false) };
    let place = index as usize;
    Ok(match (block.transactions().get(place), senders.get(place)) {
        (Some(transaction), Some(sender)) => roles(transaction, *sender).contains(&(row.address, row.role)),
        _ => false,
    })
}

fn stray(key: &[u8; 32], role: u8) -> StrayRow {
    StrayRow {
        address: Address::from_slice(&key[..20]),
        location: keys::entry_location(key),
        role: Role::from_bits(role),
    }
}
