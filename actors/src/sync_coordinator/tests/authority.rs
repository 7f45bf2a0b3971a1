use super::super::messages::{ImportEnd, Standing};
use super::*;
use crate::sync_coordinator::{ExpectedGuests, GivenUp};
use callboard_store::GivenUpBranch;

fn authority(height: u64, high_water: Option<u64>) -> Node {
    Node::new(Setup { high_water, ..setup(Role::Authority, height) })
}

/// It has proposed for a second.
fn proposing(height: u64) -> Node {
    let mut node = authority(height, None);
    node.tell(State::on_peers_answered);
    assert!(permits(&node.take(), true));
    node.at(1);
    node
}

#[test]
fn an_authority_without_peers_proposes_at_once() {
    let mut node = authority(5, None);
    node.tell(|state, now, _| state.on_peers_answered(now, WALL + 10_000));
    assert!(permits(&node.effects, true));
    assert_eq!(node.state.phase(), Phase::Following);
}

#[test]
fn an_authority_waits_for_its_peers_answers_or_for_its_patience() {
    let mut node = authority(5, None);
    node.at(4);
    assert!(!permits(&node.effects, true));
    node.at(5);
    assert!(permits(&node.effects, true));
}

#[test]
fn an_authority_takes_its_own_blocks_back_before_it_proposes() {
    let mut node = authority(5, Some(8));
    node.connect(1, head(8)).tell(State::on_peers_answered);
    let ranges = node.ranges();
    assert!(matches!(ranges[..], [(_, of, 6, 8)] if of == peer(1)), "{ranges:?}");
    node.ended(ranges[0].0, Some(8), FetchEnd::Done).imported(8);
    assert!(!permits(&node.effects, true), "durable first");
    node.durable(head(8));
    assert!(permits(&node.effects, true));
    assert_eq!(node.live(), [], "it follows nobody");
}

#[test]
fn an_authority_below_its_mark_is_stalled_when_nobody_has_its_blocks() {
    let mut node = authority(5, Some(8));
    node.tell(State::on_peers_answered);
    assert_eq!(node.phases(), [Phase::Stalled]);
    assert!(node.state.waiting_for(node.now).unwrap().contains("below 8"));
}

#[test]
fn a_proposing_authority_stops_when_a_peer_shows_a_sealed_block_that_it_lacks() {
    let mut node = proposing(5);
    node.connect(1, head(6));
    assert!(permits(&node.effects, false));
    assert_eq!(node.state.phase(), Phase::CatchingUp);
}

#[test]
fn a_sealed_head_that_was_seen_once_holds_the_authority_back_although_its_peer_is_gone() {
    let mut node = authority(5, None);
    node.connect(1, head(8)).lost(1).tell(State::on_peers_answered);
    node.at(10);
    assert!(!permits(&node.effects, true));
    assert_eq!(node.state.phase(), Phase::Stalled);
}

#[test]
fn a_dead_branch_above_the_head_does_not_stop_an_authority() {
    let mut node = proposing(5);
    node.connect(1, other(9, WALL - 500));
    node.serve_all(|_, height| if height > 4 { other(height, WALL - 500) } else { head(height) });
    assert!(node.state.proposing);
    assert_eq!(node.state.phase(), Phase::Following);
    assert_eq!(node.state.dead_branches().next().unwrap().last_common_height, Some(4));
}

#[test]
fn a_dead_branch_does_not_keep_an_authority_from_starting_after_a_long_stop() {
    let mut node = authority(5, Some(5));
    node.now = secs(10_000);
    node.connect(1, other(5, WALL - 500)).tell(State::on_peers_answered);
    node.serve_all(|_, height| if height > 3 { other(height, WALL - 500) } else { head(height) });
    assert!(node.state.proposing);
}

#[test]
fn another_living_branch_of_its_own_stops_an_authority_until_its_operator_has_decided() {
    let mut node = proposing(5);
    node.connect(1, other(9, WALL - 1));
    assert!(permits(&node.effects, false));
    node.serve_all(|_, height| if height > 4 { other(height, WALL - 1) } else { head(height) });
    assert_eq!(node.state.phase(), Phase::Diverged);
    node.at(10_000);
    assert_eq!(node.state.phase(), Phase::Diverged);
    assert!(!node.state.proposing);
}

/// What was given up above block 3: blocks 4 and 5, and perhaps only the highest of them is known.
fn given_up(known: &[u64]) -> GivenUp {
    let known = known.iter().map(|height| (*height, other_hash(*height))).collect();
    let highest = other(5, WALL + 1).into();
    GivenUp::new(vec![GivenUpBranch { after: 3, highest, known, sealed: None, time: WALL + 2, by_follower: false }])
}

