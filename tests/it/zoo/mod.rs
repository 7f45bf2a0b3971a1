//! The bad-peer zoo: a real follower meets peers that lie, each in one way. Of every kind is held that the follower
//! refuses it under a name, gets the chain from an honest peer all the same, and stays small.
//!
//! The table of kinds is in the operators' book, `docs/src/hostile-peers.md`.

mod addresses;
mod authority;
mod floods;
mod forged_blocks;
mod guest;
mod heads;
mod hellos;
mod hops;
mod http;
mod http_tricks;
mod live;
mod peer;
mod streams;
mod transactions;
mod trial;
mod unconfirmable;
mod victim;

#[test]
fn a_follower_of_honest_peers_stays_within_the_memory_that_the_others_are_compared_with() {
    let mut trial = trial::Trial::new();
    trial.gate.opens();
    trial.follower_starts();
    trial.ends_well_within(trial::HONEST_MEMORY);
}
