//! `chain verify`.

use super::rollback::undecided;
use super::source::{Source, find};
use crate::cli::args::VerifyArgs;
use crate::cli::output::{cell, fields};
use crate::cli::{CliError, Output};
use crate::configuration::Configuration;
use crate::progress::Reporter;
use crate::rpc_client::RpcClient;
use crate::start::Chain;
use callboard_actors::reconciler::{Meaning, RangeCheck, RangeProgress};
use callboard_actors::sync_coordinator::remedy;
use callboard_store::{NodeStore, Store, ToldDivergence};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a verification found.
struct Found {
    from: u64,
    to: u64,
    fault: Option<String>,
    divergence: Value,
}

pub(super) async fn run(args: &VerifyArgs) -> Result<(), CliError> {
    let found = match find(&args.config, &args.client, "admin", false) {
        Ok(Source::Stopped(chain)) => verify_stopped(args, &chain)?,
        Ok(Source::Running(client)) => match verify_running(args, &client).await {
            Ok(found) => found,
            Err(error) => return Err(unless_diverged(&client, error).await),
        },
        Err(error) => match find(&args.config, &args.client, "rpc", false) {
            Ok(Source::Running(client)) => return Err(unless_diverged(&client, error).await),
            _ => return Err(error),
        },
    };
    let Found { from, to, fault, divergence } = found;
    let ok = fault.is_none() && divergence.is_null();
    let value = json!({ "from": from, "to": to, "ok": ok, "fault": fault, "divergence": divergence });
    let output = Output::from(&args.client.json);
    if ok || matches!(output, Output::Json) {
        output.print(&value, |_| fields([("blocks", format!("{from} to {to}")), ("verdict", "right".to_owned())]))?;
    }
    verdict(fault, &divergence)
}

/// What the command ends with. Both are said where there are both; the exit code then is that of the divergence: repairing
/// the database does not end it.
fn verdict(fault: Option<String>, divergence: &Value) -> Result<(), CliError> {
    let damage = fault.map(|fault| {
        format!("{fault}; stop the node and run `callboard chain reconcile --full` to repair its database")
    });
    match (damage, divergence.is_null()) {
        (None, true) => Ok(()),
        (Some(damage), true) => Err(CliError::failed(damage)),
        (None, false) => Err(CliError::Diverged(format!("the stored blocks are right, but {}", diverged(divergence)))),
        (Some(damage), false) => Err(CliError::Diverged(format!("{damage}; besides, {}", diverged(divergence)))),
    }
}

/// What is said where nothing could be verified: a divergence goes first, and every node says that one without admin rights.
async fn unless_diverged(client: &RpcClient, error: CliError) -> CliError {
    or_diverged(&divergence_at(client).await.unwrap_or_default(), error)
}

fn or_diverged(divergence: &Value, error: CliError) -> CliError {
    if divergence.is_null() {
        return error;
    }
    CliError::Diverged(format!("{}; the stored blocks were not verified: {error}", diverged(divergence)))
}

async fn divergence_at(client: &RpcClient) -> Result<Value, CliError> {
    let status: Value = client.call("callboard_syncStatus", json!([])).await?;
    Ok(status["divergence"].clone())
}

/// A divergence in one sentence.
fn diverged(divergence: &Value) -> String {
    let value = |name: &str| cell(&divergence[name]);
    let peer = divergence["peer"].as_str().map(|peer| format!("peer {peer}"));
    format!(
        "the chain has diverged at block {}: {} here, {} at {}; last common height {}; {}",
        value("height"),
        value("ours"),
        value("theirs"),
        peer.unwrap_or_else(|| "a peer, when this node last ran".to_owned()),
        value("lastCommonHeight"),
        value("remedy"),
    )
}

/// The divergence that a node had when it was stopped, unless its operator has decided since.
fn divergence_when_stopped(configuration: &Configuration, store: &Store) -> Result<Value, CliError> {
    let path = configuration.node_database_path();
    if !path.exists() {
        return Ok(Value::Null);
    }
    let node_store = NodeStore::open(path).map_err(CliError::failed)?;
    let Some(ToldDivergence { height, is_first, ours, theirs }) = undecided(&node_store)? else {
        return Ok(Value::Null);
    };
    let here = store.snapshot().and_then(|snapshot| snapshot.hash_of(height)).map_err(CliError::failed)?;
    // Rolled back, or gone over to the other branch.
    if here != ours {
        return Ok(Value::Null);
    }
    let common = height.checked_sub(1).filter(|_| is_first);
    let remedy = remedy(height, ours, theirs, common);
    Ok(
        json!({ "height": height, "ours": ours, "theirs": theirs, "peer": null, "lastCommonHeight": common, "remedy": remedy }),
    )
}

fn verify_stopped(args: &VerifyArgs, chain: &Chain) -> Result<Found, CliError> {
    let configuration = Configuration::load(&args.config.sources())?;
    let divergence = divergence_when_stopped(&configuration, &chain.store)?;
    match check_stopped(args, chain, &configuration) {
        Ok((from, to, fault)) => Ok(Found { from, to, fault, divergence }),
        Err(error) => Err(or_diverged(&divergence, error)),
    }
}

/// From where to where was checked, and what is damaged.
fn check_stopped(
    args: &VerifyArgs,
    chain: &Chain,
    configuration: &Configuration,
) -> Result<(u64, u64, Option<String>), CliError> {
    let config = Arc::new(chain.genesis.config().clone());
    let check = RangeCheck::new(chain.store.clone(), config, &configuration.node.data_dir, args.from, args.to);
    let mut check = check.map_err(CliError::failed)?;
    let (from, to) = (check.from(), check.to());
    let mut progress = Reporter::new("verifying", args.progress.progress);
    loop {
        match check.step() {
            Ok(RangeProgress::Done) => return Ok((from, to, None)),
            Ok(RangeProgress::State { height }) => progress.at(height, to, 0, None),
            Ok(RangeProgress::Block { height }) => progress.at(height, to, 1, None),
            Err(fault) if fault.means() == Meaning::Damage => return Ok((from, to, Some(fault.to_string()))),
            Err(fault) => return Err(not_verified(from, to, &fault)),
        }
    }
}

/// A check that was not made to its end says nothing of the chain.
fn not_verified(from: u64, to: u64, reason: &impl std::fmt::Display) -> CliError {
    CliError::failed(format!("the blocks {from} to {to} were not verified: {reason}"))
}

/// The node checks its own blocks; a check may take longer than a request, which then is repeated.
async fn verify_running(args: &VerifyArgs, client: &RpcClient) -> Result<Found, CliError> {
    let range = json!([{ "from": args.from, "to": args.to }]);
    let mut progress = Reporter::new("verifying", args.progress.progress);
    let mut reached = 0;
    let done = loop {
        let state: Value = client.call("callboard_verify", range.clone()).await?;
        let height = |name: &str| state[name].as_u64().unwrap_or_default();
        match state["state"].as_str() {
            Some("running") => {
                let at = height("at");
                // The first answer tells where the check is, and not how fast it came there.
                let blocks = if reached == 0 { 0 } else { at.saturating_sub(reached) };
                reached = at;
                progress.at(at, height("to"), blocks, None);
            }
            Some("done") => break state,
            _ => return Err(not_verified(height("from"), height("to"), &cell(&state["reason"]))),
        }
    };
    let divergence = divergence_at(client).await?;
    let height = |name: &str| done[name].as_u64().unwrap_or_default();
    let fault = done["fault"].as_str().map(str::to_owned);
    Ok(Found { from: height("from"), to: height("to"), fault, divergence })
}
