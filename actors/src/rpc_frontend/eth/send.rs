//! `eth_sendRawTransaction`, and EIP-7966's way to wait for the receipt: what a transaction has to be before the pool is asked. The texts are those that
//! Ethereum clients match.

use super::node::unavailable;
use super::param::Count;
use super::state::next_nonce;
use super::transactions::receipt_of;
use crate::event_stream::{Event, Subscription, Topic, Topics};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::ports::{Submission, SubmitError};
use crate::rpc_frontend::server::Frontend;
use alloy_consensus::constants::EIP4844_TX_TYPE_ID;
use alloy_consensus::{Header, Transaction};
use alloy_primitives::{B256, Bytes};
use callboard_chain::transaction::{DecodeTransactionError, decode_transaction, recover_sender, validate_transaction};
use callboard_chain::verify::next_base_fee;
use callboard_chain::{ChainConfig, keccak256};
use std::time::Duration;

pub(super) async fn send_raw(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let bytes: Bytes = params.required(0, "signed transaction")?;
    json(submit(frontend, &bytes).await?)
}

/// How long `eth_sendRawTransactionSync` waits (EIP-7966's recommendation), and at most: it holds its connection.
const WAIT: Duration = Duration::from_secs(2);
const WAIT_AT_MOST: Duration = Duration::from_secs(10);
/// EIP-7966: the pool has the transaction, and no block has it yet.
const NOT_CONFIRMED: i64 = 4;
/// EIP-7966: the pool has the transaction, and no block can have it before another one.
const NOT_READY: i64 = 5;

/// Sends, and answers with the receipt (EIP-7966).
pub(super) async fn send_raw_sync(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let bytes: Bytes = params.required(0, "signed transaction")?;
    let asked: Option<Count> = params.optional(1, "timeout in milliseconds")?;
    let wait = patience(asked);
    // Before the transaction is sent, so that no block is missed.
    let subscribed = frontend.ports.events.subscribe(Topics::default().with(Topic::Blocks)).await;
    let live = subscribed.map_err(|error| RpcError::unavailable(error.to_string()))?;
    let submission = checked(frontend, &bytes)?;
    let (hash, nonce, sender) = (*submission.transaction.tx_hash(), submission.transaction.nonce(), submission.sender);
    frontend.ports.pool.submit(submission).await.map_err(refused)?;
    let next = next_nonce(frontend, sender).await?;
    if nonce > next {
        let message = format!(
            "the transaction has nonce {nonce} and waits for nonce {next} of {sender}; the pool has it, and a block can \
             have it after those before it"
        );
        return Err(RpcError { data: Some(hash.to_string().into()), ..RpcError::new(NOT_READY, message) });
    }
    // However the waiting ends, the database says whether a block has it.
    let _ = tokio::time::timeout(wait, in_a_block(&live, hash)).await;
    match frontend.load(move |view| receipt_of(&view, hash)).await? {
        Some(receipt) => json(receipt),
        None => {
            let message = format!("the transaction is in the pool and was in no block within {} ms", wait.as_millis());
            Err(RpcError { data: Some(hash.to_string().into()), ..RpcError::new(NOT_CONFIRMED, message) })
        }
    }
}

/// How long is waited where so many milliseconds, or none, are asked for.
fn patience(asked: Option<Count>) -> Duration {
    asked.map_or(WAIT, |Count(millis)| Duration::from_millis(millis)).min(WAIT_AT_MOST)
}

/// Done when a block has the transaction, or no more events come.
async fn in_a_block(live: &Subscription<Event>, hash: B256) {
    while let Ok(event) = live.next().await {
        let Event::Blocks(blocks) = event else { continue };
        let mut transactions = blocks.iter().flat_map(|event| event.block.value().transactions());
        if transactions.any(|transaction| *transaction.tx_hash() == hash) {
            return;
        }
    }
}

/// Checks a signed transaction and gives it to the pool. When this returns, the pool holds it.
pub(crate) async fn submit(frontend: &Frontend, bytes: &Bytes) -> Result<B256, RpcError> {
    let submission = checked(frontend, bytes)?;
    let hash = *submission.transaction.tx_hash();
    frontend.ports.pool.submit(submission).await.map_err(refused)?;
    Ok(hash)
}

/// A signed transaction that keeps the rules. The pool is told of one that does not. It is checked on the server's thread:
/// recovering its sender takes less time than waking another thread and being woken by it.
fn checked(frontend: &Frontend, bytes: &Bytes) -> Result<Submission, RpcError> {
    let view = frontend.newest()?;
    check(&view.config, view.head_header()?, bytes).inspect_err(|error| {
        // What a wallet calls the hash of these bytes, whatever they are: it may ask for it.
        frontend.ports.pool.refused(keccak256(bytes), error.message.clone());
    })
}

/// The rules that need no state but the head's height and base fee.
fn check(config: &ChainConfig, head: &Header, bytes: &[u8]) -> Result<Submission, RpcError> {
    // Before anything else: with its blobs beside it such a transaction has another form, and is longer than any that is taken.
    if bytes.first() == Some(&EIP4844_TX_TYPE_ID) {
        return Err(RpcError::refused("transaction type not supported: 0x03, no block of this chain carries blobs"));
    }
    let transaction = decode_transaction(bytes).map_err(malformed)?;
    let base_fee = next_base_fee(head, config);
    validate_transaction(&transaction, config, head.number.saturating_add(1), base_fee)
        .map_err(|error| RpcError::refused(error.to_string()))?;
    let sender = recover_sender(&transaction).map_err(|error| RpcError::refused(error.to_string()))?;
    Ok(Submission { transaction, sender })
}

/// An unknown type is a transaction that is refused; everything else is a parameter that is none.
fn malformed(error: DecodeTransactionError) -> RpcError {
    match error {
        DecodeTransactionError::UnknownType { .. } => RpcError::refused(error.to_string()),
        _ => RpcError::invalid_params(format!("invalid transaction: {error}")),
    }
}

fn refused(error: SubmitError) -> RpcError {
    match error {
        SubmitError::Refused(message) => RpcError::refused(message),
        SubmitError::Unavailable(error) => unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_waited_for_longer_than_ten_seconds() {
        let waited = [None, Some(1), Some(9_999), Some(10_001), Some(u64::MAX)].map(|asked| patience(asked.map(Count)));
        assert_eq!(waited.map(|time| time.as_millis()), [2_000, 1, 9_999, 10_000, 10_000]);
    }
}
