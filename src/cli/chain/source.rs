//! Where the chain is that a command works on: in the database of a stopped node, or behind a node's RPC.

use crate::cli::CliError;
use crate::cli::args::{ClientArgs, ConfigArgs};
use crate::configuration::Configuration;
use crate::rpc_client::RpcClient;
use crate::start::{self, Chain, StartError};
use callboard_store::OpenError;
use serde_json::Value;
use std::path::Path;

/// A chain to work on.
pub(super) enum Source {
    /// The database of a node that does not run.
    Stopped(Box<Chain>),
    /// A node that runs.
    Running(RpcClient),
}

/// Finds the chain: behind `--rpc` where that is given; otherwise in the data folder of the configuration, and behind
/// the `listener` (`rpc` or `admin`) of the node that has the database open. Where there is no chain at all: behind the RPC that the environment
/// names, unless `fresh`; then it is made from the configured genesis.
pub(super) fn find(config: &ConfigArgs, client: &ClientArgs, listener: &str, fresh: bool) -> Result<Source, CliError> {
    if client.rpc.is_some() {
        return Ok(Source::Running(RpcClient::new(client.rpc.as_deref())?));
    }
    let configuration = Configuration::load(&config.sources())?;
    if !fresh && !configuration.chain_path().exists() {
        return Ok(Source::Running(RpcClient::new(None)?));
    }
    match start::open_or_adopt_stopped(&configuration) {
        Ok((_, chain)) => Ok(Source::Stopped(Box::new(chain))),
        Err(StartError::Open(OpenError::InUse { .. })) => {
            let address = address_of_running(&configuration.node.data_dir, listener)?;
            Ok(Source::Running(RpcClient::new(Some(&address))?))
        }
        Err(error) => Err(error.into()),
    }
}

/// The URL of a listener of the node that runs on this data folder.
fn address_of_running(data_dir: &Path, listener: &str) -> Result<String, CliError> {
    let path = data_dir.join("addresses.json");
    let text = std::fs::read(&path).unwrap_or_default();
    let addresses: Value = serde_json::from_slice(&text).unwrap_or_default();
    let address = addresses[listener].as_str().map(|address| format!("http://{address}"));
    address.ok_or_else(|| match addresses.get("rpc") {
        Some(_) => CliError::failed(
            "a node runs on this data folder without an admin listener; set rpc.admin = true and start it again, or stop it",
        ),
        None => CliError::failed(format!(
            "a node has the database open, and {} does not say where its {listener} listens; wait until it has started",
            path.display()
        )),
    })
}
