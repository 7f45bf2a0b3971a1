use super::*;

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

#[test]
fn what_an_authority_gave_up_knowingly_does_not_stop_it() {
    let mut node = Node::new(Setup { abandoned_after: Some(4), ..setup(Role::Authority, 5) });
    node.tell(State::on_peers_answered).connect(1, other(9, WALL - 1));
    node.serve_all(|_, height| if height > 4 { other(height, WALL - 1) } else { head(height) });
    assert!(node.state.proposing);
    assert_eq!(node.state.divergence(), None);
}

#[test]
fn an_authority_that_cannot_seal_for_three_heartbeats_is_stalled_and_may_still_try() {
    let mut node = proposing(5);
    node.take();
    node.at(STALE + 1);
    assert_eq!(node.take(), [Effect::PhaseChanged(Phase::Stalled)]);
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
