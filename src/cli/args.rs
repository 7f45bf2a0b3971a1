//! Commands and their flags.

use super::subscribe::Subject;
use crate::amount::Wei;
use crate::configuration::{Flag, Progress, Sources};
use alloy_primitives::{Address, B256, Bytes};
use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
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
    /// How catching up is shown
    #[arg(long, value_enum, default_value = "auto")]
    pub progress: Progress,
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

/// Which keystore.
#[derive(Debug, Clone, Args)]
pub struct KeystoreArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Folder of the key files [default: authority.keystore of the configuration]
    #[arg(long, value_name = "DIR")]
    pub keystore: Option<PathBuf>,
}

/// Where the password of a key comes from.
#[derive(Debug, Clone, Args)]
pub struct PasswordArgs {
    /// File with the key's password on its first line [default: CALLBOARD_PASSWORD, or ask]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// `account`
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make a key and keep it in the keystore
    New {
        /// Which keystore.
        #[command(flatten)]
        keystore: KeystoreArgs,
        /// The password.
        #[command(flatten)]
        password: PasswordArgs,
        /// How the answer is printed.
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Keep a key, given as 64 hex digits in a file, in the keystore
    Import {
        /// The file; - reads standard input
        file: PathBuf,
        /// Which keystore.
        #[command(flatten)]
        keystore: KeystoreArgs,
        /// The password.
        #[command(flatten)]
        password: PasswordArgs,
        /// How the answer is printed.
        #[command(flatten)]
        json: JsonArgs,
    },
    /// List the keys of the keystore
    List {
        /// Which keystore.
        #[command(flatten)]
        keystore: KeystoreArgs,
        /// How the answer is printed.
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Balance and nonce of an account
    Balance {
        /// The account
        address: Address,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Each block that changed an account, newest first, with balance and nonce after it
    History {
        /// The account
        address: Address,
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: u64,
        /// Where to go on: the "next" of an earlier answer
        #[arg(long, value_name = "HEIGHT")]
        before: Option<u64>,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `tx`
#[derive(Debug, Subcommand)]
pub enum TxCommand {
    /// Sign a transaction with a key of the keystore, and send it
    Send(Box<SendArgs>),
    /// Sign a transaction, print its bytes, and send nothing
    Sign(Box<SignArgs>),
    /// Look up a transaction and its receipt
    Get {
        /// Transaction hash
        hash: B256,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Where a transaction is, how it came there, and what to do
    Why {
        /// Transaction hash
        hash: B256,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Transactions of an account, newest first
    List {
        /// The account
        #[arg(long)]
        address: Address,
        /// Which of them.
        #[command(flatten)]
        list: ListArgs,
    },
    /// Print the proof that a transaction is in a sealed block, as JSON
    Prove {
        /// Transaction hash
        hash: B256,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Check such a proof; exit code 1 where it proves nothing
    Verify(ProofArgs),
}

/// `wallet`
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Transactions of an account, newest first
    Transactions {
        /// The account
        address: Address,
        /// Which of them.
        #[command(flatten)]
        list: ListArgs,
    },
}

/// A page of transactions.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// At most so many
    #[arg(long, default_value_t = 20)]
    pub limit: u64,
    /// Where to go on: the "next" of an earlier answer, or a height
    #[arg(long)]
    pub before: Option<String>,
    /// Oldest first, after a height or the "next" of an earlier answer
    #[arg(long)]
    pub after: Option<String>,
    /// Which node.
    #[command(flatten)]
    pub client: ClientArgs,
}

impl ListArgs {
    /// As the options of a method.
    pub fn query(&self) -> Value {
        let mut query = json!({ "limit": self.limit });
        for (name, value) in [("before", &self.before), ("after", &self.after)] {
            if let Some(value) = value {
                query[name] = json!(value);
            }
        }
        query
    }

    /// The flag that takes the "next" of the answer.
    pub fn direction(&self) -> &'static str {
        if self.after.is_some() { "--after" } else { "--before" }
    }
}

/// `tx verify`
#[derive(Debug, Args)]
pub struct ProofArgs {
    /// The file that `tx prove` has printed; - reads standard input
    pub file: PathBuf,
    /// Check against this authority, offline
    #[arg(long, value_name = "ADDRESS", conflicts_with = "genesis")]
    pub authority: Option<Address>,
    /// Check against the authority and the chain of this genesis.json, offline [default: that of the data folder]
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which node checks it where no genesis is here; with --rpc it always does.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Whose key signs, and where it is.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// Sign with a development key, also where the configuration is not of a development chain
    #[arg(long)]
    pub dev: bool,
    /// Which keystore.
    #[command(flatten)]
    pub keystore: KeystoreArgs,
    /// The password.
    #[command(flatten)]
    pub password: PasswordArgs,
}

/// Gas and what is paid for it.
#[derive(Debug, Clone, Default, Args)]
pub struct GasArgs {
    /// Gas limit [default: estimated]
    #[arg(long)]
    pub gas: Option<u64>,
    /// Most to pay for a unit of gas [default: twice the base fee and the tip]
    #[arg(long, value_name = "AMOUNT")]
    pub gas_price: Option<Wei>,
    /// Of which to the authority (type 2 only) [default: what the node suggests]
    #[arg(long, value_name = "AMOUNT")]
    pub priority_gas_price: Option<Wei>,
    /// Make a legacy transaction (type 0)
    #[arg(long, conflicts_with = "priority_gas_price")]
    pub legacy: bool,
}

/// A transaction to sign.
#[derive(Debug, Args)]
pub struct TransactionArgs {
    /// The sender, whose key signs
    #[arg(long)]
    pub from: Address,
    /// The recipient; without one a contract is created from --data
    #[arg(long, required_unless_present = "data")]
    pub to: Option<Address>,
    /// Amount: wei, or with a unit (1ether, 0.5ether, 2gwei)
    #[arg(long, default_value = "0")]
    pub value: Wei,
    /// Input data, 0x-hex
    #[arg(long)]
    pub data: Option<Bytes>,
    /// Nonce [default: the next one, pending transactions counted]
    #[arg(long)]
    pub nonce: Option<u64>,
    /// Gas and fees.
    #[command(flatten)]
    pub gas: GasArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// `tx send`
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The transaction.
    #[command(flatten)]
    pub transaction: TransactionArgs,
    /// Wait for the receipt
    #[arg(long)]
    pub wait: bool,
    /// Which node.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `tx sign`
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The transaction.
    #[command(flatten)]
    pub transaction: TransactionArgs,
    /// Chain id [default: the node's]; with --nonce, --gas, --gas-price and --priority-gas-price or --legacy no node is
    /// asked
    #[arg(long)]
    pub chain_id: Option<u64>,
    /// Which node to ask for what is not given.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `message`
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Send text to an account
    Send(Box<MessageArgs>),
    /// The messages that an account has received, newest first
    Inbox {
        /// The account
        address: Address,
        /// Which of them.
        #[command(flatten)]
        list: ListArgs,
    },
    /// Print a line for each message to come, until interrupted
    Listen {
        /// The account
        address: Address,
        /// Begin with the messages of this block [default: those after the newest one]
        #[arg(long, value_name = "HEIGHT")]
        from: Option<u64>,
        /// Which node.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Answer each message that an account receives, one after another
    Agent(Box<AgentArgs>),
}

/// `message send`
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// The sender, whose key signs
    #[arg(long)]
    pub from: Address,
    /// The recipient
    #[arg(long)]
    pub to: Address,
    /// What to say
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub text: String,
    /// Wait for the receipt
    #[arg(long)]
    pub wait: bool,
    /// Gas and fees.
    #[command(flatten)]
    pub gas: GasArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Which node.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `message agent`
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// The account whose messages are answered, and whose key signs the answers
    pub address: Address,
    /// The answer
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub reply: String,
    /// End after so many answers; those that the state file counts are of them
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Begin with the messages of this block [default: those after the newest one]
    #[arg(long, value_name = "HEIGHT")]
    pub from: Option<u64>,
    /// Where to keep what was answered last and what is being answered: an agent that is started again with it goes on
    /// there, answers nothing twice and leaves nothing out
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Gas and fees.
    #[command(flatten)]
    pub gas: GasArgs,
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Which node.
    #[command(flatten)]
    pub client: ClientArgs,
}

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
