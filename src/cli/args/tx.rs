//! `tx`, `wallet`, and what every command that signs takes.

use super::{ClientArgs, ConfigArgs, KeystoreArgs, PasswordArgs};
use crate::amount::Wei;
use alloy_primitives::{Address, B256, Bytes};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

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
