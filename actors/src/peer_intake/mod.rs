//! What peers bring: transactions for the pool, pushed blocks for the importer.

mod actor;
mod metrics;
#[cfg(test)]
mod tests;

pub use actor::{PeerIntake, Ports};
pub use metrics::IntakeMetrics;
