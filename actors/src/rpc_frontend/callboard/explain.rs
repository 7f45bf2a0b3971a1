//! What became of blocks: refusals, and the way of confirmed ones.

use super::chain::NumberOrHash;
use crate::importer::{ConfirmedBlock, MAX_LISTED};
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult};
use crate::rpc_frontend::ports::ExplainQuestion;
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::storage;
use alloy_eips::{BlockId, BlockNumberOrTag};
use serde::Deserialize;

/// Refusals of one answer where no limit is asked for.
const DEFAULT_LIMIT: usize = 20;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RejectionsRequest {
    limit: Option<usize>,
}

/// The newest refused blocks, newest first.
pub(super) async fn rejections(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let request: RejectionsRequest = params.optional(0, "options")?.unwrap_or_default();
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    if limit > MAX_LISTED {
        return Err(RpcError::invalid_params(format!("limit is {limit}, at most {MAX_LISTED} are told")));
    }
    let port = frontend.ports.blocks.clone();
    frontend.read(move |_| port.rejections(limit).map_err(storage)).await
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainRequest {
    #[serde(default)]
    raw: bool,
}

/// Everything known of a block.
pub(super) async fn explain(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let NumberOrHash(id) = params.required(0, "block")?;
    let request: ExplainRequest = params.optional(1, "options")?.unwrap_or_default();
    let port = frontend.ports.blocks.clone();
    frontend
        .read(move |view| {
            let confirmed = match view.known_height(id)? {
                None => None,
                Some(height) => {
                    let block = view.block(height)?;
                    Some(ConfirmedBlock { height, hash: block.hash(), proposer: block.header().beneficiary })
                }
            };
            let (height, hash) = match id {
                BlockId::Hash(hash) => (None, Some(hash.block_hash)),
                BlockId::Number(BlockNumberOrTag::Number(height)) => (Some(height), None),
                BlockId::Number(_) => (confirmed.map(|block| block.height), None),
            };
            let question = ExplainQuestion { height, hash, confirmed, raw: request.raw };
            let explained = port.explain(question).map_err(storage)?;
            explained.ok_or_else(|| view.unknown_block(id))
        })
        .await
}
