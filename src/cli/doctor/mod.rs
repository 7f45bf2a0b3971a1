//! `doctor`: is everything around a node as it should be, and the proof of what its authority did wrong.

mod evidence;
mod finding;
mod local;
mod remote;

use super::args::DoctorArgs;
use super::output::line;
use super::{CliError, Output};
use crate::configuration::Configuration;
use crate::rpc_client::RpcClient;
use finding::{Finding, Level};
use serde_json::{Value, json};
use std::net::SocketAddr;

pub(super) async fn run(args: &DoctorArgs) -> Result<(), CliError> {
    match (&args.evidence, &args.check) {
        (Some(file), _) => evidence::write(args, file).await,
        (None, Some(file)) => evidence::check(file, Output::from(&args.client.json)),
        (None, None) => examine(args).await,
    }
}

/// Prints a line for each thing looked at; exit code 1 where one of them fails.
async fn examine(args: &DoctorArgs) -> Result<(), CliError> {
    let findings = match Configuration::load(&args.config.sources()) {
        Err(error) => vec![Finding::fail("configuration", error.to_string(), "correct the value named")],
        Ok(configuration) => look_at(args, &configuration).await?,
    };
    match Output::from(&args.client.json) {
        Output::Json => line(&format!("{:#}", json!(findings)))?,
        Output::Text => findings.iter().try_for_each(|finding| line(&finding.to_string()))?,
    }
    match findings.iter().filter(|finding| finding.level == Level::Fail).count() {
        0 => Ok(()),
        failed => Err(CliError::failed(format!("{failed} of {} checks failed", findings.len()))),
    }
}

async fn look_at(args: &DoctorArgs, configuration: &Configuration) -> Result<Vec<Finding>, CliError> {
    let node = running_node(args, configuration).await?;
    let mut findings = vec![Finding::ok("configuration", "it is valid".to_owned())];
    findings.extend(local::files(configuration, node.is_some()));
    findings.push(local::disk(configuration));
    match &node {
        Some((client, status)) => findings.extend(remote::status(client, status).await),
        None => findings.extend(local::stopped(configuration)),
    }
    findings.extend(remote::seeds(configuration).await);
    Ok(findings)
}

/// The node that is asked, and what it says of itself; `None` where none answers.
async fn running_node(
    args: &DoctorArgs,
    configuration: &Configuration,
) -> Result<Option<(RpcClient, Value)>, CliError> {
    let client = rpc_of(args, configuration)?;
    match client.call::<Value>("callboard_syncStatus", json!([])).await {
        Ok(status) => Ok(Some((client, status))),
        Err(error) if args.client.rpc.is_some() => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// The node at `--rpc`, or the configured one: where it wrote that it listens, else where it is told to.
fn rpc_of(args: &DoctorArgs, configuration: &Configuration) -> Result<RpcClient, CliError> {
    if let Some(url) = &args.client.rpc {
        return Ok(RpcClient::new(Some(url))?);
    }
    let written = std::fs::read(configuration.node.data_dir.join("addresses.json")).ok();
    let written = written.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let written = written.and_then(|addresses| addresses["rpc"].as_str()?.parse::<SocketAddr>().ok());
    let address = written.unwrap_or(configuration.rpc.listen);
    Ok(RpcClient::new(Some(&format!("http://{}", reachable(address))))?)
}

/// A node that listens on all addresses is reached on this machine's own.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
}
