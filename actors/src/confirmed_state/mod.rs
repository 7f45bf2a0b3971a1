//! The confirmed state: the only actor that confirms blocks.

mod actor;
mod error;
mod messages;
mod state;
#[cfg(test)]
mod tests;

pub use actor::{ConfirmedState, Ports};
pub use error::ImportError;
pub use messages::{BatchStored, BuildBlock, CommitPace, ImportBlock, ImportBlocks, Imported, SealBlock};
pub use state::{CommitPolicy, Effect, State, TRIE_NODES_IN_MEMORY};
