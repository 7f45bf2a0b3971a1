//! What a commit refuses, and what it promises.

use super::differential::{Compared, dump};
use super::fixture::{Action, Fixture, account};
use crate::{CommitBatch, CommitError, LatestState};
use callboard_chain::trie::TrieUpdates;
use callboard_chain::{Block, Confirmed, StateReader, TrieReader, keccak256};

fn transfer() -> Vec<Action> {
    vec![Action::Transfer { from: 0, to: 1, value: 5 }]
}

/// Commits `blocks`, which must be refused, and must leave nothing.
fn refused(compared: &mut Compared, blocks: Vec<Confirmed<Block>>) -> CommitError {
    let before = dump(&compared.store);
    let error = compared.writer.commit(CommitBatch { blocks, trie: TrieUpdates::default() }).unwrap_err();
    assert!(error.is_fatal());
    assert_eq!(dump(&compared.store), before);
    error
}

#[test]
fn a_batch_must_follow_the_head_without_gaps() {
    let mut compared = Compared::new();
    compared.commit(&[transfer(), transfer()]);
    let known = compared.fixture.blocks.clone();
    let next: Vec<_> = (0..3).map(|_| compared.fixture.add(&transfer(), 9)).collect();
    let error = refused(&mut compared, Vec::new());
    assert!(matches!(error, CommitError::Empty));
    let error = refused(&mut compared, vec![known[2].clone()]);
    assert!(matches!(error, CommitError::Height { expected: 3, actual: 2 }), "{error}");
    let error = refused(&mut compared, vec![next[1].clone()]);
    assert!(matches!(error, CommitError::Height { expected: 3, actual: 4 }), "{error}");
    let error = refused(&mut compared, vec![next[0].clone(), next[2].clone()]);
    assert!(matches!(error, CommitError::Height { expected: 4, actual: 5 }), "{error}");
}

#[test]
fn a_batch_on_another_parent_is_refused() {
    let mut compared = Compared::new();
    compared.commit(&[transfer()]);
    let (mut other, _) = Fixture::new(3);
    other.add(&transfer(), 1);
    let stranger = other.add(&transfer(), 1);
    let error = refused(&mut compared, vec![stranger]);
    let head = compared.writer.head().hash;
    assert!(matches!(error, CommitError::Parent { height: 2, expected, .. } if expected == head), "{error}");
}

#[test]
fn readers_between_two_commits_share_what_the_first_of_them_opened() {
    let mut compared = Compared::new();
    let [first, second] = [(); 2].map(|()| compared.store.snapshot().unwrap());
    assert!(std::ptr::eq(first.view(), second.view()));
    assert_eq!(first.head_header().unwrap().number, 0);
    compared.commit(&[transfer()]);
    let after = compared.store.snapshot().unwrap();
    assert!(!std::ptr::eq(first.view(), after.view()));
    assert_eq!(after.head_header().unwrap(), compared.fixture.blocks[1].value().header());
    assert_eq!(second.head_header().unwrap().number, 0);
}

#[test]
fn a_snapshot_stays_at_its_block_and_the_latest_state_follows() {
    let mut compared = Compared::new();
    let before = compared.store.snapshot().unwrap();
    let latest = compared.store.latest();
    let address = account(0);
    assert_eq!(latest.account(address).unwrap().unwrap().nonce, 0);
    compared.commit(&[transfer()]);
    assert_eq!(before.head().height, 0);
    assert_eq!(before.account(address).unwrap().unwrap().nonce, 0);
    assert_eq!(latest.account(address).unwrap().unwrap().nonce, 1);
    compared.rollback(0);
    assert_eq!(latest.account(address).unwrap().unwrap().nonce, 0);
    assert_eq!(latest.snapshot().unwrap().head().height, 0);
}

#[test]
fn the_latest_state_reads_trie_nodes_and_moves_between_threads() {
    fn movable(_: &(impl StateReader + TrieReader + Send + Sync)) {}
    let compared = Compared::new();
    let latest: LatestState = compared.store.latest();
    movable(&latest);
    let root = latest.trie_node(None, &alloy_trie::Nibbles::new()).unwrap().unwrap();
    assert_eq!(keccak256(root), compared.writer.head().state_root);
}

#[test]
fn a_block_of_ten_thousand_transactions_comes_back_whole() {
    let mut compared = Compared::new();
    let block: Vec<_> =
        (0..10_000).map(|number| Action::Transfer { from: number % 3, to: 3, value: number as u64 }).collect();
    compared.commit(&[block]);
    assert_eq!(compared.fixture.blocks[1].value().transactions().len(), 10_000);
    compared.check();
    compared.rollback(0);
    compared.check();
}
