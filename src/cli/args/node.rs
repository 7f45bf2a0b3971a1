//! `node`, `init`, `config` and `genesis`.

use super::{ClientArgs, ConfigArgs, JsonArgs, ProgressArgs};
use crate::configuration::{Flag, Sources};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `node`
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Knowingly fork the chain after this height: blocks above it are given up
    #[arg(long, value_name = "HEIGHT")]
    pub abandon_after: Option<u64>,
    /// Folder of the database and the node key
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// What this node must be: authority or follower
    #[arg(long)]
    pub role: Option<String>,
    /// Where JSON-RPC listens
    #[arg(long, value_name = "IP:PORT")]
    pub rpc_listen: Option<String>,
    /// Where peers are listened for
    #[arg(long, value_name = "IP:PORT")]
    pub peer_listen: Option<String>,
    /// A peer to start from; may be repeated
    #[arg(long = "seed", value_name = "URL")]
    pub seeds: Vec<String>,
    /// How catching up is shown.
    #[command(flatten)]
    pub progress: ProgressArgs,
}

impl NodeArgs {
    /// File and flags.
    pub fn sources(&self) -> Sources {
        let one = |flag, key, value: &Option<String>| {
            value.as_ref().map(|value| Flag { flag, key, values: vec![value.clone()] })
        };
        let seeds =
            (!self.seeds.is_empty()).then(|| Flag { flag: "--seed", key: "peers.seeds", values: self.seeds.clone() });
        let flags = [
            one("--data-dir", "node.data_dir", &self.data_dir),
            one("--role", "node.role", &self.role),
            one("--rpc-listen", "rpc.listen", &self.rpc_listen),
            one("--peer-listen", "peers.listen", &self.peer_listen),
            seeds,
        ];
        Sources { flags: flags.into_iter().flatten().collect(), ..self.config.sources() }
    }
}

/// `config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration file; nothing is written
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Show the effective values and where each came from
    Show {
        /// Which configuration.
        #[command(flatten)]
        config: ConfigArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `genesis`. A source is a genesis.json or the URL of a node.
#[derive(Debug, Subcommand)]
pub enum GenesisCommand {
    /// Show the genesis
    Show {
        /// genesis.json, or the URL of a node [default: the node's data folder, or the node at --rpc]
        source: Option<String>,
        /// Which configuration.
        #[command(flatten)]
        config: ConfigArgs,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Print the genesis hash, for `genesis.hash` of followers
    Hash {
        /// genesis.json, or the URL of a node [default: the node's data folder, or the node at --rpc]
        source: Option<String>,
        /// Which configuration.
        #[command(flatten)]
        config: ConfigArgs,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// In what two geneses differ; exit code 1 where they do
    Diff {
        /// genesis.json, or the URL of a node
        a: String,
        /// genesis.json, or the URL of a node
        b: String,
        /// How the answer is printed.
        #[command(flatten)]
        json: JsonArgs,
    },
}
