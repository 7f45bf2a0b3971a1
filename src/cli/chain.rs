//! `chain height`, `chain head`, `chain state` and `chain rollback`; the other commands of `chain` have a file each.

mod accept;
mod reconcile;
mod source;
mod transfer;
mod verify;

use super::args::{ChainCommand, ClientArgs, RollbackArgs};
use super::block::describe;
use super::output::{cell, fields, interval, line, quantity, table};
use super::{CliError, Output};
use crate::amount::Wei;
use crate::configuration::Configuration;
use crate::node::blocks_above;
use crate::rpc_client::{RpcClient, RpcClientError};
use crate::start;
use alloy_primitives::{Address, B256};
use callboard_actors::callboard::Role;
use callboard_chain::genesis::SealedGenesis;
use callboard_store::{NodeStore, Store};
use serde_json::{Value, json};

/// Accounts that `chain state` shows.
const SHOWN_ACCOUNTS: usize = 5;

pub(super) async fn run(command: &ChainCommand) -> Result<(), CliError> {
    match command {
        ChainCommand::Height { rpc, watch, json } => height(rpc, *watch, Output::from(json)).await,
        ChainCommand::Head(client) => head(client).await,
        ChainCommand::State { pending, client } => state(client, *pending).await,
        ChainCommand::Rollback(args) => rollback(args),
        ChainCommand::Accept(args) => accept::run(args),
        ChainCommand::Export(args) => transfer::export(args).await,
        ChainCommand::Import(args) => transfer::import(args).await,
        ChainCommand::Verify(args) => verify::run(args).await,
        ChainCommand::Reconcile(args) => reconcile::run(args),
    }
}

/// Works on the database of a stopped node; a running one holds it locked.
fn rollback(args: &RollbackArgs) -> Result<(), CliError> {
    let configuration = Configuration::load(&args.config.sources())?;
    let (role, mut chain) = start::open_stopped(&configuration)?;
    if role == Role::Authority && args.abandon_after != Some(args.to) {
        return Err(CliError::usage(format!(
            "this node is the chain's authority, and what it has sealed would be given up; if that is meant, \
             add --abandon-after {to}, and start it with `callboard node --abandon-after {to}`",
            to = args.to
        )));
    }
    if role == Role::Authority {
        remember_rolled_back(&configuration, &chain.store, args.to)?;
    }
    let done = chain.writer.rollback(args.to).map_err(CliError::failed)?;
    let value = json!({ "from": done.from.height, "to": done.to.height, "hash": done.to.hash });
    Output::from(&args.json)
        .print(&value, |_| format!("rolled back from {} to {} {:#x}\n", done.from.height, done.to.height, done.to.hash))
}

/// An authority that is started with --abandon-after afterwards knows by this what not to take back.
fn remember_rolled_back(configuration: &Configuration, store: &Store, to: u64) -> Result<(), CliError> {
    let blocks = blocks_above(store, to).map_err(CliError::failed)?;
    let node_store = NodeStore::open(configuration.node_database_path()).map_err(CliError::failed)?;
    node_store.put_rolled_back(&blocks).map_err(CliError::failed)
}

async fn height(urls: &[String], watch: Option<f64>, output: Output) -> Result<(), CliError> {
    let watch = watch.map(interval).transpose()?;
    let clients = match urls {
        [] => vec![RpcClient::new(None)?],
        urls => urls.iter().map(|url| RpcClient::new(Some(url))).collect::<Result<_, _>>()?,
    };
    loop {
        match (clients.as_slice(), watch) {
            ([client], None) => {
                let height = client.height().await?;
                output.print(&json!(height), cell)?;
            }
            (clients, _) => {
                let same = compare(clients, output).await?;
                if watch.is_none() && !same {
                    return Err(CliError::failed("the nodes are not on one chain, or one of them did not answer"));
                }
            }
        }
        let Some(interval) = watch else { return Ok(()) };
        tokio::time::sleep(interval).await;
    }
}

