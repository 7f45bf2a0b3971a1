//! The funded accounts of a development chain, on whatever node has it: what `anvil` makes has the same ten.

use crate::connection::Connection;
use crate::support::chain::{Failure, Wallet};
use serde_json::{Value, json};

/// The ten accounts, as they stand on this chain.
pub(crate) async fn wallets(connection: &mut Connection) -> Result<Vec<Wallet>, Failure> {
    let chain_id = number(&call(connection, "eth_chainId", json!([])).await?)?;
    let head = call(connection, "eth_getBlockByNumber", json!(["latest", false])).await?;
    // Twice what the newest block asks for, so that no transfer has to wait for a lower price.
    let fee = u128::from(number(&head["baseFeePerGas"])?) * 2;
    let mut wallets = Vec::new();
    for wallet in Wallet::funded() {
        let nonce = call(connection, "eth_getTransactionCount", json!([wallet.address(), "pending"])).await?;
        wallets.push(wallet.on(chain_id, number(&nonce)?, fee));
    }
    Ok(wallets)
}

/// The result of a call.
pub(crate) async fn call(connection: &mut Connection, method: &str, params: Value) -> Result<Value, Failure> {
    let request = connection.call(method, &params);
    let mut answer = connection.json(&request).await?;
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(format!("{method}: {answer}").into()),
    }
}

/// A quantity.
pub(crate) fn number(value: &Value) -> Result<u64, Failure> {
    let digits =
        value.as_str().and_then(|text| text.strip_prefix("0x")).ok_or_else(|| format!("no number: {value}"))?;
    Ok(u64::from_str_radix(digits, 16)?)
}