/// Started at `height`; blocks above 3 are those of the new branch.
fn gave_up(height: u64, known: &[u64]) -> Node {
    let mut node = Node::new(Setup { given_up: given_up(known), ..setup(Role::Authority, height) });
    node.tell(State::on_peers_answered);
    assert!(permits(&node.take(), true));
    node
}

/// What a follower of the old branch has at a height.
fn old_branch(_: NodeId, height: u64) -> KnownHead {
    if height > 3 { other(height, WALL + 1) } else { head(height) }
}

#[test]
fn an_authority_takes_nothing_back_that_it_gave_up_and_goes_on_whatever_its_followers_have() {
    for (known, shown) in [(&[4, 5][..], 5), (&[4, 5], 4), (&[5], 5), (&[5], 4)] {
        let mut node = gave_up(3, known);
        node.connect(1, other(shown, WALL + 1));
        node.at(1);
        assert_eq!((node.ranges(), node.state.target()), (vec![], None), "{known:?} {shown}");
        assert!(node.state.proposing && node.state.phase() == Phase::Following);
        // The new branch gets the same heights, and more.
        for height in 4..8 {
            node.durable(KnownHead { timestamp: WALL + 10, ..head(height) });
            node.shows(1, other(shown, WALL + 1)).at(height);
            node.serve_all(old_branch);
            assert!(node.state.proposing && node.state.divergence().is_none(), "{height}");
        }
        assert_eq!(node.state.peers().next().unwrap().standing, Standing::Accepted);
        assert_eq!(node.state.dead_branches().next(), None);
    }
}

#[test]
fn a_given_up_block_that_is_handed_in_is_no_divergence() {
    let mut node = gave_up(5, &[4, 5]);
    node.tell(|state, now, wall| state.on_other_block(now, wall, other(5, WALL + 1), hash(5)));
    node.at(5);
    assert!(node.state.proposing);
    assert_eq!(node.state.divergence(), None);
}

#[test]
fn somebody_who_extends_a_given_up_branch_stops_the_authority() {
    // At the very block above which it was given up, and after the new branch has begun.
    for height in [3, 5] {
        let mut node = gave_up(height, &[4, 5]);
        node.connect(1, other(5, WALL + 1));
        assert!(node.state.proposing);
        node.lost(1).connect(1, other(7, WALL + 3));
        for _ in 0..8 {
            let effects = node.take();
            for effect in effects {
                match effect {
                    Effect::FetchRange { id, from, .. } => {
                        node.ended(id, Some(from), FetchEnd::Done);
                        let block = other(from, WALL + 1);
                        let end = ImportEnd::OtherChain { peer: peer(1), block, ours: None };
                        node.tell(|state, now, wall| state.on_import_failed(now, wall, end));
                    }
                    other => node.serve(&other, &old_branch),
                }
            }
            let later = node.now.as_secs() + 1;
            node.at(later);
        }
        let found = node.state.divergence().expect("diverged");
        assert_eq!((found.height, found.last_common_height), (4, Some(3)), "at {height}");
        assert!(!node.state.proposing);
    }
}

#[test]
fn a_follower_that_goes_over_to_the_new_branch_agrees_again() {
    let mut node = gave_up(5, &[4, 5]);
    node.connect(1, other(5, WALL + 1)).shows(1, head(5));
    assert_eq!(node.state.peers().next().unwrap().standing, Standing::Agrees);
    node.shows(1, KnownHead { timestamp: WALL + 10, ..head(6) });
    assert!(!node.state.proposing, "a block of the new branch that it lacks is taken back");
}

#[test]
fn an_authority_that_cannot_seal_for_three_heartbeats_is_stalled_and_may_still_try() {
    let mut node = proposing(5);
    node.take();
    node.at(STALE + 1);
    assert_eq!(node.take(), [Effect::PhaseChanged(Phase::Stalled)]);
}

#[test]
fn an_authority_whose_stored_state_is_damaged_seals_nothing_and_says_what_to_do() {
    let mut node = proposing(5);
    node.take();
    node.tell(|state, now, wall| state.on_damage(now, wall, Some("run `callboard chain reconcile`".to_owned())));
    assert!(permits(&node.take(), false));
    assert_eq!(node.state.phase(), Phase::Stalled);
    assert!(node.state.waiting_for(node.now).unwrap().contains("chain reconcile"));
    node.tell(|state, now, wall| state.on_damage(now, wall, None));
    assert!(permits(&node.effects, true));
}

#[test]
fn an_authority_that_is_handed_a_sealed_block_it_cannot_confirm_stops_sealing_above_it() {
    let mut node = proposing(5);
    node.tell(|state, now, wall| state.on_unconfirmable(now, wall, "the state root differs".to_owned()));
    assert_eq!((node.state.phase(), node.state.halted()), (Phase::Stalled, Some("the state root differs")));
    assert!(permits(&node.effects, false));
}

