//! `chain accept`: the operator knows a fork.

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
    let ours = snapshot.hash_of(height).map_err(CliError::failed)?.ok_or_else(|| {
        CliError::usage(format!(
            "this chain ends at block {}, so nothing at {height} differs from it; give the height and hash that \
             `callboard_syncStatus` shows as the divergence",
            snapshot.head().height
        ))
    })?;
    if ours == theirs {
        return Err(CliError::usage(format!(
            "{theirs} is block {height} of this chain; only another block can be accepted as a known fork"
        )));
    }
    let store = NodeStore::open(configuration.node_database_path()).map_err(CliError::failed)?;
    if !store.accept_fork(height, theirs).map_err(CliError::failed)? {
        return Err(CliError::failed(format!(
            "{MAX_ACCEPTED} forks are accepted already, which is all there is room for"
        )));
    }
    let value = json!({ "height": height, "accepted": theirs, "ours": ours });
    Output::from(&args.json).print(&value, |_| {
        format!("the branch with block {height} {theirs} is known and dead from now on; ours is {ours}\n")
    })
}
