use super::messages::{Divergence, Effect, FetchEnd, KnownHead, Sighting};
use super::state::{Setup, State};
use crate::callboard::{Phase, Role};
use crate::transport::NodeId;
use alloy_primitives::B256;
use callboard_chain::SecretKey;
use std::time::Duration;

const NOW: u64 = 1_000_000;

fn peer(number: u8) -> NodeId {
    NodeId::of(&SecretKey::from_bytes([number; 32]).unwrap())
}

/// A head of our chain, sealed a second ago.
fn head(height: u64) -> KnownHead {
    KnownHead { height, hash: B256::with_last_byte(height as u8), timestamp: NOW - 1 }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn node(role: Role, height: u64, high_water: Option<u64>) -> State {
    let setup = Setup {
        role,
        heartbeat_seconds: 60,
        start_wait: secs(5),
        stall_after: secs(60),
        high_water,
        head: head(height),
    };
    State::new(setup, Duration::ZERO)
}

fn follower(height: u64) -> State {
    node(Role::Follower, height, None)
}

/// A follower at `height`, level with peer 1, whose live stream is open.
fn following(height: u64) -> State {
    let mut state = follower(height);
    state.on_peer_connected(peer(1), false);
    assert!(state.on_peer_head(secs(1), peer(1), head(height), Sighting::Agrees, NOW).is_empty());
    let effects = state.on_tick(secs(1), NOW);
    assert!(effects.contains(&Effect::FollowLive { peer: peer(1), from: height + 1 }), "{effects:?}");
    assert_eq!(state.phase(), Phase::Following);
    state
}

#[test]
fn a_follower_fetches_up_to_the_sealed_head_and_then_follows() {
    let mut state = follower(0);
    state.on_peer_connected(peer(1), false);
    state.on_peer_head(secs(1), peer(1), head(10), Sighting::Ahead, NOW);
    assert_eq!(state.on_tick(secs(1), NOW), [Effect::FetchRange { peer: peer(1), from: 1, through: 10 }]);
    assert_eq!(state.phase(), Phase::CatchingUp);
    state.on_durable(secs(2), head(10));
    state.on_fetch_ended(secs(2), peer(1), FetchEnd::Done);
    let effects = state.on_tick(secs(2), NOW);
    assert_eq!(effects, [Effect::FollowLive { peer: peer(1), from: 11 }, Effect::PhaseChanged(Phase::Following),]);
}

#[test]
fn the_highest_sealed_head_is_the_target_and_a_stuck_seed_does_not_hold_the_node_back() {
    let mut state = follower(50);
    for (number, height) in [(1, 100), (2, 200)] {
        state.on_peer_connected(peer(number), false);
        state.on_peer_head(secs(1), peer(number), head(height), Sighting::Ahead, NOW);
    }
    assert_eq!(state.on_tick(secs(1), NOW), [Effect::FetchRange { peer: peer(2), from: 51, through: 200 }]);
}

#[test]
fn a_peer_that_failed_is_paused_and_another_takes_the_range_over_where_the_head_is() {
    let mut state = follower(0);
    for number in [1, 2] {
        state.on_peer_connected(peer(number), false);
        state.on_peer_head(secs(1), peer(number), head(100 + u64::from(number)), Sighting::Ahead, NOW);
    }
    assert_eq!(state.on_tick(secs(1), NOW), [Effect::FetchRange { peer: peer(2), from: 1, through: 102 }]);
    state.on_durable(secs(2), head(40));
    state.on_fetch_ended(secs(2), peer(2), FetchEnd::Failed);
    assert_eq!(state.on_tick(secs(2), NOW), [Effect::FetchRange { peer: peer(1), from: 41, through: 101 }]);
}

#[test]
fn pauses_grow_with_failures_up_to_a_bound_and_progress_ends_them() {
    let mut state = follower(0);
    state.on_peer_connected(peer(1), false);
    state.on_peer_head(secs(1), peer(1), head(100), Sighting::Ahead, NOW);
    let mut now = secs(1);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        assert_eq!(state.on_tick(now, NOW).len(), 1, "a fetch starts");
        state.on_fetch_ended(now, peer(1), FetchEnd::Failed);
        let paused = now;
        while state.on_tick(now, NOW).is_empty() {
            now += Duration::from_millis(50);
        }
        pauses.push(now - paused);
        state.on_fetch_ended(now, peer(1), FetchEnd::Done);
        now += Duration::from_millis(1);
    }
    assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
    assert!(pauses[0] <= Duration::from_millis(300) && pauses[11] <= secs(16), "{pauses:?}");
}

