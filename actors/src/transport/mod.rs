//! How nodes talk: the hello, blocks as frames, the client and the server of `/peer/v1`.
//!
//! No actor here: the actors `peer_discovery` and `broadcaster` and the sync coordinator use these parts.

pub mod frames;
pub mod hello;
mod node_id;
mod url;

pub use node_id::{BootId, InvalidNodeId, NodeId};
pub use url::{InvalidPeerUrl, MAX_URL_BYTES, PeerUrl, is_local_only};
