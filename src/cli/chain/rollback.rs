//! `chain rollback`, and what a node remembers of it.

use crate::cli::args::RollbackArgs;
use crate::cli::{CliError, Output};
use crate::configuration::Configuration;
use crate::node::blocks_above;
use crate::start;
use callboard_actors::callboard::Role;
use callboard_store::{GivenUpBranch, MAX_GIVEN_UP, NodeStore, OwnBlock, Store, ToldDivergence};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// Works on the database of a stopped node; a running one holds it locked.
pub(super) fn run(args: &RollbackArgs) -> Result<(), CliError> {
    let configuration = Configuration::load(&args.config.sources())?;
    let (role, mut chain) = start::open_stopped(&configuration)?;
    if role == Role::Authority && args.abandon_after != Some(args.to) {
        return Err(CliError::usage(format!(
            "this node is the chain's authority, and what it has sealed would be given up; if that is meant, \
             add --abandon-after {to}, and start it with `callboard node --abandon-after {to}`",
            to = args.to
        )));
    }
    let node_store = NodeStore::open(configuration.node_database_path()).map_err(CliError::failed)?;
    let given_up = match role {
        Role::Authority => remember_rolled_back(&node_store, &chain.store, args.to).map(|()| None)?,
        _ => decide(&node_store, &chain.store, args.to)?,
    };
    let done = chain.writer.rollback(args.to).map_err(|error| {
        // The branch is still there, and nothing is decided.
        let kept = given_up.map(|first| node_store.take_back(first.height, first.hash)).transpose();
        kept.map_or_else(CliError::failed, |_| CliError::failed(error))
    })?;
    let first = given_up.map(|first| json!({ "height": first.height, "hash": first.hash }));
    let value = json!({ "from": done.from.height, "to": done.to.height, "hash": done.to.hash, "givenUp": first });
    Output::from(&args.json).print(&value, |_| {
        let done = format!("rolled back from {} to {} {:#x}\n", done.from.height, done.to.height, done.to.hash);
        done + &given_up.map(sentence).unwrap_or_default()
    })
}

fn sentence(first: OwnBlock) -> String {
    let OwnBlock { height, hash, .. } = first;
    format!(
        "this node was diverged at block {height}: the branch with block {height} {hash} is given up and not taken back, \
         unless `callboard chain accept {height} {hash}` says so\n"
    )
}

/// An authority that is started with --abandon-after afterwards knows by this what not to take back.
fn remember_rolled_back(node_store: &NodeStore, store: &Store, to: u64) -> Result<(), CliError> {
    let blocks = blocks_above(store, to).map_err(CliError::failed)?;
    node_store.put_rolled_back(&blocks).map_err(CliError::failed)
}

/// The divergence that the operator was told of last. A branch that is accepted as dead is none to decide for.
pub(super) fn undecided(node_store: &NodeStore) -> Result<Option<ToldDivergence>, CliError> {
    let told = node_store.divergence().map_err(CliError::failed)?;
    let accepted = node_store.accepted_forks().map_err(CliError::failed)?;
    Ok(told.filter(|told| !accepted.contains(&(told.height, told.theirs))))
}

/// Rolling a diverged follower back below where the chains part is a decision for the other chain: the first block of
/// its own branch that is given up for that. Where it was not diverged the same blocks are to be fetched again.
fn decide(node_store: &NodeStore, store: &Store, to: u64) -> Result<Option<OwnBlock>, CliError> {
    let told = undecided(node_store)?.filter(|told| told.is_first && to < told.height);
    let Some(ToldDivergence { height, ours, theirs, .. }) = told else { return Ok(None) };
    // The last decision counts: what was given up before may be what is wanted now.
    node_store.take_back(height, theirs).map_err(CliError::failed)?;
    let blocks = blocks_above(store, height.saturating_sub(1)).map_err(CliError::failed)?;
    let (Some(first), Some(highest)) = (blocks.first().copied(), blocks.last().copied()) else { return Ok(None) };
    if ours != Some(first.hash) {
        return Ok(None);
    }
    let known = blocks.iter().map(|block| (block.height, block.hash)).collect();
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let branch =
        GivenUpBranch { after: height.saturating_sub(1), highest, known, sealed: None, time, by_follower: true };
    match node_store.give_up(&branch).map_err(CliError::failed)? {
        true => Ok(Some(first)),
        false => Err(CliError::failed(format!(
            "{MAX_GIVEN_UP} branches are given up already, which is all there is room for"
        ))),
    }
}
