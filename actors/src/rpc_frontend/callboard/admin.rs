//! Methods for operators. They are answered on the admin listener alone.

use crate::reconciler::VerifyState;
use crate::rpc_frontend::config::AdminSurface;
use crate::rpc_frontend::eth::unavailable;
use crate::rpc_frontend::jsonrpc::{METHOD_NOT_FOUND, Params, RpcError, RpcResult, json};
use crate::rpc_frontend::ports::VerifyUnavailable;
use crate::rpc_frontend::server::Frontend;
use alloy_primitives::B256;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// Every method of this module. The reference has an example of each.
pub const METHODS: &[&str] = &["callboard_dropTransaction", "callboard_verify"];
/// How long one request waits for a check to end; then it answers how far that is, and the client asks again.
const WAIT: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Answers one of [`METHODS`], where this listener may.
pub(crate) async fn call(frontend: &Frontend, method: &str, params: &Params<'_>) -> RpcResult {
    match &frontend.config.admin {
        AdminSurface::Here => {}
        AdminSurface::At(listen) => {
            let message = format!("{method} is an admin method: it is answered at {listen} only (rpc.admin)");
            return Err(RpcError::new(METHOD_NOT_FOUND, message));
        }
        AdminSurface::Off => {
            let message =
                format!("{method} is an admin method, and this node has no admin listener: set rpc.admin = true");
            return Err(RpcError::new(METHOD_NOT_FOUND, message));
        }
    }
    match method {
        "callboard_verify" => verify(frontend, params).await,
        _ => drop_transaction(frontend, params).await,
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: Option<u64>,
    to: Option<u64>,
}

/// Checks a range of stored blocks: `{state: "done", from, to, fault}`, or `{state: "running", from, to, at}`, and the
/// client asks again.
async fn verify(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let Range { from, to } = params.optional(0, "range")?.unwrap_or_default();
    frontend.chain()?;
    let until = Instant::now() + WAIT;
    loop {
        let state =
            frontend.ports.admin.verify(from, to).await.map_err(|VerifyUnavailable(why)| RpcError::refused(why))?;
        if !matches!(state, VerifyState::Running { .. }) || Instant::now() >= until {
            return json(state);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Takes a transaction out of the pool of this node: `{dropped}`. Other nodes may have it.
async fn drop_transaction(frontend: &Frontend, params: &Params<'_>) -> RpcResult {
    let hash: B256 = params.required(0, "transaction hash")?;
    let dropped = frontend.ports.pool.drop_transaction(hash).await;
    let dropped = dropped.map_err(unavailable)?;
    json(serde_json::json!({ "dropped": dropped }))
}
