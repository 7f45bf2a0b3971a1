//! What an authority remembers in `node.redb` for the sake of its own seals: blocks that it met and lacks, branches that it
//! gave up, and who was there to tell it of them. Its high-water file says what it sealed; this says what else it must
//! not seal over, and what it must not take back. A follower, too, remembers the branches that its operator gave up.

use crate::StorageError;
use crate::node::{ACCEPTED, NodeStore, SealedHeader, decode, encode};
use alloy_primitives::B256;
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Hashes that are kept of a branch that was given up: its lowest ones, which every part of it stands on, and its
/// highest. Where it is longer, its other blocks are told by their time.
pub const MAX_KNOWN: usize = 4_096;
/// Branches that a node can give up. One that did so more often has other troubles.
pub const MAX_GIVEN_UP: u64 = 256;

/// Nodes that dial this one and are remembered; those beyond are not waited for.
pub const MAX_GUESTS: u64 = 64;
/// A node that was no guest for this long, seconds, is not waited for any more: a week.
pub const GUEST_MEMORY: u64 = 7 * 86_400;

/// Number → JSON record of a branch that was given up.
const GIVEN_UP: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("given_up");
/// Height → hash and timestamp of a block that `chain rollback` took out of an authority's chain.
const ROLLED_BACK: TableDefinition<'_, u64, ([u8; 32], u64)> = TableDefinition::new("rolled_back");
/// One row, the JSON record of the highest block with this authority's own seal that it met and lacked.
const MET: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("own_block_met");
/// Node id → when it was last a guest, unix seconds.
const GUESTS: TableDefinition<'_, &str, u64> = TableDefinition::new("guests");
const HIGHEST: &str = "highest";

/// As much of a block with this authority's own seal as is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnBlock {
    /// Height.
    pub height: u64,
    /// Block hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A branch that was given up knowingly: by an authority, or by a follower's operator for another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUpBranch {
    /// The highest block that was kept.
    pub after: u64,
    /// The highest block that was given up, as far as is known.
    pub highest: OwnBlock,
    /// Height and hash of blocks of it.
    pub known: BTreeSet<(u64, B256)>,
    /// Header and seal of one of them, where they are at hand: half of the proof that a height is sealed twice.
    pub sealed: Option<SealedHeader>,
    /// When, unix seconds.
    pub time: u64,
    /// A follower gave it up: only the blocks in `known` are of it, because the authority may have sealed others of these
    /// heights at the same time, and those are the ones that the follower wants.
    #[serde(default)]
    pub by_follower: bool,
}

impl GivenUpBranch {
    /// Whether a block that is not of this node's chain is of this branch. Where an authority does not know all of its
    /// blocks, because the database was an older copy, they are told by their time: what was sealed before the branch was
    /// given up is no later than its highest block.
    pub fn holds(&self, block: &OwnBlock) -> bool {
        let is_within = block.height > self.after
            && block.height <= self.highest.height
            && block.timestamp <= self.highest.timestamp;
        self.known.contains(&(block.height, block.hash)) || (!self.by_follower && is_within && !self.is_whole())
    }

    /// Whether every block of it is known.
    fn is_whole(&self) -> bool {
        let heights: BTreeSet<u64> = self.known.iter().map(|(height, _)| *height).collect();
        let count = self.highest.height.saturating_sub(self.after);
        heights.range(self.after.saturating_add(1)..=self.highest.height).count() as u64 == count
    }
}

impl NodeStore {
    /// Remembers blocks that are about to be rolled back, lowest first: the first [`MAX_KNOWN`] of them, and the last.
    pub fn put_rolled_back(&self, blocks: &[OwnBlock]) -> Result<(), StorageError> {
        let first = blocks.iter().take(MAX_KNOWN);
        let kept = first.chain(blocks.last());
        self.write(|write| {
            let mut table = write.open_table(ROLLED_BACK)?;
            for block in kept {
                table.insert(block.height, (block.hash.0, block.timestamp))?;
            }
            Ok(())
        })
    }

    /// The blocks above `height` that were rolled back and not given up since, lowest first.
    pub fn rolled_back_above(&self, height: u64) -> Result<Vec<OwnBlock>, StorageError> {
        let table = self.begin_read()?.open_table(ROLLED_BACK)?;
        let above = table.range(height.saturating_add(1)..)?;
        let block = |entry: Result<(redb::AccessGuard<'_, u64>, redb::AccessGuard<'_, ([u8; 32], u64)>), _>| {
            let (height, row) = entry?;
            let (hash, timestamp) = row.value();
            Ok(OwnBlock { height: height.value(), hash: hash.into(), timestamp })
        };
        above.map(block).collect()
    }