#[test]
fn a_live_stream_that_lags_for_two_seconds_is_replaced_by_a_fetch_from_another_peer() {
    let mut state = following(10);
    state.on_peer_connected(peer(2), false);
    state.on_durable(secs(10), head(10));
    state.on_peer_head(secs(1), peer(2), head(12), Sighting::Ahead, NOW);
    assert!(state.on_tick(secs(11), NOW).is_empty(), "a short lag is no gap");
    assert_eq!(state.phase(), Phase::Following);
    let effects = state.on_tick(secs(13), NOW);
    assert_eq!(
        effects,
        [
            Effect::StopStream,
            Effect::FetchRange { peer: peer(2), from: 11, through: 12 },
            Effect::PhaseChanged(Phase::CatchingUp),
        ]
    );
}

#[test]
fn a_large_gap_is_caught_up_at_once() {
    let mut state = following(10);
    state.on_peer_connected(peer(2), false);
    state.on_peer_head(secs(1), peer(2), head(200), Sighting::Ahead, NOW);
    assert!(state.on_tick(secs(1), NOW).contains(&Effect::FetchRange { peer: peer(2), from: 11, through: 200 }));
}

#[test]
fn a_node_without_peers_is_ready_while_its_head_is_fresh_and_stalled_after_that() {
    let mut state = follower(7);
    state.on_tick(secs(1), NOW);
    assert_eq!(state.phase(), Phase::Following);
    state.on_tick(secs(2), NOW + 179);
    assert_eq!(state.phase(), Phase::Following);
    state.on_tick(secs(3), NOW + 180);
    assert_eq!(state.phase(), Phase::Stalled);
}

#[test]
fn peers_at_the_same_old_head_do_not_make_a_node_ready() {
    let mut state = following(7);
    state.on_tick(secs(200), NOW + 200);
    assert_eq!(state.phase(), Phase::Stalled);
    state.on_durable(secs(201), KnownHead { timestamp: NOW + 201, ..head(8) });
    state.on_tick(secs(201), NOW + 201);
    assert_eq!(state.phase(), Phase::Following);
}

fn other(height: u64, timestamp: u64) -> KnownHead {
    KnownHead { height, hash: B256::repeat_byte(0xee), timestamp }
}

#[test]
fn a_sealed_block_that_differs_from_ours_is_diverged_and_never_following() {
    let mut state = following(10);
    let differs = Sighting::Differs { ours: head(9).hash };
    let effects = state.on_peer_head(secs(1), peer(1), other(9, NOW), differs, NOW);
    assert!(matches!(&effects[..], [Effect::Diverged(found)] if found.height == 9 && found.peer == Some(peer(1))));
    assert!(state.on_tick(secs(2), NOW).contains(&Effect::PhaseChanged(Phase::Diverged)));
    state.on_durable(secs(3), head(11));
    state.on_tick(secs(3), NOW);
    assert_eq!(state.phase(), Phase::Diverged);
    assert!(state.on_peer_head(secs(1), peer(1), other(9, NOW), differs, NOW).is_empty(), "it is said once");
}

#[test]
fn a_dead_branch_that_somebody_replays_is_an_alarm_and_leaves_a_fresh_node_ready() {
    let mut state = following(10);
    let effects =
        state.on_peer_head(secs(1), peer(1), other(9, NOW - 500), Sighting::Differs { ours: head(9).hash }, NOW);
    assert!(matches!(&effects[..], [Effect::DeadBranchSeen(_)]));
    state.on_tick(secs(2), NOW);
    assert_eq!(state.phase(), Phase::Following);
}

#[test]
fn a_peer_that_agrees_again_ends_the_divergence_it_caused() {
    let mut state = following(10);
    state.on_peer_head(secs(1), peer(1), other(9, NOW), Sighting::Differs { ours: head(9).hash }, NOW);
    let effects = state.on_peer_head(secs(1), peer(1), head(10), Sighting::Agrees, NOW);
    assert_eq!(effects, [Effect::DivergenceCleared { shown_by: peer(1).to_string() }]);
    state.on_tick(secs(2), NOW);
    assert_eq!(state.phase(), Phase::Following);
}

