//! Commands and their flags, a file for each group of commands.

mod account;
mod chain;
mod message;
mod node;
mod tx;

pub(super) use account::{AccountCommand, KeystoreArgs, PasswordArgs};
pub(super) use chain::{
    AcceptArgs, BlockCommand, ChainCommand, ExportArgs, ImportArgs, ReconcileArgs, RollbackArgs, VerifyArgs,
};
pub(super) use message::{AgentArgs, MessageArgs, MessageCommand};
pub(super) use node::{ConfigCommand, GenesisCommand, InitArgs, NodeArgs};
pub(super) use tx::{
    GasArgs, KeyArgs, ListArgs, ProofArgs, SendArgs, SignArgs, TransactionArgs, TxCommand, WalletCommand,
};

use super::subscribe::Subject;
use crate::configuration::{Progress, Sources};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A proof-of-authority blockchain node for private, consortium and development networks.
#[derive(Debug, Parser)]
#[command(name = "callboard", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node
    Node(NodeArgs),
    /// Make the authority's key and the genesis of a new chain, offline
    Init(InitArgs),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show or compare geneses
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// Keys and balances
    #[command(subcommand)]
    Account(AccountCommand),
    /// Send and look up transactions
    #[command(subcommand)]
    Tx(TxCommand),
    /// Look up blocks
    #[command(subcommand)]
    Block(BlockCommand),
    /// The chain of a node
    #[command(subcommand, alias = "blockchain")]
    Chain(ChainCommand),
    /// Text to other accounts, as transactions: send, read, listen, answer
    #[command(subcommand)]
    Message(MessageCommand),
    /// The actors of a node: state, mailboxes, waiting and handling times
    Actors(WatchArgs),
    /// The peers of a node
    Peers(ClientArgs),
    /// The routing table of a node, and what was delivered by it
    Routes(ClientArgs),
    /// Watch a node live, in a terminal: phase and bottleneck, actors, stages, peers, alerts, refusals
    Top(TopArgs),
    /// Print a line for each event of a node, until interrupted
    Subscribe(SubscribeArgs),
    /// Look whether everything around a node is as it should be; or prove what its authority did wrong
    Doctor(DoctorArgs),
    /// `tx list` as fingers know it from elsewhere
    #[command(subcommand, hide = true)]
    Wallet(WalletCommand),
    /// The same as `message agent`
    #[command(hide = true)]
    Agent(Box<AgentArgs>),
    /// The version of this program
    Version(JsonArgs),
    /// Print a completion script
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// Which node to ask.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// The node's JSON-RPC [default: CALLBOARD_RPC_URL, NODE_URL, http://127.0.0.1:8545]
    #[arg(long, value_name = "URL")]
    pub rpc: Option<String>,
    /// How the answer is printed.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// How the answer is printed.
#[derive(Debug, Clone, Args)]
pub struct JsonArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How far long work is.
#[derive(Debug, Clone, Copy, Args)]
pub struct ProgressArgs {
    /// How progress is shown on standard error: a bar on a terminal and lines elsewhere, lines, or nothing
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto")]
    pub progress: Progress,
}

/// `top`
#[derive(Debug, Args)]
pub struct TopArgs {
    /// The node's JSON-RPC [default: CALLBOARD_RPC_URL, NODE_URL, http://127.0.0.1:8545]
    #[arg(long, value_name = "URL")]
    pub rpc: Option<String>,
    /// Ask the node every so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub interval: f64,
}

/// A client command that may repeat.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Which node to ask.
    #[command(flatten)]
    pub client: ClientArgs,
    /// Repeat every so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub watch: Option<f64>,
}

/// `subscribe`
#[derive(Debug, Args)]
pub struct SubscribeArgs {
    /// What to listen to
    pub subject: Subject,
    /// Which node to listen to.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Write what proves that the authority sealed two blocks of one height to a new file
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub evidence: Option<PathBuf>,
    /// Check such a file, offline; exit code 1 where it does not prove what it says
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which node.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Which configuration to read.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Configuration file [default: ./node.toml, or the built-in one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigArgs {
    /// As sources of a configuration, with no flag set.
    pub fn sources(&self) -> Sources {
        Sources { file: self.config.clone(), ..Sources::default() }
    }
}
