//! What `callboard_peers` shows.

use super::super::state::*;
use super::super::{Clocks, Direction, Offence, PeerReport, PeerState};
use super::state::*;
use crate::callboard::Role;
use crate::transport::BootId;
use crate::transport::hello::Party;
use crate::transport::sessions::{Guest, TurnedAway};
use alloy_primitives::B256;
use std::time::{Duration, Instant};

const UNIX: u64 = 1_000_000;

fn party(byte: u8) -> Party {
    let (node_id, boot_id) = (node(byte), BootId([byte; 16]));
    Party { node_id, boot_id, nonce: [0; 32], genesis_hash: B256::ZERO, role: Role::Follower, advertise: None }
}

fn at(state: &State, now: Instant, guests: &[Guest], away: &[TurnedAway]) -> Vec<PeerReport> {
    state.report(Clocks { now, unix: UNIX }, guests, away)
}

fn only(reports: &[PeerReport], byte: u8) -> PeerReport {
    let found: Vec<_> = reports.iter().filter(|report| report.id == Some(node(byte))).collect();
    assert_eq!(found.len(), 1, "{reports:?}");
    found[0].clone()
}

#[test]
fn several_addresses_of_one_node_are_one_entry_with_all_of_them() {
    let now = Instant::now();
    let (mut state, number) = connected(now, settings(2));
    state.on_dialled(now, &seed(1), dialled(1), NO_JITTER);
    state.on_polled(now, node(1), number, Ok(head()));
    let later = now + Duration::from_secs(70);
    let report = only(&at(&state, later, &[], &[]), 1);
    assert_eq!(report.urls, [seed(0), seed(1)]);
    assert_eq!((report.state, report.direction), (PeerState::Connected, Some(Direction::Outbound)));
    assert_eq!((report.height, report.hash), (Some(0), Some(head().hash())));
    assert_eq!((report.score, report.ban.clone(), report.since), (0, None, Some(UNIX - 70)));
}

#[test]
fn direction_says_who_dialled_whom() {
    let now = Instant::now();
    let (state, _) = connected(now, settings(1));
    let guest = |byte| Guest { party: party(byte), remote: stranger(), since: now };
    let later = now + Duration::from_secs(5);
    let reports = at(&state, later, &[guest(1), guest(2)], &[]);
    assert_eq!(only(&reports, 1).direction, Some(Direction::Both));
    let inbound = only(&reports, 2);
    assert_eq!((inbound.state, inbound.direction), (PeerState::Inbound, Some(Direction::Inbound)));
    assert_eq!((inbound.url, inbound.role, inbound.since), (None, Some(Role::Follower), Some(UNIX - 5)));
}

#[test]
fn score_falls_with_offences_and_a_ban_is_shown_with_its_end_and_reason() {
    let now = Instant::now();
    let (mut state, _) = connected(now, settings(1));
    for _ in 0..3 {
        state.on_misbehaved(now, node(1), Offence::Odd, "odd");
    }
    assert_eq!(only(&at(&state, now, &[], &[]), 1).score, -3);
    state.on_misbehaved(now, node(1), Offence::Forged, "a seal that is none");
    state.on_misbehaved(now, node(7), Offence::Forged, "a node that only dialled us");
    let later = now + Duration::from_secs(10);
    let reports = at(&state, later, &[], &[]);
    for (byte, until, reason) in [(1, SEED_BAN, "a seal that is none"), (7, BAN, "a node that only dialled us")] {
        let report = only(&reports, byte);
        assert_eq!((report.state, report.score), (PeerState::Banned, -10));
        let ban = report.ban.unwrap();
        assert_eq!((ban.until, ban.reason.as_str()), (UNIX + until.as_secs() - 10, reason));
        assert_eq!(report.since, Some(UNIX - 10));
    }
    let after = at(&state, now + BAN, &[], &[]);
    assert!(only(&after, 1).ban.is_none());
    assert!(!after.iter().any(|report| report.id == Some(node(7))));
}

#[test]
fn node_that_was_turned_away_is_shown_with_the_reason_and_does_not_hide_a_peer() {
    let now = Instant::now();
    let (state, _) = connected(now, settings(1));
    let away = |byte| TurnedAway { party: party(byte), remote: stranger(), reason: "wrong chain".to_owned(), at: now };
    let reports = at(&state, now, &[], &[away(1), away(3)]);
    let refused = only(&reports, 3);
    assert_eq!((refused.state, refused.reason.as_deref()), (PeerState::Refused, Some("wrong chain")));
    assert_eq!(only(&reports, 1).state, PeerState::Connected, "anybody can claim a peer's id in a first message");
}

#[test]
fn told_address_does_not_pass_for_one_of_the_node_that_it_names() {
    let now = Instant::now();
    let (mut state, _) = connected(now, settings(1));
    state.on_session_broken(now, node(1), "gone");
    state.on_told(now, node(50), stranger(), vec![address(1, "203.0.113.2")]);
    let reports = at(&state, now, &[], &[]);
    let of_node: Vec<_> = reports.iter().filter(|report| report.id == Some(node(1))).collect();
    assert_eq!(of_node.len(), 2);
    assert!(of_node.iter().all(|report| report.urls.len() == 1));
}
