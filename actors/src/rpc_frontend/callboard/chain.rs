//! What Ethereum has no method for: the genesis, sealed blocks, transactions by address.

use crate::rpc_frontend::eth::BlockParam;
use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::limits::Limit;
use crate::rpc_frontend::rest::cursor::{After, Before};
use crate::rpc_frontend::rest::import_bytes;
use crate::rpc_frontend::rest::shape::Time;
use crate::rpc_frontend::rest::transactions::{DEFAULT_LIMIT, direction, page};
use crate::rpc_frontend::server::Frontend;
use crate::rpc_frontend::view::storage;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, Bytes};
use callboard_store::AddressQuery;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use serde_json::value::RawValue;
use std::net::SocketAddr;

/// The signed `genesis.json` itself, as it was written. One that is too long for an answer is given to peers only, which
/// read it in pieces.
pub(super) async fn genesis(frontend: &Frontend) -> RpcResult {
    let most = frontend.config.max_batch_answer_bytes;
    frontend
        .load(move |view| {
            let bytes = view.snapshot.genesis_json().map_err(storage)?;
            if bytes.len() > most {
                let sentence = format!(
                    "the genesis has {} bytes, an answer at most {most}: get it from GET /peer/v1/genesis at peers.listen",
                    bytes.len()
                );
                return Err(Limit::Genesis.refuse(sentence).into());
            }
            let text = String::from_utf8(bytes.into()).map_err(|error| RpcError::internal(error.to_string()))?;
            RawValue::from_string(text).map_err(|error| RpcError::internal(error.to_string()))
        })
        .await
}

/// The canonical bytes of a block.
pub(super) async fn sealed_block(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let NumberOrHash(id) = params.required(0, "block")?;
    frontend
        .read(move |view| {
            let height = view.height(id)?;
            Ok(view.block(height)?.bytes().clone())
        })
        .await
}

pub(super) async fn import_block(frontend: &Frontend, params: &Params<'_>, from: Option<SocketAddr>) -> RpcResult {
    let bytes: Bytes = params.required(0, "canonical bytes")?;
    let done = import_bytes(frontend, bytes, from).await?;
    json(serde_json::json!({ "imported": done.imported, "height": done.height, "hash": done.hash }))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageRequest {
    limit: Option<usize>,
    before: Option<Before>,
    after: Option<After>,
    direction: Option<String>,
}

pub(super) async fn transactions_by_address(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let address: Address = params.required(0, "address")?;
    let request: PageRequest = params.optional(1, "options")?.unwrap_or_default();
    let direction = direction(request.direction.as_deref())
        .ok_or_else(|| RpcError::invalid_params("direction must be sent, received or both"))?;
    let query = AddressQuery {
        before: request.before.map(|before| before.0),
        after: request.after.map(|after| after.0),
        limit: request.limit.unwrap_or(DEFAULT_LIMIT),
        direction,
    };
    frontend.read(move |view| page(&view, address, query, Time::Seconds)).await
}

/// A block by JSON number, or as Ethereum's methods name it.
pub(super) struct NumberOrHash(pub(super) BlockId);

impl<'de> Deserialize<'de> for NumberOrHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Some(height) = value.as_u64() {
            return Ok(Self(BlockId::Number(BlockNumberOrTag::Number(height))));
        }
        BlockParam::deserialize(value).map(|BlockParam(id)| Self(id)).map_err(D::Error::custom)
    }
}
