//! What a command ends with when it does not succeed.

use crate::configuration::ConfigurationError;
use crate::rpc_client::RpcClientError;

/// Why a command did not do what it was asked. Each is one sentence for standard error.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration, or what was typed, is wrong: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It could not be done: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Two validly sealed chains: exit code 3, so that scripts can tell it from everything else.
    #[error("{0}")]
    Diverged(String),
    /// A node did not do it: exit code 1.
    #[error(transparent)]
    Node(RpcClientError),
}

impl CliError {
    /// It could not be done.
    pub fn failed(error: impl ToString) -> Self {
        Self::Failed(error.to_string())
    }

    /// What was typed or configured is wrong.
    pub fn usage(error: impl ToString) -> Self {
        Self::Usage(error.to_string())
    }

    /// Whether the same thing, tried again later, may go well.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Node(error) if error.may_pass())
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Node(_) => 1,
            Self::Diverged(_) => 3,
        }
    }
}

impl From<ConfigurationError> for CliError {
    fn from(error: ConfigurationError) -> Self {
        Self::usage(error)
    }
}

impl From<RpcClientError> for CliError {
    fn from(error: RpcClientError) -> Self {
        match error {
            RpcClientError::InvalidUrl { .. } => Self::usage(error),
            error => Self::Node(error),
        }
    }
}
