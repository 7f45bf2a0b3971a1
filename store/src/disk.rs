//! The file below a database, as the operating system serves it: whoever runs the database hears of the first call that
//! fails, whichever part of the node made it and whatever that part did with the error.

use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, OnceLock};

type Tell = Box<dyn Fn(&io::Error) + Send + Sync>;

/// Whom a failing disk is told. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct DiskFailures(Arc<OnceLock<Tell>>);

impl DiskFailures {
    /// From now on `tell` hears of each call on the file that fails, on the thread that made it. The first caller's
    /// `tell` stays.
    pub(crate) fn report_to(&self, tell: impl Fn(&io::Error) + Send + Sync + 'static) {
        self.0.get_or_init(|| Box::new(tell));
    }

    fn seen<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let (Err(error), Some(tell)) = (&result, self.0.get()) {
            tell(error);
        }
        result
    }
}

impl std::fmt::Debug for DiskFailures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskFailures").field("is_told", &self.0.get().is_some()).finish()
    }
}

/// An open database, and whom a failure of its file is told.
pub(crate) struct OpenDatabase {
    pub(crate) database: Database,
    pub(crate) failures: DiskFailures,
}

impl From<Database> for OpenDatabase {
    /// One whose failures are told nobody.
    fn from(database: Database) -> Self {
        Self { database, failures: DiskFailures::default() }
    }
}

impl OpenDatabase {
    /// Opens the file at `path`, which is there and is not empty.
    pub(crate) fn existing(path: &Path, builder: &Builder) -> Result<Self, DatabaseError> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if file.metadata()?.len() == 0 {
            // redb would make a database of it.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty").into());
        }
        Self::of(file, builder)
    }

    /// Opens the file at `path`, or makes it.
    pub(crate) fn existing_or_new(path: &Path, builder: &Builder) -> Result<Self, DatabaseError> {
        Self::of(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?, builder)
    }

    fn of(file: File, builder: &Builder) -> Result<Self, DatabaseError> {
        let failures = DiskFailures::default();
        let database = builder.create_with_backend(Watched::new(FileBackend::new(file)?, failures.clone()))?;
        Ok(Self { database, failures })
    }
}

/// A file whose failures are told.
#[derive(Debug)]
pub(crate) struct Watched<B> {
    file: B,
    failures: DiskFailures,
}

impl<B> Watched<B> {
    pub(crate) fn new(file: B, failures: DiskFailures) -> Self {
        Self { file, failures }
    }
}

/// Locks are asked for while a database is opened and given back when it is closed; what fails then is the opener's
/// error, and nobody's who runs it.
impl<B: StorageBackend> StorageBackend for Watched<B> {
    fn len(&self) -> io::Result<u64> {
        self.failures.seen(self.file.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.failures.seen(self.file.read(offset, out))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.failures.seen(self.file.set_len(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.failures.seen(self.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.failures.seen(self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
