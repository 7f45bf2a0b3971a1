//! `eth_sendRawTransaction`: what a transaction has to be before the pool is asked. The texts are those that
//! Ethereum clients match.

use super::node::unavailable;
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::ports::{Submission, SubmitError};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::View;
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use callboard_chain::keccak256;
use callboard_chain::transaction::{DecodeTransactionError, decode_transaction, recover_sender, validate_transaction};
use callboard_chain::verify::next_base_fee;

pub(super) async fn send_raw(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let bytes: Bytes = params.required(0, "signed transaction")?;
    json(submit(frontend, bytes).await?)
}

/// Checks a signed transaction and gives it to the pool. When this returns, the pool holds it.
pub(crate) async fn submit(frontend: &Frontend, bytes: Bytes) -> Result<B256, RpcError> {
    let checked = frontend.load({
        let bytes = bytes.clone();
        move |view| {
            let head = view.header(view.head.height)?;
            Ok(check(&view, &head, &bytes))
        }
    });
    let submission = checked.await?.inspect_err(|error| {
        // What a wallet calls the hash of these bytes, whatever they are: it may ask for it.
        frontend.ports.pool.refused(keccak256(&bytes), error.message.clone());
    })?;
    let hash = *submission.transaction.tx_hash();
    frontend.ports.pool.submit(submission).await.map_err(refused)?;
    Ok(hash)
}

/// The rules that need no state but the head's height and base fee.
fn check(view: &View, head: &Header, bytes: &[u8]) -> Result<Submission, RpcError> {
    let transaction = decode_transaction(bytes).map_err(malformed)?;
    let base_fee = next_base_fee(head, &view.config);
    validate_transaction(&transaction, &view.config, head.number.saturating_add(1), base_fee)
        .map_err(|error| RpcError::refused(error.to_string()))?;
    let sender = recover_sender(&transaction).map_err(|error| RpcError::refused(format!("invalid sender: {error}")))?;
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
