//! What peers bring: transactions for the pool, pushed blocks for the importer.

mod actor;

pub use actor::{PeerIntake, Ports};