/// Guests of the last run: nodes 1 and 2.
fn awaiting_guests() -> Node {
    let guests = ExpectedGuests::These([peer(1), peer(2)].into());
    let mut node = Node::new(Setup { guests, ..setup(Role::Authority, 5) });
    node.tell(State::on_peers_answered);
    node
}

fn guest_shows(node: &mut Node, number: u8, shown: KnownHead) {
    let ours = (shown.height <= node.state.head().height).then(|| hash(shown.height));
    node.tell(|state, now, wall| state.on_guest_head(now, wall, peer(number), shown, ours));
}

#[test]
fn an_authority_waits_for_the_guests_of_its_last_run_and_no_longer_than_its_patience() {
    let mut node = awaiting_guests();
    guest_shows(&mut node, 1, head(5));
    assert!(!permits(&node.effects, true));
    guest_shows(&mut node, 2, head(4));
    assert!(permits(&node.effects, true), "both have told");

    let mut node = awaiting_guests();
    node.connect(1, head(5)).connect(2, head(5));
    assert!(permits(&node.effects, true), "they could be dialled after all");

    for guests in [ExpectedGuests::These([peer(1)].into()), ExpectedGuests::Unknown] {
        let mut node = Node::new(Setup { guests, ..setup(Role::Authority, 5) });
        node.tell(State::on_peers_answered).at(4);
        assert!(!permits(&node.effects, true));
        node.at(5);
        assert!(permits(&node.effects, true));
    }
}

#[test]
fn an_authority_takes_back_what_only_a_guest_has() {
    let mut node = awaiting_guests();
    guest_shows(&mut node, 1, head(8));
    guest_shows(&mut node, 2, head(5));
    node.at(6);
    assert!(!permits(&node.effects, true));
    assert_eq!((node.state.phase(), node.ranges()), (Phase::CatchingUp, vec![]), "the guest brings them");
    for height in 6..=8 {
        node.durable(head(height));
    }
    assert!(permits(&node.effects, true));
    assert_eq!(node.state.phase(), Phase::Following);
}

#[test]
fn what_a_guest_has_shown_holds_the_authority_back_when_it_is_gone() {
    let mut node = proposing(5);
    guest_shows(&mut node, 1, head(8));
    assert!(permits(&node.take(), false));
    node.at(30);
    assert_eq!(node.state.phase(), Phase::Stalled);
    assert!(!permits(&node.effects, true));
}

#[test]
fn a_guest_on_another_living_branch_makes_the_authority_diverged_and_a_follower_does_not_listen_to_guests() {
    let mut node = proposing(5);
    guest_shows(&mut node, 1, other(5, WALL));
    node.at(4);
    assert_eq!((node.state.phase(), node.state.proposing), (Phase::Diverged, false));
    let mut follower = Node::following(5);
    guest_shows(&mut follower, 2, head(8));
    assert_eq!((follower.state.target(), follower.take()), (None, vec![]));
}

#[test]
fn a_guest_that_cannot_be_asked_says_where_the_chains_part_by_the_first_block_that_differs() {
    let mut node = proposing(5);
    let stranger = |node: &mut Node| node.state.on_first_difference(peer(2), other(4, WALL), hash(4));
    stranger(&mut node);
    guest_shows(&mut node, 1, other(5, WALL));
    node.at(4);
    assert_eq!(node.state.divergence().map(|found| (found.height, found.last_common_height)), Some((5, None)));
    // Not for another node's word.
    stranger(&mut node);
    node.at(5);
    assert_eq!(node.state.divergence().and_then(|found| found.last_common_height), None);
    node.state.on_first_difference(peer(1), other(4, WALL), hash(4));
    node.at(6);
    let found = node.state.divergence().expect("diverged");
    assert_eq!((found.height, found.theirs, found.last_common_height), (4, other(4, WALL).hash, Some(3)));
}

#[test]
fn a_guest_that_has_only_what_was_given_up_is_no_reason_to_wait() {
    let mut node = gave_up(3, &[4, 5]);
    guest_shows(&mut node, 1, other(5, WALL + 1));
    node.at(1);
    assert!(node.state.proposing && node.state.target().is_none());
}

#[test]
fn a_peer_that_comes_and_goes_does_not_change_the_phase_of_an_authority_that_gets_no_block() {
    let mut node = authority(5, None);
    node.tell(State::on_peers_answered).take();
    for second in 1..40 {
        match second % 2 {
            0 => node.lost(1),
            _ => node.connect(1, head(8)),
        };
        node.at(second);
    }
    assert_eq!(node.phases(), [Phase::CatchingUp, Phase::Stalled]);
    node.connect(1, head(8)).imported(6).durable(head(6));
    assert_eq!(node.state.phase(), Phase::CatchingUp, "a block is progress");
}
