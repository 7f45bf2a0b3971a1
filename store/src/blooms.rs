//! Logs blooms over groups of blocks: whoever looks for logs passes over most blocks without reading them.
//!
//! A group has a row once it is whole. The row names the hash of the group's last block and counts only while that block
//! is there, so that whatever happened to the blocks, by a rollback or by a release that does not know this table, a row of
//! other blocks is never believed. A group without a row is looked through block by block.

use crate::StorageError;
use crate::snapshot::decode_header;
use crate::tables::{BLOCKS, BLOOMS, Variable};
use alloy_primitives::{B256, Bloom};
use callboard_chain::{Block, Confirmed};
use redb::{ReadableTable, Table, WriteTransaction};

/// Blocks of a group: with fewer, a search over the longest range reads too many rows; with more, one busy block spoils
/// the bloom for too many quiet ones.
pub const BLOOM_GROUP: u64 = 64;
/// Hash of the last block, and the bloom.
pub(crate) const ROW_BYTES: usize = 32 + 256;

/// The group that the block at `height` is in.
pub(crate) fn group_of(height: u64) -> u64 {
    height / BLOOM_GROUP
}

/// The height of a group's last block.
pub(crate) fn last_of(group: u64) -> u64 {
    group.saturating_mul(BLOOM_GROUP).saturating_add(BLOOM_GROUP - 1)
}

/// Writes the rows of the groups that `blocks` complete. The blocks themselves have been written.
pub(crate) fn write_blooms(write: &WriteTransaction, blocks: &[Confirmed<Block>]) -> Result<(), StorageError> {
    let mut blooms = write.open_table(BLOOMS)?;
    let stored = write.open_table(BLOCKS)?;
    let is_last = |block: &&Block| block.height() == last_of(group_of(block.height()));
    for last in blocks.iter().map(Confirmed::value).filter(is_last) {
        let group = group_of(last.height());
        let bloom = group_bloom(&stored, blocks, group)?;
        let mut row = [0; ROW_BYTES];
        row[..32].copy_from_slice(last.hash().as_slice());
        row[32..].copy_from_slice(bloom.as_slice());
        blooms.insert(group, &row)?;
    }
    Ok(())
}

fn group_bloom(
    stored: &Table<'_, u64, Variable>,
    blocks: &[Confirmed<Block>],
    group: u64,
) -> Result<Bloom, StorageError> {
    let first = blocks.first().map_or(0, |block| block.value().height());
    let mut bloom = Bloom::ZERO;
    for height in group * BLOOM_GROUP..=last_of(group) {
        let new = height.checked_sub(first).and_then(|index| blocks.get(usize::try_from(index).ok()?));
        bloom |= match new {
            Some(block) => block.value().header().logs_bloom,
            None => stored_bloom(stored, height)?,
        };
    }
    Ok(bloom)
}

fn stored_bloom(stored: &Table<'_, u64, Variable>, height: u64) -> Result<Bloom, StorageError> {
    let missing = || StorageError::damaged("blocks", format!("block {height} is missing"));
    Ok(decode_header(stored.get(height)?.ok_or_else(missing)?.value())?.logs_bloom)
}

/// Hash of the last block and bloom of a row.
pub(crate) fn decode_row(row: &[u8; ROW_BYTES]) -> (B256, Bloom) {
    (B256::from_slice(&row[..32]), Bloom::from_slice(&row[32..]))
}
