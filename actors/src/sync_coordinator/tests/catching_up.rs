use super::*;
use crate::sync_coordinator::messages::ImportEnd;
use std::collections::BTreeMap;

#[test]
fn a_follower_fetches_up_to_the_sealed_head_and_then_follows() {
    let mut node = Node::follower(0);
    node.connect(1, head(10));
    let ranges = node.ranges();
    assert!(matches!(ranges[..], [(_, of, 1, 10)] if of == peer(1)), "{ranges:?}");
    assert_eq!(node.state.phase(), Phase::CatchingUp);
    node.take();
    node.ended(ranges[0].0, Some(10), FetchEnd::Done).imported(10);
    assert_eq!(node.live(), [(peer(1), 11)], "before the last block is durable");
    assert_eq!(node.state.phase(), Phase::CatchingUp);
    node.durable(head(10));
    assert_eq!(node.phases(), [Phase::Following]);
}

#[test]
fn gaps_of_every_size_around_a_range_and_a_window_are_closed() {
    for gap in [1, 127, 128, 129, 255, 256, 257, 1_023, 1_024, 1_025, 10_000] {
        let mut node = Node::follower(5);
        node.connect(1, head(5 + gap));
        node.serve_all(|_, height| head(height));
        assert_eq!(node.state.head().height, 5 + gap);
        assert_eq!(node.state.phase(), Phase::Following, "gap {gap}");
    }
}

#[test]
fn never_more_blocks_are_asked_for_than_the_window_holds() {
    for window in [1, 2, 3, 7, 64, 100, 1_024] {
        let mut node = Node::new(Setup { window_blocks: window, ..setup(Role::Follower, 0) });
        for number in 1..=4 {
            node.connect(number, head(3_000));
        }
        let (mut front, mut steps) = (0, 0);
        let mut open: BTreeMap<u64, (FetchId, u64)> = BTreeMap::new();
        while node.state.head().height < 3_000 {
            for (id, _, from, through) in node.ranges() {
                assert!(through <= front + window, "{through} with {front} imported and a window of {window}");
                open.insert(from, (id, through));
            }
            node.take();
            // The last one ends first.
            while let Some((_, (id, through))) = open.pop_last() {
                node.ended(id, Some(through), FetchEnd::Done);
                if open.is_empty() {
                    front = front.max(through);
                }
                for (id, _, from, through) in node.ranges() {
                    open.insert(from, (id, through));
                }
                node.take();
                steps += 1;
                assert!(steps < 50_000);
                if open.is_empty() {
                    // Everything that was asked for came, so all of it can be imported.
                    front = node.state.window.next_hole(3_000).map_or(3_000, |(from, _)| from - 1).max(front);
                    node.imported(front).durable(head(front));
                    break;
                }
            }
        }
    }
}

