//! Proofs of the state at recent blocks, held against the headers alone.

use super::differential::Compared;
use super::fixture::{Action, account, contract};
use crate::proofs::{MAX_UNDONE_BLOCKS, ProvableError};
use crate::tables::ACCOUNT_HISTORY;
use crate::{HistoryError, codec, keys};
use alloy_primitives::U256;
use callboard_chain::Account;

/// The slot that the made-up contracts write under this number.
fn slot(number: u64) -> U256 {
    U256::from(number) << 200
}

fn busy() -> Compared {
    let mut compared = Compared::new();
    let store = |slot, value| Action::Store { from: 1, contract: 0, slot, value };
    compared.commit(&[
        vec![Action::Deploy { from: 0, contract: 0, code: 1 }, store(1, 7), store(2, 8)],
        vec![Action::Transfer { from: 0, to: 1, value: 5 }, store(1, 9)],
        vec![store(1, 0), store(3, 1)],
        vec![Action::Destroy { from: 2, contract: 0 }],
        vec![Action::Transfer { from: 3, to: 9, value: 5 }],
    ]);
    compared
}

#[test]
fn every_key_is_proven_at_every_block_under_its_headers_root() {
    let compared = busy();
    let snapshot = compared.store.snapshot().unwrap();
    let addresses = [account(0), account(1), account(3), account(9), account(50), contract(0), contract(1)];
    let slots = [slot(1), slot(2), slot(3), slot(4)];
    for (height, state) in (0u64..).zip(&compared.states) {
        let root = snapshot.header(height).unwrap().unwrap().state_root;
        let mut provable = snapshot.provable_state(height).unwrap();
        assert_eq!(provable.header().number, height);
        for address in addresses {
            let proof = provable.prove(address, &slots).unwrap();
            proof.verify(root).unwrap_or_else(|error| panic!("block {height}: {error}"));
            assert_eq!(proof.account, state.accounts.get(&address).copied(), "{address} at {height}");
            for proven in &proof.slots {
                let stored = state.storage.get(&(address, proven.slot)).copied().unwrap_or_default();
                assert_eq!(proven.value, stored, "{address} {} at {height}", proven.slot);
            }
        }
    }
}

#[test]
fn a_proof_of_anything_else_does_not_hold() {
    let compared = busy();
    let snapshot = compared.store.snapshot().unwrap();
    let root = |height: u64| snapshot.header(height).unwrap().unwrap().state_root;
    let honest = snapshot.provable_state(2).unwrap().prove(contract(0), &[slot(1)]).unwrap();
    honest.verify(root(2)).unwrap();
    assert!(honest.verify(root(1)).is_err(), "another block's");
    let mut richer = honest.clone();
    richer.account = richer.account.map(|account| Account { balance: account.balance + U256::from(1), ..account });
    assert!(richer.verify(root(2)).is_err());
    assert!(callboard_chain::AccountProof { account: None, ..honest.clone() }.verify(root(2)).is_err());
    let mut other = honest.clone();
    other.slots[0].value += U256::from(1);
    assert!(other.verify(root(2)).is_err());
    other.slots[0].value = U256::ZERO;
    assert!(other.verify(root(2)).is_err(), "not proven to be unset");
    assert!(callboard_chain::AccountProof { nodes: Vec::new(), ..honest }.verify(root(2)).is_err());
}

#[test]
fn what_cannot_be_proven_any_more_or_not_yet_is_said() {
    let mut compared = Compared::new();
    compared.commit(&vec![vec![Action::Transfer { from: 0, to: 1, value: 1 }]; MAX_UNDONE_BLOCKS as usize + 1]);
    let snapshot = compared.store.snapshot().unwrap();
    let head = snapshot.head().height;
    assert!(snapshot.provable_state(head).is_ok());
    assert!(snapshot.provable_state(1).is_ok());
    let too_old = snapshot.provable_state(0).unwrap_err();
    assert!(matches!(too_old, ProvableError::TooOld { height: 0, .. }) && too_old.is_refusal(), "{too_old}");
    let ahead = snapshot.provable_state(head + 1).unwrap_err();
    assert!(matches!(ahead, ProvableError::History(HistoryError::Ahead { .. })) && ahead.is_refusal(), "{ahead}");
}

/// A history that is not the chain's makes no proof, rather than a false one.
#[test]
fn a_state_that_does_not_come_out_as_the_header_says_is_not_proven() {
    let mut compared = busy();
    let write = compared.writer.begin().unwrap();
    {
        let mut history = write.open_table(ACCOUNT_HISTORY).unwrap();
        let wrong = codec::encode_account(&Account { nonce: 99, ..Account::default() });
        history.insert(&keys::account_at(account(0), 2), wrong.as_slice()).unwrap();
    }
    compared.write(write);
    let error = compared.store.snapshot().unwrap().provable_state(1).unwrap_err();
    assert!(matches!(error, ProvableError::StateRoot { height: 1, .. }) && !error.is_refusal(), "{error}");
}
