//! `node.redb`: bounded, and still there after a restart.

use super::fixture::{Action, Fixture};
use crate::node::{MAX_ACCEPTED, MAX_LOCAL_BLOCKS, MAX_REFUSED_BLOCKS, MAX_REFUSED_BYTES, MAX_REFUSED_TEXT};
use crate::{Evidence, NodeStore, OpenError, RefusedBlock, SealedHeader};
use alloy_primitives::B256;
use callboard_chain::Blame;
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

fn refused_block(height: u64) -> RefusedBlock {
    RefusedBlock {
        number: 0,
        height,
        hash: B256::left_padding_from(&height.to_be_bytes()),
        check: "stateRoot".to_owned(),
        passed: vec!["decode".to_owned(), "seal".to_owned()],
        expected: "0x01".to_owned(),
        actual: "0x02".to_owned(),
        message: "state root differs".to_owned(),
        blame: Blame::Peer,
        sender: "node".to_owned(),
        url: Some("http://127.0.0.1:1".to_owned()),
        path: "live".to_owned(),
        finding: None,
        time: 5,
        last_time: 5,
        count: 1,
        length: 0,
    }
}

fn local(height: u64) -> RefusedBlock {
    RefusedBlock { blame: Blame::Local, ..refused_block(height) }
}

fn heights(refused: &[RefusedBlock]) -> Vec<u64> {
    refused.iter().map(|block| block.height).collect()
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
    let room = MAX_REFUSED_BLOCKS - MAX_LOCAL_BLOCKS;
    for height in 0..room + 20 {
        assert_eq!(store.add_refused(refused_block(height), &[7]).unwrap(), height + 1);
    }
    let all = store.refused(usize::MAX).unwrap();
    assert_eq!(heights(&all), (20..room + 20).rev().collect::<Vec<_>>());
    let newest = room + 19;
    let expected = RefusedBlock { number: newest + 1, length: 1, ..refused_block(newest) };
    assert_eq!(store.refused(1).unwrap(), [expected]);
    assert_eq!(store.refused_bytes(20).unwrap(), None, "forgotten with its record");
    assert_eq!(store.refused_bytes(21).unwrap(), Some(vec![7].into()));
}

#[test]
fn what_others_send_makes_no_fault_of_this_node_forgotten() {
    let (_folder, store) = opened();
    let fault = store.add_refused(local(7), &[1]).unwrap();
    for height in 0..MAX_REFUSED_BLOCKS + 20 {
        store.add_refused(refused_block(height), &vec![7; 1 << 16]).unwrap();
    }
    let of = |blame| store.refused_where(usize::MAX, |block| block.blame == blame).unwrap();
    assert_eq!(heights(&of(Blame::Local)), [7]);
    assert_eq!(store.refused_bytes(fault).unwrap(), Some(vec![1].into()));
    assert!(of(Blame::Peer).len() as u64 * (1 << 16) <= MAX_REFUSED_BYTES / 2, "{}", of(Blame::Peer).len());
    for height in 0..MAX_LOCAL_BLOCKS + 5 {
        store.add_refused(local(1_000 + height), &[]).unwrap();
    }
    assert_eq!(of(Blame::Local).len() as u64, MAX_LOCAL_BLOCKS, "bounded too");
    assert!(!of(Blame::Peer).is_empty());
}

#[test]
fn a_block_that_is_refused_again_is_counted_where_it_was_written() {
    let (folder, store) = opened();
    let number = store.add_refused(refused_block(1), &[7]).unwrap();
    let later = |block: RefusedBlock, time| RefusedBlock { time, last_time: time, ..block };
    drop(store);
    let store = NodeStore::open(folder.path().join("node.redb")).unwrap();
    assert_eq!(store.add_refused(later(refused_block(1), 9), &[7]).unwrap(), number);
    assert!(store.add_repeats(number, 3, 8).unwrap());
    assert!(!store.add_repeats(99, 3, 8).unwrap(), "forgotten");
    let kept = store.refused(10).unwrap();
    assert_eq!(kept.iter().map(|block| (block.count, block.time, block.last_time)).collect::<Vec<_>>(), [(5, 5, 9)]);
    let other = RefusedBlock { sender: "another".to_owned(), ..refused_block(1) };
    assert_ne!(store.add_refused(other, &[7]).unwrap(), number, "by somebody else");
    // Only the authority can have sealed this one, so it does not matter who brings it.
    let fault = store.add_refused(local(2), &[7]).unwrap();
    let again = RefusedBlock { sender: "another".to_owned(), ..local(2) };
    assert_eq!(store.add_refused(again, &[7]).unwrap(), fault);
}

#[test]
fn the_newest_refused_blocks_are_kept_by_bytes() {
    let (_folder, store) = opened();
    let each = vec![7; (MAX_REFUSED_BYTES / 10) as usize];
    for height in 0..8 {
        store.add_refused(refused_block(height), &each).unwrap();
    }
    // With the rest of their records, four of them fit into the half that is theirs.
    assert_eq!(heights(&store.refused(100).unwrap()), [7, 6, 5, 4]);
    let kept: Vec<bool> = (1..=8).map(|number| store.refused_bytes(number).unwrap().is_some()).collect();
    assert_eq!(kept, [false, false, false, false, true, true, true, true]);
}

#[test]
fn an_oversized_refused_block_is_kept_without_its_bytes_and_long_texts_are_cut() {
    let (_folder, store) = opened();
    let bytes = vec![0; (MAX_REFUSED_BYTES / 4) as usize + 1];
    let long = "ü".repeat(MAX_REFUSED_TEXT);
    let number = store.add_refused(RefusedBlock { actual: long.clone(), ..refused_block(1) }, &bytes).unwrap();
    store.add_finding(number, long, true).unwrap();
    store.add_finding(number, "no peer was there to ask".to_owned(), false).unwrap();
    let kept = store.refused(1).unwrap().remove(0);
    assert_eq!((kept.length, store.refused_bytes(number).unwrap()), (bytes.len() as u64, None));
    let cut = "ü".repeat(MAX_REFUSED_TEXT / 2);
    assert_eq!((kept.actual, kept.finding), (cut.clone(), Some(cut)));
}

#[test]
fn refused_blocks_are_found_by_what_they_are() {
    let (_folder, store) = opened();
    for (height, check) in [(5, "seal"), (6, "seal"), (5, "stateRoot"), (7, "seal")] {
        store.add_refused(RefusedBlock { check: check.to_owned(), ..refused_block(height) }, &[]).unwrap();
    }
    let found = store.refused_where(10, |block| block.height == 5).unwrap();
    assert_eq!(found.iter().map(|block| block.number).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(heights(&store.refused_where(1, |block| block.height < 7).unwrap()), [5]);
    store.add_finding(99, "of a block that was forgotten".to_owned(), true).unwrap();
    assert!(store.refused(10).unwrap().iter().all(|block| block.finding.is_none()));
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
    assert!(store.take_back(7, B256::repeat_byte(1)).unwrap(), "it was not meant");
    assert!(!store.take_back(7, B256::repeat_byte(1)).unwrap());
    assert!(!store.accepted_forks().unwrap().contains(&(7, B256::repeat_byte(1))));
}

#[test]
fn a_second_handle_is_refused() {
    let (folder, _store) = opened();
    let error = NodeStore::open(folder.path().join("node.redb")).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
}
