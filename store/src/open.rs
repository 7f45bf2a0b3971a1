//! Opening a database, and what is checked before anybody may use it.

use crate::codec;
use crate::disk::OpenDatabase;
use crate::tables::{self, *};
use crate::view::{self, View};
use crate::{Head, StorageError, Store, StoreConfig, StoreWriter};
use alloy_primitives::B256;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use callboard_chain::{Blame, keccak256};
use redb::{Builder, Database, DatabaseError, ReadableDatabase, TableError};
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};

/// Why a database was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no file.
    #[error("{} does not exist", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Another process, or another handle of this one, has it open.
    #[error("{} is in use by another process; stop that node first", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a Callboard database", path.display())]
    NotADatabase {
        /// Which file.
        path: PathBuf,
    },
    /// The file was written by a newer release.
    #[error(
        "{} has schema version {actual}, this release reads {expected}; it was written by a newer one: use that one",
        path.display()
    )]
    NewerSchema {
        /// Which file.
        path: PathBuf,
        /// The version this release reads.
        expected: u32,
        /// The version in the file.
        actual: u32,
    },
    /// The file holds another chain.
    #[error("{} holds the chain with genesis {actual}, not the one with genesis {expected}", path.display())]
    OtherChain {
        /// Which file.
        path: PathBuf,
        /// The genesis hash asked for.
        expected: B256,
        /// The genesis hash in the file.
        actual: B256,
    },
    /// The file is cut, garbled, or its parts do not belong together.
    #[error("{} is damaged ({detail}); restore a backup or sync again into an empty data_dir", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The operating system refused.
    #[error("{} could not be opened: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
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
    /// Opens the database at `path`, of the chain with `expected_genesis` where that is given. After a kill it first
    /// repairs what redb has to repair. Checks that the head block, the recorded head, the state root and the trie's
    /// root node belong to each other.
    pub fn open(
        path: impl AsRef<Path>,
        config: &StoreConfig,
        expected_genesis: Option<B256>,
    ) -> Result<(Self, StoreWriter), OpenError> {
        let path = path.as_ref();
        guarded(path, || {
            let database = OpenDatabase::existing(path, &builder(config.cache_bytes));
            let database = database.map_err(|error| refused(path, error))?;
            opened(database, path, config, expected_genesis)
        })
    }
}

impl Store {
    /// As [`Store::open`], without the check that head, block and trie belong to each other: for a repair, which finds
    /// out what is wrong and believes nothing.
    pub fn open_damaged(path: impl AsRef<Path>, config: &StoreConfig) -> Result<(Self, StoreWriter), OpenError> {
        let path = path.as_ref();
        guarded(path, || {
            let database = OpenDatabase::existing(path, &builder(config.cache_bytes));
            let database = database.map_err(|error| refused(path, error))?;
            check_schema(&database.database, path)?;
            let store = Store::new(database);
            let head = store.view().map_err(|error| unreadable(path, error))?.head;
            let writer = StoreWriter::new(store.clone(), head, *config);
            Ok((store, writer))
        })
    }
}

/// The checks of an open database; `path` is only what errors call it.
pub(crate) fn opened(
    database: impl Into<OpenDatabase>,
    path: &Path,
    config: &StoreConfig,
    expected_genesis: Option<B256>,
) -> Result<(Store, StoreWriter), OpenError> {
    let database = database.into();
    check_schema(&database.database, path)?;
    let store = Store::new(database);
    let view = store.view().map_err(|error| unreadable(path, error))?;
    check_chain(&view, path, expected_genesis)?;
    check_head(&view, path)?;
    let writer = StoreWriter::new(store.clone(), view.head, *config);
    Ok((store, writer))
}

/// Opens or makes a database that is not a chain's.
pub(crate) fn open_or_create(path: &Path, cache_bytes: usize) -> Result<OpenDatabase, OpenError> {
    guarded(path, || OpenDatabase::existing_or_new(path, &builder(cache_bytes)).map_err(|error| refused(path, error)))
}

