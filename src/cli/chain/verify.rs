//! `chain verify`.

use super::source::{Source, find};
use crate::cli::args::VerifyArgs;
use crate::cli::output::{cell, fields};
use crate::cli::{CliError, Output};
use crate::progress::Reporter;
use crate::rpc_client::RpcClient;
use crate::start::Chain;
use callboard_actors::reconciler::{Meaning, RangeCheck, RangeProgress};
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
    let found = match find(&args.config, &args.client, "admin", false)? {
        Source::Stopped(chain) => verify_stopped(args, *chain)?,
        Source::Running(client) => verify_running(args, &client).await?,
    };
    let Found { from, to, fault, divergence } = found;
    let ok = fault.is_none() && divergence.is_null();
    let value = json!({ "from": from, "to": to, "ok": ok, "fault": fault, "divergence": divergence });
    let output = Output::from(&args.client.json);
    if ok || matches!(output, Output::Json) {
        output.print(&value, |_| fields([("blocks", format!("{from} to {to}")), ("verdict", "right".to_owned())]))?;
    }
    match fault {
        Some(fault) => Err(CliError::failed(format!(
            "{fault}; stop the node and run `callboard chain reconcile --full` to repair its database"
        ))),
        None if !divergence.is_null() => Err(CliError::failed(diverged(&divergence))),
        None => Ok(()),
    }
}

/// A divergence in one sentence.
fn diverged(divergence: &Value) -> String {
    let value = |name: &str| cell(&divergence[name]);
    format!(
        "the stored blocks are right, but the chain has diverged at block {}: {} here, {} at peer {}; last common height {}; {}",
        value("height"),
        value("ours"),
        value("theirs"),
        value("peer"),
        value("lastCommonHeight"),
        value("remedy"),
    )
}

fn verify_stopped(args: &VerifyArgs, chain: Chain) -> Result<Found, CliError> {
    let configuration = crate::configuration::Configuration::load(&args.config.sources())?;
    let config = Arc::new(chain.genesis.config().clone());
    let check = RangeCheck::new(chain.store.clone(), config, &configuration.node.data_dir, args.from, args.to);
    let mut check = check.map_err(CliError::failed)?;
    let (from, to) = (check.from(), check.to());
    let mut progress = Reporter::new("verifying", args.progress.progress);
    let fault = loop {
        match check.step() {
            Ok(RangeProgress::Done) => break None,
            Ok(RangeProgress::State { height }) => progress.at(height, to, 0, None),
            Ok(RangeProgress::Block { height }) => progress.at(height, to, 1, None),
            Err(fault) if fault.means() == Meaning::Damage => break Some(fault.to_string()),
            Err(fault) => return Err(not_verified(from, to, &fault)),
        }
    };
    Ok(Found { from, to, fault, divergence: Value::Null })
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
    let status: Value = client.call("callboard_syncStatus", json!([])).await?;
    let height = |name: &str| done[name].as_u64().unwrap_or_default();
    let fault = done["fault"].as_str().map(str::to_owned);
    Ok(Found { from: height("from"), to: height("to"), fault, divergence: status["divergence"].clone() })
}
