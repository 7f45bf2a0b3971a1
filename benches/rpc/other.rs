//! Another node, made comparable: what it is asked for is as much as it is here.

use crate::accounts::{call, wallets};
use crate::connection::Connection;
use crate::support::chain::Failure;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, hex};
use serde_json::json;

/// Gives the node a newest block of so many transfers of the ten accounts, unless it has one. How that is done is
/// `anvil`'s: blocks come when they are asked for, and this one when all transfers are there.
pub(crate) async fn prepare(url: &str, transfers: u64) -> Result<(), Failure> {
    if check(url, transfers).await.is_ok() {
        return Ok(());
    }
    let mut connection = Connection::open(url).await?;
    call(&mut connection, "evm_setAutomine", json!([false])).await?;
    let mut wallets = wallets(&mut connection).await?;
    for number in 0..transfers {
        let place = usize::try_from(number)? % wallets.len();
        let recipient = Address::left_padding_from(&(10_001 + number).to_be_bytes());
        let (transaction, _) = wallets[place].transfer(recipient, 1)?;
        let raw = hex::encode_prefixed(transaction.encoded_2718());
        call(&mut connection, "eth_sendRawTransaction", json!([raw])).await?;
    }
    call(&mut connection, "evm_mine", json!([])).await?;
    check(url, transfers).await
}

/// Whether its newest block holds so many transactions.
pub(crate) async fn check(url: &str, transfers: u64) -> Result<(), Failure> {
    let mut connection = Connection::open(url).await?;
    let newest = call(&mut connection, "eth_getBlockByNumber", json!(["latest", false])).await?;
    let holds = newest["transactions"].as_array().map_or(0, Vec::len);
    if u64::try_from(holds)? == transfers {
        return Ok(());
    }
    Err(format!("the newest block of {url} holds {holds} transactions, not {transfers}: start it without a block time")
        .into())
}
