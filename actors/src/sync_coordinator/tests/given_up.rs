//! What a follower's operator rolled back for another branch is not taken back; and a follower that starts does not run
//! after the first one that answers.

use super::{Node, STALE, WALL, head, other, other_hash, peer, setup};
use crate::callboard::{Phase, Role};
use crate::sync_coordinator::{DivergenceReport, FetchEnd, GivenUp, ImportEnd, KnownHead, Setup, Standing, State};
use callboard_store::GivenUpBranch;

/// At block 7, and what was rolled back above it is given up: block 8 of the other branch.
fn rolled_back() -> Node {
    let highest = other(8, WALL).into();
    let known = [(8, other_hash(8))].into();
    let branch = GivenUpBranch { after: 7, highest, known, sealed: None, time: WALL, by_follower: true };
    Node::new(Setup { given_up: GivenUp::new(vec![branch]), ..setup(Role::Follower, 7) })
}

#[test]
fn a_follower_that_was_rolled_back_does_not_take_the_same_block_back_from_whom_it_meets_first() {
    let mut node = rolled_back();
    node.connect(1, other(8, WALL));
    node.at(1);
    assert_eq!((node.ranges(), node.live(), node.state.target()), (vec![], vec![], None));
    assert_eq!(node.state.divergence(), None, "its operator has decided");
    node.connect(2, head(20));
    let asked: Vec<_> = node.ranges().into_iter().map(|(_, peer, ..)| peer).collect();
    assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == peer(2)), "{asked:?}");
    node.serve_all(|_, height| head(height));
    node.shows(1, other(8, WALL)).at(2);
    assert_eq!((node.state.head(), node.state.phase()), (head(20), Phase::Following));
    assert_eq!((node.state.divergence(), node.state.dead_branches().next()), (None, None));
    let of_first = node.state.peers().find(|figures| figures.peer == peer(1)).expect("it is connected");
    assert_eq!(of_first.standing, Standing::Accepted);
}

#[test]
fn a_follower_that_has_only_what_was_given_up_to_follow_is_stalled_and_not_in_sync() {
    let mut node = rolled_back();
    node.connect(1, other(8, WALL)).at(STALE + 1);
    assert_eq!((node.state.phase(), node.state.head()), (Phase::Stalled, head(7)));
}

#[test]
fn a_given_up_branch_that_was_extended_is_a_divergence_that_begins_where_it_was_given_up() {
    let mut node = rolled_back();
    // Its blocks above those that were rolled back are not known.
    node.connect(1, other(12, WALL + 5));
    let (id, _, from, _) = *node.ranges().first().expect("it may extend ours");
    assert_eq!(from, 8);
    node.ended(id, Some(12), FetchEnd::Done);
    let end = ImportEnd::OtherChain { peer: peer(1), block: other(8, WALL), ours: None };
    node.tell(|state, now, wall| state.on_import_failed(now, wall, end));
    node.at(3);
    let found = node.state.divergence().expect("diverged");
    assert_eq!((found.height, found.ours, found.theirs), (8, None, other_hash(8)));
    assert_eq!(found.last_common_height, Some(7));
    let remedy = DivergenceReport::from(found).remedy;
    assert!(remedy.contains("nothing is to be done; to take that branch after all"), "{remedy}");
    node.take();
    node.at(60);
    assert_eq!(node.ranges(), [], "nothing of it is fetched again");
}

#[test]
fn a_branch_that_was_accepted_as_dead_is_not_taken_by_a_follower_that_was_rolled_back_below_it() {
    let accepted = [(6, other_hash(6))].into();
    let mut node = Node::new(Setup { accepted, ..setup(Role::Follower, 4) });
    // That it holds the dead block is known only when that comes, and is refused.
    node.connect(1, other(8, WALL));
    let (id, ..) = *node.ranges().first().expect("it may extend ours");
    node.take();
    node.ended(id, Some(8), FetchEnd::Done).imported(5).durable(head(5));
    let end = ImportEnd::OtherChain { peer: peer(1), block: other(6, WALL), ours: None };
    node.tell(|state, now, wall| state.on_import_failed(now, wall, end));
    for seconds in [1, 11, 30] {
        node.shows(1, other(8, WALL)).at(seconds);
        let standing = node.state.peers().find(|figures| figures.peer == peer(1)).expect("it is connected").standing;
        assert_eq!((standing, node.ranges(), node.live()), (Standing::Accepted, vec![], vec![]));
        assert_eq!(node.state.divergence(), None, "its operator has decided");
    }
    node.connect(2, head(7));
    let asked: Vec<_> = node.ranges().into_iter().map(|(_, peer, from, _)| (peer, from)).collect();
    assert_eq!(asked, [(peer(2), 6)]);
}

/// A follower with seeds whose own head is old, at block 3.
fn starts() -> Node {
    let old = KnownHead { timestamp: WALL - 10 * STALE, ..head(3) };
    Node::new(Setup { has_seeds: true, head: old, ..setup(Role::Follower, 3) })
}

/// A branch that nobody extends.
fn dead(height: u64) -> KnownHead {
    other(height, WALL - 5 * STALE)
}

#[test]
fn a_follower_that_starts_fetches_a_stale_branch_only_when_its_peers_had_the_time_to_show_a_newer_one() {
    let mut node = starts();
    node.connect(1, dead(60)).at(1);
    assert_eq!(node.ranges(), [], "somebody else may show a living branch");
    node.connect(2, KnownHead { timestamp: WALL, ..head(80) });
    assert!(node.ranges().iter().all(|(_, asked, ..)| *asked == peer(2)), "{:?}", node.ranges());
    assert_eq!(node.ranges().first().map(|(_, _, from, _)| *from), Some(4));
}

#[test]
fn a_stale_branch_is_fetched_where_it_is_all_there_is() {
    for answered in [true, false] {
        let mut node = starts();
        node.connect(1, dead(60)).at(1);
        assert_eq!(node.ranges(), []);
        if answered {
            node.tell(State::on_peers_answered)
        } else {
            node.at(5)
        };
        assert_eq!(node.ranges().first().map(|(_, asked, from, _)| (*asked, *from)), Some((peer(1), 4)));
    }
    let mut node = starts();
    node.connect(1, KnownHead { timestamp: WALL, ..head(60) });
    assert!(!node.ranges().is_empty(), "a living branch is fetched at once");
}
