//! The command line: what users type. Every command is a function that returns a [`CliError`] or nothing.

mod account;
mod actors;
mod args;
mod block;
mod chain;
mod configuration;
mod doctor;
mod error;
mod genesis;
mod message;
mod node;
mod output;
mod peers;
mod subscribe;
mod top;
mod tx;
mod version;

pub use args::{Cli, Command};
pub use error::CliError;
pub(crate) use output::plain;
pub use subscribe::Subject;

use args::WalletCommand;
use output::Output;

/// Runs one command to its end.
pub fn run(cli: Cli) -> Result<(), CliError> {
    match cli.command {
        Command::Node(args) => node::run(&args),
        Command::Init(args) => node::init(&args),
        Command::Config(command) => configuration::run(&command),
        Command::Genesis(command) => in_runtime(genesis::run(&command)),
        Command::Account(command) => in_runtime(account::run(&command)),
        Command::Tx(command) => in_runtime(tx::run(&command)),
        Command::Block(command) => in_runtime(block::run(&command)),
        Command::Chain(command) => in_runtime(chain::run(&command)),
        Command::Message(command) => in_runtime(message::run(&command)),
        Command::Actors(args) => in_runtime(actors::show(&args)),
        Command::Peers(args) => in_runtime(peers::run(&args)),
        Command::Routes(args) => in_runtime(actors::routes(&args)),
        Command::Subscribe(args) => in_runtime(subscribe::run(&args)),
        Command::Top(args) => in_runtime(top::run(&args)),
        Command::Doctor(args) => in_runtime(doctor::run(&args)),
        Command::Wallet(WalletCommand::Transactions { address, list }) => in_runtime(tx::list(address, &list)),
        Command::Agent(args) => in_runtime(message::agent(&args)),
        Command::Version(args) => version::run(&args),
        Command::Completions { shell } => version::completions(shell),
    }
}

fn in_runtime(command: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| CliError::failed(format!("no runtime could be started: {error}")))?.block_on(command)
}
