//! `chain head` and `chain state`; the other commands of `chain` have a file each.

mod accept;
mod height;
mod reconcile;
mod rollback;
mod source;
mod transfer;
mod verify;

use super::args::{ChainCommand, ClientArgs};
use super::block::describe;
use super::output::{cell, fields, quantity, table, wei};
use super::{CliError, Output};
use crate::rpc_client::RpcClient;
use alloy_primitives::Address;
use callboard_chain::genesis::SealedGenesis;
use serde_json::{Value, json};

/// Accounts that `chain state` shows.
const SHOWN_ACCOUNTS: usize = 5;

pub(super) async fn run(command: &ChainCommand) -> Result<(), CliError> {
    match command {
        ChainCommand::Height { rpc, watch, json } => height::run(rpc, *watch, Output::from(json)).await,
        ChainCommand::Head(client) => head(client).await,
        ChainCommand::State { pending, client } => state(client, *pending).await,
        ChainCommand::Rollback(args) => rollback::run(args),
        ChainCommand::Accept(args) => accept::run(args),
        ChainCommand::Export(args) => transfer::export(args).await,
        ChainCommand::Import(args) => transfer::import(args).await,
        ChainCommand::Verify(args) => verify::run(args).await,
        ChainCommand::Reconcile(args) => reconcile::run(args),
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
            .map(|account| [cell(&account["address"]), wei(&account["balance"]), cell(&account["nonce"])])
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
