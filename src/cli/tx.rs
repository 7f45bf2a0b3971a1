//! `tx send`, `tx get`, `tx why` and `tx list`.

mod why;

use super::account::{open_keystore, password_source};
use super::args::{ClientArgs, SendArgs, TxCommand};
use super::output::{cell, fields, quantity, table};
use super::{CliError, Output};
use crate::amount::Wei;
use crate::configuration::Configuration;
use crate::dev;
use crate::keystore::KeystoreError;
use crate::rpc_client::RpcClient;
use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U64, U256};
use callboard_chain::Transaction;
use callboard_chain::keys::SecretKey;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How long `--wait` waits: the longest heartbeat would be an hour, but a pending transaction is sealed at the next
/// interval, and a minute without one means that something is wrong.
const WAIT: Duration = Duration::from_secs(60);
/// Between two looks for the receipt.
const WAIT_STEP: Duration = Duration::from_millis(200);

pub(super) async fn run(command: &TxCommand) -> Result<(), CliError> {
    match command {
        TxCommand::Send(args) => send(args).await,
        TxCommand::Get { hash, client } => get(*hash, client).await,
        TxCommand::Why { hash, client } => why::run(*hash, client).await,
        TxCommand::List { address, limit, before, client } => list(*address, *limit, before.as_deref(), client).await,
    }
}

async fn send(args: &SendArgs) -> Result<(), CliError> {
    let key = signing_key(args)?;
    let rpc = RpcClient::new(args.client.rpc.as_deref())?;
    let transaction = build(args, &rpc).await?.sign(&key);
    let hash: B256 = rpc.call("eth_sendRawTransaction", json!([Bytes::from(transaction.encoded_2718())])).await?;
    let output = Output::from(&args.client.json);
    if !args.wait {
        return output.print(&json!({ "hash": hash }), |_| hash.to_string());
    }
    let receipt = wait_for_receipt(&rpc, hash).await?;
    output.print(&json!({ "hash": hash, "receipt": receipt }), |_| {
        let mut text = fields([("hash", hash.to_string()), ("block", quantity(&receipt["blockNumber"]))]);
        if let Some(contract) = receipt["contractAddress"].as_str() {
            text += &fields([("contract", contract.to_owned())]);
        }
        text
    })?;
    match receipt["status"].as_str() {
        Some("0x1") => Ok(()),
        _ => Err(CliError::failed(format!("transaction {hash} is in a block and was reverted"))),
    }
}

/// A key of the keystore, or a development key where the chain is a development chain.
fn signing_key(args: &SendArgs) -> Result<SecretKey, CliError> {
    let keystore = open_keystore(&args.keystore)?;
    let missing = match keystore.find(args.from) {
        Ok(_) => {
            let what = args.from.to_string();
            let password = password_source(&what, &args.password).read().map_err(CliError::usage)?;
            return keystore.unlock(args.from, &password).map_err(|error| match error {
                KeystoreError::Decrypt { .. } => CliError::usage(error),
                error => CliError::failed(error),
            });
        }
        Err(missing) => missing,
    };
    let development = args.dev || Configuration::load(&args.keystore.config.sources())?.node.dev;
    let key = development.then(|| dev::key_of(args.from)).flatten();
    key.ok_or_else(|| CliError::usage(missing))
}

/// A transaction that only lacks its signature.
enum Unsigned {
    Legacy(TxLegacy),
    Eip1559(TxEip1559),
}

impl Unsigned {
    fn sign(self, key: &SecretKey) -> Transaction {
        let signature = |hash| {
            let bytes = key.sign(hash);
            Signature::from_bytes_and_parity(&bytes[..64], bytes[64] == 1)
        };
        match self {
            Self::Legacy(tx) => {
                let signature = signature(tx.signature_hash());
                tx.into_signed(signature).into()
            }
            Self::Eip1559(tx) => {
                let signature = signature(tx.signature_hash());
                tx.into_signed(signature).into()
            }
        }
    }
}

async fn build(args: &SendArgs, rpc: &RpcClient) -> Result<Unsigned, CliError> {
    let chain_id = rpc.chain_id().await?;
    let nonce = match args.nonce {
        Some(nonce) => nonce,
        None => rpc.account(args.from, "pending").await?.1,
    };
    let gas_limit = match args.gas {
        Some(gas) => gas,
        None => estimate_gas(args, rpc).await?,
    };
    let (price, tip) = fees(args, rpc).await?;
    let (value, input) = (args.value.0, args.data.clone().unwrap_or_default());
    let to = args.to.map_or(TxKind::Create, TxKind::Call);
    Ok(match args.legacy {
        true => Unsigned::Legacy(TxLegacy {
            chain_id: Some(chain_id),
            nonce,
            gas_price: price,
            gas_limit,
            to,
            value,
            input,
        }),
        false => Unsigned::Eip1559(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: price,
            max_priority_fee_per_gas: tip,
            to,
            value,
            access_list: Default::default(),
            input,
        }),
    })
}

