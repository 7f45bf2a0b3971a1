//! Blooms over groups of blocks, against the blooms of the blocks.

use super::differential::Compared;
use super::fixture::{Action, account};
use crate::BLOOM_GROUP;
use crate::tables::BLOOMS;
use alloy_primitives::{Bloom, BloomInput};
use redb::ReadableTable;

const GROUP: usize = BLOOM_GROUP as usize;

/// Blocks of which each third one has logs, by another sender each time.
fn blocks(count: usize) -> Vec<Vec<Action>> {
    let transfers = |from| vec![Action::Transfer { from, to: 1, value: 1 }; 2];
    (0..count).map(|height| if height % 3 == 0 { transfers(height % 5) } else { Vec::new() }).collect()
}

/// The groups of the chain, whole or not, each with the bloom of its blocks, and with what the store says.
fn compare(compared: &Compared) -> Vec<Option<Bloom>> {
    let snapshot = compared.store.snapshot().unwrap();
    let groups = compared.fixture.blocks.chunks(GROUP).enumerate();
    groups
        .map(|(group, blocks)| {
            let expected = blocks.iter().fold(Bloom::ZERO, |bloom, block| bloom | block.value().header().logs_bloom);
            let first = group as u64 * BLOOM_GROUP;
            let answers =
                [first, first + 7, first + BLOOM_GROUP - 1].map(|height| snapshot.group_bloom(height).unwrap());
            assert!(answers.iter().all(|answer| *answer == answers[0]));
            assert!(answers[0].is_none_or(|bloom| bloom == expected), "group {group}");
            answers[0]
        })
        .collect()
}

#[test]
fn each_whole_group_has_the_bloom_of_its_blocks_however_they_were_committed() {
    for sizes in [vec![3 * GROUP], vec![1; 2 * GROUP + 5], vec![GROUP - 2, 1, 1, 1, GROUP + 9, 70]] {
        let mut compared = Compared::new();
        sizes.iter().for_each(|size| compared.commit(&blocks(*size)));
        let blooms = compare(&compared);
        let (whole, rest) = blooms.split_at(compared.fixture.blocks.len() / GROUP);
        assert!(whole.iter().all(|bloom| bloom.is_some_and(|bloom| !bloom.is_zero())), "{sizes:?}");
        assert!(rest.iter().all(Option::is_none), "a group that is not whole yet has none");
    }
}

#[test]
fn after_a_rollback_the_groups_of_the_new_blocks_have_their_own_blooms() {
    let mut compared = Compared::new();
    compared.commit(&blocks(3 * GROUP));
    compared.rollback(GROUP as u64 + 10);
    assert!(compare(&compared)[0].is_some());
    assert!(compare(&compared)[1].is_none());
    compared.commit(&vec![Vec::new(); 2 * GROUP]);
    assert_eq!(compare(&compared)[2], Some(Bloom::ZERO));
    assert!(compare(&compared)[1].is_some_and(|bloom| !bloom.is_zero()), "the older part of the group has logs");
}

#[test]
fn a_row_of_other_blocks_is_not_believed_and_a_group_without_a_row_has_none() {
    let mut compared = Compared::new();
    compared.commit(&blocks(2 * GROUP));
    let right = compare(&compared);
    // As a release that does not know the table would leave it: rows of blocks that were rolled back and replaced.
    let write = compared.writer.begin().unwrap();
    {
        let mut blooms = write.open_table(BLOOMS).unwrap();
        let mut row = *blooms.get(1).unwrap().unwrap().value();
        row[0] ^= 1;
        blooms.insert(1, &row).unwrap();
        blooms.remove(0).unwrap();
    }
    let head = compared.writer.head();
    compared.writer.finish(write, head).unwrap();
    assert!(right[0].is_some() && right[1].is_some());
    assert_eq!(compare(&compared)[..2], [None, None]);
}

#[test]
fn a_file_of_before_there_were_blooms_is_read_and_gets_them_for_its_new_groups() {
    let mut compared = Compared::new();
    compared.commit(&blocks(GROUP + 5));
    let write = compared.writer.begin().unwrap();
    write.delete_table(BLOOMS).unwrap();
    let head = compared.writer.head();
    compared.writer.finish(write, head).unwrap();
    assert_eq!(compare(&compared), [None, None]);
    compared.commit(&blocks(GROUP));
    let blooms = compare(&compared);
    assert_eq!(blooms[0], None);
    let sender = account(0);
    assert!(
        blooms[1].is_some_and(|bloom| bloom.contains_input(BloomInput::Raw(sender.as_slice()))),
        "with the blocks of before"
    );
    compared.rollback(3);
    assert_eq!(compare(&compared), [None]);
}
