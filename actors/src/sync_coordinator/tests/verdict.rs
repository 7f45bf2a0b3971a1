use super::*;
use crate::sync_coordinator::messages::{Divergence, ForeignGenesis, Standing, Witness};

/// The other branch begins at 6.
fn branch(_: NodeId, height: u64, timestamp: u64) -> KnownHead {
    if height >= 6 { other(height, timestamp) } else { head(height) }
}

/// Peer 2 shows another block 9, sealed at `timestamp`, and answers what it is asked.
fn meets(node: &mut Node, timestamp: u64) {
    node.connect(2, other(9, timestamp));
    node.serve_all(|of, height| branch(of, height, timestamp));
}

fn grows(node: &mut Node, seconds: u64) {
    node.at(seconds);
    let height = 10 + seconds;
    node.shows(2, KnownHead { timestamp: node.wall(), ..other(height, 0) });
}

fn our_block(node: &mut Node, seconds: u64) {
    node.at(seconds);
    let newest = KnownHead { timestamp: node.wall(), ..head(10 + seconds) };
    node.imported(newest.height).durable(newest);
}

#[test]
fn a_fresh_sealed_block_that_a_stranger_brought_stops_an_authority_until_its_operator_has_decided() {
    let mut node = Node::new(setup(Role::Authority, 10));
    node.tell(State::on_peers_answered);
    node.tell(|state, now, wall| state.on_other_block(now, wall, other(9, WALL), hash(9)));
    node.at(3);
    assert_eq!(node.state.phase(), Phase::Diverged);
    our_block(&mut node, STALE + 21);
    assert_eq!((node.state.phase(), node.state.proposing), (Phase::Diverged, false));
}

#[test]
fn a_peer_that_takes_an_authoritys_branch_again_ends_its_divergence() {
    let mut node = Node::new(setup(Role::Authority, 10));
    node.tell(State::on_peers_answered).connect(1, other(9, WALL));
    node.serve_all(|of, height| branch(of, height, WALL));
    assert_eq!(node.state.phase(), Phase::Diverged);
    node.shows(1, head(10));
    our_block(&mut node, STALE + 21);
    assert_eq!((node.state.phase(), node.state.proposing), (Phase::Following, true));
}

#[test]
fn a_fresh_sealed_block_that_a_stranger_brought_is_a_divergence_until_it_is_old() {
    let mut node = Node::following(10);
    node.tell(|state, now, wall| state.on_other_block(now, wall, other(9, WALL), hash(9)));
    assert_eq!(node.state.phase(), Phase::CatchingUp, "a peer may be found to show where the chains part");
    node.tell(|state, now, wall| state.on_tick(now + secs(2), wall + 2));
    assert_eq!(node.state.phase(), Phase::Diverged);
    let found = node.state.divergence().expect("it is said");
    assert_eq!((found.height, &found.witness), (9, &Witness::Block(other_hash(9))));
    node.at(STALE + 20);
    assert_eq!(node.state.phase(), Phase::Diverged, "ours is as old");
    our_block(&mut node, STALE + 21);
    assert!(node.effects.iter().any(|effect| matches!(effect, Effect::DivergenceCleared(_))), "{:?}", node.effects);
    assert_eq!(node.state.phase(), Phase::Following);
}

#[test]
fn a_divergence_is_not_forgotten_with_its_witness_while_our_own_head_is_as_old() {
    let mut node = Node::following(10);
    meets(&mut node, WALL);
    node.lost(2);
    for second in [100, 400, 2_000, 10_000] {
        node.at(second);
        assert_eq!(node.state.phase(), Phase::Diverged, "after {second} s");
    }
    assert_eq!(node.state.divergence().unwrap().last_common_height, Some(5));
    our_block(&mut node, 10_001);
    assert_eq!(node.state.phase(), Phase::Following);
}

/// A block a second from peer 1's live stream, beside peer 2, whose branch stays twenty blocks ahead of ours.
fn lives_beside_a_branch_ahead(node: &mut Node, seconds: std::ops::RangeInclusive<u64>) {
    for second in seconds {
        our_block(node, second);
        let ours = KnownHead { timestamp: node.wall(), ..head(10 + second) };
        node.shows(1, ours);
        let height = 30 + second;
        let ahead = KnownHead { timestamp: node.wall() + 20, ..other(height, 0) };
        node.tell(|state, now, wall| state.on_peer_head(now, wall, peer(2), ahead, None));
        let wall = node.wall();
        let chain = |of: NodeId, height: u64| if of == peer(2) { branch(of, height, wall) } else { head(height) };
        for _ in 0..30 {
            for effect in node.take() {
                if matches!(effect, Effect::AskBlock { .. }) {
                    node.serve(&effect, &chain);
                }
            }
        }
    }
}

