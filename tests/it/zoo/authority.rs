//! The authority as the victim: whoever connects to it, it goes on sealing, and its followers get the blocks.

use super::floods::{CONNECTIONS, connect};
use super::guest::Guest;
use super::http::frame;
use super::peer::{BadPeer, Lie, status};
use super::transactions::floods_until_it_is_too_much_work;
use super::trial::{ALLOWANCE, HONEST_MEMORY, Trial};
use crate::forge::{Forge, with_header};
use crate::support::node::{Node, SOON};
use crate::support::until;
use crate::support::wallet::transfers;
use alloy_primitives::B256;
use std::io::Write;

/// Waits until the authority has counted a refusal.
#[track_caller]
fn counts(authority: &Node, counter: &str, label: &str) {
    until(&format!("{counter}{{{label}}} is counted"), SOON, || {
        (authority.metric_with(counter, label) > 0).then_some(())
    });
}

/// It seals another block, which its follower gets, and has stayed small.
#[track_caller]
fn goes_on(trial: &Trial) {
    trial.follows();
    trial.authority.is_phase("following");
    let peak = trial.authority.peak_memory();
    assert!(peak <= HONEST_MEMORY + ALLOWANCE, "the authority used {peak} KiB");
}

#[test]
fn an_authority_that_is_pushed_forged_blocks_bans_their_sender_and_goes_on_sealing() {
    let trial = Trial::with_honest_peers_only();
    let authority = &trial.authority;
    let forged = with_header(trial.chain.head(), |header| header.state_root = B256::repeat_byte(0xee));
    let of_another_chain = Forge::new().extend_by(1).remove(0);
    for (block, check) in [(forged, "seal"), (of_another_chain, "extraData")] {
        let guest = Guest::of(authority, &trial.chain);
        let (_, token) = guest.greet().expect("an honest hello");
        assert_eq!(guest.request(&token, "POST", "blocks", &frame(block.bytes())).0, 202);
        counts(authority, "callboard_block_rejections_total", &format!("check=\"{check}\""));
        let banned = Err((403, "banned".to_owned()));
        until("it is banned", SOON, || (guest.greet() == banned).then_some(()));
    }
    goes_on(&trial);
}

#[test]
fn an_authority_that_is_flooded_with_connections_and_half_requests_goes_on_sealing() {
    let trial = Trial::with_honest_peers_only();
    let mut storm: Vec<_> = (0..CONNECTIONS).map(|_| connect(&trial.authority)).collect();
    storm.iter_mut().for_each(|stream| _ = stream.write_all(b"GET /peer/v1/status HTTP/1.1\r\nhost: "));
    goes_on(&trial);
    Guest::of(&trial.authority, &trial.chain).greet().expect("an honest hello");
    counts(&trial.authority, "callboard_peer_refusals_total", "reason=\"too_many_connections\"");
    drop(storm);
    goes_on(&trial);
}

#[test]
fn an_authority_that_is_sent_transactions_with_bad_signatures_refuses_them_and_goes_on_sealing() {
    let trial = Trial::with_honest_peers_only();
    let honest = transfers(5, 0, 1).remove(0);
    floods_until_it_is_too_much_work(&Guest::of(&trial.authority, &trial.chain), &honest);
    counts(&trial.authority, "callboard_peer_refusals_total", "reason=\"too_much_work\"");
    goes_on(&trial);
}

/// The authority's own seeds may lie as well: what they claim without its seal holds it back from nothing.
#[test]
fn an_authority_whose_seeds_lie_about_heads_bans_them_and_goes_on_sealing() {
    let mut trial = Trial::new();
    let lies: [Lie; 2] = [
        status(|_, status| status.height += 1_000_000),
        super::peer::on(&["status"], |honest, _| {
            let claim = with_header(honest.chain.head(), |header| header.number += 1_000_000);
            super::http::ok(&super::peer::json(&honest.status_at(&claim)))
        }),
    ];
    lies.into_iter().for_each(|lie| trial.peers.push(BadPeer::start(trial.chain.clone(), lie)));
    let seeds: Vec<_> = trial.peers.iter().map(BadPeer::url).collect();
    trial.authority.stop().set("peers.seeds", seeds).start();
    counts(&trial.authority, "callboard_peer_bans_total", "");
    trial.is_told();
    trial.gate.opens();
    trial.follower.set("peers.seeds", vec![trial.gate.url.clone()]).start();
    goes_on(&trial);
}
