//! While a living head is known, a follower takes nothing that does not lead there; and whoever owes it something and hangs
//! up is asked last.

use super::{Node, STALE, WALL, hash, head, other, other_hash, peer, secs, setup};
use crate::callboard::Role;
use crate::sync_coordinator::{
    Answer, Effect, FetchEnd, FetchId, ForeignGenesis, KnownHead, LiveFloor, QuestionId, Setup,
};
use crate::transport::NodeId;

/// A branch that nobody extends.
fn dead(height: u64) -> KnownHead {
    other(height, WALL - 5 * STALE)
}

/// The head of our chain that was sealed long ago: of a peer that is behind.
fn old(height: u64) -> KnownHead {
    KnownHead { timestamp: WALL - 5 * STALE, ..head(height) }
}

/// A follower whose own head, at block 3, is old.
fn late() -> Node {
    Node::new(Setup { head: KnownHead { timestamp: WALL - 10 * STALE, ..head(3) }, ..setup(Role::Follower, 3) })
}

fn only_range(node: &Node) -> (FetchId, NodeId) {
    let ranges = node.ranges();
    let [(id, of, 4, _)] = ranges[..] else { panic!("{ranges:?}") };
    (id, of)
}

/// The first question of peer 1.
fn question(node: &Node) -> Option<QuestionId> {
    node.effects.iter().find_map(|effect| match effect {
        Effect::AskBlock { id, peer: of, .. } if *of == peer(1) => Some(*id),
        _ => None,
    })
}

#[test]
fn a_follower_that_knows_a_living_head_waits_for_it_and_fetches_no_dead_branch_meanwhile() {
    let mut node = late();
    node.connect(1, head(80)).connect(2, dead(60));
    for _ in 0..4 {
        let (id, of) = only_range(&node);
        assert_eq!(of, peer(1));
        node.take();
        node.ended(id, None, FetchEnd::Failed);
        assert_eq!(node.ranges(), [], "the other peer, who never failed, shows a dead branch");
        let later = node.now.as_secs() + 16;
        node.at(later);
    }
    // Nor when it is gone.
    node.take();
    node.lost(1).at(170);
    assert_eq!((node.ranges(), node.state.target().map(|target| target.head)), (vec![], Some(head(80))));
    // Nobody has extended that head for three heartbeats: what is there is fetched.
    node.at(STALE + 1);
    assert_eq!(only_range(&node).1, peer(2));
}

#[test]
fn what_was_asked_for_before_anybody_showed_a_living_head_is_dropped_then() {
    let mut node = late();
    node.connect(1, dead(60));
    let (id, of) = only_range(&node);
    assert_eq!(of, peer(1));
    node.take();
    node.came(id, 30, 3_000).connect(2, head(80));
    let effects = node.take();
    assert!(effects.contains(&Effect::StopFetch { id }) && effects.contains(&Effect::DropStaged), "{effects:?}");
    let asked: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::FetchRange { peer, from, .. } => Some((*peer, *from)),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [(peer(2), 4)]);
    // Once: what is asked for now leads to it.
    node.at(1);
    assert!(!node.take().contains(&Effect::DropStaged));
}

#[test]
fn what_somebody_brought_who_went_before_a_living_head_was_known_is_dropped_then() {
    for is_known in [false, true] {
        let mut node = late();
        if is_known {
            node.connect(2, head(80));
        }
        node.connect(1, if is_known { head(60) } else { dead(60) });
        let (id, from, through) = match is_known {
            true => (only_range(&node).0, 2, 80),
            false => (only_range(&node).0, 1, 60),
        };
        node.ended(id, Some(through), FetchEnd::Done).lost(from).take();
        if !is_known {
            node.connect(2, head(80));
        }
        node.at(1);
        assert_eq!(node.take().contains(&Effect::DropStaged), !is_known);
    }
}

#[test]
fn a_peer_that_is_behind_helps_where_it_is_known_to_be_on_the_living_branch() {
    let mut node = late();
    node.connect(1, head(2_000)).connect(2, old(900));
    assert!(node.ranges().iter().all(|(_, of, ..)| *of == peer(1)), "{:?}", node.ranges());
    let id = question(&node).expect("the two are compared");
    node.take();
    let answer = Answer::Block { theirs: old(900), parent: hash(899), ours: None };
    node.tell(|state, now, wall| state.on_answer(now, wall, id, answer));
    assert!(node.ranges().iter().any(|(_, of, ..)| *of == peer(2)), "{:?}", node.ranges());
}

#[test]
fn old_blocks_that_nobody_asked_for_are_held_back_only_while_a_living_head_is_known_or_may_be_shown() {
    let mut node = late();
    let floor = |node: &Node| node.state.live_floor(node.now, node.wall());
    assert_eq!(floor(&node), None, "nothing is known");
    node.connect(1, dead(60));
    assert_eq!(floor(&node), None, "it is all there is");
    node.connect(2, head(80));
    let expected = LiveFloor { older_than: WALL - STALE, living: Some(head(80)) };
    assert_eq!(floor(&node), Some(expected));
    assert!(expected.holds_back(&dead(4)) && !expected.holds_back(&head(4)));
    node.at(STALE + 1);
    assert_eq!(floor(&node), None, "it is stale by now");
    let starts = Node::new(Setup { has_seeds: true, ..setup(Role::Follower, 3) });
    assert_eq!(floor(&starts), Some(LiveFloor { older_than: WALL - STALE, living: None }));
    // What an authority is brought is its own.
    let mut authority = Node::new(Setup { has_seeds: true, ..setup(Role::Authority, 3) });
    authority.connect(2, head(80));
    assert_eq!(floor(&authority), None);
}

