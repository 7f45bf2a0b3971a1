//! `account`, and where keys and their passwords are.

use super::{ClientArgs, ConfigArgs, JsonArgs};
use alloy_primitives::Address;
use clap::{Args, Subcommand};
use std::path::PathBuf;

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
