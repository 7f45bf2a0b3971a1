//! Transactions and receipts, confirmed and pending.

use super::node::unavailable;
use super::{Quantity, shape};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::ports::Pending;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::{View, storage};
use alloy_eips::BlockId;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};
use callboard_store::{ConfirmedTransaction, TransactionLocation};
use serde::Serialize;
use shape::{RpcReceipt, RpcTransaction};

pub(super) async fn by_hash(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let hash = params.required(0, "transaction hash")?;
    if let Some(transaction) = frontend.load(move |view| confirmed(&view, hash)).await? {
        return json(transaction);
    }
    match pending(frontend, hash).await? {
        Some(pending) => json(shape::pending(pending.transaction, pending.sender)),
        // It may have been confirmed between the two looks.
        None => frontend.read(move |view| confirmed(&view, hash)).await,
    }
}

pub(super) async fn raw(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    json(raw_transaction(frontend, params.required(0, "transaction hash")?).await?)
}

/// The EIP-2718 bytes of a transaction, confirmed or pending.
pub(crate) async fn raw_transaction(frontend: &Frontend, hash: B256) -> Result<Option<Bytes>, RpcError> {
    let encode = move |view: View| {
        let found = view.snapshot.confirmed_by_hash(hash).map_err(storage)?;
        Ok(found.map(|(_, found)| Bytes::from(found.transaction.encoded_2718())))
    };
    if let Some(bytes) = frontend.load(encode).await? {
        return Ok(Some(bytes));
    }
    match pending(frontend, hash).await? {
        Some(pending) => Ok(Some(pending.transaction.encoded_2718().into())),
        // It may have been confirmed between the two looks.
        None => frontend.load(encode).await,
    }
}

pub(super) async fn raw_by_block(frontend: &Frontend, params: &Params<'_>, id: BlockId) -> RpcResult {
    in_block(frontend, params, id, |_, _, found| Ok(Bytes::from(found.transaction.encoded_2718()))).await
}

pub(super) async fn by_block(frontend: &Frontend, params: &Params<'_>, id: BlockId) -> RpcResult {
    in_block(frontend, params, id, shaped).await
}

/// Reads the transaction with a number in a block; null where there is no such block, or no such transaction in it.
async fn in_block<T: Serialize>(
    frontend: &Frontend,
    params: &Params<'_>,
    id: BlockId,
    read: impl FnOnce(&View, TransactionLocation, ConfirmedTransaction) -> Result<T, RpcError> + Send + 'static,
) -> RpcResult {
    let index: Quantity = params.required(1, "index")?;
    frontend
        .read(move |view| {
            let Some(height) = view.known_height(id)? else { return Ok(None) };
            let Ok(index) = u32::try_from(index) else { return Ok(None) };
            let location = TransactionLocation { height, index };
            let found = view.snapshot.confirmed(location).map_err(storage)?;
            found.map(|found| read(&view, location, found)).transpose()
        })
        .await
}

/// Null until the transaction is confirmed.
pub(super) async fn receipt(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let hash = params.required(0, "transaction hash")?;
    frontend.read(move |view| receipt_of(&view, hash)).await
}

/// The receipt of the confirmed transaction with `hash`.
pub(super) fn receipt_of(view: &View, hash: B256) -> Result<Option<RpcReceipt>, RpcError> {
    let Some((height, index)) = view.location(hash)? else { return Ok(None) };
    Ok(shape::receipts(&view.executed(height)?).into_iter().nth(index))
}

/// The confirmed transaction with `hash`.
fn confirmed(view: &View, hash: B256) -> Result<Option<RpcTransaction>, RpcError> {
    let found = view.snapshot.confirmed_by_hash(hash).map_err(storage)?;
    found.map(|(location, confirmed)| shaped(view, location, confirmed)).transpose()
}

fn shaped(
    view: &View,
    location: TransactionLocation,
    confirmed: ConfirmedTransaction,
) -> Result<RpcTransaction, RpcError> {
    let ConfirmedTransaction { header, transaction, sender, .. } = confirmed;
    Ok(shape::transaction(view.hash(location.height)?, &header, location.index, transaction, sender))
}

async fn pending(frontend: &Frontend, hash: B256) -> Result<Option<Pending>, RpcError> {
    frontend.ports.pool.pending(hash).await.map_err(unavailable)
}
