//! Single confirmed transactions of a database that lacks a part of them.

use super::differential::Compared;
use super::fixture::Action;
use crate::codec;
use crate::tables::{BLOCKS, RECEIPTS, SENDERS, TRANSACTIONS};
use crate::{StorageError, TransactionLocation};
use redb::WriteTransaction;

/// Two transactions in each of two blocks.
fn compared() -> Compared {
    let transfers =
        || vec![Action::Transfer { from: 0, to: 2, value: 5 }, Action::Transfer { from: 1, to: 2, value: 5 }];
    let mut compared = Compared::new();
    compared.commit(&[transfers()]);
    compared.commit(&[transfers()]);
    compared
}

#[test]
fn a_block_that_lacks_a_part_of_a_transaction_is_damaged_and_not_unknown() {
    type Damage = fn(&WriteTransaction, &Compared);
    let damage: [(&str, Damage); 7] = [
        ("blocks", |write, _| drop(write.open_table(BLOCKS).unwrap().remove(1).unwrap())),
        ("senders", |write, _| drop(write.open_table(SENDERS).unwrap().remove(1).unwrap())),
        ("receipts", |write, _| drop(write.open_table(RECEIPTS).unwrap().remove(1).unwrap())),
        ("blocks", |write, compared| {
            let genesis = compared.fixture.blocks[0].value().bytes();
            write.open_table(BLOCKS).unwrap().insert(1, genesis.as_ref()).unwrap();
        }),
        ("senders", |write, _| drop(write.open_table(SENDERS).unwrap().insert(1, [1; 20].as_slice()).unwrap())),
        ("senders", |write, _| drop(write.open_table(SENDERS).unwrap().insert(1, [1; 41].as_slice()).unwrap())),
        ("receipts", |write, compared| {
            let receipts = codec::encode_receipts(&compared.fixture.blocks[1].receipts()[..1]);
            write.open_table(RECEIPTS).unwrap().insert(1, receipts.as_slice()).unwrap();
        }),
    ];
    for (number, (named, damage)) in damage.iter().enumerate() {
        let mut compared = compared();
        let write = compared.writer.begin().unwrap();
        damage(&write, &compared);
        compared.write(write);
        let error = compared.store.snapshot().unwrap().confirmed(TransactionLocation { height: 1, index: 1 });
        let Err(StorageError::Damaged { table, .. }) = error else { panic!("{number}: {error:?}") };
        assert_eq!(table, *named, "{number}");
    }
}

/// A reader keeps the rows of the block that it has read last.
#[test]
fn transactions_are_read_in_any_order_over_several_blocks() {
    let compared = compared();
    let snapshot = compared.store.snapshot().unwrap();
    let mut reader = snapshot.confirmed_reader();
    for (height, index) in [(2, 1), (2, 0), (1, 0), (2, 2), (1, 1), (3, 0), (2, 1)] {
        let block = compared.fixture.blocks.get(height as usize).map(|block| block.value().transactions());
        let expected = block.and_then(|transactions| transactions.get(index as usize));
        let read = reader.read(TransactionLocation { height, index }).unwrap();
        assert_eq!(read.as_ref().map(|read| &read.transaction), expected, "{height}:{index}");
        assert!(read.is_none_or(|read| read.header.number == height));
    }
}

#[test]
fn an_index_that_names_another_transaction_is_damaged() {
    let mut compared = compared();
    let hashes: Vec<_> = [(1, 0), (1, 1), (2, 1)]
        .map(|(height, index): (usize, usize)| *compared.fixture.blocks[height].value().transactions()[index].tx_hash())
        .into();
    let write = compared.writer.begin().unwrap();
    let wrong = [TransactionLocation { height: 1, index: 1 }, TransactionLocation { height: 1, index: 2 }];
    for (hash, location) in hashes.iter().zip(wrong) {
        write.open_table(TRANSACTIONS).unwrap().insert(&hash.0, &location.to_bytes()).unwrap();
    }
    compared.write(write);
    let snapshot = compared.store.snapshot().unwrap();
    for hash in &hashes[..2] {
        let error = snapshot.confirmed_by_hash(*hash).unwrap_err().to_string();
        assert!(error.contains("transactions") && error.contains(&hash.to_string()), "{error}");
    }
    let (location, found) = snapshot.confirmed_by_hash(hashes[2]).unwrap().unwrap();
    assert_eq!((location, *found.transaction.tx_hash()), (TransactionLocation { height: 2, index: 1 }, hashes[2]));
    assert_eq!(snapshot.confirmed_by_hash(alloy_primitives::B256::ZERO).unwrap(), None);
}
