//! Peer discovery: whom to dial, whom to trust how far, whom to forget.
//!
//! Identity is the node key, an address only a hint. An address that somebody told enters the book when this node has
//! dialled it itself and the node that was named has answered.

mod actor;
mod book;
mod clock;
mod dial;
mod hearsay;
mod messages;
mod offences;
mod report;
mod state;
#[cfg(test)]
mod tests;

pub use actor::{Config, PeerDiscovery, Ports, Tick, chain_identity};
pub use clock::{MAX_SKEW_SECONDS, clock_alarm, future_head_alarm};
pub use messages::{
    AddressesRequest, AddressesTold, BanReport, Direction, FirstDialsEnded, ForeignChain, Offence, PeerConnected,
    PeerGreeted, PeerLost, PeerMisbehaved, PeerReport, PeerState, PeerStatus, PeersRequest, SessionBroken,
};
pub use report::Clocks;
pub use state::{Dialled, Effect, Failure, FailureKind, Settings, State};
