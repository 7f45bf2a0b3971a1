//! The files of a chain: genesis.json and chain.redb in the data folder.

use super::{Chain, StartError};
use crate::configuration::Configuration;
use alloy_primitives::{B256, Bytes};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use callboard_chain::genesis::SealedGenesis;
use callboard_chain::trie::{StateTrie, TrieUpdates};
use callboard_chain::{StateReadError, TrieReader};
use callboard_store::{NewChain, Store, StoreConfig};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes both, genesis.json first: with it a start that was killed is taken up again.
pub(super) fn create(configuration: &Configuration, genesis: SealedGenesis) -> Result<Chain, StartError> {
    let path = configuration.genesis_path();
    write(&path, genesis.json()).map_err(|source| StartError::Unwritable { path, source })?;
    create_database(&configuration.chain_path(), &store_config(configuration), genesis)
}

/// Makes the database of a chain that has only its genesis.
pub(crate) fn create_database(path: &Path, config: &StoreConfig, genesis: SealedGenesis) -> Result<Chain, StartError> {
    let confirmed = genesis.confirmed();
    let new = NewChain {
        chain_id: genesis.config().chain_id,
        genesis_json: genesis.json(),
        genesis: &confirmed,
        trie: &trie(&genesis)?,
    };
    let (store, writer) = Store::create(path, config, new)?;
    Ok(Chain { genesis, store, writer })
}

/// Where a repair builds the chain that takes the database's place.
pub(crate) fn repair_path(configuration: &Configuration) -> PathBuf {
    configuration.chain_path().with_extension("redb.repair")
}

/// Removes what a repair or a check that was killed has left. Whoever calls this holds the database, as those do for as
/// long as they run.
fn remove_leftovers(configuration: &Configuration) {
    let is_of_a_check = |name: &str| {
        let process = name.strip_prefix("verify-").and_then(|name| name.strip_suffix(".redb"));
        process.is_some_and(|process| !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let files = fs::read_dir(&configuration.node.data_dir).into_iter().flatten().flatten();
    let of_checks = files.filter(|file| file.file_name().to_str().is_some_and(is_of_a_check)).map(|file| file.path());
    for path in of_checks.chain([repair_path(configuration)]) {
        match fs::remove_file(&path) {
            Ok(()) => tracing::info!(file = %path.display(), "removed what a command that was killed has left"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(file = %path.display(), %error, "a leftover could not be removed"),
        }
    }
}

/// Opens the database, whose genesis is the one that counts.
pub(super) fn open(configuration: &Configuration) -> Result<Chain, StartError> {
    let path = configuration.chain_path();
    let (store, writer) = Store::open(&path, &store_config(configuration), None)?;
    remove_leftovers(configuration);
    let json = store.snapshot()?.genesis_json()?;
    let genesis = SealedGenesis::from_json(&json).map_err(|source| StartError::Refused {
        key: "node.data_dir",
        path: path.clone(),
        source,
    })?;
    Ok(Chain { genesis, store, writer })
}

/// The same, without a look at what is stored. Where the stored genesis cannot be read, that of genesis.json counts.
pub(super) fn open_damaged(configuration: &Configuration) -> Result<Chain, StartError> {
    let (store, writer) = Store::open_damaged(configuration.chain_path(), &store_config(configuration))?;
    let json = store.snapshot()?.genesis_json();
    let stored = json.ok().and_then(|json| SealedGenesis::from_json(&json).ok());
    let genesis = match stored {
        Some(genesis) => genesis,
        None => super::genesis::read_sealed(&configuration.genesis_path(), "node.data_dir")?,
    };
    Ok(Chain { genesis, store, writer })
}

pub(crate) fn store_config(configuration: &Configuration) -> StoreConfig {
    StoreConfig { cache_bytes: configuration.store.cache_bytes, ..StoreConfig::default() }
}

fn trie(genesis: &SealedGenesis) -> Result<TrieUpdates, StartError> {
    let mut trie = StateTrie::new(EMPTY_ROOT_HASH);
    let actual = trie.apply(&NoTrie, &mut genesis.changes())?;
    let expected = genesis.block().header().state_root;
    if actual != expected {
        return Err(StartError::StateRoot { expected, actual });
    }
    Ok(trie.take_updates())
}

/// What is stored before there is anything.
struct NoTrie;

impl TrieReader for NoTrie {
    fn trie_node(&self, _owner: Option<B256>, _path: &Nibbles) -> Result<Option<Bytes>, StateReadError> {
        Ok(None)
    }
}

/// Writes a file whole and durable, in place of the one that is there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("json.tmp");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}