async fn estimate_gas(args: &SendArgs, rpc: &RpcClient) -> Result<u64, CliError> {
    let mut call = json!({ "from": args.from, "value": args.value.0 });
    if let Some(to) = args.to {
        call["to"] = json!(to);
    }
    if let Some(data) = &args.data {
        call["input"] = json!(data);
    }
    Ok(rpc.call::<U64>("eth_estimateGas", json!([call])).await?.to())
}

/// The price and the part of it that goes to the authority, wei a unit of gas.
async fn fees(args: &SendArgs, rpc: &RpcClient) -> Result<(u128, u128), CliError> {
    let given = |wei: Wei, flag: &str| {
        u128::try_from(wei.0).map_err(|_| CliError::usage(format!("{flag} is more than 2^128 - 1 wei")))
    };
    let tip = match args.priority_gas_price {
        Some(tip) => given(tip, "--priority-gas-price")?,
        None => amount(rpc.call("eth_maxPriorityFeePerGas", json!([])).await?)?,
    };
    if let Some(price) = args.gas_price {
        let price = given(price, "--gas-price")?;
        // Where the node suggests no tip, the price that was typed is the whole offer: it can replace a free one.
        let is_offer = args.priority_gas_price.is_none() && tip == 0;
        return Ok((price, if is_offer { price } else { tip.min(price) }));
    }
    let head: Value = rpc.call("eth_getBlockByNumber", json!(["latest", false])).await?;
    let base: U256 = serde_json::from_value(head["baseFeePerGas"].clone()).unwrap_or_default();
    let price = amount(base)?.checked_mul(2).and_then(|twice| twice.checked_add(tip));
    Ok((price.ok_or_else(|| CliError::failed("the node's base fee is out of range"))?, tip))
}

fn amount(wei: U256) -> Result<u128, CliError> {
    u128::try_from(wei).map_err(|_| CliError::failed("the node's gas price is out of range"))
}

async fn wait_for_receipt(rpc: &RpcClient, hash: B256) -> Result<Value, CliError> {
    let deadline = Instant::now() + WAIT;
    loop {
        let receipt: Value = rpc.call("eth_getTransactionReceipt", json!([hash])).await?;
        if !receipt.is_null() {
            return Ok(receipt);
        }
        if Instant::now() >= deadline {
            let seconds = WAIT.as_secs();
            return Err(CliError::failed(format!(
                "transaction {hash} was taken but is in no block after {seconds} s; look at it with `callboard tx get`"
            )));
        }
        tokio::time::sleep(WAIT_STEP).await;
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

async fn list(address: Address, limit: u64, before: Option<&str>, client: &ClientArgs) -> Result<(), CliError> {
    let rpc = RpcClient::new(client.rpc.as_deref())?;
    let mut query = json!({ "limit": limit });
    if let Some(before) = before {
        query["before"] = json!(before);
    }
    let page: Value = rpc.call("callboard_getTransactionsByAddress", json!([address, query])).await?;
    Output::from(&client.json).print(&page, |page| {
        let row = |tx: &Value| {
            let amount = tx["value"].as_str().and_then(|wei| wei.parse::<Wei>().ok());
            let amount = amount.map_or_else(|| cell(&tx["value"]), |amount| amount.to_string());
            [cell(&tx["block_height"]), cell(&tx["hash"]), cell(&tx["sender"]), cell(&tx["recipient"]), amount]
        };
        let rows: Vec<_> = page["transactions"].as_array().into_iter().flatten().map(row).collect();
        let text = table(["block", "transaction", "from", "to", "value"], &rows);
        match &page["next"] {
            Value::Null => text,
            next => format!("{text}\nmore: --before {}\n", cell(next)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_chain::recovery::recover;

    #[test]
    fn signed_transactions_recover_to_their_sender() {
        let key = dev::key(0);
        let legacy = Unsigned::Legacy(TxLegacy { chain_id: Some(1337), ..Default::default() });
        let eip1559 = Unsigned::Eip1559(TxEip1559 { chain_id: 1337, ..Default::default() });
        for unsigned in [legacy, eip1559] {
            let signed = unsigned.sign(&key);
            let (hash, signature) = match &signed {
                Transaction::Legacy(tx) => (tx.signature_hash(), tx.signature()),
                Transaction::Eip1559(tx) => (tx.signature_hash(), tx.signature()),
                other => panic!("{other:?}"),
            };
            let mut bytes = signature.as_rsy();
            bytes[64] = u8::from(signature.v());
            assert_eq!(recover(hash, &bytes), Ok(key.address()));
        }
    }
}
