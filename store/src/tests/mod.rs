//! Tests of the whole crate, against blocks whose changes are made up.

mod blooms;
mod confirmed;
mod crash;
mod differential;
mod files;
pub(crate) mod fixture;
mod flat;
mod node;
mod proofs;
mod writer;

use crate::{RootComputation, RootError, Snapshot};
use alloy_primitives::B256;

/// The state root of the snapshot's head, from the flat state alone.
fn recomputed(snapshot: &Snapshot) -> Result<B256, RootError> {
    let mut computation = RootComputation::new(snapshot.head().height, &std::env::temp_dir());
    while !computation.advance(snapshot.clone(), 3)? {}
    computation.root()
}
