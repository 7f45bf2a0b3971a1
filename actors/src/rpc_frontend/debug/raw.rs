//! Headers, blocks, receipts and transactions in Ethereum's encodings.
//!
//! A block is Ethereum's own: the seal stands beside it and not in it. `callboard_getSealedBlock` has both.

use crate::rpc_frontend::eth::{BlockParam, raw_transaction};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::server::Frontend;
use alloy_consensus::{BlockBody, TxReceipt};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};

pub(super) async fn header(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let BlockParam(id) = params.required(0, "block")?;
    frontend.read(move |view| Ok(encoded(&view.header(view.height(id)?)?))).await
}

/// Header, transactions, no uncles and no withdrawals.
pub(super) async fn block(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let BlockParam(id) = params.required(0, "block")?;
    frontend
        .read(move |view| {
            let block = view.block(view.height(id)?)?;
            let transactions = block.transactions().to_vec();
            let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(Default::default()) };
            Ok(encoded(&alloy_consensus::Block { header: block.header().clone(), body }))
        })
        .await
}

/// As they stand in the receipts trie.
pub(super) async fn receipts(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let BlockParam(id) = params.required(0, "block")?;
    frontend
        .read(move |view| {
            let receipts = view.receipts(view.height(id)?)?;
            let encoded = receipts.into_iter().map(|receipt| Bytes::from(receipt.into_with_bloom().encoded_2718()));
            Ok(encoded.collect::<Vec<_>>())
        })
        .await
}

/// Confirmed or pending.
pub(super) async fn transaction(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let hash: B256 = params.required(0, "transaction hash")?;
    match raw_transaction(frontend, hash).await? {
        Some(bytes) => json(bytes),
        None => Err(RpcError::refused(format!("transaction not found: {hash}"))),
    }
}

fn encoded(value: &impl alloy_rlp::Encodable) -> Bytes {
    alloy_rlp::encode(value).into()
}
