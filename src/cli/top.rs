//! `top`.

use super::CliError;
use super::args::TopArgs;
use super::output::interval;
use crate::rpc_client::RpcClient;
use crate::top::view::Look;
use crate::top::{self, Setup, TopError};

impl From<TopError> for CliError {
    fn from(error: TopError) -> Self {
        match error {
            TopError::NoTerminal(_) => Self::usage(error),
            TopError::Terminal(_) => Self::failed(error),
        }
    }
}

pub(super) async fn run(args: &TopArgs) -> Result<(), CliError> {
    let client = RpcClient::new(args.rpc.as_deref())?;
    let interval = interval("--interval", args.interval)?;
    let look = Look::of(|name| std::env::var(name).ok());
    Ok(top::run(Setup { client, interval, look }).await?)
}
