//! What others tell is bounded, and so is what this node does with it.

use super::super::book::{FORGET_AFTER, MAX_CONNECTED_PER_RANGE, MAX_PER_HOST, MAX_PER_RANGE, MAX_PER_TELLER};
use super::super::hearsay::{DIAL_RATE, MAX_DIALS_TOLD, TRIED_FOR};
use super::super::state::*;
use super::state::*;
use crate::callboard::Role;
use crate::transport::PeerUrl;
use crate::transport::wire::{MAX_ADDRESSES, PeerAddress};
use std::collections::HashSet;
use std::time::{Duration, Instant};

fn told(node_id: u8, text: String) -> Vec<PeerAddress> {
    vec![PeerAddress { node_id: node(node_id), url: url(&text) }]
}

/// Ticks every 200 ms for a time; every dial fails. What was dialled.
fn dials_in(state: &mut State, from: Instant, time: Duration) -> Vec<PeerUrl> {
    let (mut now, mut all) = (from, Vec::new());
    while now < from + time {
        for url in dials(&state.on_tick(now)) {
            state.on_dialled(now, &url, Err(failed(FailureKind::Unreachable)), NO_JITTER);
            all.push(url);
        }
        now += Duration::from_millis(200);
    }
    all
}

#[test]
fn answer_to_a_poll_of_an_older_session_is_dropped() {
    let mut now = Instant::now();
    let (mut state, old) = connected(now, settings(1));
    state.on_session_broken(now, node(1), "gone");
    now += Duration::from_secs(30);
    state.on_tick(now);
    let new = poll_number(&state.on_dialled(now, &seed(0), dialled(1), NO_JITTER));
    assert_ne!(new, old);
    let forged = Err(failed(FailureKind::Misbehaved));
    assert_eq!(state.on_polled(now, node(1), old, forged), [], "what the old session said does not cost the new one");
    assert_eq!(state.on_polled(now, node(1), old, Ok(head())), []);
    assert_eq!(state.on_tick(now + 5 * POLL_EVERY), [], "the new session's poll is still under way");
    let status = Effect::Status { peer: node(1), head: Box::new(head()) };
    assert_eq!(state.on_polled(now, node(1), new, Ok(head())), [status], "its own answer counts");
}

#[test]
fn told_address_that_nobody_answers_is_dialled_a_few_times_and_then_left_alone_whoever_tells_it() {
    let now = Instant::now();
    let mut state = State::new(now, settings(0), Vec::new());
    let victim = told(2, "http://203.0.113.9:80".to_owned());
    assert!(state.on_told(now, node(50), stranger(), victim.clone()).is_empty());
    assert_eq!(dials_in(&mut state, now, Duration::from_secs(120)).len(), MAX_DIALS_TOLD as usize);
    let later = now + Duration::from_secs(120);
    for teller in 51..60 {
        assert_eq!(state.on_told(later, node(teller), stranger(), victim.clone()), ["tried"]);
    }
    assert_eq!(dials_in(&mut state, later, Duration::from_secs(60)), []);
    let much_later = later + TRIED_FOR;
    assert!(state.on_told(much_later, node(50), stranger(), victim).is_empty(), "it may have come up since");
}

#[test]
fn one_teller_fills_no_more_than_its_part_of_the_table() {
    let now = Instant::now();
    let mut state = State::new(now, settings(0), Vec::new());
    let list = |from: u32| -> Vec<PeerAddress> {
        (from..from + MAX_ADDRESSES as u32)
            .flat_map(|n| told(2, format!("http://10.{}.{}.1:1", n / 256, n % 256)))
            .collect()
    };
    let ignored = state.on_told(now, node(50), stranger(), list(0));
    assert_eq!(ignored, vec!["teller_full"; MAX_ADDRESSES - MAX_PER_TELLER]);
    assert_eq!(report(&state, &[]).len(), MAX_PER_TELLER);
    assert!(state.on_told(now, node(51), stranger(), list(1_000)).len() < MAX_ADDRESSES, "another one is heard");
}

#[test]
fn list_of_a_hundred_thousand_addresses_costs_no_more_than_a_short_one() {
    let now = Instant::now();
    let mut state = State::new(now, settings(0), Vec::new());
    let node_id = node(2);
    let address = |n: u32| PeerAddress {
        node_id,
        url: url(&format!("http://{}.{}.{}.1:1", 11 + n / 65_536, n / 256 % 256, n % 256)),
    };
    let ignored = state.on_told(now, node(50), stranger(), (0..100_000).map(address).collect());
    assert_eq!(ignored.last(), Some(&"too_many"));
    assert!(ignored.len() <= MAX_ADDRESSES + 1);
    assert!(report(&state, &[]).len() <= MAX_PER_TELLER);
    let dialled = dials_in(&mut state, now, Duration::from_secs(3_600));
    assert!(dialled.len() <= MAX_PER_TELLER * MAX_DIALS_TOLD as usize, "{}", dialled.len());
}

