use super::super::book::{
    FIRST_PAUSE, LONGEST_SEED_PAUSE, MAX_CANDIDATES, MAX_FAILURES, MAX_PER_TELLER, REFUSED_SEED_PAUSE,
};
use super::super::state::*;
use super::super::{Clocks, Offence, PeerReport, PeerState};
use crate::callboard::Role;
use crate::transport::client::Reach;
use crate::transport::hello::Party;
use crate::transport::sessions::Guest;
use crate::transport::testing::key;
use crate::transport::wire::PeerAddress;
use crate::transport::{BootId, NodeId, PeerUrl, SealedHead};
use alloy_primitives::B256;
use callboard_chain::Block;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The middle of the range: pauses are then exactly as long as planned.
pub(super) const NO_JITTER: u64 = 250;

pub(super) fn node(byte: u8) -> NodeId {
    NodeId::of(&key(byte))
}

pub(super) fn url(text: &str) -> PeerUrl {
    text.parse().unwrap()
}

pub(super) fn seed(number: u8) -> PeerUrl {
    url(&format!("http://seed-{number}:9545"))
}

pub(super) fn address(byte: u8, host: &str) -> PeerAddress {
    PeerAddress { node_id: node(byte), url: url(&format!("http://{host}:9545")) }
}

pub(super) fn settings(seeds: u8) -> Settings {
    Settings { seeds: (0..seeds).map(seed).collect(), max_peers: 64, allow: HashSet::new(), discovery: true }
}

pub(super) fn dialled(byte: u8) -> Result<Dialled, Failure> {
    Ok(Dialled { peer: node(byte), role: Role::Follower, remote: None })
}

pub(super) fn failed(kind: FailureKind) -> Failure {
    Failure { kind, reason: "because".to_owned() }
}

pub(super) fn head() -> SealedHead {
    SealedHead::of(&Block::sealed(Default::default(), Vec::new(), &key(1)))
}

pub(super) fn stranger() -> Option<IpAddr> {
    Some("203.0.113.1".parse().unwrap())
}

pub(super) fn dials(effects: &[Effect]) -> Vec<PeerUrl> {
    let dial = |effect: &Effect| match effect {
        Effect::Dial { url, .. } => Some(url.clone()),
        _ => None,
    };
    effects.iter().filter_map(dial).collect()
}

/// A state in which seed 0 is node 1 and connected, and the number of its poll.
pub(super) fn connected(now: Instant, settings: Settings) -> (State, u64) {
    let mut state = State::new(now, settings, Vec::new());
    state.on_tick(now);
    let effects = state.on_dialled(now, &seed(0), dialled(1), NO_JITTER);
    assert!(effects.contains(&Effect::Connected { peer: node(1), is_seed: true }), "{effects:?}");
    assert!(effects.contains(&Effect::Reserve { peer: node(1) }), "{effects:?}");
    let number = poll_number(&effects);
    (state, number)
}

pub(super) fn poll_number(effects: &[Effect]) -> u64 {
    let number = |effect: &Effect| match effect {
        Effect::Poll { number, .. } => Some(*number),
        _ => None,
    };
    effects.iter().find_map(number).unwrap()
}

pub(super) fn report(state: &State, guests: &[Guest]) -> Vec<PeerReport> {
    state.report(Clocks { now: Instant::now(), unix: 1_000_000 }, guests, &[])
}

pub(super) fn state_of(state: &State, url: &PeerUrl) -> Option<PeerState> {
    report(state, &[]).into_iter().find(|report| report.url.as_ref() == Some(url)).map(|report| report.state)
}

#[test]
fn every_seed_is_dialled_at_once_and_only_once_at_a_time() {
    let now = Instant::now();
    let mut state = State::new(now, settings(3), Vec::new());
    assert_eq!(dials(&state.on_tick(now)), [seed(0), seed(1), seed(2)]);
    assert_eq!(dials(&state.on_tick(now + Duration::from_secs(3_600))), [], "the dials are still under way");
}

#[test]
fn first_dials_are_over_when_each_has_ended_and_that_is_said_once() {
    let now = Instant::now();
    let mut state = State::new(now, settings(2), vec![address(3, "203.0.113.3")]);
    state.on_tick(now);
    let is_end = |effects: Vec<Effect>| effects.contains(&Effect::FirstDialsEnded { connected: 1 });
    let welcome = state.on_dialled(now, &seed(0), dialled(1), NO_JITTER);
    let number = poll_number(&welcome);
    assert!(!is_end(welcome));
    let refused = Err(failed(FailureKind::Refused));
    assert!(!is_end(state.on_dialled(now, &seed(1), refused, NO_JITTER)));
    let failure = Err(failed(FailureKind::Unreachable));
    let remembered = address(3, "203.0.113.3").url;
    assert!(!is_end(state.on_dialled(now, &remembered, failure.clone(), NO_JITTER)), "one has not shown its head yet");
    assert!(is_end(state.on_polled(now, node(1), number, Ok(head()))));
    assert!(!is_end(state.on_dialled(now, &remembered, failure, NO_JITTER)));
    assert!(!is_end(state.on_polled(now, node(1), number, Ok(head()))));

    let mut alone = State::new(now, settings(0), Vec::new());
    assert_eq!(alone.on_tick(now), [Effect::FirstDialsEnded { connected: 0 }], "nobody to wait for");
}

