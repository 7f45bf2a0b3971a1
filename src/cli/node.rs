//! `node` and `init`.

use super::args::{InitArgs, NodeArgs};
use super::output::fields;
use super::{CliError, Output};
use crate::configuration::Configuration;
use crate::logging;
use crate::node::{self, NodeError};
use crate::progress::Console;
use crate::start::{self, StartError};
use serde_json::json;

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        if error.is_configuration() { Self::usage(error) } else { Self::failed(error) }
    }
}

impl From<NodeError> for CliError {
    fn from(error: NodeError) -> Self {
        if error.is_configuration() { Self::usage(error) } else { Self::failed(error) }
    }
}

pub(super) fn run(args: &NodeArgs) -> Result<(), CliError> {
    let mut configuration = Configuration::load(&args.sources())?;
    configuration.run.abandon_after = args.abandon_after;
    configuration.run.progress = args.progress.progress;
    let console = Console::default();
    logging::start(&configuration.log, &console);
    actix_rt::System::new().block_on(node::run(configuration, console)).map_err(CliError::from)
}

pub(super) fn init(args: &InitArgs) -> Result<(), CliError> {
    let configuration = Configuration::load(&args.config.sources())?;
    let start = start::create(&configuration)?;
    let genesis = start.chain.as_ref().map(|chain| &chain.genesis);
    let hash = genesis.map(|genesis| genesis.hash());
    let authority = genesis.map(|genesis| genesis.config().authority);
    let owner = start.created.and_then(|created| created.owner);
    let path = configuration.genesis_path();
    let value = json!({ "authority": authority, "owner": owner, "genesisHash": hash, "genesisFile": path });
    let output = if args.json { Output::Json } else { Output::Text };
    output.print(&value, |_| {
        let shown = [
            ("authority", authority.map(|address| address.to_string())),
            ("owner", owner.map(|address| address.to_string())),
            ("genesis hash", hash.map(|hash| hash.to_string())),
            ("genesis file", Some(path.display().to_string())),
        ];
        fields(shown.into_iter().filter_map(|(name, value)| Some((name, value?))))
    })
}
