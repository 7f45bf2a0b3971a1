//! The sync coordinator: phase, target, fetches, whether our chain differs from a peer's, and whether this node may
//! propose.
//!
//! The core ([`State`]) is a state machine over events and time. What it fetches waits in a [`Staging`] until its turn.

mod actor;
mod decide;
mod messages;
mod order;
mod peers;
mod pipeline;
mod report;
mod search;
mod staging;
mod state;
mod status;
mod stream;
#[cfg(test)]
mod tests;
mod verdict;
mod window;

pub use actor::{Ports, SyncCoordinator};
pub use messages::{
    Answer, Divergence, Effect, FetchEnd, FetchId, ForeignGenesis, ImportEnd, KnownHead, OtherBlockMet, OwnBlockMet,
    PeerFigures, QuestionId, Setup, Standing, Target, Witness,
};
pub use order::{OutOfOrder, out_of_order};
pub use pipeline::HandedOver;
pub use report::{DivergenceReport, HeadReport, PeerReport, SyncReport, TargetReport};
pub use staging::Staging;
pub use state::{STALE_HEARTBEATS, State};
pub use stream::{BlockAnswered, FetchEnded, Tools};