#[test]
fn dead_seed_is_dialled_ever_more_rarely_and_for_ever() {
    let (mut now, mut pauses) = (Instant::now(), Vec::new());
    let mut state = State::new(now, settings(1), Vec::new());
    for _ in 0..3 * MAX_FAILURES {
        let started = now;
        while dials(&state.on_tick(now)).is_empty() {
            now += Duration::from_millis(100);
        }
        pauses.push(now - started);
        state.on_dialled(now, &seed(0), Err(failed(FailureKind::Unreachable)), NO_JITTER);
    }
    assert_eq!(pauses[1..4], [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]);
    assert_eq!(pauses.last(), Some(&LONGEST_SEED_PAUSE));
    assert!(pauses.is_sorted());
}

#[test]
fn jitter_spreads_dials_by_a_quarter_either_way() {
    for (jitter, expected) in [(0, 750), (250, 1_000), (500, 1_250), (501, 750), (u64::MAX, 750 + u64::MAX % 501)] {
        let now = Instant::now();
        let mut state = State::new(now, settings(1), Vec::new());
        state.on_tick(now);
        state.on_dialled(now, &seed(0), Err(failed(FailureKind::Unreachable)), jitter);
        let due = now + Duration::from_millis(expected);
        assert_eq!(dials(&state.on_tick(due - Duration::from_millis(1))), [], "jitter {jitter}");
        assert_eq!(dials(&state.on_tick(due)), [seed(0)], "jitter {jitter}");
    }
}

#[test]
fn seed_that_is_this_node_itself_or_on_another_chain_is_shown_as_refused_with_the_reason() {
    let now = Instant::now();
    let mut state = State::new(now, settings(1), Vec::new());
    state.on_tick(now);
    let failure = Failure { kind: FailureKind::Refused, reason: "that is this node itself".to_owned() };
    state.on_dialled(now, &seed(0), Err(failure), NO_JITTER);
    let report = &report(&state, &[])[0];
    assert_eq!((report.state, report.reason.as_deref()), (PeerState::Refused, Some("that is this node itself")));
    assert_eq!(dials(&state.on_tick(now + REFUSED_SEED_PAUSE)), [seed(0)], "it is looked at again");
}

#[test]
fn connected_peer_is_polled_every_second_and_never_twice_at_a_time() {
    let mut now = Instant::now();
    let (mut state, number) = connected(now, settings(1));
    now += 5 * POLL_EVERY;
    assert_eq!(state.on_tick(now), [], "the first poll is under way");
    assert_eq!(
        state.on_polled(now, node(1), number, Ok(head())),
        [Effect::Status { peer: node(1), head: Box::new(head()) }, Effect::FirstDialsEnded { connected: 1 }]
    );
    assert_eq!(state.on_tick(now), [Effect::Poll { peer: node(1), number }]);
    state.on_polled(now, node(1), number, Ok(head()));
    assert_eq!(state.on_tick(now + POLL_EVERY / 2), []);
    let report = &report(&state, &[])[0];
    assert_eq!((report.state, report.height, report.hash), (PeerState::Connected, Some(0), Some(head().hash())));
}

#[test]
fn peer_that_misses_polls_in_a_row_is_lost_and_dialled_again() {
    let mut now = Instant::now();
    let (mut state, number) = connected(now, settings(1));
    let miss = || Err(failed(FailureKind::Unreachable));
    let first = state.on_polled(now, node(1), number, miss());
    assert_eq!(first, [Effect::FirstDialsEnded { connected: 1 }], "a missed poll is an answer too");
    for _ in 2..MAX_MISSED_POLLS {
        assert_eq!(state.on_polled(now, node(1), number, miss()), []);
    }
    state.on_polled(now, node(1), number, Ok(head()));
    for _ in 1..MAX_MISSED_POLLS {
        assert_eq!(state.on_polled(now, node(1), number, miss()), [], "an answer in between starts the count anew");
    }
    let lost = Effect::Lost { peer: node(1), reason: "because".to_owned() };
    assert_eq!(state.on_polled(now, node(1), number, miss()), [lost]);
    now += FIRST_PAUSE;
    assert_eq!(dials(&state.on_tick(now)), [seed(0)]);
    assert_eq!(state.on_polled(now, node(1), number, Ok(head())), [], "a late answer of the old session is dropped");
}