    /// Remembers a branch that is given up, and forgets that it was met or rolled back; whether there was room for it.
    pub fn give_up(&self, branch: &GivenUpBranch) -> Result<bool, StorageError> {
        let record = encode("given_up", branch)?;
        self.write(|write| {
            let mut table = write.open_table(GIVEN_UP)?;
            let number = table.last()?.map_or(0, |(number, _)| number.value().saturating_add(1));
            if table.len()? >= MAX_GIVEN_UP {
                return Ok(false);
            }
            table.insert(number, record.as_slice())?;
            write.open_table(ROLLED_BACK)?.retain_in(branch.after.saturating_add(1).., |_, _| false)?;
            write.open_table(MET)?.remove(HIGHEST)?;
            Ok(true)
        })
    }

    /// Every branch that was given up.
    pub fn given_up(&self) -> Result<Vec<GivenUpBranch>, StorageError> {
        let table = self.begin_read()?.open_table(GIVEN_UP)?;
        table.iter()?.map(|entry| decode("given_up", entry?.1.value())).collect()
    }

    /// Forgets every branch with this block that a follower gave up, and that it was accepted as dead; whether there was one.
    /// What an authority gave up stays so: its new blocks stand in the place of those.
    pub fn take_back(&self, height: u64, hash: B256) -> Result<bool, StorageError> {
        self.write(|write| {
            let mut table = write.open_table(GIVEN_UP)?;
            let mut found = Vec::new();
            for entry in table.iter()? {
                let (number, record) = entry?;
                let branch: GivenUpBranch = decode("given_up", record.value())?;
                if branch.by_follower && branch.known.contains(&(height, hash)) {
                    found.push(number.value());
                }
            }
            for number in &found {
                table.remove(number)?;
            }
            let was_accepted = write.open_table(ACCEPTED)?.remove((height, hash.0))?.is_some();
            Ok(!found.is_empty() || was_accepted)
        })
    }

    /// Remembers a block with this authority's own seal that it lacks, where it is the highest one so far.
    pub fn meet_own_block(&self, block: &OwnBlock) -> Result<(), StorageError> {
        let record = encode("own_block_met", block)?;
        self.write(|write| {
            let mut table = write.open_table(MET)?;
            let known = table.get(HIGHEST)?.map(|row| decode::<OwnBlock>("own_block_met", row.value())).transpose()?;
            if known.is_none_or(|known| known.height < block.height) {
                table.insert(HIGHEST, record.as_slice())?;
            }
            Ok(())
        })
    }

    /// The highest block with this authority's own seal that it met and lacked, unless it has it by now or gave it up.
    pub fn own_block_met(&self) -> Result<Option<OwnBlock>, StorageError> {
        let table = self.begin_read()?.open_table(MET)?;
        table.get(HIGHEST)?.map(|row| decode("own_block_met", row.value())).transpose()
    }

    /// Remembers that a node which dials this one, and perhaps cannot be dialled, was there at `time`, unix seconds. One
    /// too many is not remembered, and those that have been away for [`GUEST_MEMORY`] seconds are forgotten.
    pub fn put_guest(&self, id: &str, time: u64) -> Result<(), StorageError> {
        self.write(|write| {
            let mut table = write.open_table(GUESTS)?;
            table.retain(|_, seen| is_remembered(seen, time))?;
            if table.len()? < MAX_GUESTS || table.get(id)?.is_some() {
                table.insert(id, time)?;
            }
            Ok(())
        })
    }

    /// The nodes that were guests when this one was last up, however long ago that is: what was restored from a snapshot
    /// must know them.
    pub fn guests(&self) -> Result<Vec<String>, StorageError> {
        let table = self.begin_read()?.open_table(GUESTS)?;
        let mut guests = Vec::new();
        for entry in table.iter()? {
            let (id, seen) = entry?;
            guests.push((id.value().to_owned(), seen.value()));
        }
        let last = guests.iter().map(|(_, seen)| *seen).max().unwrap_or_default();
        Ok(guests.into_iter().filter(|(_, seen)| is_remembered(*seen, last)).map(|(id, _)| id).collect())
    }

    /// It has the block, or another one in its place: nothing more is to be remembered of it.
    pub fn forget_own_block_met(&self) -> Result<(), StorageError> {
        self.write(|write| {
            write.open_table(MET)?.remove(HIGHEST)?;
            Ok(())
        })
    }
}

/// Whether a guest that was `seen` then counts at `time`.
fn is_remembered(seen: u64, time: u64) -> bool {
    time.saturating_sub(seen) <= GUEST_MEMORY
}