#[test]
fn a_branch_that_stays_ahead_while_the_stream_of_ours_goes_on_is_found_with_its_last_common_height() {
    let mut node = Node::following(10);
    node.connect(2, other(31, WALL + 20));
    lives_beside_a_branch_ahead(&mut node, 1..=6);
    let found = node.state.divergence().expect("a divergence").clone();
    assert_eq!((found.height, found.last_common_height), (6, Some(5)));
    assert_eq!(node.state.phase(), Phase::Diverged);
}

#[test]
fn a_node_whose_live_stream_stays_far_behind_is_not_in_sync() {
    let mut node = Node::following(10);
    for second in 1..=6 {
        our_block(&mut node, second);
        let target = KnownHead { timestamp: node.wall() + 60, ..head(70 + second) };
        node.connect(2, target);
    }
    assert!(node.state.live.is_some(), "the stream goes on");
    assert!(!node.state.is_ready(node.now, node.wall()));
    assert_eq!(node.state.phase(), Phase::CatchingUp);
}

#[test]
fn peers_are_asked_for_the_branch_of_a_block_that_a_stranger_brought() {
    let mut node = Node::following(10);
    node.connect(2, other(12, WALL)).take();
    node.tell(|state, now, wall| state.on_other_block(now, wall, other(9, WALL), hash(9)));
    node.serve_all(|of, height| branch(of, height, WALL));
    let found = node.state.divergence().expect("it is said at once").clone();
    assert_eq!((found.height, found.last_common_height, found.witness), (6, Some(5), Witness::Peer(peer(2))));
}

#[test]
fn a_peer_that_comes_after_the_block_of_its_branch_says_where_the_chains_part() {
    let mut node = Node::following(10);
    node.tell(|state, now, wall| state.on_other_block(now, wall, other(9, WALL), hash(9)));
    node.at(3);
    assert_eq!(node.state.divergence().unwrap().last_common_height, None);
    node.take();
    node.connect(2, other(12, WALL));
    node.serve_all(|of, height| branch(of, height, WALL));
    assert_eq!(node.state.divergence().unwrap().last_common_height, Some(5));
    assert!(!node.phases().contains(&Phase::CatchingUp));
}

#[test]
fn a_peer_that_answers_with_our_blocks_above_the_fork_does_not_move_the_last_common_height() {
    let mut node = Node::following(10);
    node.connect(2, other(10, WALL));
    // Its branch begins at 6, and it says that it has our blocks through 8. What its own blocks stand on is sealed.
    let answer_all = |node: &mut Node| {
        for _ in 0..50 {
            for effect in node.take() {
                let Effect::AskBlock { id, peer: of, height } = effect else { continue };
                let lies = of == peer(2) && height <= 8;
                let chain = |height: u64| if lies { head(height) } else { branch(of, height, WALL) };
                let (theirs, parent) = (chain(height), chain(height - 1).hash);
                let answer = crate::sync_coordinator::Answer::Block { theirs, parent, ours: Some(hash(height)) };
                node.tell(|state, now, wall| state.on_answer(now, wall, id, answer));
            }
        }
    };
    answer_all(&mut node);
    assert!(!node.state.peers.is_usable(secs(0), peer(2)), "it is left alone for a while");
    node.at(3);
    assert_eq!(node.state.phase(), Phase::Diverged);
    assert_eq!(node.state.divergence().unwrap().last_common_height, None, "nobody is told to roll back to 8");
    // An honest peer of that branch is asked, too.
    node.connect(3, other(10, WALL));
    answer_all(&mut node);
    assert_eq!(node.state.divergence().unwrap().last_common_height, Some(5));
}

#[test]
fn an_old_sealed_block_that_a_stranger_brought_changes_nothing() {
    let mut node = Node::following(10);
    node.tell(|state, now, wall| state.on_other_block(now, wall, other(9, WALL - 500), hash(9)));
    assert_eq!(node.state.phase(), Phase::Following);
}

#[test]
fn a_sealed_block_that_differs_from_ours_is_diverged_and_never_following() {
    let mut node = Node::following(10);
    node.connect(2, other(9, WALL));
    assert_ne!(node.state.phase(), Phase::Following, "not even while it looks where the chains part");
    node.serve_all(|of, height| branch(of, height, WALL));
    let expected = Divergence {
        height: 6,
        ours: Some(hash(6)),
        theirs: other_hash(6),
        witness: Witness::Peer(peer(2)),
        last_common_height: Some(5),
        theirs_timestamp: WALL,
    };
    assert_eq!(node.state.divergence(), Some(&expected));
    assert_eq!(node.state.phase(), Phase::Diverged);
    node.durable(KnownHead { timestamp: WALL + 1, ..head(11) });
    assert_eq!(node.state.phase(), Phase::Diverged);
    node.take();
    node.shows(2, other(9, WALL));
    assert!(!node.effects.iter().any(|effect| matches!(effect, Effect::Diverged(_))), "it is said once");
}

