//! The state root recomputed from the flat state.
//!
//! This shares no code with the incremental trie that the node runs on: it is what that trie's result, the flat
//! tables and the header are compared with while the node runs.

use crate::leaves::Leaves;
use crate::scan::{FlatEntry, FlatScan, ScanError};
use crate::{HistoryError, Snapshot, StorageError};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY};
use callboard_chain::{Account, Blame, keccak256};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// Hashes of code that was found right and need not be looked at for every account that carries it: 3 MiB.
const KNOWN_CODE: usize = 100_000;

/// Why the state root could not be recomputed.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The slots of an account do not make the storage root it carries.
    #[error("the stored slots of {address} make storage root {actual}, its account carries {expected}")]
    StorageRoot {
        /// Whose storage.
        address: Address,
        /// The root in the account.
        expected: B256,
        /// The root of the stored slots.
        actual: B256,
    },
    /// The code of an account is not there, or is another one.
    #[error("the code of {address}: {source}")]
    Code {
        /// Whose code.
        address: Address,
        /// What is wrong with it.
        source: StorageError,
    },
    /// A temporary file could not be written or read. Nothing is known of the flat state.
    #[error("a temporary file in {}: {source}", folder.display())]
    File {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The flat state could not be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

impl RootError {
    /// Whether the node must stop: where the flat state is not the chain's; not where it was only pruned, or could not
    /// be hashed.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::StorageRoot { .. } | Self::Code { .. } => true,
            Self::File { .. } => false,
            Self::Scan(error) => error.is_fatal(),
        }
    }

    /// Whose fault: this node's where it is fatal.
    pub fn blame(&self) -> Blame {
        if self.is_fatal() { Blame::Local } else { Blame::Nobody }
    }

    /// Whether the state at this height is not kept any more.
    pub fn is_pruned(&self) -> bool {
        matches!(self, Self::Scan(ScanError::History(HistoryError::Pruned { .. })))
    }
}

impl From<StorageError> for RootError {
    fn from(error: StorageError) -> Self {
        Self::Scan(error.into())
    }
}

/// Hashes the flat state at one height, part by part: each part is read through a snapshot of its own, so that it takes
/// as long as it likes, at a head that moves. Some 16 MiB of memory; larger states go through files in `folder`.
#[derive(Debug)]
pub struct RootComputation {
    scan: FlatScan,
    folder: PathBuf,
    accounts: Leaves,
    open: Option<OpenAccount>,
    code: HashSet<B256>,
    keys: u64,
}

/// An account whose slots are being read.
#[derive(Debug)]
struct OpenAccount {
    address: Address,
    account: Account,
    slots: Leaves,
}

impl RootComputation {
    /// Of the state after the block at `height`.
    pub fn new(height: u64, folder: &Path) -> Self {
        let accounts = Leaves::new(folder);
        Self {
            scan: FlatScan::new(height),
            folder: folder.to_owned(),
            accounts,
            open: None,
            code: HashSet::new(),
            keys: 0,
        }
    }

    /// The height whose state is hashed.
    pub fn height(&self) -> u64 {
        self.scan.height()
    }

    /// Accounts and slots read so far.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Reads on, about `keys` accounts and slots; true where everything has been read. The snapshot is let go before
    /// anything is hashed or sorted.
    pub fn advance(&mut self, snapshot: Snapshot, keys: usize) -> Result<bool, RootError> {
        let entries = self.scan.read(&snapshot, keys)?;
        entries.iter().try_for_each(|entry| self.check_code(&snapshot, entry))?;
        drop(snapshot);
        self.keys += entries.len() as u64;
        for entry in &entries {
            match *entry {
                FlatEntry::Account(address, account) => {
                    self.close()?;
                    self.open = Some(OpenAccount { address, account, slots: Leaves::new(&self.folder) });
                }
                FlatEntry::Slot(_, slot, value) => {
                    if let Some(open) = &mut self.open {
                        let added = open.slots.add(keccak256(slot.to_be_bytes::<32>()), alloy_rlp::encode(value));
                        added.map_err(|source| failed(&self.folder, source))?;
                    }
                }
            }
        }
        Ok(entries.is_empty())
    }

    /// The state root, once everything has been read.
    pub fn root(mut self) -> Result<B256, RootError> {
        self.close()?;
        self.accounts.root().map_err(|source| failed(&self.folder, source))
    }

    /// The code that an account carries is stored, and is that code.
    fn check_code(&mut self, snapshot: &Snapshot, entry: &FlatEntry) -> Result<(), RootError> {
        let FlatEntry::Account(address, Account { code_hash, .. }) = *entry else { return Ok(()) };
        if code_hash == KECCAK256_EMPTY || self.code.contains(&code_hash) {
            return Ok(());
        }
        snapshot.view().code(code_hash).map_err(|source| match source {
            StorageError::Damaged { .. } => RootError::Code { address, source },
            StorageError::Database(_) => source.into(),
        })?;
        if self.code.len() < KNOWN_CODE {
            self.code.insert(code_hash);
        }
        Ok(())
    }

    /// Compares the storage root of the account read last with its slots.
    fn close(&mut self) -> Result<(), RootError> {
        let Some(OpenAccount { address, account, slots }) = self.open.take() else { return Ok(()) };
        let (expected, actual) = (account.storage_root, slots.root().map_err(|source| failed(&self.folder, source))?);
        if expected != actual {
            return Err(RootError::StorageRoot { address, expected, actual });
        }
        let added = self.accounts.add(keccak256(address), alloy_rlp::encode(account));
        added.map_err(|source| failed(&self.folder, source))
    }
}

fn failed(folder: &Path, source: io::Error) -> RootError {
    RootError::File { folder: folder.to_owned(), source }
}

/// Accounts and slots read through one snapshot: some tens of milliseconds.
const PART: usize = 4_000;

impl crate::Store {
    /// The state root after the block at `height`, from the flat state alone. `tell` hears of the keys read so far, and
    /// ends it where it answers false.
    pub fn state_root_at(
        &self,
        height: u64,
        folder: &Path,
        tell: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<B256>, RootError> {
        let mut computation = RootComputation::new(height, folder);
        while !computation.advance(self.snapshot()?, PART)? {
            if !tell(computation.keys()) {
                return Ok(None);
            }
        }
        computation.root().map(Some)
    }
}
