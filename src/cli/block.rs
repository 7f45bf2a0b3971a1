//! `block get`, `block explain`.

mod explain;

use super::args::{BlockCommand, ClientArgs};
use super::output::{cell, fields, quantity};
use super::{CliError, Output};
use crate::rpc_client::RpcClient;
use alloy_primitives::{B256, U64};
use serde_json::{Value, json};

pub(super) async fn run(command: &BlockCommand) -> Result<(), CliError> {
    match command {
        BlockCommand::Get { block, client } => get(block, client).await,
        BlockCommand::Explain { block, client } => explain::run(block, client).await,
    }
}

async fn get(block: &str, client: &ClientArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let found = find(&rpc, block).await?;
    if found.is_null() {
        let height = rpc.height().await?;
        let message = format!("the node at {} has no block {block}; its head is at height {height}", rpc.url());
        return Err(CliError::failed(message));
    }
    Output::from(&client.json).print(&found, describe)
}

async fn find(rpc: &RpcClient, block: &str) -> Result<Value, CliError> {
    let id = block_id(block)?;
    let method = if block.parse::<B256>().is_ok() { "eth_getBlockByHash" } else { "eth_getBlockByNumber" };
    Ok(rpc.call(method, json!([id, true])).await?)
}

/// A block as it is typed, for JSON-RPC: a hash, a quantity or a tag.
fn block_id(block: &str) -> Result<Value, CliError> {
    if let Ok(hash) = block.parse::<B256>() {
        return Ok(json!(hash));
    }
    match block {
        "latest" | "pending" | "earliest" => Ok(json!(block)),
        _ => Ok(json!(U64::from(block.parse::<u64>().map_err(|_| {
            CliError::usage(format!("\"{block}\" is no block: write a height, a block hash of 32 bytes, or latest"))
        })?))),
    }
}

/// A block's lines, also for `chain head`.
pub(super) fn describe(block: &Value) -> String {
    let transactions = block["transactions"].as_array().map_or(&[][..], Vec::as_slice);
    let text = fields([
        ("height", quantity(&block["number"])),
        ("hash", cell(&block["hash"])),
        ("parent", cell(&block["parentHash"])),
        ("timestamp", quantity(&block["timestamp"])),
        ("authority", cell(&block["miner"])),
        ("state root", cell(&block["stateRoot"])),
        ("gas", format!("{} of {}", quantity(&block["gasUsed"]), quantity(&block["gasLimit"]))),
        ("base fee", quantity(&block["baseFeePerGas"])),
        ("transactions", transactions.len().to_string()),
    ]);
    let line = |transaction: &Value| {
        // Either whole transactions or their hashes.
        let hash = if transaction.is_object() { &transaction["hash"] } else { transaction };
        format!("  {}\n", cell(hash))
    };
    text + &transactions.iter().map(line).collect::<String>()
}
