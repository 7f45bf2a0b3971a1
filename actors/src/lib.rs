//! Callboard's actors: each a folder with a pure core (`state.rs`) and a thin shell (`actor.rs`), joined by typed
//! messages that all go through [`send`], and by the routing table in [`callboard`].

pub mod block_span;
pub mod block_store;
pub mod broadcaster;
pub mod callboard;
pub mod confirmed_state;
pub mod event_stream;
pub mod guard;
pub mod importer;
pub mod monitor;
pub mod peer_discovery;
pub mod peer_intake;
pub mod proposer;
pub mod reconciler;
pub mod rpc_frontend;
pub mod send;
pub mod sync_coordinator;
#[cfg(test)]
mod testing;
pub mod transport;
pub mod tx_pool;
pub mod verifier;
