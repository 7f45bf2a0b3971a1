//! Callboard's actors: each a folder with a pure core (`state.rs`) and a thin shell (`actor.rs`), joined by typed
//! messages that all go through [`send`], and by the routing table in [`callboard`].

pub mod broadcaster;
pub mod callboard;
pub mod event_stream;
pub mod guard;
pub mod monitor;
pub mod peer_discovery;
pub mod send;
pub mod transport;
pub mod tx_pool;

pub mod proposer;
pub mod rpc_frontend;
