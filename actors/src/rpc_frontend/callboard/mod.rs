//! Callboard's own methods. Heights, counts and seconds are JSON numbers, wei are decimal strings.

pub(crate) mod admin;
mod chain;
mod evidence;
mod explain;
mod fate;
mod history;
mod messages;
mod proof;

pub use evidence::{DocumentError, EVIDENCE_FORMAT, EvidenceBody, EvidenceDocument, SealedHeaderBody};
pub use proof::{MalformedProof, TransactionProof, proven};

use super::jsonrpc::{Params, RpcError, RpcResult, json};
use super::server::Frontend;
use std::net::SocketAddr;

/// Every method of this module. The reference has an example of each.
pub const METHODS: &[&str] = &[
    "callboard_actors",
    "callboard_evidence",
    "callboard_explainBlock",
    "callboard_genesis",
    "callboard_getAccountHistory",
    "callboard_getMessages",
    "callboard_getSealedBlock",
    "callboard_getTransactionProof",
    "callboard_getTransactionsByAddress",
    "callboard_importBlock",
    "callboard_peers",
    "callboard_rejections",
    "callboard_routes",
    "callboard_syncStatus",
    "callboard_transactionStatus",
    "callboard_verifyTransactionProof",
];

/// Answers one of [`METHODS`].
pub(crate) async fn call(
    frontend: &Frontend,
    method: &str,
    params: &Params<'_>,
    from: Option<SocketAddr>,
) -> RpcResult {
    let status = &frontend.ports.status;
    match method {
        "callboard_actors" => json(status.actors()),
        "callboard_peers" => json(status.peers()),
        "callboard_routes" => json(status.routes()),
        "callboard_syncStatus" => json(status.sync_status()),
        "callboard_evidence" => evidence::evidence(frontend, params).await,
        "callboard_explainBlock" => explain::explain(frontend, params).await,
        "callboard_rejections" => explain::rejections(frontend, params).await,
        "callboard_genesis" => chain::genesis(frontend).await,
        "callboard_getSealedBlock" => chain::sealed_block(frontend, params).await,
        "callboard_getAccountHistory" => history::account_history(frontend, params).await,
        "callboard_getMessages" => messages::messages(frontend, params).await,
        "callboard_getTransactionProof" => proof::prove(frontend, params).await,
        "callboard_verifyTransactionProof" => proof::verify(frontend, params).await,
        "callboard_getTransactionsByAddress" => chain::transactions_by_address(frontend, params).await,
        "callboard_transactionStatus" => fate::transaction_status(frontend, params).await,
        "callboard_importBlock" => chain::import_block(frontend, params, from).await,
        other => Err(RpcError::method_not_found(other)),
    }
}
