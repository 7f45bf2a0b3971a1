//! The node: assembly and supervision.

use crate::configuration::Configuration;
use crate::start::{self, StartError};

/// Why a node stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The actors are not part of this build.
    #[error("the chain is ready, and this build has no actors to run it")]
    NotBuilt,
}

impl NodeError {
    /// Whether the operator has to change the configuration (exit code 2).
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Start(error) if error.is_configuration())
    }
}

/// Runs a node until it is told to stop.
pub async fn run(configuration: Configuration) -> Result<(), NodeError> {
    let _start = start::open(&configuration)?;
    Err(NodeError::NotBuilt)
}
