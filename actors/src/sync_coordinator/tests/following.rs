use super::*;

#[test]
fn a_live_stream_that_lags_for_two_seconds_is_replaced_by_a_fetch_from_another_peer() {
    let mut node = Node::following(10);
    node.at(10).durable(head(10)).connect(2, head(12)).at(11);
    assert_eq!(node.state.phase(), Phase::Following, "a short lag is no gap");
    node.at(13);
    assert!(matches!(node.ranges()[..], [(_, of, 11, 12)] if of == peer(2)), "{:?}", node.effects);
    assert_eq!(node.phases(), [Phase::CatchingUp]);
}

#[test]
fn a_large_gap_is_caught_up_at_once() {
    let mut node = Node::following(10);
    node.connect(2, head(200));
    assert!(node.ranges().iter().any(|(_, of, from, _)| (*of, *from) == (peer(2), 11)), "{:?}", node.effects);
}

#[test]
fn a_node_without_peers_is_ready_while_its_head_is_fresh_and_stalled_after_that() {
    let mut node = Node::follower(7);
    node.at(1);
    assert_eq!(node.state.phase(), Phase::Following);
    node.at(STALE);
    assert_eq!(node.state.phase(), Phase::Following);
    node.at(STALE + 1);
    assert_eq!(node.state.phase(), Phase::Stalled);
}

#[test]
fn peers_at_the_same_old_head_do_not_make_a_node_ready() {
    let mut node = Node::following(7);
    node.at(200);
    assert_eq!(node.state.phase(), Phase::Stalled);
    let fresh = KnownHead { timestamp: node.wall(), ..head(8) };
    node.durable(fresh);
    assert_eq!(node.state.phase(), Phase::Following);
}

#[test]
fn a_clock_that_is_ahead_does_not_keep_a_dead_chain_fresh() {
    let mut node = Node::following(7);
    node.at(10).durable(KnownHead { timestamp: WALL + 7_200, ..head(8) }).at(200);
    assert_eq!(node.state.phase(), Phase::Stalled);
}

#[test]
fn a_follower_with_seeds_is_not_in_sync_before_one_of_them_was_heard() {
    let with_seeds = || Node::new(Setup { has_seeds: true, ..setup(Role::Follower, 0) });
    let mut node = with_seeds();
    node.at(1);
    assert_eq!(node.state.phase(), Phase::CatchingUp);
    node.connect(1, head(0));
    assert_eq!(node.state.phase(), Phase::Following);
    let mut silent = with_seeds();
    silent.at(4);
    assert_eq!(silent.state.phase(), Phase::CatchingUp);
    silent.at(5);
    assert_eq!(silent.state.phase(), Phase::Following, "a node is not held up by seeds that are down");
    let mut told = with_seeds();
    told.tell(State::on_peers_answered);
    assert_eq!(told.state.phase(), Phase::Following);
}

#[test]
fn a_broken_live_stream_is_taken_up_by_another_peer() {
    let mut node = Node::following(10);
    node.connect(2, head(10)).lost(1);
    assert_eq!(node.live(), [(peer(2), 11)]);
}

#[test]
fn a_sealed_block_that_was_pushed_and_cannot_be_confirmed_ends_following() {
    let mut node = Node::following(5);
    node.tell(|state, now, wall| state.on_unconfirmable(now, wall, "the state root differs".to_owned()));
    assert_eq!((node.phases(), node.state.halted()), (vec![Phase::Stalled], Some("the state root differs")));
    assert!(node.take().iter().any(|effect| matches!(effect, Effect::StopFetch { .. })));
    node.shows(1, head(9));
    assert_eq!((node.ranges(), node.live()), (vec![], vec![]));
}

#[test]
fn who_serves_ranges_and_streams_nothing_does_not_stay_the_one_that_is_followed() {
    let followed = |node: &mut Node| {
        let effects = node.take();
        effects.iter().rev().find_map(|effect| match effect {
            Effect::FollowLive { id, peer, .. } => Some((*id, *peer)),
            _ => None,
        })
    };
    // The honest one's stream has broken off twice.
    let mut node = Node::follower(10);
    node.connect(3, head(10));
    for seconds in [10, 20] {
        let (id, _) = followed(&mut node).expect("nobody else is there");
        node.ended(id, None, FetchEnd::Failed).at(seconds);
    }
    node.lost(3).connect(1, head(10)).connect(2, head(10)).connect(3, head(10));
    let mut streaming = followed(&mut node).expect("somebody is followed").1;
    for height in 11..27 {
        (1..=3).for_each(|number| _ = node.shows(number, head(height)));
        if streaming == peer(3) {
            node.imported(height).durable(head(height));
        }
        let later = node.now.as_secs() + 3;
        node.at(later);
        // Whatever is asked is answered, by everybody.
        for _ in 0..8 {
            for effect in node.take() {
                if let Effect::FollowLive { peer, .. } = effect {
                    streaming = peer;
                }
                node.serve(&effect, &|_, height| head(height));
            }
        }
    }
    assert_eq!((streaming, node.state.head().height), (peer(3), 26));
}

#[test]
fn a_stream_that_brought_the_next_block_is_not_blamed_for_the_time_that_this_node_takes_to_execute_it() {
    for came in [Some(11), None] {
        let mut node = Node::following(10);
        let followed = node.state.live.expect("a stream");
        node.at(10).durable(head(10)).shows(1, head(11));
        node.state.on_came(followed.id, came, 1_000);
        node.at(13);
        assert!(node.state.live.is_none(), "a block of the largest size may take that long");
        assert_eq!(node.state.peers.is_usable(node.now, peer(1)), came.is_some());
    }
}