#[test]
fn broken_session_is_dialled_again_and_a_peer_that_is_not_connected_is_not_lost_twice() {
    let now = Instant::now();
    let (mut state, _) = connected(now, settings(1));
    assert_eq!(state.on_session_broken(now, node(1), "gone").len(), 1);
    assert_eq!(state.on_session_broken(now, node(1), "gone"), []);
    assert_eq!(dials(&state.on_tick(now + FIRST_PAUSE)), [seed(0)]);
}

#[test]
fn forged_answer_is_a_ban_at_once_and_a_seed_comes_back_sooner() {
    let now = Instant::now();
    let (mut state, number) = connected(now, settings(1));
    let effects = state.on_polled(now, node(1), number, Err(failed(FailureKind::Misbehaved)));
    assert!(effects.contains(&Effect::Ban { peer: node(1), until: now + SEED_BAN }), "{effects:?}");
    assert!(matches!(effects[0], Effect::Lost { .. }));
    assert_eq!(state_of(&state, &seed(0)), Some(PeerState::Banned));
    assert_eq!(dials(&state.on_tick(now + SEED_BAN - Duration::from_millis(1))), []);
    assert_eq!(dials(&state.on_tick(now + SEED_BAN)), [seed(0)]);
}

#[test]
fn odd_behaviour_adds_up_to_a_ban_and_fades() {
    let mut now = Instant::now();
    let mut state = State::new(now, settings(0), Vec::new());
    let mut odd = |now| !state.on_misbehaved(now, node(1), Offence::Odd, "odd").is_empty();
    assert!((0..9).all(|_| !odd(now)));
    assert!(odd(now), "the tenth");
    for _ in 0..100 {
        now += Duration::from_secs(61);
        assert!(!odd(now), "one a minute is bad luck");
    }
}

#[test]
fn banned_node_is_not_welcome_under_another_address() {
    let now = Instant::now();
    let mut state = State::new(now, settings(1), Vec::new());
    state.on_misbehaved(now, node(1), Offence::Forged, "forged");
    state.on_tick(now);
    let effects = state.on_dialled(now, &seed(0), dialled(1), NO_JITTER);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Connected { .. })), "{effects:?}");
    assert_eq!(state_of(&state, &seed(0)), Some(PeerState::Refused));
}

#[test]
fn with_an_allow_list_nobody_else_is_connected() {
    let now = Instant::now();
    let mut state = State::new(now, Settings { allow: HashSet::from([node(2)]), ..settings(1) }, Vec::new());
    state.on_tick(now);
    let effects = state.on_dialled(now, &seed(0), dialled(1), NO_JITTER);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Connected { .. })), "{effects:?}");
}

#[test]
fn same_node_under_two_addresses_is_one_peer() {
    let now = Instant::now();
    let (mut state, _) = connected(now, settings(2));
    let effects = state.on_dialled(now, &seed(1), dialled(1), NO_JITTER);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Connected { .. })), "{effects:?}");
    state.on_session_broken(now, node(1), "gone");
    assert_eq!(dials(&state.on_tick(now + FIRST_PAUSE)), [seed(0), seed(1)], "both are dialled again");
}

#[test]
fn told_address_enters_the_book_only_after_our_own_dial_reached_the_named_node() {
    let now = Instant::now();
    let (mut state, _) = connected(now, settings(1));
    let told = address(2, "203.0.113.2");
    state.on_told(now, node(50), stranger(), vec![told.clone()]);
    assert_eq!(state.addresses_for(node(9), stranger()), Some(vec![PeerAddress { node_id: node(1), url: seed(0) }]));
    let effects = state.on_tick(now);
    let dial = Effect::Dial { url: told.url.clone(), reach: Reach::NotLocal, expected: Some(node(2)), is_seed: false };
    assert!(effects.contains(&dial), "{effects:?}");
    let effects = state.on_dialled(now, &told.url, dialled(2), NO_JITTER);
    assert!(effects.contains(&Effect::Remember(told.clone())), "{effects:?}");
    assert!(state.addresses_for(node(9), stranger()).unwrap().contains(&told));
    assert!(!state.addresses_for(node(2), stranger()).unwrap().contains(&told), "nobody is told its own");

    let lie = address(3, "203.0.113.3");
    state.on_told(now, node(50), stranger(), vec![lie.clone()]);
    state.on_tick(now);
    state.on_dialled(now, &lie.url, Err(failed(FailureKind::Refused)), NO_JITTER);
    assert_eq!(state_of(&state, &lie.url), None, "hearsay that is refused is forgotten");
}

