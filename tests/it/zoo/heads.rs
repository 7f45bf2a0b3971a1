//! Lies about heads: heights, times, chains.

use super::http::{OPEN_HEAD, ok};
use super::peer::{BadPeer, Chain, Lie, frames, json, on, status};
use super::trial::{ALLOWANCE, HONEST_MEMORY, Trial};
use crate::forge::{sealed_again, with_header};
use crate::support::node::SOON;
use crate::support::until;
use alloy_consensus::Header;
use callboard::dev;
use callboard_actors::transport::wire::StatusBody;
use callboard_chain::{Block, SealedGenesis};
use serde_json::Value;

const TEN_YEARS: u64 = 10 * 365 * 86_400;

/// Its head with another header, under the honest seal.
fn with_head(falsify: fn(&mut Header)) -> Lie {
    on(&["status"], move |honest, _| ok(&json(&honest.status_at(&with_header(honest.chain.head(), falsify)))))
}

/// Another value beside the honest header.
fn beside(falsify: fn(&mut StatusBody)) -> Lie {
    status(move |_, status| falsify(status))
}

/// Refused at the first look: nothing that they claim has become a target.
#[track_caller]
fn are_banned(lies: [Lie; 2], reason: &str) {
    let mut trial = Trial::against(lies);
    trial.is(&trial.peers[0].url(), "banned", "the seal over its head");
    trial.is(&trial.peers[1].url(), "banned", reason);
    let status = trial.follower.status();
    assert_eq!((&status["target"], &status["behindBlocks"]), (&Value::Null, &serde_json::json!(0)));
    trial.ends_well();
}

#[test]
fn a_height_above_the_sealed_one_is_no_target_and_costs_its_teller_a_ban() {
    let lies = [with_head(|header| header.number += 1_000_000), beside(|status| status.height += 1_000_000)];
    are_banned(lies, "beside the header");
}

#[test]
fn a_height_below_the_sealed_one_costs_its_teller_a_ban() {
    are_banned([with_head(|header| header.number -= 1), beside(|status| status.height -= 1)], "its height is");
}

#[test]
fn a_time_in_the_future_that_nobody_sealed_costs_its_teller_a_ban() {
    let lies = [with_head(|header| header.timestamp += TEN_YEARS), beside(|status| status.timestamp += TEN_YEARS)];
    are_banned(lies, "its timestamp is");
}

/// An honest peer may be behind: an old head is no lie that can be proven, and holds nobody back.
#[test]
fn an_old_head_shown_as_the_newest_is_no_ceiling() {
    let mut trial =
        Trial::against([on(&["status"], |honest, _| ok(&json(&honest.status_at(&honest.chain.blocks[1]))))]);
    trial.follower.reaches(1);
    trial.ends_well();
    trial.says_of(&trial.peers[0].url(), "connected", |peer| peer["state"] == "connected" && peer["height"] == 1);
}

/// Shows this block instead of the honest one of its height.
fn forked_at(twin: Block) -> Lie {
    on(&["status", "blocks"], move |honest, request| {
        let fork = |block: Block| if block.height() == twin.height() { twin.clone() } else { block };
        match &*request.route {
            "status" => ok(&json(&honest.status_at(&twin))),
            _ => [OPEN_HEAD, &frames(honest.asked(request).into_iter().map(fork))].concat(),
        }
    })
}

/// With the authority's key, another block at the height of the head.
#[test]
fn two_blocks_sealed_at_one_height_are_a_divergence_with_both_hashes_and_the_chain_goes_on() {
    let mut trial = Trial::new();
    let head = trial.chain.head().clone();
    let twin = sealed_again(&with_header(&head, |header| header.timestamp += 1));
    let peer = BadPeer::honest_at_first(trial.chain.clone(), forked_at(twin.clone()));
    trial.peers.push(peer);
    trial.gate.opens();
    trial.follower_starts();
    trial.follower.reaches(head.height());
    trial.peers[0].begins_to_lie();
    trial.follower.is_phase("diverged");
    let found = until("both hashes are said", SOON, || {
        Some(trial.follower.status()["divergence"].clone()).filter(|found| !found["lastCommonHeight"].is_null())
    });
    let expected = [
        serde_json::json!(head.height()),
        serde_json::json!(head.height() - 1),
        serde_json::json!(head.hash()),
        serde_json::json!(twin.hash()),
    ];
    assert_eq!(["height", "lastCommonHeight", "ours", "theirs"].map(|field| found[field].clone()), expected);
    assert_eq!(found["peer"], trial.peers[0].node_id().to_string());
    assert_eq!(trial.follower.get("/health/ready").0, 503);
    trial.gets_the_next_block();
    trial.stayed_small(HONEST_MEMORY + ALLOWANCE);
    trial.follower.is_phase("diverged");
}

#[test]
fn a_peer_of_another_chain_is_refused_with_the_difference() {
    let mut trial = Trial::new();
    let mut genesis = trial.chain.genesis.genesis().clone();
    genesis.config.gas_limit = 8_000_000;
    genesis.config.authority = dev::key(3).address();
    let genesis = SealedGenesis::seal(genesis, &dev::key(3)).expect("a genesis");
    let other = Chain { blocks: vec![genesis.block().clone()], genesis };
    trial.follower.set("genesis.hash", trial.chain.genesis.hash().to_string());
    trial.peers.push(BadPeer::start(other, on(&["hello"], |honest, request| honest.hello(&request.body))));
    trial.gate.opens();
    trial.follower_starts();
    trial.is(&trial.peers[0].url(), "refused", "gasLimit differs: 30000000 here, 8000000 there");
    trial.is(&trial.peers[0].url(), "refused", "wrong chain: ");
    trial.ends_well();
}
