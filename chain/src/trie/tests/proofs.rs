//! EIP-1186 proofs, checked by alloy's verifier.

use super::{Nodes, account, address, change, changes, slot};
use crate::{Account, StateTrie, keccak256};
use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, proof::verify_proof};

fn key(slot: u64) -> Nibbles {
    Nibbles::unpack(keccak256(U256::from(slot).to_be_bytes::<32>()))
}

/// 200 accounts with even numbers; account n < 20 has n slots of value 3.
fn state() -> (B256, Nodes, Vec<Account>) {
    let accounts = (0..100).map(|number| change(number * 2, None, Some(account(number.into())))).collect();
    let slots = (0..10).flat_map(|number| (0..u64::from(number) * 2).map(move |index| slot(number * 2, index, 0, 3)));
    let mut changes = changes(accounts, slots.collect());
    let mut trie = StateTrie::new(EMPTY_ROOT_HASH);
    let mut nodes = Nodes::default();
    let root = trie.apply(&nodes, &mut changes).unwrap();
    nodes.apply(trie.take_updates());
    (root, nodes, changes.accounts.into_iter().filter_map(|change| change.after).collect())
}

#[test]
fn accounts_are_proven_present_and_absent() {
    let (root, nodes, accounts) = state();
    let mut trie = StateTrie::new(root);
    for number in 0..200u8 {
        let proof = trie.prove_account(&nodes, address(number)).unwrap();
        let expected = (number % 2 == 0).then(|| alloy_rlp::encode(accounts[usize::from(number / 2)]));
        let key = Nibbles::unpack(keccak256(address(number)));
        verify_proof(root, key, expected, &proof).unwrap();
        assert!(verify_proof(root, key, Some(vec![1]), &proof).is_err());
    }
}

#[test]
fn slots_are_proven_present_and_absent() {
    let (root, nodes, accounts) = state();
    let mut trie = StateTrie::new(root);
    for number in 0..10u8 {
        let slots: Vec<_> = (0..25).map(U256::from).collect();
        let proofs = trie.prove_storage(&nodes, address(number * 2), &slots).unwrap();
        assert_eq!(proofs.len(), slots.len());
        for (slot, proof) in (0u64..).zip(&proofs) {
            let expected = (slot < u64::from(number) * 2).then(|| alloy_rlp::encode(U256::from(3)));
            verify_proof(accounts[usize::from(number)].storage_root, key(slot), expected, proof).unwrap();
        }
    }
}

#[test]
fn nothing_is_proven_of_what_does_not_exist() {
    let (root, nodes, _) = state();
    let proofs = StateTrie::new(root).prove_storage(&nodes, address(1), &[U256::ZERO]).unwrap();
    assert_eq!(proofs, [Vec::<Bytes>::new()]);
    let empty = StateTrie::new(EMPTY_ROOT_HASH).prove_account(&Nodes::default(), address(1)).unwrap();
    assert!(empty.is_empty());
    verify_proof(EMPTY_ROOT_HASH, Nibbles::unpack(keccak256(address(1))), None, &empty).unwrap();
}

#[test]
fn proof_holds_for_changes_not_yet_taken() {
    let (root, nodes, accounts) = state();
    let mut trie = StateTrie::new(root);
    let mut changes = changes(vec![change(4, Some(accounts[2]), Some(account(99)))], vec![slot(4, 50, 0, 9)]);
    let root = trie.apply(&nodes, &mut changes).unwrap();
    let after = changes.accounts[0].after.unwrap();
    let proof = trie.prove_account(&nodes, address(4)).unwrap();
    verify_proof(root, Nibbles::unpack(keccak256(address(4))), Some(alloy_rlp::encode(after)), &proof).unwrap();
    let proof = &trie.prove_storage(&nodes, address(4), &[U256::from(50)]).unwrap()[0];
    verify_proof(after.storage_root, key(50), Some(vec![9]), proof).unwrap();
}
