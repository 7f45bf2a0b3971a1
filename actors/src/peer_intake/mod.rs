//! What peers bring: transactions for the pool, pushed blocks for the importer.

mod actor;
#[cfg(test)]
mod tests;

pub use actor::{PeerIntake, Ports};
