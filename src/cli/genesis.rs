//! `genesis show`, `genesis hash` and `genesis diff`.

use super::args::{ClientArgs, ConfigArgs, GenesisCommand};
use super::output::{fields, line};
use super::{CliError, Output};
use crate::amount::Wei;
use crate::configuration::Configuration;
use crate::rpc_client::RpcClient;
use callboard_chain::genesis::{SealedGenesis, differences};
use serde_json::{Value, json};
use std::path::Path;

pub(super) async fn run(command: &GenesisCommand) -> Result<(), CliError> {
    match command {
        GenesisCommand::Show { source, config, client } => {
            let genesis = find(source.as_deref(), config, client).await?;
            match Output::from(&client.json) {
                Output::Json => line(&String::from_utf8_lossy(genesis.json())),
                Output::Text => line(describe(&genesis).trim_end()),
            }
        }
        GenesisCommand::Hash { source, config, client } => {
            let genesis = find(source.as_deref(), config, client).await?;
            Output::from(&client.json).print(&json!(genesis.hash()), |_| genesis.hash().to_string())
        }
        GenesisCommand::Diff { a, b, json } => diff(a, b, Output::from(json)).await,
    }
}

async fn diff(a: &str, b: &str, output: Output) -> Result<(), CliError> {
    let (ours, theirs) = (read(a).await?, read(b).await?);
    let found = differences(ours.genesis(), theirs.genesis());
    let lines = |_: &Value| match found.as_slice() {
        [] => format!("no difference: both are {}", ours.hash()),
        found => found.iter().map(|difference| format!("{difference}\n")).collect(),
    };
    output.print(&json!(found), lines)?;
    if found.is_empty() {
        Ok(())
    } else {
        Err(CliError::failed(format!("{a} (here) and {b} (there) are not one chain")))
    }
}

/// The named source, or the configured node's own genesis, or that of the node at `--rpc`.
async fn find(source: Option<&str>, config: &ConfigArgs, client: &ClientArgs) -> Result<SealedGenesis, CliError> {
    if let Some(source) = source {
        return read(source).await;
    }
    if client.rpc.is_none() {
        let own = Configuration::load(&config.sources())?.genesis_path();
        if own.exists() {
            return read_file(&own);
        }
    }
    fetch(client.rpc.as_deref()).await
}

async fn read(source: &str) -> Result<SealedGenesis, CliError> {
    match source.starts_with("http://") || source.starts_with("https://") {
        true => fetch(Some(source)).await,
        false => read_file(Path::new(source)),
    }
}

async fn fetch(url: Option<&str>) -> Result<SealedGenesis, CliError> {
    let client = RpcClient::new(url)?;
    let genesis: Value = client.call("callboard_genesis", json!([])).await?;
    SealedGenesis::from_json(genesis.to_string().as_bytes())
        .map_err(|error| CliError::failed(format!("{}: {error}", client.url())))
}

/// A genesis.json.
pub(super) fn read_file(path: &Path) -> Result<SealedGenesis, CliError> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| CliError::usage(format!("{name} cannot be read: {error}")))?;
    SealedGenesis::from_json(&bytes).map_err(|error| CliError::usage(format!("{name}: {error}")))
}

fn describe(genesis: &SealedGenesis) -> String {
    let config = genesis.config();
    let forks: Vec<_> = config.forks.iter().map(|(fork, from)| format!("{fork} from {from}")).collect();
    let alloc = &genesis.genesis().alloc;
    let supply = alloc.values().fold(Wei::default(), |sum, account| Wei(sum.0.saturating_add(account.balance)));
    fields([
        ("hash", genesis.hash().to_string()),
        ("chain", config.name.clone()),
        ("chain id", config.chain_id.to_string()),
        ("authority", config.authority.to_string()),
        ("hardfork", forks.join(", ")),
        ("base fee", config.base_fee_policy.name().to_owned()),
        ("gas limit", config.gas_limit.to_string()),
        ("block bytes", config.max_block_bytes.to_string()),
        ("heartbeat", format!("{} s", config.heartbeat_seconds)),
        ("timestamp", genesis.genesis().timestamp.to_string()),
        ("accounts", format!("{}, {supply} together", alloc.len())),
        ("state root", genesis.block().header().state_root.to_string()),
    ])
}
