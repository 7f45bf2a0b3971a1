//! The node's configuration: one TOML file, with defaults below it and the environment and flags above it.
//!
//! Every value is checked where it is read, against the one table of keys ([`KEYS`]), and remembers where it came
//! from. A mistake is one sentence ([`ConfigurationError`]).

mod error;
mod keys;
mod kind;
mod load;
mod rules;
mod sections;
mod show;
#[cfg(test)]
mod tests;

pub use error::ConfigurationError;
pub use keys::{KEYS, Key, SECTIONS};
pub use kind::Kind;
pub use load::{DEFAULT_FILE, Flag, Sources};
pub use sections::{
    AlertsSection, AuthoritySection, GenesisSection, LimitSection, LogFormat, LogSection, NodeSection, Owner,
    PeersSection, PoolSection, Predeploy, Progress, Role, RpcSection, RunOptions, StoreSection, SyncSection, Unfunded,
    VerifyOnStart,
};

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The root's node.toml, used where no file is named and there is no ./node.toml: a development chain.
pub const BUILT_IN: &str = include_str!("../../node.toml");

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The key's default.
    Default,
    /// The node.toml inside the binary.
    BuiltIn,
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Variable(String),
    /// This flag.
    Flag(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::BuiltIn => f.write_str("built-in node.toml"),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A key's effective value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value, normalised: paths absolute, amounts in wei.
    pub value: serde_json::Value,
    /// Where it came from.
    pub origin: Origin,
}

/// A checked configuration. All paths are absolute.
#[derive(Debug, Clone, Deserialize)]
pub struct Configuration {
    /// `[node]`
    pub node: NodeSection,
    /// `[genesis]`
    pub genesis: GenesisSection,
    /// `[authority]`
    pub authority: AuthoritySection,
    /// `[peers]`
    pub peers: PeersSection,
    /// `[rpc]`
    pub rpc: RpcSection,
    /// `[sync]`
    pub sync: SyncSection,
    /// `[pool]`
    pub pool: PoolSection,
    /// `[store]`
    pub store: StoreSection,
    /// `[alerts]`
    pub alerts: AlertsSection,
    /// `[log]`
    pub log: LogSection,
    /// Flags of this run.
    #[serde(skip)]
    pub run: RunOptions,
    #[serde(skip)]
    folder: PathBuf,
    #[serde(skip)]
    entries: BTreeMap<&'static str, Entry>,
}

impl Configuration {
    /// The value of a key and where it came from; `None` where it is not set and has no default.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Whether a file, a variable or a flag sets the key.
    pub fn is_given(&self, key: &str) -> bool {
        self.entry(key).is_some_and(|entry| entry.origin != Origin::Default)
    }

    /// The folder at which relative paths start.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The sealed genesis, kept beside the database.
    pub fn genesis_path(&self) -> PathBuf {
        self.node.data_dir.join("genesis.json")
    }

    /// The chain database.
    pub fn chain_path(&self) -> PathBuf {
        self.node.data_dir.join("chain.redb")
    }

    /// The database of peers, refused blocks and evidence.
    pub fn node_database_path(&self) -> PathBuf {
        self.node.data_dir.join("node.redb")
    }

    /// The node key.
    pub fn node_key_path(&self) -> PathBuf {
        self.node.data_dir.join("node.key")
    }
}
