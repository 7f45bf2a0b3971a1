//! What the node says of itself.

use super::Quantity;
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::ports::PoolUnavailable;
use crate::rpc_frontend::server::Frontend;
use alloy_primitives::{Address, Bytes};
use callboard_chain::keccak256;
use serde_json::json as object;

pub(super) fn client_version(frontend: &Frontend) -> RpcResult {
    json(&frontend.config.client_version)
}

pub(super) fn sha3(params: &Params<'_>) -> RpcResult {
    json(keccak256(params.required::<Bytes>(0, "data")?))
}

pub(super) fn net_version(frontend: &Frontend) -> RpcResult {
    json(frontend.chain()?.config.chain_id.to_string())
}

pub(super) fn listening() -> RpcResult {
    json(true)
}

pub(super) fn peer_count(frontend: &Frontend) -> RpcResult {
    json(Quantity::from(frontend.ports.status.peer_count()))
}

/// No account is unlocked here, ever: clients sign.
pub(super) fn accounts(frontend: &Frontend) -> RpcResult {
    frontend.chain()?;
    json(Vec::<Address>::new())
}

pub(super) fn chain_id(frontend: &Frontend) -> RpcResult {
    json(Quantity::from(frontend.chain()?.config.chain_id))
}

pub(super) fn coinbase(frontend: &Frontend) -> RpcResult {
    json(frontend.chain()?.config.authority)
}

pub(super) fn block_number(frontend: &Frontend) -> RpcResult {
    json(Quantity::from(frontend.newest()?.head.height))
}

pub(super) fn syncing(frontend: &Frontend) -> RpcResult {
    let view = frontend.newest()?;
    let Some(progress) = frontend.ports.status.progress() else { return json(false) };
    json(object!({
        "startingBlock": Quantity::from(progress.starting),
        "currentBlock": Quantity::from(view.head.height),
        "highestBlock": Quantity::from(progress.target),
    }))
}

pub(super) async fn pool_status(frontend: &Frontend) -> RpcResult {
    frontend.chain()?;
    let status = frontend.ports.pool.status().await.map_err(unavailable)?;
    json(object!({ "pending": Quantity::from(status.pending), "queued": Quantity::from(status.queued) }))
}

/// The pool's silence as an error that clients may retry.
pub(crate) fn unavailable(error: PoolUnavailable) -> RpcError {
    RpcError::unavailable(error.to_string())
}
