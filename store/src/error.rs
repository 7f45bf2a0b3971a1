//! The error every read can meet.

use callboard_chain::{Blame, StateReadError};

/// The database could not be read or written, or what it holds makes no sense. Fatal for whoever works on the chain:
/// nothing it would say after this could be relied on. [`Self::Database`] stops the node whoever meets it; see
/// [`crate::Store::report_failures_to`]. [`Self::Damaged`] met by a read for somebody outside does not: he gets an error
/// and no answer, and no stranger can stop the node by asking for the one record that is damaged.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// redb or the operating system refused.
    #[error("the database could not be read or written: {0}")]
    Database(#[source] Box<redb::Error>),
    /// A stored value cannot be what this software wrote.
    #[error("the database is damaged: table {table}, {detail}; restore a backup or sync again into an empty data_dir")]
    Damaged {
        /// The table the value came from.
        table: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl StorageError {
    /// Whether the node must stop: always.
    pub fn is_fatal(&self) -> bool {
        true
    }

    /// Whose fault: this node's.
    pub fn blame(&self) -> Blame {
        Blame::Local
    }

    /// What `table` holds makes no sense.
    pub fn damaged(table: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Damaged { table, detail: detail.to_string() }
    }
}

/// Whether redb or the operating system refused, somewhere below this error: the disk is at fault, and nothing is known
/// of what is on it.
pub fn is_disk_failure(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let storage = error.downcast_ref::<StorageError>();
        error.is::<redb::Error>()
            || error.is::<Box<redb::Error>>()
            || storage.is_some_and(|error| matches!(error, StorageError::Database(_)))
    })
}

impl From<StorageError> for StateReadError {
    fn from(error: StorageError) -> Self {
        StateReadError(Box::new(error))
    }
}

/// Each of redb's error types converts into [`StorageError`], so that `?` works on any call.
macro_rules! from_redb {
    ($($name:ident),*) => {
        $(impl From<redb::$name> for StorageError {
            fn from(error: redb::$name) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })*
    };
}

from_redb!(StorageError, TableError, TransactionError, CommitError, DatabaseError);
