//! Peer discovery: whom to dial, whom to trust how far, whom to forget.

mod messages;

pub use messages::{
    AddressesRequest, AddressesTold, ForeignChain, Offence, PeerConnected, PeerGreeted, PeerLost, PeerMisbehaved,
    PeerReport, PeerState, PeerStatus, PeersRequest, SessionBroken,
};
