//! More of everything than a node can take.

use super::guest::Guest;
use super::http::{frame, read_answer};
use super::peer::{random, status};
use super::trial::Trial;
use crate::forge::with_header;
use crate::support::node::{Node, SOON};
use crate::support::until;
use alloy_primitives::B256;
use std::io::Write;
use std::net::TcpStream;

/// More connections than the peer listener takes at once.
pub(super) const CONNECTIONS: usize = 600;

pub(super) fn connect(node: &Node) -> TcpStream {
    TcpStream::connect(node.peer_url().replace("http://", "")).expect("it listens")
}

/// All of them stay open, say nothing, and come again.
#[test]
fn a_storm_of_connections_is_refused_by_name_and_keeps_nobody_else_out() {
    let mut trial = Trial::with_honest_peers_only();
    for _ in 0..3 {
        let storm: Vec<_> = (0..CONNECTIONS).map(|_| connect(&trial.follower)).collect();
        trial.follows();
        Guest::of(&trial.follower, &trial.chain).greet().expect("an honest hello");
        drop(storm);
    }
    trial.refuses_a_request_with("too_many_connections");
    trial.ends_well();
}

/// Half a request on each of them: the oldest are closed at once, the newest when their time is up.
#[test]
fn half_open_connections_are_closed_with_a_reason_and_keep_nobody_out_for_long() {
    let mut trial = Trial::with_honest_peers_only();
    let mut half_open: Vec<_> = (0..CONNECTIONS).map(|_| connect(&trial.follower)).collect();
    half_open.iter_mut().for_each(|stream| _ = stream.write_all(b"GET /peer/v1/status HTTP/1.1\r\nhost: "));
    trial.follows();
    let (status, _) = read_answer(half_open.pop().expect("many")).expect("an answer");
    assert_eq!(status, 408);
    Guest::of(&trial.follower, &trial.chain).greet().expect("an honest hello");
    trial.ends_well();
}

#[test]
fn a_pushed_block_with_a_wrong_seal_costs_its_sender_the_session_and_a_ban() {
    let mut trial = Trial::with_honest_peers_only();
    let guest = Guest::of(&trial.follower, &trial.chain);
    let (_, token) = guest.greet().expect("an honest hello");
    let forged = with_header(trial.chain.head(), |header| header.state_root = B256::repeat_byte(0xee));
    assert_eq!(guest.request(&token, "POST", "blocks", &frame(forged.bytes())).0, 202);
    trial.refuses_a_block_by("seal");
    let no_session = (401, "no_session".to_owned());
    until("its session ends", SOON, || (guest.request(&token, "GET", "peers", b"") == no_session).then_some(()));
    assert_eq!(guest.greet(), Err((403, "banned".to_owned())));
    trial.refuses_a_request_with("no_session");
    trial.refuses_a_request_with("banned");
    trial.counts("callboard_peer_bans_total", "");
    trial.ends_well();
}

#[test]
fn a_crowd_of_strangers_fills_its_own_places_and_not_the_seeds() {
    let mut trial = Trial::new();
    trial.follower.set("peers.max", 4);
    // Another seed, honest in everything: it can dial in, too.
    trial.bad_peer(status(|_, _| ()));
    trial.gate.opens();
    trial.follower_starts();
    trial.follows();
    // It starts again, and the way to the one seed is open only after the crowd has come.
    trial.gate.closes();
    trial.follower.stop().start();
    trial.id_of(&trial.peers[0].url());
    let greet = |_| Guest::of(&trial.follower, &trial.chain).greet().map(drop);
    let answers: Vec<_> = (0..20).map(greet).collect();
    assert_eq!(answers[..4], [const { Ok(()) }; 4]);
    assert!(answers[4..].iter().all(|answer| *answer == Err((503, "full".to_owned()))), "{answers:?}");
    trial.refuses_a_request_with("full");
    assert_ne!(trial.said_of(&trial.gate.url).map(|seed| seed["state"].clone()), Some("connected".into()));
    trial.gate.opens();
    trial.follows();
    let mut seed = Guest::of(&trial.follower, &trial.chain);
    seed.identity = trial.peers[0].identity();
    assert_eq!(seed.greet().map(drop), Ok(()), "a place is kept for it");
    assert_eq!(Guest::of(&trial.follower, &trial.chain).greet().map(drop), Err((503, "full".to_owned())));
    trial.ends_well();
}

#[test]
fn tokens_that_nobody_was_given_open_nothing() {
    let mut trial = Trial::with_honest_peers_only();
    let guest = Guest::of(&trial.follower, &trial.chain);
    for route in ["peers", "blocks?from=0&count=1", "blocks?from=0&follow=true"] {
        let token = hex::encode(random::<32>());
        assert_eq!(guest.request(&token, "GET", route, b""), (401, "no_session".to_owned()), "{route}");
    }
    trial.refuses_a_request_with("no_session");
    trial.ends_well();
}
