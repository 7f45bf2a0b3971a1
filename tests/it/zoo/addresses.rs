//! Addresses by hearsay.

use super::guest::Guest;
use super::http::ok;
use super::peer::{Lie, json, on, random};
use super::trial::Trial;
use super::victim::Victim;
use callboard_actors::transport::NodeId;
use callboard_actors::transport::wire::{AddressesBody, MAX_ADDRESSES, PeerAddress};
use callboard_chain::SecretKey;
use serde_json::json;

/// Addresses that a dishonest peer can tell at once.
const LIST: usize = 100_000;

/// The address `number` of this machine at `port`, under the name of a node that nobody has met.
fn address(number: usize, port: u16) -> PeerAddress {
    let [.., high, middle, low] = (number + 2).to_be_bytes();
    let url = format!("http://127.{high}.{middle}.{low}:{port}").parse().expect("an address");
    let key = SecretKey::from_bytes(random()).expect("a key");
    PeerAddress { node_id: NodeId::of(&key), url }
}

fn tells(peers: Vec<PeerAddress>) -> Lie {
    let body = json(&AddressesBody { peers });
    on(&["peers"], move |_, _| ok(&body))
}

/// Many addresses of one victim, told by one peer: they are not this node's to knock at again and again.
#[test]
fn a_victim_whose_addresses_are_told_is_hardly_knocked_at_and_told_to_nobody() {
    let victim = Victim::new();
    let mut trial = Trial::against([tells((0..MAX_ADDRESSES).map(|number| address(number, victim.port)).collect())]);
    trial.ends_well();
    let knocks = victim.connections();
    // A burst of 16, and one more a second.
    assert!((1..=60).contains(&knocks), "{knocks} connections");
    trial.counts("callboard_peer_addresses_ignored_total", "reason=\"teller_full\"");
    let guest = Guest::of(&trial.follower, &trial.chain);
    let (_, token) = guest.greet().expect("an honest hello");
    let (status, told) = guest.ask("GET", "peers", &format!("callboard-session: {token}\r\n"), b"");
    let told = String::from_utf8(told).expect("text");
    assert!(status == 200 && !told.contains(&victim.port.to_string()), "{told}");
}

#[test]
fn a_list_of_a_hundred_thousand_addresses_is_refused_whole_and_costs_its_teller_a_ban() {
    // One key for all: making keys is not what is tested.
    let one = address(0, 1);
    let list: Vec<_> = (0..LIST).map(|number| PeerAddress { url: url(number), ..one.clone() }).collect();
    let body = json(&AddressesBody { peers: list.clone() });
    let mut trial = Trial::against([tells(list)]);
    trial.all_are("banned", "the answer is longer than the 65536 bytes that are allowed");
    let guest = Guest::of(&trial.follower, &trial.chain);
    let (_, token) = guest.greet().expect("an honest hello");
    assert_eq!(guest.request(&token, "POST", "peers", &body), (413, "too_long".to_owned()));
    let too_many = json(&AddressesBody { peers: vec![one; MAX_ADDRESSES + 1] });
    assert_eq!(guest.request(&token, "POST", "peers", &too_many), (400, "malformed".to_owned()));
    trial.refuses_a_request_with("too_long");
    trial.refuses_a_request_with("malformed");
    trial.ends_well();
}

fn url(number: usize) -> callboard_actors::transport::PeerUrl {
    let [.., high, middle, low] = (number + 2).to_be_bytes();
    format!("http://127.{high}.{middle}.{low}:1").parse().expect("an address")
}

/// As many in small lists: the book of addresses stays as small as it is meant to be.
#[test]
fn a_hundred_thousand_addresses_in_small_lists_are_mostly_ignored() {
    let mut trial = Trial::with_honest_peers_only();
    let guest = Guest::of(&trial.follower, &trial.chain);
    let (_, token) = guest.greet().expect("an honest hello");
    let one = address(0, 1);
    for first in (0..LIST).step_by(MAX_ADDRESSES) {
        let list = (first..first + MAX_ADDRESSES).map(|number| PeerAddress { url: url(number), ..one.clone() });
        let (status, code) = guest.request(&token, "POST", "peers", &json(&AddressesBody { peers: list.collect() }));
        assert!(status == 202 || ["busy", "too_many_requests"].contains(&&*code), "{status} {code}");
    }
    trial.counts("callboard_peer_addresses_ignored_total", "reason=\"teller_full\"");
    let known = trial.follower.call("callboard_peers", json!([]));
    assert!(known.as_array().expect("a list").len() <= 300, "the book is bounded");
    trial.ends_well();
}
