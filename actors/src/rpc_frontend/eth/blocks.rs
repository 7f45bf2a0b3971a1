//! Blocks and what is counted in them. A block that is not known is null, as Ethereum's standard has it.

use super::{BlockParam, Quantity, shape};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::View;
use alloy_eips::BlockId;
use serde::Serialize;

pub(super) async fn block(frontend: &Frontend, params: &Params<'_>, id: BlockId) -> RpcResult {
    let full = params.optional(1, "full transactions")?.unwrap_or(false);
    known(frontend, id, move |view, height| {
        let block = view.block(height)?;
        let senders = full.then(|| view.senders_of(&block)).transpose()?;
        Ok(shape::block(&block, senders.as_deref()))
    })
    .await
}

pub(super) async fn receipts(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let BlockParam(id) = params.required(0, "block")?;
    known(frontend, id, |view, height| Ok(shape::receipts(&view.executed(height)?))).await
}

pub(super) async fn transaction_count(frontend: &Frontend, id: BlockId) -> RpcResult {
    known(frontend, id, |view, height| Ok(Quantity::from(view.block(height)?.transactions().len()))).await
}

/// There are no uncles, so in every known block there are zero of them.
pub(super) async fn uncle_count(frontend: &Frontend, id: BlockId) -> RpcResult {
    known(frontend, id, |_, _| Ok(Quantity::ZERO)).await
}

/// There are no uncles, so at every index there is none.
pub(super) async fn uncle(frontend: &Frontend, params: &Params<'_>, id: BlockId) -> RpcResult {
    let _: Quantity = params.required(1, "index")?;
    known(frontend, id, |_, _| Ok(serde_json::Value::Null)).await
}

/// Reads something of a block, or answers null where the block is not known.
async fn known<T, F>(frontend: &Frontend, id: BlockId, read: F) -> RpcResult
where
    T: Serialize,
    F: FnOnce(&View, u64) -> Result<T, RpcError> + Send + 'static,
{
    frontend.read(move |view| view.known_height(id)?.map(|height| read(&view, height)).transpose()).await
}