#[test]
fn addresses_of_this_machine_or_link_are_believed_and_told_only_on_this_machine_or_link() {
    let local: Option<IpAddr> = Some("127.0.0.1".parse().unwrap());
    for (teller, host, is_dialled) in [
        (stranger(), "127.0.0.1", false),
        (stranger(), "169.254.169.254", false),
        (stranger(), "localhost", false),
        (stranger(), "[::1]", false),
        (stranger(), "10.0.0.5", true),
        (None, "127.0.0.1", false),
        (local, "127.0.0.1", true),
        (local, "203.0.113.2", true),
    ] {
        let now = Instant::now();
        let mut state = State::new(now, settings(0), Vec::new());
        state.on_told(now, node(50), teller, vec![address(2, host)]);
        assert_eq!(!dials(&state.on_tick(now)).is_empty(), is_dialled, "{teller:?} tells {host}");
        if is_dialled {
            state.on_dialled(now, &address(2, host).url, dialled(2), NO_JITTER);
            let is_told = |asker| !state.addresses_for(node(9), asker).unwrap().is_empty();
            assert!(is_told(local));
            assert_eq!(is_told(stranger()), host != "127.0.0.1");
        }
    }
}

#[test]
fn node_that_dials_us_is_dialled_back_where_it_says_it_can_be() {
    let now = Instant::now();
    let mut state = State::new(now, settings(0), Vec::new());
    let party = Party {
        node_id: node(2),
        boot_id: BootId([2; 16]),
        nonce: [0; 32],
        genesis_hash: B256::ZERO,
        role: Role::Follower,
        advertise: Some(url("http://203.0.113.2:9545")),
    };
    let guest = Guest { party, remote: stranger(), since: now };
    state.on_greeted(now, guest.clone());
    assert_eq!(dials(&state.on_tick(now)), [url("http://203.0.113.2:9545")]);
    let inbound = report(&state, &[guest]).into_iter().filter(|report| report.state == PeerState::Inbound).count();
    assert_eq!(inbound, 1);
}

#[test]
fn hearsay_is_bounded_and_never_crowds_out_a_seed() {
    let now = Instant::now();
    let mut state = State::new(now, settings(1), Vec::new());
    for number in 0..2 * MAX_CANDIDATES {
        let told =
            PeerAddress { node_id: node(2), url: url(&format!("http://10.0.{}.{}:1", number / 256, number % 256)) };
        state.on_told(now, node(1 + (number / MAX_PER_TELLER) as u8), stranger(), vec![told]);
    }
    assert_eq!(report(&state, &[]).len(), 1 + MAX_CANDIDATES);
    let first = dials(&state.on_tick(now));
    assert_eq!((first.len(), first[0].clone()), (MAX_DIALS, seed(0)), "the seed goes first");
}

#[test]
fn no_more_than_the_wanted_peers_are_dialled_beside_the_seeds() {
    let now = Instant::now();
    let mut state = State::new(now, settings(0), Vec::new());
    for number in 0..2 * OUTBOUND_PEERS as u8 {
        state.on_told(now, node(50), stranger(), vec![address(number + 10, &format!("10.0.0.{number}"))]);
    }
    let mut connected = 0;
    loop {
        let dialled_now = dials(&state.on_tick(now));
        if dialled_now.is_empty() {
            break;
        }
        for url in dialled_now {
            state.on_dialled(now, &url, dialled(10 + connected), NO_JITTER);
            connected += 1;
        }
    }
    assert_eq!(usize::from(connected), OUTBOUND_PEERS);
}

#[test]
fn address_that_fails_for_long_is_forgotten_and_a_seeds_is_not() {
    let mut now = Instant::now();
    let remembered = address(2, "203.0.113.2");
    let mut state = State::new(now, settings(1), vec![remembered.clone()]);
    let mut forgotten = false;
    for _ in 0..MAX_FAILURES {
        now += Duration::from_secs(3_600);
        for url in dials(&state.on_tick(now)) {
            let effects = state.on_dialled(now, &url, Err(failed(FailureKind::Unreachable)), NO_JITTER);
            forgotten |= effects.contains(&Effect::Forget { peer: node(2) });
        }
    }
    assert!(forgotten);
    assert_eq!(state_of(&state, &remembered.url), None);
    assert!(state_of(&state, &seed(0)).is_some());
}

#[test]
fn without_discovery_addresses_are_neither_believed_nor_told() {
    let now = Instant::now();
    let (mut state, _) = connected(now, Settings { discovery: false, ..settings(1) });
    state.on_told(now, node(50), stranger(), vec![address(2, "203.0.113.2")]);
    assert_eq!(report(&state, &[]).len(), 1);
    assert_eq!(state.addresses_for(node(9), stranger()), None);
}
