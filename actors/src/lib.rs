//! Callboard's actors: pure cores and thin shells.

pub mod proposer;
