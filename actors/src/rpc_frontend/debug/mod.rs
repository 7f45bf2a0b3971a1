//! `debug_` methods: what transactions did, and what is stored, as bytes.

mod answer;
mod options;
mod raw;
mod trace;

use super::jsonrpc::{Params, RpcError, RpcResult};
use super::server::Frontend;

/// Every method of this module.
pub(crate) const METHODS: &[&str] = &[
    "debug_getRawBlock",
    "debug_getRawHeader",
    "debug_getRawReceipts",
    "debug_getRawTransaction",
    "debug_traceBlockByHash",
    "debug_traceBlockByNumber",
    "debug_traceCall",
    "debug_traceTransaction",
];

/// Answers one of [`METHODS`].
pub(crate) async fn call(frontend: &Frontend, method: &str, params: &Params<'_>) -> RpcResult {
    match method {
        "debug_getRawBlock" => raw::block(frontend, params).await,
        "debug_getRawHeader" => raw::header(frontend, params).await,
        "debug_getRawReceipts" => raw::receipts(frontend, params).await,
        "debug_getRawTransaction" => raw::transaction(frontend, params).await,
        "debug_traceBlockByHash" | "debug_traceBlockByNumber" => trace::block(frontend, method, params).await,
        "debug_traceCall" => trace::call(frontend, params).await,
        "debug_traceTransaction" => trace::transaction(frontend, params).await,
        other => Err(RpcError::method_not_found(other)),
    }
}
