//! `node.redb`: bounded, and still there after a restart.

use super::fixture::{Action, Fixture};
use crate::node::{MAX_ACCEPTED, MAX_REFUSED_BLOCKS, MAX_REFUSED_BYTES, MAX_REFUSED_TEXT};
use crate::{Evidence, NodeStore, OpenError, RefusedBlock, SealedHeader};
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Peer {
    url: String,
    score: i32,
}

fn peer(score: i32) -> Peer {
    Peer { url: format!("http://127.0.0.1:{score}"), score }
}

fn opened() -> (TempDir, NodeStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = NodeStore::open(folder.path().join("node.redb")).unwrap();
    (folder, store)
}

fn refused_block(height: u64, bytes: usize) -> RefusedBlock {
    RefusedBlock {
        height,
        hash: B256::with_last_byte(height as u8),
        check: "state root".to_owned(),
        expected: "0x01".to_owned(),
        actual: "0x02".to_owned(),
        sender: "node".to_owned(),
        time: 5,
        bytes: (bytes > 0).then(|| vec![7; bytes].into()),
    }
}

#[test]
fn peers_are_replaced_forgotten_and_there_after_a_restart() {
    let (folder, store) = opened();
    store.put_peers([("b", &peer(1)), ("a", &peer(2))]).unwrap();
    store.put_peers([("b", &peer(3)), ("c", &peer(4))]).unwrap();
    store.remove_peer("c").unwrap();
    store.remove_peer("unknown").unwrap();
    drop(store);
    let store = NodeStore::open(folder.path().join("node.redb")).unwrap();
    let peers: Vec<(String, Peer)> = store.peers().unwrap();
    assert_eq!(peers, [("a".to_owned(), peer(2)), ("b".to_owned(), peer(3))]);
}

#[test]
fn the_newest_refused_blocks_are_kept_by_number() {
    let (_folder, store) = opened();
    for height in 0..MAX_REFUSED_BLOCKS + 20 {
        store.add_refused(refused_block(height, 0)).unwrap();
    }
    let all = store.refused(usize::MAX).unwrap();
    let heights: Vec<u64> = all.iter().map(|block| block.height).collect();
    assert_eq!(heights, (20..MAX_REFUSED_BLOCKS + 20).rev().collect::<Vec<_>>());
    assert_eq!(store.refused(1).unwrap(), [refused_block(MAX_REFUSED_BLOCKS + 19, 0)]);
}

#[test]
fn the_newest_refused_blocks_are_kept_by_bytes() {
    let (_folder, store) = opened();
    let each = (MAX_REFUSED_BYTES / 10) as usize;
    for height in 0..8 {
        store.add_refused(refused_block(height, each)).unwrap();
    }
    // As hex, and with the rest of the record, four of them fit.
    let heights: Vec<u64> = store.refused(100).unwrap().iter().map(|block| block.height).collect();
    assert_eq!(heights, [7, 6, 5, 4]);
}

#[test]
fn an_oversized_refused_block_is_kept_without_its_bytes_and_long_texts_are_cut() {
    let (_folder, store) = opened();
    let mut block = refused_block(1, (MAX_REFUSED_BYTES / 4) as usize + 1);
    block.actual = "ü".repeat(MAX_REFUSED_TEXT);
    store.add_refused(block).unwrap();
    let kept = store.refused(1).unwrap().remove(0);
    assert_eq!(kept.bytes, None);
    assert_eq!(kept.actual, "ü".repeat(MAX_REFUSED_TEXT / 2));
}

#[test]
fn evidence_is_kept_once_a_height() {
    let (_folder, store) = opened();
    let (mut ours, _) = Fixture::new(2);
    let (mut theirs, _) = Fixture::new(2);
    let (ours, theirs) = (ours.add(&[], 1), theirs.add(&[Action::Transfer { from: 0, to: 1, value: 1 }], 2));
    let evidence =
        Evidence { height: 1, ours: SealedHeader::of(ours.value()), theirs: SealedHeader::of(theirs.value()), time: 7 };
    assert!(store.add_evidence(&evidence).unwrap());
    assert!(!store.add_evidence(&Evidence { time: 8, ..evidence.clone() }).unwrap());
    assert_eq!(store.evidence().unwrap(), [evidence]);
}

#[test]
fn accepted_forks_are_bounded_and_there_after_a_restart() {
    let (folder, store) = opened();
    for height in (0..MAX_ACCEPTED).rev() {
        assert!(store.accept_fork(height, B256::repeat_byte(1)).unwrap());
    }
    assert!(!store.accept_fork(7, B256::repeat_byte(2)).unwrap(), "no more room");
    assert!(store.accept_fork(7, B256::repeat_byte(1)).unwrap(), "known already");
    drop(store);
    let store = NodeStore::open(folder.path().join("node.redb")).unwrap();
    let expected = (0..MAX_ACCEPTED).map(|height| (height, B256::repeat_byte(1))).collect();
    assert_eq!(store.accepted_forks().unwrap(), expected);
}

#[test]
fn a_second_handle_is_refused() {
    let (folder, _store) = opened();
    let error = NodeStore::open(folder.path().join("node.redb")).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
}