/// Prints a line for each node: label, height, hash, equal or differ. Equal are nodes that have the same block at
/// the lowest of their heights: one that is merely behind is on the same chain. True where all are equal.
async fn compare(clients: &[RpcClient], output: Output) -> Result<bool, CliError> {
    let mut heads = Vec::new();
    for client in clients {
        heads.push(client.head().await);
    }
    let lowest = heads.iter().flatten().map(|(height, _)| *height).min();
    let highest = heads.iter().flatten().map(|(height, _)| *height).max();
    let mut shared = Vec::new();
    for (client, head) in clients.iter().zip(&heads) {
        shared.push(match (head, lowest) {
            (Ok((height, hash)), Some(lowest)) if *height == lowest => Some(*hash),
            (Ok(_), Some(lowest)) => client.block_hash(lowest).await.ok().flatten(),
            _ => None,
        });
    }
    let mut same = true;
    for ((client, head), at_lowest) in clients.iter().zip(heads).zip(&shared) {
        let equal = at_lowest.is_some() && shared.iter().flatten().all(|other| Some(other) == at_lowest.as_ref());
        same &= equal;
        print_head(client, head, equal, highest.unwrap_or_default(), output)?;
    }
    Ok(same)
}

fn print_head(
    client: &RpcClient,
    head: Result<(u64, B256), RpcClientError>,
    equal: bool,
    highest: u64,
    output: Output,
) -> Result<(), CliError> {
    let label = client.url().as_str().trim_end_matches('/');
    let verdict = if equal { "equal" } else { "differ" };
    match (head, output) {
        (Ok((height, hash)), Output::Json) => {
            line(&json!({ "label": label, "height": height, "hash": hash, "chain": verdict }).to_string())
        }
        (Ok((height, hash)), Output::Text) => {
            let behind = highest.saturating_sub(height);
            let behind = if behind > 0 { format!(" ({behind} behind)") } else { String::new() };
            line(&format!("{label}  {height}  {hash}  {verdict}{behind}"))
        }
        (Err(error), Output::Json) => line(&json!({ "label": label, "error": error.to_string() }).to_string()),
        (Err(error), Output::Text) => line(&format!("{label}  -  -  no answer: {error}")),
    }
}

async fn head(client: &ClientArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let head: Value = rpc.call("eth_getBlockByNumber", json!(["latest", false])).await?;
    Output::from(&client.json).print(&head, describe)
}

async fn state(client: &ClientArgs, pending: bool) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let tag = if pending { "pending" } else { "latest" };
    let head: Value = rpc.call("eth_getBlockByNumber", json!(["latest", false])).await?;
    let mut accounts = Vec::new();
    for address in shown_accounts(&rpc).await? {
        let (balance, nonce) = rpc.account(address, tag).await?;
        accounts.push(json!({ "address": address, "balance": balance.to_string(), "nonce": nonce }));
    }
    let value = json!({ "tag": tag, "head": head, "accounts": accounts });
    Output::from(&client.json).print(&value, |value| {
        let block = fields([
            ("block", quantity(&value["head"]["number"])),
            ("hash", cell(&value["head"]["hash"])),
            ("parent", cell(&value["head"]["parentHash"])),
            ("state", tag.to_owned()),
        ]);
        let accounts = value["accounts"].as_array().into_iter().flatten();
        let rows: Vec<_> = accounts
            .map(|account| [cell(&account["address"]), ether(&account["balance"]), cell(&account["nonce"])])
            .collect();
        format!("{block}\n{}", table(["account", "balance", "nonce"], &rows))
    })
}

/// The first accounts of the genesis that started with a balance.
async fn shown_accounts(rpc: &RpcClient) -> Result<Vec<Address>, CliError> {
    let genesis: Value = rpc.call("callboard_genesis", json!([])).await?;
    let genesis = SealedGenesis::from_json(genesis.to_string().as_bytes()).map_err(CliError::failed)?;
    let funded = genesis.genesis().alloc.iter().filter(|(_, account)| !account.balance.is_zero());
    Ok(funded.map(|(address, _)| *address).take(SHOWN_ACCOUNTS).collect())
}

/// A decimal number of wei, in ether.
fn ether(wei: &Value) -> String {
    let amount = wei.as_str().and_then(|wei| wei.parse::<Wei>().ok());
    amount.map_or_else(|| cell(wei), |amount| amount.to_string())
}
