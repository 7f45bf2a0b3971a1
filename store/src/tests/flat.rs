//! The flat state read part by part, hashed, and held against the trie.

use super::differential::Compared;
use super::fixture::{Action, account, contract};
use crate::tables::{ACCOUNT_TRIE, STORAGE_TRIE};
use crate::{Difference, FlatEntry, FlatScan, HistoryError, RootComputation, ScanError};
use alloy_primitives::{Address, U256};
use redb::ReadableTable;
use std::collections::BTreeMap;

/// Transfers, and contracts that come, go and come again.
fn blocks() -> Vec<Vec<Action>> {
    let store = |contract, slot, value| Action::Store { from: 1, contract, slot, value };
    let deploy = |contract| Action::Deploy { from: 0, contract, code: 1 };
    vec![
        vec![deploy(0), store(0, 1, 7), store(0, 2, 8), deploy(1), store(1, 9, 9)],
        vec![Action::Transfer { from: 0, to: 2, value: 5 }, store(0, 1, 0), store(0, 3, 4)],
        vec![Action::Destroy { from: 2, contract: 0 }, store(1, 9, 1)],
        vec![deploy(0), store(0, 2, 3)],
        vec![Action::Transfer { from: 3, to: 1, value: 6 }],
    ]
}

#[test]
fn the_root_of_every_old_state_is_recomputed_while_the_head_moves() {
    let mut compared = Compared::new();
    let mut running = vec![RootComputation::new(0, &std::env::temp_dir())];
    for block in blocks() {
        compared.commit(&[block]);
        let snapshot = compared.store.snapshot().unwrap();
        running.iter_mut().for_each(|computation| _ = computation.advance(snapshot.clone(), 1).unwrap());
        running.push(RootComputation::new(snapshot.head().height, &std::env::temp_dir()));
    }
    let snapshot = compared.store.snapshot().unwrap();
    for (height, mut computation) in (0..).zip(running) {
        while !computation.advance(snapshot.clone(), 2).unwrap() {}
        let header = snapshot.header(height).unwrap().unwrap();
        assert_eq!(computation.root().unwrap(), header.state_root, "block {height}");
    }
}

#[test]
fn a_scan_of_an_old_state_gives_every_key_it_had() {
    let mut compared = Compared::new();
    blocks().into_iter().for_each(|block| compared.commit(&[block]));
    let snapshot = compared.store.snapshot().unwrap();
    for (height, expected) in (0..).zip(&compared.states) {
        let mut scan = FlatScan::new(height);
        let (mut accounts, mut storage) = (BTreeMap::new(), BTreeMap::new());
        loop {
            let entries = scan.read(&snapshot, 2).unwrap();
            for entry in &entries {
                match *entry {
                    FlatEntry::Account(address, account) => assert_eq!(accounts.insert(address, account), None),
                    FlatEntry::Slot(address, slot, value) => assert_eq!(storage.insert((address, slot), value), None),
                }
            }
            if entries.is_empty() {
                break;
            }
        }
        assert_eq!((&accounts, &storage), (&expected.accounts, &expected.storage), "block {height}");
    }
}

#[test]
fn a_scan_below_pruned_history_or_above_the_head_is_refused() {
    let mut compared = Compared::new();
    blocks().into_iter().for_each(|block| compared.commit(&[block]));
    compared.writer.prune_history(3).unwrap();
    let snapshot = compared.store.snapshot().unwrap();
    let error = FlatScan::new(2).read(&snapshot, 1).unwrap_err();
    assert!(matches!(error, ScanError::History(HistoryError::Pruned { height: 2, oldest: 3 })), "{error}");
    let error = FlatScan::new(6).read(&snapshot, 1).unwrap_err();
    assert!(matches!(error, ScanError::History(HistoryError::Ahead { height: 6, head: 5 })), "{error}");
    assert!(!FlatScan::new(3).read(&snapshot, 1).unwrap().is_empty());
}

#[test]
fn a_damaged_value_and_a_damaged_node_are_named() {
    let mut compared = Compared::new();
    blocks().into_iter().for_each(|block| compared.commit(&[block]));
    assert!(compared.store.first_difference().unwrap().is_none());

    let of_account = compared.fixture.state.accounts[&account(2)];
    let damage = |compared: &mut Compared, address: Address, balance: U256| {
        let write = compared.writer.begin().unwrap();
        let damaged = callboard_chain::Account { balance, ..of_account };
        crate::batch::write_accounts(&write, [(&address, Some(&damaged))]).unwrap();
        compared.write(write);
    };
    damage(&mut compared, account(2), U256::from(1));
    let found = compared.store.first_difference().unwrap();
    assert!(matches!(found, Some(Difference::Account { address, .. }) if address == account(2)), "{found:?}");
    damage(&mut compared, account(2), of_account.balance);
    assert!(compared.store.first_difference().unwrap().is_none());

    let slot = (contract(0), U256::from(1) << 200);
    let of_contract = compared.fixture.state.storage.iter().find(|((of, _), _)| *of == contract(0));
    let (known, value) = of_contract.map(|(known, value)| (*known, *value)).unwrap();
    let write = compared.writer.begin().unwrap();
    crate::batch::write_storage(&write, &[(known, value + U256::from(1))].into()).unwrap();
    compared.write(write);
    let found = compared.store.first_difference().unwrap();
    assert!(matches!(found, Some(Difference::Slot { address, .. }) if address == slot.0), "{found:?}");
    let write = compared.writer.begin().unwrap();
    crate::batch::write_storage(&write, &[(known, value)].into()).unwrap();
    compared.write(write);

    for table in [ACCOUNT_TRIE, STORAGE_TRIE] {
        let write = compared.writer.begin().unwrap();
        let (key, node) = {
            let mut nodes = write.open_table(table).unwrap();
            let (key, node) =
                nodes.last().unwrap().map(|(key, node)| (key.value().to_vec(), node.value().to_vec())).unwrap();
            let mut damaged = node.clone();
            *damaged.last_mut().unwrap() ^= 1;
            nodes.insert(key.as_slice(), damaged.as_slice()).unwrap();
            (key, node)
        };
        compared.write(write);
        let found = compared.store.first_difference().unwrap();
        assert!(matches!(found, Some(Difference::Trie(_))), "{found:?}");
        let write = compared.writer.begin().unwrap();
        write.open_table(table).unwrap().insert(key.as_slice(), node.as_slice()).unwrap();
        compared.write(write);
    }
    assert!(compared.store.first_difference().unwrap().is_none());
}