#[test]
fn the_newer_chain_of_a_reset_authority_is_a_divergence_although_its_height_is_lower() {
    let mut state = following(10);
    let found = Divergence {
        height: 1,
        ours: Some(head(1).hash),
        theirs: B256::repeat_byte(0xee),
        peer: Some(peer(1)),
        shown_by: peer(1).to_string(),
        last_common_height: Some(0),
        theirs_timestamp: NOW,
    };
    assert_eq!(state.on_difference(secs(1), found.clone(), NOW), [Effect::Diverged(found)]);
}

#[test]
fn a_block_we_cannot_execute_stops_fetching_and_is_never_called_following() {
    let mut state = following(10);
    assert_eq!(state.on_local_fault("state root of block 11 differs".to_owned()), [Effect::StopStream]);
    assert_eq!(state.on_tick(secs(2), NOW), [Effect::PhaseChanged(Phase::Stalled)]);
    state.on_peer_head(secs(1), peer(1), head(20), Sighting::Ahead, NOW);
    assert!(state.on_tick(secs(3), NOW).is_empty());
}

fn permits(effects: &[Effect], may_propose: bool) -> bool {
    effects.contains(&Effect::Permission { may_propose })
}

#[test]
fn an_authority_without_peers_proposes_at_once() {
    let mut state = node(Role::Authority, 5, None);
    state.on_peers_answered();
    assert!(permits(&state.on_tick(Duration::ZERO, NOW + 10_000), true));
    assert_eq!(state.phase(), Phase::Following);
}

#[test]
fn an_authority_waits_for_its_peers_answers_or_for_its_patience() {
    let mut state = node(Role::Authority, 5, None);
    assert!(!permits(&state.on_tick(secs(4), NOW), true));
    assert!(permits(&state.on_tick(secs(5), NOW), true));
}

#[test]
fn an_authority_takes_its_own_blocks_back_before_it_proposes() {
    let mut state = node(Role::Authority, 5, Some(8));
    state.on_peer_connected(peer(1), false);
    state.on_peer_head(secs(1), peer(1), head(8), Sighting::Ahead, NOW);
    state.on_peers_answered();
    let effects = state.on_tick(secs(1), NOW);
    assert!(effects.contains(&Effect::FetchRange { peer: peer(1), from: 6, through: 8 }));
    assert!(!permits(&effects, true));
    state.on_durable(secs(2), head(8));
    state.on_fetch_ended(secs(2), peer(1), FetchEnd::Done);
    let effects = state.on_tick(secs(2), NOW);
    assert!(permits(&effects, true), "{effects:?}");
}

#[test]
fn an_authority_below_its_mark_is_stalled_when_nobody_has_its_blocks() {
    let mut state = node(Role::Authority, 5, Some(8));
    state.on_peers_answered();
    let effects = state.on_tick(secs(10), NOW);
    assert_eq!(effects, [Effect::PhaseChanged(Phase::Stalled)]);
    assert!(state.waiting_for(secs(10)).unwrap().contains("below 8"));
}

#[test]
fn a_proposing_authority_stops_when_a_peer_shows_a_sealed_block_that_it_lacks() {
    let mut state = node(Role::Authority, 5, None);
    state.on_peers_answered();
    assert!(permits(&state.on_tick(secs(1), NOW), true));
    state.on_peer_connected(peer(1), false);
    state.on_peer_head(secs(1), peer(1), head(6), Sighting::Ahead, NOW);
    let effects = state.on_tick(secs(2), NOW);
    assert!(permits(&effects, false), "{effects:?}");
    assert_eq!(state.phase(), Phase::CatchingUp);
}

