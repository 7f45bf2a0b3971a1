//! `block` and `chain`.

use super::{ClientArgs, ConfigArgs, JsonArgs, ProgressArgs};
use alloy_primitives::B256;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `block`
#[derive(Debug, Subcommand)]
pub enum BlockCommand {
    /// Look up a block
    Get {
        /// Height, block hash, or latest
        block: String,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// What became of a block: each check in order, who sent it, when, to whom it went on, and what to do if it was
    /// refused
    Explain {
        /// Height, block hash, or latest
        block: String,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `chain`
#[derive(Debug, Subcommand)]
pub enum ChainCommand {
    /// The height; with several nodes their heads, and whether they are on one chain
    Height {
        /// A node's JSON-RPC; may be repeated
        #[arg(long, value_name = "URL")]
        rpc: Vec<String>,
        /// Repeat every so many seconds
        #[arg(long, value_name = "SECONDS")]
        watch: Option<f64>,
        /// How the answer is printed.
        #[command(flatten)]
        json: JsonArgs,
    },
    /// The newest block
    Head(ClientArgs),
    /// Take a stopped node's chain back to an earlier block
    Rollback(RollbackArgs),
    /// Mark the branch with this block as known and dead, on a stopped node: it is no alarm any more
    Accept(AcceptArgs),
    /// Write the canonical blocks of a node, stopped or running, into a file
    Export(ExportArgs),
    /// Check and import the blocks of a file into a node, stopped or running
    Import(ImportArgs),
    /// Execute the stored blocks of a node, stopped or running, again, and compare everything
    Verify(VerifyArgs),
    /// Check the stored state of a stopped node against its sealed header, and repair it from its own blocks
    Reconcile(ReconcileArgs),
    /// The newest block and the accounts of the genesis
    State {
        /// With pending transactions applied
        #[arg(long)]
        pending: bool,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `chain rollback`
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The height of the block that becomes the head
    #[arg(long, value_name = "HEIGHT")]
    pub to: u64,
    /// On an authority: the same height again, to say that the blocks above it are given up for good
    #[arg(long, value_name = "HEIGHT")]
    pub abandon_after: Option<u64>,
    /// How the answer is printed.
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `chain export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file to write
    pub file: PathBuf,
    /// The first block [default: 0]
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<u64>,
    /// The last block [default: the head]
    #[arg(long, value_name = "HEIGHT")]
    pub to: Option<u64>,
    /// The stopped node.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The running node.
    #[command(flatten)]
    pub client: ClientArgs,
    /// How far it is.
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// `chain verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The first block [default: the first whose state is kept]
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<u64>,
    /// The last block [default: the head]
    #[arg(long, value_name = "HEIGHT")]
    pub to: Option<u64>,
    /// The stopped node.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The running node; --rpc names its admin listener.
    #[command(flatten)]
    pub client: ClientArgs,
    /// How far it is.
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// `chain reconcile`
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// Execute every block again too, not only hash the state
    #[arg(long)]
    pub full: bool,
    /// The stopped node.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How the answer is printed.
    #[command(flatten)]
    pub json: JsonArgs,
    /// How far it is.
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// `chain import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file that `chain export` has written
    pub file: PathBuf,
    /// The stopped node.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The running node.
    #[command(flatten)]
    pub client: ClientArgs,
    /// How far it is.
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// `chain accept`
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// The height at which the other branch has another block
    pub height: u64,
    /// The hash of that block
    pub hash: B256,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How the answer is printed.
    #[command(flatten)]
    pub json: JsonArgs,
}
