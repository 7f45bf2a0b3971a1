//! The authority's proposer.

mod actor;
mod clock;
pub mod high_water;
mod messages;
mod state;
#[cfg(test)]
mod tests;

pub use actor::{HasRoom, Ports, Proposer, Setup};
pub use clock::{ReadClock, system_clock};
pub use high_water::{HighWater, HighWaterError};
pub use messages::{HoldProposing, ProposePermission};
pub use state::{Effect, Now, Schedule, State};
