//! How nodes talk: the hello, blocks as frames, the client and the server of `/peer/v1`.
//!
//! No actor here: the actors `peer_discovery` and `broadcaster` and the sync coordinator use these parts.
//!
//! | module | what it holds |
//! |---|---|
//! | [`hello`] | how two nodes prove to each other who they are |
//! | [`frames`] | blocks on the wire |
//! | `budget` | the memory that streams of blocks hold together |
//! | [`wire`] | JSON bodies and limits |
//! | [`client`] | asking other nodes |
//! | [`server`] | the listener |
//! | [`genesis_fetch`] | getting the genesis from the seeds |
//! | [`sessions`] | who is let in, and for how long |

pub(crate) mod bucket;
mod budget;
pub mod client;
pub mod clock;
mod facts;
pub mod frames;
pub mod genesis_fetch;
pub mod hello;
mod metrics;
mod node_id;
mod range;
mod sealed_head;
pub mod server;
pub mod sessions;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tls;
mod url;
pub mod wire;

pub use budget::{FREE_BYTES, NoRoom, SERVED_BYTES, STREAM_BYTES, StreamBudget};
pub use facts::ChainFacts;
pub use metrics::PeerMetrics;
pub use node_id::{BootId, InvalidNodeId, NodeId};
pub use range::{AddressRange, is_exempt};
pub use sealed_head::{SealedHead, StatusError};
pub use tls::{Tls, TlsError};
pub use url::{InvalidPeerUrl, MAX_URL_BYTES, PeerUrl, is_local_only};

/// Fresh random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random source works once the process runs");
    bytes
}