#[test]
fn a_peer_that_answers_no_question_does_not_hide_the_divergence() {
    let mut node = Node::following(10);
    node.connect(2, other(9, WALL)).at(2);
    assert_eq!(node.state.phase(), Phase::Diverged);
    assert_eq!(node.state.divergence().unwrap().last_common_height, None);
}

#[test]
fn a_dead_branch_that_somebody_replays_is_an_alarm_and_leaves_a_fresh_node_ready() {
    let mut node = Node::following(10);
    node.connect(2, other(9, WALL - 500));
    assert_eq!(node.phases(), [], "not for a moment");
    node.serve_all(|of, height| branch(of, height, WALL - 500));
    assert_eq!(node.state.phase(), Phase::Following);
    assert_eq!(node.state.divergence(), None);
    assert_eq!(node.state.dead_branches().next().unwrap().height, 6);
    our_block(&mut node, 5);
    assert_eq!(node.state.head().height, 15, "it goes on");
}

#[test]
fn a_dead_branch_that_comes_to_life_is_a_divergence() {
    let mut node = Node::following(10);
    meets(&mut node, WALL - 500);
    assert_eq!(node.state.phase(), Phase::Following);
    grows(&mut node, 5);
    assert_eq!(node.state.phase(), Phase::Diverged);
}

#[test]
fn a_dead_branch_beside_a_head_that_grows_old_is_a_divergence_and_our_next_block_ends_it() {
    let mut node = Node::following(10);
    meets(&mut node, WALL - 500);
    node.at(STALE);
    assert_eq!(node.state.phase(), Phase::Following);
    node.at(STALE + 1);
    assert_eq!(node.state.phase(), Phase::Diverged, "both are old: who knows which one is right");
    our_block(&mut node, STALE + 5);
    assert_eq!(node.state.phase(), Phase::Following);
}

#[test]
fn blocks_of_our_own_branch_are_imported_while_diverged() {
    let mut node = Node::following(10);
    meets(&mut node, WALL);
    assert_eq!(node.state.phase(), Phase::Diverged);
    node.take();
    node.shows(1, head(500)).at(1);
    assert!(!node.ranges().is_empty() && node.ranges().iter().all(|(_, of, ..)| *of == peer(1)));
}

#[test]
fn nothing_is_fetched_from_a_peer_of_another_branch() {
    let mut node = Node::following(10);
    node.connect(2, other(9, WALL - 500)).lost(1);
    node.serve_all(|of, height| branch(of, height, WALL - 500));
    node.shows(2, other(900, WALL + 900)).at(5);
    assert_eq!(node.live(), []);
    assert_eq!(node.ranges(), []);
}

#[test]
fn a_branch_that_grows_now_and_then_does_not_make_the_verdict_change_with_each_block() {
    let mut node = Node::following(10);
    meets(&mut node, WALL);
    let mut phases = Vec::new();
    for second in 1..3_000 {
        if second % 60 == 0 {
            our_block(&mut node, second);
        }
        if second % 200 == 0 {
            grows(&mut node, second);
        }
        node.at(second);
        phases.extend(node.phases());
        node.take();
    }
    assert_eq!(phases, [], "it stays diverged");
    assert_eq!(node.state.phase(), Phase::Diverged);
    for second in 3_000..3_400 {
        if second % 60 == 0 {
            our_block(&mut node, second);
        }
        node.at(second);
        phases.extend(node.phases());
        node.take();
    }
    assert_eq!(phases, [Phase::Following], "until nobody extends the other one for six heartbeats");
}

#[test]
fn a_peer_that_goes_and_comes_does_not_make_the_verdict_change() {
    let mut node = Node::following(10);
    meets(&mut node, WALL);
    let mut phases = Vec::new();
    for second in 1..100 {
        if second % 2 == 0 {
            node.lost(2)
        } else {
            node.connect(2, other(9, WALL))
        };
        node.at(second);
        phases.extend(node.phases());
        node.take();
    }
    assert_eq!(phases, []);
    node.lost(2);
    for second in 100..300 {
        if second % 60 == 0 {
            our_block(&mut node, second);
        }
        node.at(second);
        phases.extend(node.phases());
        node.take();
    }
    assert_eq!(phases, [Phase::Following], "once it is gone for good");
}

