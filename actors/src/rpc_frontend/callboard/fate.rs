//! Where a transaction is, and why.

use crate::rpc_frontend::jsonrpc::{Params, RpcError, RpcResult, json};
use crate::rpc_frontend::server::Frontend;
use crate::tx_pool::{Entry, Fate, Source, Step, Story, Waiting};
use alloy_primitives::B256;
use serde_json::{Map, Value, json as object};

/// In a block, in the pool, or how it ended there. One that this node knows nothing of is an error.
pub(super) async fn transaction_status(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let hash: B256 = params.required(0, "transaction hash")?;
    if let Some(included) = included(frontend, hash).await? {
        return json(included);
    }
    let story = frontend.ports.pool.story(hash).await.map_err(|error| RpcError::internal(error.to_string()))?;
    // It may have been confirmed between the two looks.
    match (included(frontend, hash).await?, story) {
        (Some(included), _) => json(included),
        (None, Some(story)) => json(shape(hash, &story)),
        (None, None) => Err(RpcError::refused(format!("unknown transaction: {hash}"))),
    }
}

async fn included(frontend: &Frontend, hash: B256) -> Result<Option<Value>, RpcError> {
    let found = frontend.load(move |view| {
        let Some((height, index)) = view.location(hash)? else { return Ok(None) };
        Ok(Some((height, index, view.header(height)?.timestamp)))
    });
    let shape = |(height, index, at)| {
        object!({
            "hash": hash, "status": "included", "height": height, "index": index, "waitingFor": null,
            "timeline": [{ "at": at, "step": "included", "height": height, "index": index }],
        })
    };
    Ok(found.await?.map(shape))
}

fn shape(hash: B256, story: &Story) -> Value {
    let mut value = match &story.fate {
        Fate::Held { waiting, forwarded, acknowledged_by } => object!({
            "status": if *waiting == Waiting::Ready { "pending" } else { "queued" },
            "forwarded": forwarded,
            "acknowledgedBy": acknowledged_by.map(|node| node.to_string()),
        }),
        Fate::Dropped(reason) => object!({ "status": "dropped", "reason": reason.name() }),
        Fate::RefusedBy { by, reason } => object!({ "status": "refused", "reason": reason, "by": by.to_string() }),
        Fate::Refused { reason } => object!({ "status": "refused", "reason": reason, "by": null }),
    };
    value["hash"] = object!(hash);
    value["waitingFor"] = match &story.fate {
        Fate::Held { waiting, .. } => waiting_for(waiting),
        _ => Value::Null,
    };
    value["timeline"] = story.timeline.iter().map(entry).collect();
    value
}

fn waiting_for(waiting: &Waiting) -> Value {
    match waiting {
        Waiting::Ready => Value::Null,
        Waiting::Nonces { missing } => {
            let range = |range: &std::ops::RangeInclusive<u64>| object!({ "from": range.start(), "to": range.end() });
            object!({ "nonces": missing.iter().map(range).collect::<Vec<_>>() })
        }
        Waiting::Funds { required, balance } => {
            object!({ "funds": { "required": required.to_string(), "balance": balance.to_string() } })
        }
        Waiting::BaseFee { nonce, cap, base_fee } => {
            object!({ "baseFee": { "nonce": nonce, "cap": cap.to_string(), "baseFee": base_fee.to_string() } })
        }
    }
}

/// A step with its time, and with what belongs to it; nothing is null.
fn entry(entry: &Entry) -> Value {
    let mut shape = Map::new();
    shape.insert("at".to_owned(), object!(entry.at));
    shape.insert("step".to_owned(), object!(entry.step.name()));
    if entry.times > 1 {
        shape.insert("times".to_owned(), object!(entry.times));
        shape.insert("last".to_owned(), object!(entry.last));
    }
    let details = match &entry.step {
        Step::Arrived { from } | Step::KeptOut { from } => vec![("from", object!(source(*from)))],
        Step::Checked => Vec::new(),
        Step::Forwarded { to } => {
            vec![("to", to.iter().map(ToString::to_string).collect())]
        }
        Step::Acknowledged { by } => vec![("by", object!(by.to_string()))],
        Step::NotNow { by, reason } | Step::RefusedBy { by, reason } => {
            vec![("by", object!(by.to_string())), ("reason", object!(reason))]
        }
        Step::Dropped { reason, by, detail } => {
            vec![("reason", object!(reason.name())), ("by", object!(by)), ("detail", object!(detail))]
        }
        Step::Refused { from, reason } => vec![("from", object!(source(*from))), ("reason", object!(reason))],
    };
    let there = details.into_iter().filter(|(_, value)| !value.is_null());
    shape.extend(there.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(shape)
}

fn source(source: Source) -> String {
    match source {
        Source::Rpc => "rpc".to_owned(),
        Source::Block => "block".to_owned(),
        Source::Peer(peer) => peer.to_string(),
    }
}
