//! Where a transaction is, and why.

use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::server::Frontend;
use crate::tx_pool::Fate;
use alloy_primitives::B256;
use serde_json::{Value, json as object};

/// In a block, in the pool, or how it ended there. One that this node knows nothing of is an error.
pub(super) async fn transaction_status(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let hash: B256 = params.required(0, "transaction hash")?;
    if let Some(included) = included(frontend, hash).await? {
        return json(included);
    }
    let fate = frontend.ports.pool.fate(hash).await.map_err(|error| RpcError::internal(error.to_string()))?;
    // It may have been confirmed between the two looks.
    match (included(frontend, hash).await?, fate) {
        (Some(included), _) => json(included),
        (None, Some(fate)) => json(shape(hash, &fate)),
        (None, None) => Err(RpcError::refused(format!("unknown transaction: {hash}"))),
    }
}

async fn included(frontend: &Frontend, hash: B256) -> Result<Option<Value>, RpcError> {
    let location = frontend.load(move |view| view.location(hash)).await?;
    let shape = |(height, index)| object!({ "hash": hash, "status": "included", "height": height, "index": index });
    Ok(location.map(shape))
}

fn shape(hash: B256, fate: &Fate) -> Value {
    match fate {
        Fate::Held { ready, forwarded, acknowledged_by } => object!({
            "hash": hash,
            "status": if *ready { "pending" } else { "queued" },
            "forwarded": forwarded,
            "acknowledgedBy": acknowledged_by.map(|node| node.to_string()),
        }),
        Fate::Dropped(reason) => object!({ "hash": hash, "status": "dropped", "reason": reason.name() }),
        Fate::RefusedBy { by, reason } => {
            object!({ "hash": hash, "status": "refused", "reason": reason, "by": by.to_string() })
        }
        Fate::Refused(error) => {
            object!({ "hash": hash, "status": "refused", "reason": error.to_string(), "by": null })
        }
    }
}