thread_local! {
    /// Whether this thread is inside [`guarded`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic that opening a damaged database turns into an error is not printed as well: the error tells
/// of it. For the start of a program.
pub fn print_only_uncaught_panics() {
    let print = take_hook();
    set_hook(Box::new(move |panic| {
        if !GUARDED.get() {
            print(panic);
        }
    }));
}

/// redb panics on some garbled files: that is an error like any other. What `open` was building is lost with the
/// panic, so no half-made state is seen.
fn guarded<T>(path: &Path, open: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    GUARDED.set(true);
    let opened = catch_unwind(AssertUnwindSafe(open));
    GUARDED.set(false);
    opened.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
        let first = words.and_then(|words| words.lines().next()).unwrap_or("no reason given");
        Err(damaged(path, format!("its structure is garbled: {first}")))
    })
}

/// Opens with this cache, and reports the progress of a repair.
fn builder(cache_bytes: usize) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes).set_repair_callback(|repair| {
        let percent = (repair.progress() * 100.0) as u32;
        tracing::info!(percent, "the database was not closed cleanly and is being checked");
    });
    builder
}

fn refused(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        DatabaseError::Storage(redb::StorageError::Io(source)) => match source.kind() {
            io::ErrorKind::NotFound => OpenError::Missing { path },
            io::ErrorKind::InvalidData => OpenError::NotADatabase { path },
            io::ErrorKind::UnexpectedEof => OpenError::Damaged { path, detail: "it ends too early".to_owned() },
            _ => OpenError::File { path, source },
        },
        DatabaseError::Storage(redb::StorageError::Corrupted(detail)) => OpenError::Damaged { path, detail },
        other => OpenError::Damaged { path, detail: other.to_string() },
    }
}

fn damaged(path: &Path, detail: impl std::fmt::Display) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), detail: detail.to_string() }
}

pub(crate) fn unreadable(path: &Path, error: StorageError) -> OpenError {
    match error {
        StorageError::Damaged { table, detail } => damaged(path, format!("table {table}, {detail}")),
        StorageError::Database(error) => damaged(path, error),
    }
}

/// Reads the schema version before any other table, since a newer release may have changed those.
fn check_schema(database: &Database, path: &Path) -> Result<(), OpenError> {
    let read = database.begin_read().map_err(|error| unreadable(path, error.into()))?;
    let metadata = match read.open_table(METADATA) {
        Ok(metadata) => metadata,
        Err(TableError::Storage(error)) => return Err(unreadable(path, error.into())),
        Err(_) => return Err(OpenError::NotADatabase { path: path.to_owned() }),
    };
    let stored = view::metadata(&metadata, tables::SCHEMA).map_err(|error| unreadable(path, error))?;
    let actual =
        u32::from_be_bytes(stored.try_into().map_err(|_| damaged(path, "the schema version is not a number"))?);
    if actual > SCHEMA_VERSION {
        return Err(OpenError::NewerSchema { path: path.to_owned(), expected: SCHEMA_VERSION, actual });
    }
    Ok(())
}

fn check_chain(view: &View, path: &Path, expected: Option<B256>) -> Result<(), OpenError> {
    let stored = view.metadata(tables::GENESIS_HASH).and_then(|bytes| codec::decode_hash(&bytes));
    let actual = stored.map_err(|error| unreadable(path, error))?;
    match expected {
        Some(expected) if expected != actual => Err(OpenError::OtherChain { path: path.to_owned(), expected, actual }),
        _ => Ok(()),
    }
}

/// The recorded head, the block at its height and the state belong to each other.
fn check_head(view: &View, path: &Path) -> Result<(), OpenError> {
    let head = view.head;
    let block = view.block(head.height).map_err(|error| unreadable(path, error))?;
    let block = block.ok_or_else(|| damaged(path, format!("head block {} is missing", head.height)))?;
    let actual = Head::of(&block);
    if actual != head {
        return Err(damaged(path, format!("the recorded head is {head:?}, the stored block {actual:?}")));
    }
    let root = trie_root(view).map_err(|error| unreadable(path, error))?;
    if root != head.state_root {
        let detail =
            format!("the state root of block {} is {}, the stored trie has {root}", head.height, head.state_root);
        return Err(damaged(path, detail));
    }
    Ok(())
}

/// Hash of the stored root node.
fn trie_root(view: &View) -> Result<B256, StorageError> {
    let node = view.trie_node(None, &Nibbles::new())?;
    Ok(node.map_or(EMPTY_ROOT_HASH, keccak256))
}
