//! Making a new database from a genesis.

use crate::batch;
use crate::codec::Head;
use crate::commit::write_head;
use crate::tables::{self, *};
use crate::{OpenError, StorageError, Store, StoreConfig, StoreWriter, blooms};
use alloy_primitives::B256;
use callboard_chain::trie::TrieUpdates;
use callboard_chain::{Blame, Block, Confirmed};
use redb::{Database, WriteTransaction};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a chain starts from.
#[derive(Debug, Clone, Copy)]
pub struct NewChain<'a> {
    /// The chain id.
    pub chain_id: u64,
    /// The signed `genesis.json`, kept and served byte for byte.
    pub genesis_json: &'a [u8],
    /// Block 0; its changes are the alloc.
    pub genesis: &'a Confirmed<Block>,
    /// The trie nodes of the genesis state.
    pub trie: &'a TrieUpdates,
}

/// Why no database was made. Nothing is left at its path.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is one already.
    #[error("{} exists already; it is never overwritten", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Only block 0 starts a chain.
    #[error("a chain starts with block 0, not with block {actual}")]
    NotGenesis {
        /// The block's height.
        actual: u64,
    },
    /// A file could not be made or renamed.
    #[error("{} could not be created: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It was made and could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl CreateError {
    /// Whether the node must stop: always; it has no chain.
    pub fn is_fatal(&self) -> bool {
        true
    }

    /// Whose fault: this node's.
    pub fn blame(&self) -> Blame {
        Blame::Local
    }
}

impl Store {
    /// Makes the database at `path` from a genesis. It is written under another name beside it and moved there when
    /// it is whole and on disk, so that a creation that is killed leaves nothing that looks like a chain.
    pub fn create(
        path: impl AsRef<Path>,
        config: &StoreConfig,
        chain: NewChain<'_>,
    ) -> Result<(Self, StoreWriter), CreateError> {
        let path = path.as_ref();
        if chain.genesis.value().height() != 0 {
            return Err(CreateError::NotGenesis { actual: chain.genesis.value().height() });
        }
        if path.exists() {
            return Err(CreateError::Exists { path: path.to_owned() });
        }
        remove_leftovers(path);
        let unfinished = path.with_extension(format!("creating-{}", std::process::id()));
        let written = write_chain(&unfinished, config, chain)
            .map_err(|error| unwritten(path, error))
            .and_then(|()| move_into_place(&unfinished, path));
        // Gone already after a move; after a failure it must not stay, and a later creation would remove it anyway.
        let _ = fs::remove_file(&unfinished);
        written?;
        Ok(Self::open(path, config, Some(chain.genesis.value().hash()))?)
    }
}

/// Removes what killed creations left beside `path`. Should one of them be alive, it fails when it wants to move.
fn remove_leftovers(path: &Path) {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else { return };
    let prefix = format!("{}.creating-", stem.to_string_lossy());
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn write_chain(path: &Path, config: &StoreConfig, chain: NewChain<'_>) -> Result<(), StorageError> {
    let database = Database::builder().set_cache_size(config.cache_bytes).create(path)?;
    fill(&database, chain)
}

/// What the operating system refuses, a missing folder or a full disk, names the file.
fn unwritten(path: &Path, error: StorageError) -> CreateError {
    match error {
        StorageError::Database(error) => match *error {
            redb::Error::Io(source) => CreateError::File { path: path.to_owned(), source },
            other => StorageError::Database(Box::new(other)).into(),
        },
        other => other.into(),
    }
}

/// Writes all of a new chain in one transaction; every table is there afterwards.
pub(crate) fn fill(database: &Database, chain: NewChain<'_>) -> Result<(), StorageError> {
    let write = database.begin_write()?;
    let genesis = std::slice::from_ref(chain.genesis);
    batch::write_blocks(&write, genesis)?;
    blooms::write_blooms(&write, genesis)?;
    batch::write_indexes(&write, genesis)?;
    batch::write_state(&write, genesis)?;
    batch::write_history(&write, &[])?;
    batch::write_trie(&write, chain.trie)?;
    write_metadata(&write, chain)?;
    write_head(&write, Head::of(chain.genesis.value()))?;
    write.commit()?;
    Ok(())
}

fn write_metadata(write: &WriteTransaction, chain: NewChain<'_>) -> Result<(), StorageError> {
    let mut genesis = write.open_table(GENESIS)?;
    for (index, chunk) in (0u64..).zip(chain.genesis_json.chunks(GENESIS_CHUNK_BYTES)) {
        genesis.insert(index, chunk)?;
    }
    let hash: B256 = chain.genesis.value().hash();
    let mut metadata = write.open_table(METADATA)?;
    metadata.insert(tables::SCHEMA, SCHEMA_VERSION.to_be_bytes().as_slice())?;
    metadata.insert(tables::CHAIN_ID, chain.chain_id.to_be_bytes().as_slice())?;
    metadata.insert(tables::GENESIS_HASH, hash.as_slice())?;
    metadata.insert(tables::GENESIS_LENGTH, (chain.genesis_json.len() as u64).to_be_bytes().as_slice())?;
    metadata.insert(tables::PRUNED_BELOW, 0u64.to_be_bytes().as_slice())?;
    Ok(())
}

/// Gives the finished file its name, never over another file, and makes the name durable.
fn move_into_place(unfinished: &Path, path: &Path) -> Result<(), CreateError> {
    let failed = |source| CreateError::File { path: path.to_owned(), source };
    match fs::hard_link(unfinished, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(CreateError::Exists { path: path.to_owned() });
        }
        // File systems without links.
        Err(_) => fs::rename(unfinished, path).map_err(failed)?,
    }
    sync_folder(path).map_err(failed)
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