#[test]
fn ports_of_one_host_and_hosts_of_one_range_are_bounded_and_private_networks_are_not() {
    let host = |n: u32| format!("http://203.0.113.9:{}", 1_000 + n);
    let name = |n: u32| format!("http://victim.example:{}", 1_000 + n);
    let range = |n: u32| format!("http://203.0.{n}.9:80");
    let private = |n: u32| format!("http://10.0.0.9:{}", 1_000 + n);
    let cases: [(&dyn Fn(u32) -> String, usize); 4] =
        [(&host, MAX_PER_HOST), (&name, MAX_PER_HOST), (&range, MAX_PER_RANGE), (&private, 60)];
    for (text, expected) in cases {
        let now = Instant::now();
        let mut state = State::new(now, settings(0), Vec::new());
        for number in 0..60 {
            state.on_told(now, node(50 + (number % 10) as u8), stranger(), told(2, text(number)));
        }
        assert_eq!(report(&state, &[]).len(), expected, "{}", text(0));
    }
    let now = Instant::now();
    let mut state = State::new(now, Settings { allow: HashSet::from([node(2)]), ..settings(0) }, Vec::new());
    (0..10).for_each(|number| _ = state.on_told(now, node(50), stranger(), told(2, host(number))));
    assert_eq!(report(&state, &[]).len(), 10, "nodes on the operator's list are exempt");
}

#[test]
fn told_addresses_are_dialled_no_faster_than_so_many_a_second() {
    let now = Instant::now();
    let mut state = State::new(now, settings(1), Vec::new());
    for number in 0..200u32 {
        let text = format!("http://10.0.{number}.1:1");
        state.on_told(now, node(50 + (number / 30) as u8), stranger(), told(2, text));
    }
    let mut hearsay = dials_in(&mut state, now, Duration::from_secs(10));
    hearsay.retain(|url| *url != seed(0));
    let most = DIAL_RATE.burst + 10 * DIAL_RATE.per_second;
    assert!(hearsay.len() as u64 <= most && hearsay.len() as u64 >= DIAL_RATE.burst, "{}", hearsay.len());
}

#[test]
fn no_range_is_all_that_a_node_sees() {
    let now = Instant::now();
    let dial_all = |allow: HashSet<_>, remote: &dyn Fn(u8) -> String| {
        let mut state = State::new(now, Settings { allow, ..settings(1) }, Vec::new());
        for byte in 10..26 {
            state.on_told(now, node(byte), stranger(), told(byte, format!("http://10.0.0.{byte}:1")));
        }
        let mut connected = 0;
        for url in dials(&state.on_tick(now)).into_iter().filter(|url| *url != seed(0)) {
            let byte: u8 = url.host().to_string().rsplit('.').next().unwrap().parse().unwrap();
            let remote = Some(remote(byte).parse().unwrap());
            let result = Ok(Dialled { peer: node(byte), role: Role::Follower, remote });
            let effects = state.on_dialled(now, &url, result, NO_JITTER);
            connected += usize::from(effects.iter().any(|effect| matches!(effect, Effect::Connected { .. })));
        }
        // A seed is the operator's choice, wherever it is.
        let remote = Some(remote(77).parse().unwrap());
        let result = Ok(Dialled { peer: node(77), role: Role::Follower, remote });
        let effects = state.on_dialled(now, &seed(0), result, NO_JITTER);
        assert_eq!(effects.contains(&Effect::Connected { peer: node(77), is_seed: true }), connected < 20);
        connected
    };
    assert_eq!(dial_all(HashSet::new(), &|byte| format!("203.0.113.{byte}")), MAX_CONNECTED_PER_RANGE);
    assert_eq!(dial_all(HashSet::new(), &|byte| format!("203.{byte}.113.1")), 15, "ranges of their own");
    assert_eq!(dial_all(HashSet::new(), &|byte| format!("192.168.0.{byte}")), 15, "a private network");
    let listed = (10..78).map(node).collect();
    assert_eq!(dial_all(listed, &|byte| format!("203.0.113.{byte}")), 15, "the operator's list");
}

#[test]
fn address_that_was_not_seen_for_a_week_is_forgotten_although_no_dial_of_it_was_due() {
    let now = Instant::now();
    let remembered: Vec<PeerAddress> = (10..60).map(|byte| address(byte, &format!("10.0.0.{byte}"))).collect();
    let mut state = State::new(now, Settings { max_peers: 0, ..settings(1) }, remembered);
    assert_eq!(dials(&state.on_tick(now)), [seed(0)], "there is no place for others");
    let forgotten =
        |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Forget { .. })).count();
    assert_eq!(forgotten(&state.on_tick(now + FORGET_AFTER - Duration::from_secs(1))), 0);
    assert_eq!(forgotten(&state.on_tick(now + FORGET_AFTER)), 50);
    assert_eq!(report(&state, &[]).len(), 1, "the seed stays");
}

#[test]
fn banned_node_is_not_dialled_at_an_address_that_somebody_tells() {
    let now = Instant::now();
    let mut state = State::new(now, settings(0), Vec::new());
    state.on_misbehaved(now, node(2), super::super::Offence::Forged, "forged");
    assert_eq!(state.on_told(now, node(50), stranger(), told(2, "http://10.0.0.1:1".to_owned())), ["banned"]);
}