#[test]
fn a_peer_that_is_silent_when_it_is_asked_to_compare_and_hangs_up_is_asked_last() {
    let mut node = late();
    node.connect(1, KnownHead { timestamp: WALL + 1, ..head(200) }).connect(2, head(190));
    for _ in 0..3 {
        let asked = node.ranges();
        if asked.iter().all(|(_, of, ..)| *of == peer(2)) {
            return;
        }
        node.take();
        // Its session breaks before the fetch itself is known to have failed, and it comes back at once.
        let later = node.now.as_secs() + 3;
        node.lost(1).connect(1, KnownHead { timestamp: WALL + 1, ..head(200) }).at(later);
    }
    panic!("it is asked again and again: {:?}", node.ranges());
}

#[test]
fn a_comparison_that_fails_is_a_failure_of_who_was_asked() {
    let mut node = late();
    node.connect(1, head(2_000)).connect(2, old(900));
    let id = question(&node).expect("the two are compared");
    node.tell(|state, now, wall| state.on_answer(now, wall, id, Answer::Failed));
    assert!(!node.state.peers.is_usable(node.now, peer(1)) && node.state.peers.is_usable(node.now, peer(2)));
}

#[test]
fn what_is_known_of_who_is_on_one_branch_is_forgotten_when_the_other_one_goes() {
    let mut node = late();
    node.connect(1, head(2_000)).connect(2, old(900));
    let id = question(&node).expect("the two are compared");
    let answer = Answer::Block { theirs: old(900), parent: hash(899), ours: None };
    node.tell(|state, now, wall| state.on_answer(now, wall, id, answer));
    // It comes back with another chain: restored from a backup, it has sealed another one.
    node.lost(1).at(1);
    node.take();
    node.connect(1, KnownHead { timestamp: WALL + 1, ..other(1_500, WALL) }).at(20);
    let asked: Vec<_> = node.ranges().into_iter().map(|(_, of, ..)| of).collect();
    assert!(!asked.is_empty() && asked.iter().all(|of| *of == peer(1)), "{asked:?}");
}

#[test]
fn a_head_from_the_future_counts_as_living_no_longer_than_any_other() {
    let mut node = late();
    node.connect(1, KnownHead { timestamp: WALL + 86_400, ..head(80) }).connect(2, old(60));
    node.take();
    node.lost(1).at(STALE);
    assert_eq!(node.ranges(), []);
    node.at(STALE + 1);
    assert_eq!(only_range(&node).1, peer(2));
}

#[test]
fn of_a_peer_that_is_behind_on_the_living_branch_what_was_compared_is_fetched_over_a_short_way_too() {
    let mut node = late();
    node.connect(1, head(80)).connect(2, old(60));
    let (id, of) = (question(&node).expect("it could help"), only_range(&node));
    let answer = Answer::Block { theirs: old(60), parent: hash(59), ours: None };
    node.tell(|state, now, wall| state.on_answer(now, wall, id, answer));
    // It goes on catching up, and the other one sends nothing.
    node.shows(2, old(70));
    node.take();
    node.ended(of.0, None, FetchEnd::Failed);
    let ranges = node.ranges();
    assert!(matches!(ranges[..], [(_, of, 4, 60)] if of == peer(2)), "{ranges:?}");
}

#[test]
fn what_peers_show_does_not_grow_old_while_they_wait_for_the_next_block() {
    let mut node = late();
    // Our clock is ahead, so that what is shown is stale soon and new again with the next block.
    node.now = secs(STALE - 10);
    node.connect(1, head(2_000)).connect(2, head(2_000));
    assert!(!node.ranges().is_empty());
    node.take();
    node.at(STALE + 5);
    node.connect(1, KnownHead { timestamp: WALL + 60, ..head(2_001) });
    assert!(!node.take().contains(&Effect::DropStaged), "the other one has not been asked since");
}

#[test]
fn a_seed_of_another_genesis_is_no_reason_to_take_a_dead_branch() {
    let mut node = late();
    let found = ForeignGenesis {
        seed: "http://10.0.0.9:9545".to_owned(),
        ours: hash(0),
        theirs: other_hash(0),
        newest_timestamp: WALL,
    };
    node.tell(|state, now, wall| state.on_foreign_genesis(now, wall, found));
    node.connect(1, head(80)).connect(2, dead(60));
    assert!(node.state.divergence().is_some());
    let (id, _) = only_range(&node);
    node.take();
    node.ended(id, None, FetchEnd::Failed);
    assert_eq!(node.ranges(), []);
}

#[test]
fn a_follower_that_is_diverged_goes_on_with_its_own_branch_whoever_shows_the_newest_head() {
    let mut node = late();
    // Both are alive, and nobody who shows the other one sends anything of it.
    node.connect(1, other(3, WALL));
    for _ in 0..4 {
        for question in node.take() {
            node.serve(&question, &|_, height| if height == 3 { other(3, WALL) } else { head(height) });
        }
    }
    assert!(node.state.divergence().is_some());
    node.connect(2, head(80)).connect(3, old(60));
    for number in [2, 3] {
        let (id, of) = only_range(&node);
        assert_eq!(of, peer(number), "whoever failed least, and then who shows most");
        node.take();
        node.ended(id, None, FetchEnd::Failed);
    }
}
