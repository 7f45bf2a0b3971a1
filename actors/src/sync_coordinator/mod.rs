//! The sync coordinator: phase, target, fetches, whether our chain differs from a peer's, and whether this node may
//! propose.
//!
//! The core ([`State`]) is a state machine over events and time. What it fetches waits in a [`Staging`] until its turn.

mod actor;
mod batch;
mod decide;
mod give_back;
mod given_up;
mod guests;
mod living;
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
mod told;
mod verdict;
mod window;

pub use actor::{Ports, SyncCoordinator};
pub use give_back::GivenBack;
pub use given_up::GivenUp;
pub use living::LiveFloor;
pub use messages::{
    Answer, DamageFound, Divergence, Effect, ExpectedGuests, FetchEnd, FetchId, ForeignGenesis, GuestStatus, ImportEnd,
    KnownHead, OtherBlockMet, OwnBlockMet, PeerFigures, QuestionId, Setup, Standing, Target, UnconfirmableMet, Witness,
};
pub use order::{OutOfOrder, out_of_order};
pub use pipeline::HandedOver;
pub use report::{DivergenceReport, HeadReport, Pace, PeerReport, SyncReport, TargetReport, remedy};
pub use staging::Staging;
pub use state::{STALE_HEARTBEATS, State};
pub use stream::{BlockAnswered, FetchEnded, Tools};
pub use window::RANGE_BLOCKS;
