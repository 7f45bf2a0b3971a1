//! The authority's proposer.

mod actor;
pub mod high_water;
mod messages;
mod state;

pub use actor::{HasRoom, Ports, Proposer, Setup};
pub use high_water::{HighWater, HighWaterError};
pub use messages::{HoldProposing, ProposePermission};
pub use state::{Effect, Now, Schedule, State};