#[test]
fn a_sealed_head_that_was_seen_once_holds_the_authority_back_although_its_peer_is_gone() {
    let mut state = node(Role::Authority, 5, None);
    state.on_peer_connected(peer(1), true);
    state.on_peer_head(secs(1), peer(1), head(8), Sighting::Ahead, NOW);
    state.on_peers_answered();
    state.on_tick(secs(1), NOW);
    state.on_fetch_ended(secs(1), peer(1), FetchEnd::Failed);
    state.on_peer_lost(peer(1));
    assert!(!permits(&state.on_tick(secs(10), NOW), true));
    assert_eq!(state.phase(), Phase::Stalled);
}

#[test]
fn a_dead_branch_above_the_head_does_not_stop_an_authority_for_good() {
    let mut state = node(Role::Authority, 5, None);
    state.on_peers_answered();
    assert!(permits(&state.on_tick(secs(1), NOW), true));
    state.on_peer_connected(peer(1), false);
    state.on_peer_head(secs(2), peer(1), other(9, NOW - 500), Sighting::Ahead, NOW);
    assert!(permits(&state.on_tick(secs(2), NOW), false), "it looks at what it may lack");
    let found = Divergence {
        height: 6,
        ours: None,
        theirs: B256::repeat_byte(0xee),
        peer: Some(peer(1)),
        shown_by: peer(1).to_string(),
        last_common_height: Some(4),
        theirs_timestamp: NOW - 500,
    };
    assert!(matches!(&state.on_difference(secs(3), found, NOW)[..], [Effect::DeadBranchSeen(_)]));
    state.on_fetch_ended(secs(3), peer(1), FetchEnd::Failed);
    assert!(permits(&state.on_tick(secs(3), NOW), true));
    assert_eq!(state.phase(), Phase::Following);
}

#[test]
fn an_authority_that_cannot_seal_for_three_heartbeats_is_stalled_and_may_still_try() {
    let mut state = node(Role::Authority, 5, None);
    state.on_peers_answered();
    assert!(permits(&state.on_tick(secs(1), NOW), true));
    let effects = state.on_tick(secs(181), NOW + 180);
    assert_eq!(effects, [Effect::PhaseChanged(Phase::Stalled)]);
}

#[test]
fn a_clock_that_is_ahead_does_not_keep_a_dead_chain_fresh() {
    let mut state = following(7);
    state.on_durable(secs(10), KnownHead { timestamp: NOW + 7_200, ..head(8) });
    state.on_tick(secs(200), NOW + 190);
    assert_eq!(state.phase(), Phase::Stalled);
}

#[test]
fn a_range_that_stands_still_is_asked_of_another_peer() {
    let mut state = follower(0);
    for number in [1, 2] {
        state.on_peer_connected(peer(number), false);
        state.on_peer_head(secs(1), peer(number), head(100 + u64::from(number)), Sighting::Ahead, NOW);
    }
    state.on_tick(secs(1), NOW);
    assert!(state.on_tick(secs(60), NOW).is_empty());
    let effects = state.on_tick(secs(62), NOW);
    assert_eq!(effects, [Effect::StopStream, Effect::FetchRange { peer: peer(1), from: 1, through: 101 }]);
}

#[test]
fn nothing_is_fetched_while_diverged_and_the_node_goes_on_when_the_other_chain_is_gone() {
    let mut state = following(10);
    state.on_peer_connected(peer(2), false);
    state.on_peer_head(secs(1), peer(2), other(9, NOW), Sighting::Differs { ours: head(9).hash }, NOW);
    assert!(state.on_tick(secs(2), NOW).contains(&Effect::StopStream));
    state.on_peer_head(secs(2), peer(1), head(20), Sighting::Ahead, NOW);
    assert!(state.on_tick(secs(3), NOW).is_empty());
    assert_eq!(state.on_peer_lost(peer(2)), [Effect::DivergenceCleared { shown_by: peer(2).to_string() }]);
    let effects = state.on_tick(secs(4), NOW);
    assert!(effects.contains(&Effect::FetchRange { peer: peer(1), from: 11, through: 20 }), "{effects:?}");
}

#[test]
fn an_authority_follows_nobody() {
    let mut state = node(Role::Authority, 5, None);
    state.on_peer_connected(peer(1), false);
    state.on_peer_head(secs(1), peer(1), head(5), Sighting::Agrees, NOW);
    state.on_peers_answered();
    assert!(!state.on_tick(secs(1), NOW).iter().any(|effect| matches!(effect, Effect::FollowLive { .. })));
}
