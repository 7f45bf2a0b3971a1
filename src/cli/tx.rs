//! `tx send`, `tx sign`, `tx get`, `tx why`, `tx list`, `tx prove` and `tx verify`.

mod proof;
pub(super) mod sign;
mod why;

use super::args::{ClientArgs, ListArgs, SendArgs, SignArgs, TransactionArgs, TxCommand};
use super::output::{cell, fields, quantity, table, wei};
use super::{CliError, Output};
use crate::amount::Wei;
use crate::rpc_client::RpcClient;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use callboard_chain::Transaction;
use serde_json::{Value, json};
use sign::{Content, Place, build, signing_key, submit, succeeded, wait_for_receipt};

pub(super) async fn run(command: &TxCommand) -> Result<(), CliError> {
    match command {
        TxCommand::Send(args) => send(args).await,
        TxCommand::Sign(args) => sign(args).await,
        TxCommand::Get { hash, client } => get(*hash, client).await,
        TxCommand::Why { hash, client } => why::run(*hash, client).await,
        TxCommand::List { address, list: args } => list(*address, args).await,
        TxCommand::Prove { hash, client } => proof::prove(*hash, client).await,
        TxCommand::Verify(args) => proof::verify(args).await,
    }
}

async fn send(args: &SendArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(args.client.rpc.as_deref())?;
    let hash = submit(&rpc, &signed(&args.transaction, None, &rpc).await?).await?;
    let output = Output::from(&args.client.json);
    if !args.wait {
        return output.print(&json!({ "hash": hash }), |_| hash.to_string());
    }
    print_receipt(&rpc, hash, output).await
}

/// Prints the signed bytes and sends nothing.
async fn sign(args: &SignArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(args.client.rpc.as_deref())?;
    let transaction = signed(&args.transaction, args.chain_id, &rpc).await?;
    let (raw, hash) = (Bytes::from(transaction.encoded_2718()), *transaction.tx_hash());
    Output::from(&args.client.json).print(&json!({ "hash": hash, "raw": raw }), |_| raw.to_string())
}

async fn signed(args: &TransactionArgs, chain_id: Option<u64>, rpc: &RpcClient) -> Result<Transaction, CliError> {
    let key = signing_key(args.from, &args.key)?;
    let input = args.data.clone().unwrap_or_default();
    let content = Content { from: args.from, to: args.to, value: args.value.0, input };
    let place = Place { chain_id, nonce: args.nonce };
    Ok(build(rpc, content, place, &args.gas).await?.sign(&key))
}

/// Waits until a transaction that was taken is in a block, and says in which.
pub(super) async fn print_receipt(rpc: &RpcClient, hash: B256, output: Output) -> Result<(), CliError> {
    let receipt = wait_for_receipt(rpc, hash).await?;
    output.print(&json!({ "hash": hash, "receipt": receipt }), |_| {
        let mut text = fields([("hash", hash.to_string()), ("block", quantity(&receipt["blockNumber"]))]);
        if let Some(contract) = receipt["contractAddress"].as_str() {
            text += &fields([("contract", contract.to_owned())]);
        }
        text
    })?;
    match succeeded(&receipt) {
        true => Ok(()),
        false => Err(CliError::failed(format!("transaction {hash} is in a block and was reverted"))),
    }
}

async fn get(hash: B256, client: &ClientArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let transaction: Value = rpc.call("eth_getTransactionByHash", json!([hash])).await?;
    if transaction.is_null() {
        return Err(CliError::failed(format!("the node at {} knows no transaction {hash}", rpc.url())));
    }
    let receipt: Value = rpc.call("eth_getTransactionReceipt", json!([hash])).await?;
    let value = json!({ "transaction": transaction, "receipt": receipt });
    Output::from(&client.json).print(&value, |_| {
        let value: U256 = serde_json::from_value(transaction["value"].clone()).unwrap_or_default();
        let status = match receipt["status"].as_str() {
            Some("0x1") => "succeeded",
            Some(_) => "reverted",
            None => "pending",
        };
        fields([
            ("hash", hash.to_string()),
            ("status", status.to_owned()),
            ("block", quantity(&transaction["blockNumber"])),
            ("from", cell(&transaction["from"])),
            ("to", cell(&transaction["to"])),
            ("value", Wei(value).to_string()),
            ("nonce", quantity(&transaction["nonce"])),
            ("gas", format!("{} of {}", quantity(&receipt["gasUsed"]), quantity(&transaction["gas"]))),
            ("input", cell(&transaction["input"])),
        ])
    })
}

/// Also `wallet transactions`.
pub(super) async fn list(address: Address, args: &ListArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(args.client.rpc.as_deref())?;
    let query = args.query();
    let page: Value = rpc.call("callboard_getTransactionsByAddress", json!([address, query])).await?;
    Output::from(&args.client.json).print(&page, |page| {
        let row = |tx: &Value| {
            let [height, hash, from, to] = ["block_height", "hash", "sender", "recipient"].map(|name| cell(&tx[name]));
            [height, hash, from, to, wei(&tx["value"])]
        };
        let rows: Vec<_> = page["transactions"].as_array().into_iter().flatten().map(row).collect();
        let text = table(["block", "transaction", "from", "to", "value"], &rows);
        match &page["next"] {
            Value::Null => text,
            next => format!("{text}\nmore: {} {}\n", args.direction(), cell(next)),
        }
    })
}
