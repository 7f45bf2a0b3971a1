//! The database as the rest of the node holds it: a handle that reads, and one writer.

use crate::codec::Head;
use crate::disk::OpenDatabase;
use crate::view::View;
use crate::{LatestState, Snapshot, StorageError};
use redb::WriteTransaction;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Default size of redb's page cache, which fills as the chain grows and is then most of what the node holds. So much
/// holds the upper levels of every table of a chain of some million accounts; the rest is in the system's own cache
/// of the file. Measured: with half a gibibyte neither empty blocks nor transfers among 100,000 accounts come faster.
pub const DEFAULT_CACHE_BYTES: usize = 64 << 20;

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreConfig {
    /// Size of the page cache, bytes.
    pub cache_bytes: usize,
    /// Whether a commit records which pages are free, so that after a kill the file need not be walked: a commit
    /// costs about 0.3 ms more, opening a killed 1 GiB file takes 0.6 ms instead of 1.1 s.
    pub quick_repair: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { cache_bytes: DEFAULT_CACHE_BYTES, quick_repair: true }
    }
}

/// Reads the chain. Cheap to clone; any number of threads may read while the one [`StoreWriter`] writes.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    open: OpenDatabase,
    /// What the first reader since the newest write opened: opening it costs as much as some twenty reads.
    newest: Mutex<Option<Arc<View>>>,
}

impl Store {
    pub(crate) fn new(database: impl Into<OpenDatabase>) -> Self {
        let shared = Shared { open: database.into(), newest: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// From now on `tell` hears of each call on the database's file that the operating system refuses, on the thread
    /// that made it: whoever reads or writes gets the error besides. The first caller's `tell` stays.
    pub fn report_failures_to(&self, tell: impl Fn(&io::Error) + Send + Sync + 'static) {
        self.shared.open.failures.report_to(tell);
    }

    /// Everything as of the newest durable block. Hold it for less than five seconds: while it lives, no page it can
    /// see is reused and the file grows with every commit. Long answers reopen one per chunk.
    pub fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let mut newest = self.shared.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let view = match &*newest {
            Some(view) => Arc::clone(view),
            None => Arc::clone(newest.insert(Arc::new(self.view()?))),
        };
        Ok(Snapshot::new(view))
    }

    /// The newest durable state, following the commits by itself.
    pub fn latest(&self) -> LatestState {
        LatestState::new(self.clone())
    }

    /// Reads the database anew, whoever else has.
    pub(crate) fn view(&self) -> Result<View, StorageError> {
        View::open(&self.shared.open.database)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// The only one who writes the chain. It cannot be cloned: there is one per open database.
#[derive(Debug)]
pub struct StoreWriter {
    pub(crate) store: Store,
    pub(crate) head: Head,
    config: StoreConfig,
}

impl StoreWriter {
    pub(crate) fn new(store: Store, head: Head, config: StoreConfig) -> Self {
        Self { store, head, config }
    }

    /// The newest durable block.
    pub fn head(&self) -> Head {
        self.head
    }

    /// A write transaction that is durable when its commit returns.
    pub(crate) fn begin(&self) -> Result<WriteTransaction, StorageError> {
        let mut write = self.store.shared.open.database.begin_write()?;
        write.set_quick_repair(self.config.quick_repair);
        Ok(write)
    }

    /// Makes `write` durable and lets the readers see it.
    pub(crate) fn finish(&mut self, write: WriteTransaction, head: Head) -> Result<(), StorageError> {
        write.commit()?;
        self.head = head;
        // A reader that opened its view before the commit has put it here by now; whoever comes next opens a new one.
        drop(self.store.shared.newest.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }
}
