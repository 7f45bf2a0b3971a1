//! `chain accept`: the operator knows a fork, or wants a branch back that he gave up.

use crate::cli::args::AcceptArgs;
use crate::cli::{CliError, Output};
use crate::configuration::Configuration;
use crate::start;
use callboard_store::{MAX_ACCEPTED, NodeStore};
use serde_json::json;

/// Works on the database of a stopped node; a running one holds it locked.
pub(super) fn run(args: &AcceptArgs) -> Result<(), CliError> {
    let configuration = Configuration::load(&args.config.sources())?;
    let (_, chain) = start::open_stopped(&configuration)?;
    let (height, theirs) = (args.height, args.hash);
    let snapshot = chain.store.snapshot().map_err(CliError::failed)?;
    let store = NodeStore::open(configuration.node_database_path()).map_err(CliError::failed)?;
    let Some(ours) = snapshot.hash_of(height).map_err(CliError::failed)? else {
        return take_back(args, &store, snapshot.head().height);
    };
    if ours == theirs {
        return Err(CliError::usage(format!(
            "{theirs} is block {height} of this chain; only another block can be accepted as a known fork"
        )));
    }
    if !store.accept_fork(height, theirs).map_err(CliError::failed)? {
        return Err(CliError::failed(format!(
            "{MAX_ACCEPTED} forks are accepted already, which is all there is room for"
        )));
    }
    // What is decided is not to be decided by a rollback that comes later for another reason.
    let told = store.divergence().map_err(CliError::failed)?;
    if told.is_some_and(|told| told.theirs == theirs) {
        store.put_divergence(None).map_err(CliError::failed)?;
    }
    let value = json!({ "height": height, "accepted": theirs, "ours": ours });
    Output::from(&args.json).print(&value, |_| {
        format!("the branch with block {height} {theirs} is known and dead from now on; ours is {ours}\n")
    })
}

/// A block above the head can be one that a rollback gave up: it may be fetched again.
fn take_back(args: &AcceptArgs, store: &NodeStore, head: u64) -> Result<(), CliError> {
    let (height, hash) = (args.height, args.hash);
    if !store.take_back(height, hash).map_err(CliError::failed)? {
        return Err(CliError::usage(format!(
            "this chain ends at block {head}, so nothing at {height} differs from it, and no rollback has given {hash} \
             up, nor was it accepted as dead; give the height and hash that `callboard_syncStatus` shows as the divergence"
        )));
    }
    let value = json!({ "height": height, "takenBack": hash });
    Output::from(&args.json).print(&value, |_| {
        format!("the branch with block {height} {hash} is not given up any more, and may be fetched again\n")
    })
}
