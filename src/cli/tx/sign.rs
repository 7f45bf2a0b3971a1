//! What it takes to make a transaction: a key, gas and fees, a signature, and the wait for its receipt.

use crate::amount::Wei;
use crate::cli::CliError;
use crate::cli::account::{open_keystore, password_source};
use crate::cli::args::{GasArgs, KeyArgs};
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

/// A key of the keystore, or a development key where the chain is a development chain.
pub(in crate::cli) fn signing_key(from: Address, args: &KeyArgs) -> Result<SecretKey, CliError> {
    let keystore = open_keystore(&args.keystore)?;
    let missing = match keystore.find(from) {
        Ok(_) => {
            let what = from.to_string();
            let password = password_source(&what, &args.password).read().map_err(CliError::usage)?;
            return keystore.unlock(from, &password).map_err(|error| match error {
                KeystoreError::Decrypt { .. } => CliError::usage(error),
                error => CliError::failed(error),
            });
        }
        Err(missing) => missing,
    };
    let development = args.dev || Configuration::load(&args.keystore.config.sources())?.node.dev;
    let key = development.then(|| dev::key_of(from)).flatten();
    key.ok_or_else(|| CliError::usage(missing))
}

/// What a transaction does.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Content {
    pub(in crate::cli) from: Address,
    /// `None` creates a contract.
    pub(in crate::cli) to: Option<Address>,
    pub(in crate::cli) value: U256,
    pub(in crate::cli) input: Bytes,
}

impl Content {
    /// Text for somebody, without an amount.
    pub(in crate::cli) fn message(from: Address, to: Address, text: &str) -> Self {
        Self { from, to: Some(to), value: U256::ZERO, input: Bytes::copy_from_slice(text.as_bytes()) }
    }
}

/// A transaction that only lacks its signature.
pub(in crate::cli) enum Unsigned {
    Legacy(TxLegacy),
    Eip1559(TxEip1559),
}

impl Unsigned {
    pub(in crate::cli) fn sign(self, key: &SecretKey) -> Transaction {
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

/// Which chain a transaction is for and its place among its sender's; what is `None` the node is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) chain_id: Option<u64>,
    pub(in crate::cli) nonce: Option<u64>,
}

/// Asks the node for what is not given.
pub(in crate::cli) async fn build(
    rpc: &RpcClient,
    content: Content,
    place: Place,
    gas: &GasArgs,
) -> Result<Unsigned, CliError> {
    let chain_id = match place.chain_id {
        Some(chain_id) => chain_id,
        None => rpc.chain_id().await?,
    };
    let nonce = match place.nonce {
        Some(nonce) => nonce,
        None => rpc.account(content.from, "pending").await?.1,
    };
    let gas_limit = match gas.gas {
        Some(gas) => gas,
        None => estimate_gas(rpc, &content).await?,
    };
    let (price, tip) = fees(rpc, gas).await?;
    let Content { to, value, input, .. } = content;
    let to = to.map_or(TxKind::Create, TxKind::Call);
    Ok(match gas.legacy {
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

async fn estimate_gas(rpc: &RpcClient, content: &Content) -> Result<u64, CliError> {
    let mut call = json!({ "from": content.from, "value": content.value });
    if let Some(to) = content.to {
        call["to"] = json!(to);
    }
    if !content.input.is_empty() {
        call["input"] = json!(content.input);
    }
    Ok(rpc.call::<U64>("eth_estimateGas", json!([call])).await?.to())
}

/// The price and the part of it that goes to the authority, wei a unit of gas.
async fn fees(rpc: &RpcClient, args: &GasArgs) -> Result<(u128, u128), CliError> {
    let given = |wei: Wei, flag: &str| {
        u128::try_from(wei.0).map_err(|_| CliError::usage(format!("{flag} is more than 2^128 - 1 wei")))
    };
    let price = args.gas_price.map(|price| given(price, "--gas-price")).transpose()?;
    let tip = match args.priority_gas_price {
        Some(tip) => given(tip, "--priority-gas-price")?,
        // A legacy transaction has a price and nothing else.
        None if args.legacy && price.is_some() => 0,
        None => amount(rpc.call("eth_maxPriorityFeePerGas", json!([])).await?)?,
    };
    if let Some(price) = price {
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

/// Gives a signed transaction to the node.
pub(in crate::cli) async fn submit(rpc: &RpcClient, transaction: &Transaction) -> Result<B256, CliError> {
    Ok(rpc.call("eth_sendRawTransaction", json!([Bytes::from(transaction.encoded_2718())])).await?)
}

/// The receipt of a transaction; `None` while it is in no block.
pub(in crate::cli) async fn receipt(rpc: &RpcClient, hash: B256) -> Result<Option<Value>, CliError> {
    let receipt: Value = rpc.call("eth_getTransactionReceipt", json!([hash])).await?;
    Ok(Some(receipt).filter(|receipt| !receipt.is_null()))
}

pub(in crate::cli) async fn wait_for_receipt(rpc: &RpcClient, hash: B256) -> Result<Value, CliError> {
    let deadline = Instant::now() + WAIT;
    loop {
        if let Some(receipt) = receipt(rpc, hash).await? {
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

/// Whether the transaction of a receipt did what it should.
pub(in crate::cli) fn succeeded(receipt: &Value) -> bool {
    receipt["status"] == "0x1"
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
