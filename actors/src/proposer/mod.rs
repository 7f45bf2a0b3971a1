//! The authority's proposer.

pub mod high_water;
mod state;

pub use high_water::{HighWater, HighWaterError};
pub use state::{Effect, Now, Schedule, State};
