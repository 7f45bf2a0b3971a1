//! The RPC frontend: JSON-RPC 2.0, over HTTP and WebSocket, events and REST on one listener.
//!
//! *Role*: answers clients. *Owns*: the listener, nothing of the chain. *Receives*: HTTP requests. *Sends*:
//! transactions to the pool and blocks to the importer, through [`RpcPorts`]. *When behind*: refuses; every lane has
//! a bound ([`RpcConfig`], `gate`). *On failure*: an answer that fails is an error to its caller and nothing else.
//!
//! What is read comes from one store snapshot per call, so an answer never mixes two heads. On a server thread runs nothing
//! that takes longer than to look up a value or two of the newest state: no search in the history, no EVM, no long answer.

mod body;
mod callboard;
mod config;
mod connections;
mod dashboard;
mod debug;
mod eth;
mod events;
mod gate;
mod guard;
mod jsonrpc;
mod limits;
mod metrics;
mod openrpc;
mod pool;
mod ports;
mod rate;
mod rest;
mod server;
mod text;
mod unread;
mod view;
mod websocket;

#[cfg(test)]
mod tests;

pub use callboard::METHODS as CALLBOARD_METHODS;
pub use callboard::admin::METHODS as ADMIN_METHODS;
pub use callboard::{
    DocumentError, EVIDENCE_FORMAT, EvidenceBody, EvidenceDocument, MalformedProof, SealedHeaderBody, TransactionProof,
    proven,
};
pub use config::{AdminSurface, RateConfig, RpcConfig, TraceConfig};
pub use jsonrpc::RpcError;
pub use metrics::RpcMetrics;
pub use openrpc::openrpc_document;
pub use pool::PoolInboxes;
pub use ports::{
    AdminPort, Chain, ChainAccess, EventsPort, EventsUnavailable, ExplainPort, ExplainQuestion, ImportError,
    ImportErrorKind, ImportPort, Imported, Pending, PoolPort, PoolStatus, PoolUnavailable, RpcPorts, StatusPort,
    Submission, SubmitError, SyncProgress, VerifyUnavailable, Verifying,
};
pub use rest::rest_routes;
pub use server::{BindError, RpcServer, SPARE_CONNECTIONS, SharedLimits};
