//! The sync coordinator: phase, target, streams, and whether this node may propose.

mod actor;
mod messages;
mod report;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub use actor::{Ports, SyncCoordinator};
pub use messages::{Divergence, Effect, FetchEnd, KnownHead, OwnBlockMet, PeerFigures, Sighting, StreamEnded, Target};
pub use report::{DivergenceReport, HeadReport, PeerReport, SyncReport, TargetReport};
pub use state::{STALE_HEARTBEATS, Setup, State};
pub use stream::Tools;