#[test]
fn a_peer_that_agrees_again_ends_a_divergence_that_is_old() {
    let mut node = Node::following(10);
    meets(&mut node, WALL);
    our_block(&mut node, STALE + 1);
    assert_eq!(node.state.phase(), Phase::Diverged);
    node.shows(2, KnownHead { timestamp: WALL, ..head(9) });
    assert_eq!(node.state.divergence(), None);
    assert_eq!(node.state.phase(), Phase::Following);
    assert!(node.state.peers().all(|figures| figures.standing == Standing::Agrees));
}

#[test]
fn a_peer_that_comes_back_to_our_branch_above_our_head_is_seen_to() {
    let mut node = Node::following(10);
    meets(&mut node, WALL);
    node.at(20).shows(2, head(12));
    node.serve_all(|_, height| head(height));
    assert!(node.state.peers().all(|figures| figures.standing != Standing::Differs));
}

#[test]
fn an_authority_restored_from_an_old_backup_is_a_divergence_although_its_height_is_lower() {
    let mut node = Node::following(100);
    node.at(30).shows(1, KnownHead { timestamp: WALL + 29, ..other(8, 0) });
    node.serve_all(|of, height| branch(of, height, WALL + 29));
    let found = node.state.divergence().unwrap();
    assert_eq!((found.height, found.last_common_height), (6, Some(5)));
    assert_eq!(node.state.phase(), Phase::Diverged);
}

#[test]
fn a_head_above_ours_that_is_older_than_ours_cannot_be_of_our_chain() {
    let mut node = Node::following(10);
    node.connect(2, other(2_787, WALL - 500));
    node.serve_all(|of, height| branch(of, height, WALL - 500));
    assert_eq!(node.state.target(), None);
    assert_eq!(node.state.phase(), Phase::Following);
    assert_eq!(node.state.dead_branches().next().unwrap().last_common_height, Some(5));
}

#[test]
fn two_peers_that_disagree_are_told_apart_and_the_newer_one_is_followed() {
    let mut node = Node::follower(5);
    node.connect(1, KnownHead { timestamp: WALL + 1, ..head(50) }).connect(2, other(60, WALL - 500));
    let both = |of: NodeId, height| if of == peer(2) && height > 20 { other(height, WALL - 500) } else { head(height) };
    for second in 1..10 {
        node.serve_all(both);
        node.at(second).shows(2, other(60, WALL - 500));
    }
    assert_eq!(node.state.head().height, 50);
    assert_eq!(node.state.phase(), Phase::Following);
    assert_eq!(node.state.dead_branches().next().unwrap().last_common_height, Some(20));
}

fn new_genesis(newest_timestamp: u64) -> ForeignGenesis {
    let seed = "http://10.0.0.9:9545".to_owned();
    ForeignGenesis { seed, ours: hash(0), theirs: other_hash(0), newest_timestamp }
}

#[test]
fn an_authority_reset_to_a_new_genesis_is_a_divergence_without_a_common_height() {
    let mut node = Node::following(10);
    node.tell(|state, now, wall| state.on_foreign_genesis(now, wall, new_genesis(wall)));
    let found = node.state.divergence().unwrap().clone();
    assert_eq!((found.height, found.last_common_height), (0, None));
    assert_eq!(node.state.phase(), Phase::Diverged);
    node.connect(3, head(10));
    assert_eq!(node.state.phase(), Phase::Diverged, "another seed that agrees takes nothing back");
    node.tell(|state, now, wall| state.on_peer_connected(now, wall, peer(9), "http://10.0.0.9:9545"));
    assert_eq!(node.state.phase(), Phase::Following);
}

#[test]
fn a_seed_that_serves_a_long_dead_genesis_is_an_alarm() {
    let mut node = Node::following(10);
    node.tell(|state, now, wall| state.on_foreign_genesis(now, wall, new_genesis(WALL - 500)));
    assert_eq!(node.state.phase(), Phase::Following);
    assert_eq!(node.state.dead_branches().count(), 1);
}

#[test]
fn an_accepted_branch_raises_no_alarm_and_is_not_followed() {
    let accepted = BTreeSet::from([(6, other_hash(6)), (0, other_hash(0))]);
    let mut node = Node::new(Setup { accepted, ..setup(Role::Follower, 10) });
    node.connect(1, head(10)).take();
    meets(&mut node, WALL);
    node.tell(|state, now, wall| state.on_foreign_genesis(now, wall, new_genesis(wall)));
    grows(&mut node, 100);
    assert_eq!(node.state.phase(), Phase::Following);
    assert_eq!(node.state.divergence(), None);
    assert_eq!(node.state.dead_branches().count(), 0);
    let standing = node.state.peers().find(|figures| figures.peer == peer(2)).unwrap().standing;
    assert_eq!(standing, Standing::Accepted);
    node.lost(1);
    assert_eq!(node.live(), []);
}