#[test]
fn the_window_is_shared_by_peers_of_one_branch_in_height_order() {
    let mut node = Node::follower(0);
    for number in 1..=3 {
        node.connect(number, head(2_000));
    }
    let mut next = 1;
    let mut by_peer: BTreeMap<NodeId, usize> = BTreeMap::new();
    for (_, of, from, through) in node.ranges() {
        assert_eq!(from, next);
        next = through + 1;
        *by_peer.entry(of).or_default() += 1;
    }
    assert_eq!(by_peer.into_values().collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn the_newest_sealed_head_is_the_target_and_a_stuck_seed_does_not_hold_the_node_back() {
    let mut node = Node::follower(50);
    node.connect(1, head(100)).connect(2, head(200));
    assert_eq!(node.state.target().unwrap().head.height, 200);
    node.serve_all(|_, height| head(height));
    assert_eq!(node.state.head().height, 200);
    assert_eq!(node.state.phase(), Phase::Following);
}

#[test]
fn a_peer_below_the_target_is_asked_only_once_its_head_is_known_to_lead_there() {
    let mut node = Node::follower(0);
    node.connect(1, head(5_000)).connect(2, head(3_000));
    assert!(node.ranges().iter().all(|(_, of, ..)| *of == peer(1)), "{:?}", node.ranges());
    let question = node.effects.iter().find_map(|effect| match effect {
        Effect::AskBlock { id, peer, height } => Some((*id, *peer, *height)),
        _ => None,
    });
    let (id, of, height) = question.unwrap();
    assert_eq!((of, height), (peer(1), 3_000));
    node.take();
    let answer = crate::sync_coordinator::Answer::Block { theirs: head(3_000), parent: hash(2_999), ours: None };
    node.tell(|state, now, wall| state.on_answer(now, wall, id, answer));
    assert!(node.ranges().iter().any(|(_, of, ..)| *of == peer(2)), "{:?}", node.ranges());
}

#[test]
fn a_peer_on_a_dead_branch_below_the_target_leads_nobody_onto_it() {
    let mut node = Node::follower(0);
    node.connect(1, head(5_000)).connect(2, other(3_000, WALL - 10));
    let mut sources = Vec::new();
    for _ in 0..100 {
        for effect in node.take() {
            if let Effect::FetchRange { peer, .. } = effect {
                sources.push(peer);
            }
            node.serve(&effect, &|of, height| if of == peer(2) { other(height, WALL - 10) } else { head(height) });
        }
    }
    assert!(!sources.contains(&peer(2)));
    assert_eq!(node.state.head().height, 5_000);
}

#[test]
fn a_broken_range_goes_on_where_it_stopped_on_another_peer() {
    let mut node = Node::follower(0);
    node.connect(1, head(100)).connect(2, head(100));
    let ranges = node.ranges();
    let [(id, of, 1, 100)] = ranges[..] else { panic!("{ranges:?}") };
    node.take();
    node.ended(id, Some(40), FetchEnd::Failed);
    let ranges = node.ranges();
    assert!(matches!(ranges[..], [(_, next, 41, 100)] if next != of), "{ranges:?}");
}

#[test]
fn ranges_of_a_lost_peer_are_taken_over() {
    let mut node = Node::follower(0);
    node.connect(1, head(600)).connect(2, head(600));
    let of_lost: Vec<_> = node.ranges().into_iter().filter(|(_, of, ..)| *of == peer(2)).collect();
    assert!(!of_lost.is_empty());
    node.take();
    node.lost(2);
    for (id, _, from, _) in of_lost {
        assert!(node.effects.contains(&Effect::StopFetch { id }));
        node.state.window.next_hole(600).filter(|(hole, _)| *hole <= from).expect("it is open again");
    }
    node.take();
    node.serve_all(|_, height| head(height));
    node.tell(State::on_tick);
    assert!(node.state.window.next_hole(600).is_some() || node.state.head().height == 600);
}

#[test]
fn a_peer_that_fails_and_comes_back_is_still_the_one_that_failed() {
    let mut node = Node::follower(0);
    node.connect(2, head(101));
    let (id, ..) = node.ranges()[0];
    node.ended(id, None, FetchEnd::Failed).lost(2);
    node.take();
    node.connect(2, head(102)).connect(1, head(100));
    let ranges = node.ranges();
    assert!(!ranges.is_empty() && ranges.iter().all(|(_, of, ..)| *of == peer(1)), "{ranges:?}");
}

#[test]
fn a_range_that_stands_still_is_asked_of_another_peer() {
    let mut node = Node::follower(0);
    node.connect(1, head(100)).connect(2, head(100));
    let first = node.ranges()[0];
    node.take();
    node.at(3);
    assert_eq!(node.ranges(), []);
    node.at(4);
    assert!(node.effects.contains(&Effect::StopFetch { id: first.0 }));
    assert!(matches!(node.ranges()[..], [(_, of, 1, 100)] if of != first.1), "{:?}", node.effects);
}

#[test]
fn a_range_that_stands_still_at_the_only_peer_is_asked_of_it_again() {
    let mut node = Node::follower(0);
    node.connect(1, head(100));
    let first = node.ranges()[0];
    node.take();
    node.at(60);
    assert_eq!(node.take(), []);
    node.at(61);
    assert!(node.effects.contains(&Effect::StopFetch { id: first.0 }));
    node.at(62);
    assert!(matches!(node.ranges()[..], [(_, of, 1, 100)] if of == first.1), "{:?}", node.effects);
}

#[test]
fn a_range_that_has_come_and_is_executed_slowly_is_nobodys_fault() {
    let mut node = Node::follower(0);
    node.connect(1, head(100));
    let range = node.ranges()[0];
    node.take();
    node.ended(range.0, Some(100), FetchEnd::Done).at(100);
    assert!(node.state.peers.is_usable(node.now, peer(1)));
    assert_eq!(node.ranges(), []);
}

#[test]
fn pauses_grow_with_failures_up_to_a_bound_and_a_block_ends_them() {
    let mut node = Node::follower(0);
    node.connect(1, head(100));
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let range = node.ranges()[0];
        node.take();
        node.ended(range.0, None, FetchEnd::Failed);
        let failed = node.now;
        while node.ranges().is_empty() {
            node.now += Duration::from_millis(50);
            node.tell(State::on_tick);
        }
        pauses.push(node.now - failed);
    }
    assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
    assert!(pauses[0] <= Duration::from_millis(300) && pauses[11] <= secs(16), "{pauses:?}");
    let range = node.ranges()[0];
    node.imported(50).take();
    node.ended(range.0, Some(50), FetchEnd::Failed);
    node.now += Duration::from_millis(300);
    node.tell(State::on_tick);
    assert!(matches!(node.ranges()[..], [(_, _, 51, 100)]), "{:?}", node.effects);
}

#[test]
fn one_peer_alone_is_asked_for_the_next_range_before_the_last_one_has_come() {
    let mut node = Node::follower(0);
    node.connect(1, head(2_000));
    assert_eq!(node.ranges().iter().map(|range| (range.2, range.3)).collect::<Vec<_>>(), [(1, 128), (129, 256)]);
}

#[test]
fn what_is_imported_by_another_way_is_not_waited_for() {
    let mut node = Node::follower(0);
    node.connect(1, head(2_000));
    let ranges = node.ranges();
    node.take();
    node.durable(head(200));
    assert!(node.effects.contains(&Effect::StopFetch { id: ranges[0].0 }));
    assert_eq!(node.state.front(), 201);
}

#[test]
fn a_node_that_no_peer_brings_forward_is_stalled_and_no_try_changes_that() {
    let mut node = Node::follower(10);
    node.connect(1, head(20));
    let mut phases = Vec::new();
    for second in 1..200 {
        for (id, ..) in node.ranges() {
            node.ended(id, None, FetchEnd::Failed);
        }
        phases.extend(node.phases());
        node.take();
        node.at(second);
    }
    assert_eq!(phases, [Phase::Following, Phase::CatchingUp, Phase::Stalled]);
    let newest = KnownHead { timestamp: node.wall(), ..head(20) };
    node.imported(20).durable(newest);
    assert_eq!(node.state.phase(), Phase::Following);
}

#[test]
fn a_sealed_head_is_remembered_when_its_peer_is_gone() {
    let mut node = Node::following(10);
    node.connect(2, head(300)).lost(2);
    assert_eq!(node.state.behind_blocks(), 290);
    node.at(3);
    assert_ne!(node.state.phase(), Phase::Following);
}

#[test]
fn a_block_we_cannot_execute_stops_fetching_and_is_never_called_following() {
    let mut node = Node::following(10);
    let reason = "state root of block 11 differs".to_owned();
    node.tell(|state, now, wall| state.on_import_failed(now, wall, ImportEnd::Fault { reason }));
    assert!(node.effects.iter().any(|effect| matches!(effect, Effect::StopFetch { .. })));
    assert_eq!(node.phases(), [Phase::Stalled]);
    node.take();
    node.shows(1, head(20)).at(3);
    assert_eq!(node.take(), []);
}

#[test]
fn a_node_that_is_busy_blames_nobody_and_tries_again() {
    let mut node = Node::follower(0);
    node.connect(1, head(10));
    node.take();
    node.tell(|state, now, wall| state.on_import_failed(now, wall, ImportEnd::NotNow { peer: peer(1) }));
    assert!(node.effects.contains(&Effect::DropStaged));
    node.at(1);
    assert_eq!(node.ranges().len(), 1);
}

/// Peer 1 has the front, and the others have brought all that the window takes behind it.
fn front_waits_for_peer_1() -> (Node, FetchId) {
    let mut node = Node::follower(0);
    node.connect(1, head(5_000)).connect(2, head(5_000));
    let mut front = None;
    while !node.ranges().is_empty() {
        let ranges = node.ranges();
        node.take();
        for (id, of, from, through) in ranges {
            if from == 1 {
                assert_eq!(of, peer(1), "the first range");
                front = Some(id);
            } else {
                node.came(id, through, 100_000).ended(id, Some(through), FetchEnd::Done);
            }
        }
    }
    (node, front.expect("the front was asked for"))
}

#[test]
fn a_peer_that_brings_the_front_block_by_block_is_replaced_by_one_that_is_idle_and_what_came_is_kept() {
    let (mut node, front) = front_waits_for_peer_1();
    // A block every second: never silent for long.
    for second in 1..=4 {
        node.came(front, second, 700 * second).imported(second).at(second);
    }
    assert!(node.effects.contains(&Effect::StopFetch { id: front }), "{:?}", node.effects);
    assert!(matches!(node.ranges()[..], [(_, of, 5, 128)] if of == peer(2)), "{:?}", node.ranges());
    node.take();
    // It is not asked again while the other one can be.
    node.at(10).imported(128).shows(1, head(5_001)).shows(2, head(5_001)).at(12);
    node.imported(1_024).durable(head(1_024));
    assert!(!node.ranges().is_empty() && node.ranges().iter().all(|(_, of, ..)| *of == peer(2)), "{:?}", node.ranges());
}

#[test]
fn a_slow_peer_is_kept_where_nobody_else_could_bring_the_front() {
    let mut node = Node::follower(0);
    node.connect(1, head(100));
    let (id, ..) = node.ranges()[0];
    node.take();
    for second in 1..=50 {
        node.came(id, second, 700 * second).imported(second).at(second);
    }
    assert!(!node.effects.iter().any(|effect| matches!(effect, Effect::StopFetch { .. })), "{:?}", node.effects);
}

#[test]
fn a_large_block_over_a_good_link_and_a_slow_execution_are_no_reason_to_change_the_peer() {
    let (mut node, front) = front_waits_for_peer_1();
    // Eight seconds for the first block, at a megabyte a second.
    for second in 1..=8 {
        node.tell(|state, _, _| {
            state.on_came(front, None, second << 20);
            Vec::new()
        });
        node.at(second);
    }
    // Then it has come, and what is executed for long is not awaited.
    node.came(front, 20, 9 << 20).at(30);
    node.imported(10).at(50);
    assert!(!node.effects.contains(&Effect::StopFetch { id: front }), "{:?}", node.effects);
}

#[test]
fn where_everybody_is_slow_each_change_of_the_peer_gives_the_next_one_more_time() {
    let mut node = Node::follower(0);
    for number in 1..=5 {
        node.connect(number, head(100));
    }
    let mut changes = Vec::new();
    for second in 1..59 {
        node.at(second);
        if !node.ranges().is_empty() {
            changes.push(second);
        }
        node.take();
    }
    let gaps: Vec<_> = changes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= 2 && gaps.windows(2).all(|pair| pair[0] < pair[1]), "{changes:?}");
}

#[test]
fn what_came_of_a_range_stays_when_its_peer_is_lost() {
    let mut node = Node::follower(0);
    node.connect(1, head(100)).connect(2, head(100));
    let (id, of, ..) = node.ranges()[0];
    assert_eq!(of, peer(1));
    node.take();
    node.came(id, 40, 50_000).lost(1);
    assert!(node.effects.contains(&Effect::StopFetch { id }));
    assert!(matches!(node.ranges()[..], [(_, of, 41, 100)] if of == peer(2)), "{:?}", node.ranges());
}
