//! The stored chain checked against itself: blocks executed again, roots computed again from the flat state.
//!
//! [`Reconciler`] does this in the background, a little at a time. [`RangeCheck`] is what `chain verify` runs over a
//! range, on a stopped node and, behind `callboard_verify`, on a running one. [`check_block`] is what both do with one
//! block.
//!
//! The background check of a state at a moving head works on a fixed height: the history gives the state after that
//! block however far the head has gone, so that no read transaction lives longer than one step.

mod actor;
mod check;
mod messages;
mod range;
mod state;
#[cfg(test)]
mod tests;

pub use actor::{Ports, Reconciler, ReconcilerMetrics, Setup};
pub use check::{CheckedBlock, Fault, Meaning, check_block, check_genesis};
pub use messages::{Reconciled, VerifyRange, VerifyRefused, VerifyState};
pub use range::{RangeCheck, RangeProgress};