/// Makes the tables of this file.
pub(crate) fn create_tables(write: &WriteTransaction) -> Result<(), StorageError> {
    write.open_table(GIVEN_UP)?;
    write.open_table(ROLLED_BACK)?;
    write.open_table(MET)?;
    write.open_table(GUESTS)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(height: u64, timestamp: u64) -> OwnBlock {
        OwnBlock { height, hash: B256::with_last_byte(height as u8), timestamp }
    }

    fn branch(after: u64, known: &[u64]) -> GivenUpBranch {
        let known = known.iter().map(|height| (*height, block(*height, 0).hash)).collect();
        GivenUpBranch { after, highest: block(7, 70), known, sealed: None, time: 1, by_follower: false }
    }

    fn opened() -> (tempfile::TempDir, NodeStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = NodeStore::open(folder.path().join("node.redb")).unwrap();
        (folder, store)
    }

    #[test]
    fn of_a_branch_that_is_known_as_a_whole_only_its_blocks_are_given_up() {
        let branch = branch(4, &[5, 6, 7]);
        for height in 5..=7 {
            assert!(branch.holds(&block(height, 10 * height)));
        }
        assert!(!branch.holds(&OwnBlock { hash: B256::ZERO, ..block(6, 60) }));
        assert!(!branch.holds(&block(8, 80)) && !branch.holds(&block(4, 40)));
    }

    #[test]
    fn blocks_of_a_branch_that_is_known_in_part_are_told_by_their_time() {
        let branch = branch(4, &[7]);
        assert!(branch.holds(&block(5, 50)) && branch.holds(&block(6, 70)));
        assert!(!branch.holds(&block(6, 71)), "it was sealed later");
        assert!(!branch.holds(&block(8, 70)) && !branch.holds(&block(4, 40)));
    }

    #[test]
    fn of_a_branch_that_a_follower_gave_up_no_block_is_told_by_its_time() {
        let branch = GivenUpBranch { by_follower: true, ..branch(4, &[5, 7]) };
        assert!(branch.holds(&block(5, 50)) && branch.holds(&block(7, 70)));
        assert!(!branch.holds(&block(6, 60)), "it may be the authority's");
    }

    #[test]
    fn what_a_follower_gave_up_can_be_taken_back_by_any_block_of_it_and_what_an_authority_gave_up_cannot() {
        let (_folder, store) = opened();
        let own = branch(4, &[5, 6, 7]);
        assert!(store.give_up(&own).unwrap());
        assert!(store.give_up(&GivenUpBranch { by_follower: true, ..branch(2, &[3, 4, 5]) }).unwrap());
        assert!(!store.take_back(3, B256::ZERO).unwrap() && !store.take_back(6, block(6, 0).hash).unwrap());
        assert!(store.take_back(5, block(5, 0).hash).unwrap());
        assert_eq!(store.given_up().unwrap(), [own]);
    }

    #[test]
    fn what_is_given_up_stays_so_and_is_neither_met_nor_rolled_back_any_more() {
        let (folder, store) = opened();
        store.put_rolled_back(&[block(3, 30), block(5, 50), block(6, 60)]).unwrap();
        store.meet_own_block(&block(7, 70)).unwrap();
        assert_eq!(store.rolled_back_above(4).unwrap(), [block(5, 50), block(6, 60)]);
        assert!(store.give_up(&branch(4, &[5, 6, 7])).unwrap());
        assert_eq!((store.rolled_back_above(0).unwrap(), store.own_block_met().unwrap()), (vec![block(3, 30)], None));
        drop(store);
        let store = NodeStore::open(folder.path().join("node.redb")).unwrap();
        assert_eq!(store.given_up().unwrap(), [branch(4, &[5, 6, 7])]);
    }

    #[test]
    fn the_highest_own_block_that_was_met_is_remembered_until_it_is_forgotten() {
        let (_folder, store) = opened();
        assert_eq!(store.own_block_met().unwrap(), None);
        for height in [5, 7, 6] {
            store.meet_own_block(&block(height, height)).unwrap();
        }
        assert_eq!(store.own_block_met().unwrap(), Some(block(7, 7)));
        store.forget_own_block_met().unwrap();
        assert_eq!(store.own_block_met().unwrap(), None);
    }

    #[test]
    fn guests_are_remembered_for_a_week_and_their_number_is_bounded() {
        let (_folder, store) = opened();
        store.put_guest("gone", 1).unwrap();
        for number in 0..MAX_GUESTS + 5 {
            store.put_guest(&format!("{number:02}"), 1_000).unwrap();
        }
        assert_eq!(store.guests().unwrap().len() as u64, MAX_GUESTS);
        store.put_guest("00", 2_000 + GUEST_MEMORY).unwrap();
        assert_eq!(store.guests().unwrap(), ["00"]);
    }

    #[test]
    fn of_a_long_branch_the_lowest_blocks_and_the_highest_are_remembered() {
        let (_folder, store) = opened();
        let many: Vec<_> = (1..=MAX_KNOWN as u64 + 10).map(|height| block(height, height)).collect();
        store.put_rolled_back(&many).unwrap();
        let kept = store.rolled_back_above(0).unwrap();
        assert_eq!((kept.len(), kept.last()), (MAX_KNOWN + 1, many.last()));
    }
}
