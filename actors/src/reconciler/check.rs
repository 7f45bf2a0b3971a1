//! One stored block, checked as an imported one is, and against everything that was stored with it.

use alloy_primitives::{Address, B256, U256};
use callboard_chain::execution::{Executed, ExecutionError, execute_block};
use callboard_chain::genesis::{GenesisError, SealedGenesis};
use callboard_chain::live::{ConfirmError, check_execution};
use callboard_chain::trie::TrieError;
use callboard_chain::verify::{HeaderError, VerifyError, verify_block, verify_child};
use callboard_chain::{Account, Blame, Block, BlockChanges, ChainConfig, Verified};
use callboard_store::{
    AddressDifference, BuildError, HistoryError, OpenError, Role, RootError, ScanError, Snapshot, StorageError,
    StrayRow, TransactionLocation, address_rows, is_disk_failure,
};
use std::collections::BTreeMap;

/// What is wrong with a stored chain. Never a peer's fault: every block was checked when it came.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A block is missing.
    #[error("block {height} is missing")]
    Missing {
        /// Its height.
        height: u64,
    },
    /// Block 0 is not that of the stored genesis.
    #[error("block 0 is not the one of the stored genesis: {actual}, expected {expected}")]
    Genesis {
        /// Hash of the genesis' block.
        expected: B256,
        /// Hash of the stored block.
        actual: B256,
    },
    /// The stored genesis cannot be read.
    #[error("the stored genesis: {0}")]
    GenesisFile(#[from] GenesisError),
    /// A block is not what it claims to be.
    #[error("block {height}: {source}")]
    Verify {
        /// Its height.
        height: u64,
        /// Which check failed.
        source: VerifyError,
    },
    /// A header does not follow its parent.
    #[error("block {height}: {source}")]
    Header {
        /// Its height.
        height: u64,
        /// Which check failed.
        source: HeaderError,
    },
    /// A block cannot be executed again.
    #[error("block {height}: {source}")]
    Execution {
        /// Its height.
        height: u64,
        /// Why.
        source: ExecutionError,
    },
    /// Executing it again gives something else than its header says.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
    /// A look-up leads elsewhere.
    #[error("block {height}: the index of {what} says {actual}, expected {expected}")]
    Index {
        /// The block's height.
        height: u64,
        /// Which look-up.
        what: &'static str,
        /// Where it should lead.
        expected: String,
        /// Where it leads.
        actual: String,
    },
    /// An address under which one of its transactions is not listed as it must be.
    #[error("block {height}: transaction {index} is listed under {address} {}, expected as {expected}", listed(.actual))]
    Address {
        /// The block's height.
        height: u64,
        /// Which of its transactions.
        index: u32,
        /// Under which address.
        address: Address,
        /// What that address is in it.
        expected: Role,
        /// As stored.
        actual: Option<Role>,
    },
    /// A row of the look-up by address that belongs to no block.
    #[error(transparent)]
    Stray(#[from] StrayRow),
    /// What is stored of its execution is not what executing it again gives.
    #[error("block {height}: the stored {what} differ from those of its execution")]
    Stored {
        /// Its height.
        height: u64,
        /// What differs.
        what: &'static str,
    },
    /// The stored state before or after it is not what executing it again gives.
    #[error("block {height}: account {address} is stored as {actual} after it, execution gives {expected}")]
    Account {
        /// The block's height.
        height: u64,
        /// Whose account.
        address: Address,
        /// By execution.
        expected: String,
        /// As stored.
        actual: String,
    },
    /// As [`Self::Account`], for a slot.
    #[error("block {height}: slot {slot:#x} of {address} is stored as {actual} after it, execution gives {expected}")]
    Slot {
        /// The block's height.
        height: u64,
        /// Whose storage.
        address: Address,
        /// Which slot.
        slot: U256,
        /// By execution.
        expected: String,
        /// As stored.
        actual: String,
    },
    /// The flat state has another root than the sealed header says.
    #[error("the stored state after block {height} has root {actual}, its header says {expected}{}", named(.difference))]
    StateRoot {
        /// The block's height.
        height: u64,
        /// The header's.
        expected: B256,
        /// Recomputed.
        actual: B256,
        /// The first key that differs from the state trie, where it was looked for.
        difference: Option<String>,
    },
    /// A root on the way could not be recomputed.
    #[error("the stored state after block {height}: {source}")]
    Root {
        /// The block's height.
        height: u64,
        /// Why.
        source: RootError,
    },
    /// The trie of the state that a check begins with could not be built.
    #[error("the stored state after block {height}: {source}")]
    Base {
        /// The block's height.
        height: u64,
        /// Why.
        source: BuildError,
    },
    /// The trie could not take a block's changes.
    #[error("the state after block {height}: {source}")]
    Trie {
        /// The block's height.
        height: u64,
        /// Why.
        source: TrieError,
    },
    /// The heights make no range.
    #[error("there is nothing to check from block {from} to block {to}")]
    Range {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The state at a height is not there.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The file for the check could not be made.
    #[error("the check needs a temporary file: {0}")]
    Scratch(#[from] OpenError),
    /// The file for the check could not be written.
    #[error("a temporary file of the check: {0}")]
    ScratchWrite(#[source] StorageError),
    /// The database could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn listed(role: &Option<Role>) -> String {
    role.map_or_else(|| "not at all".to_owned(), |role| format!("as {role}"))
}

fn named(difference: &Option<String>) -> String {
    difference.as_ref().map_or_else(String::new, |difference| format!("; {difference}"))
}

/// What a fault says of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It is damaged.
    Damage,
    /// Nothing is wrong with it: the state was forgotten, or is not there yet.
    Forgotten,
    /// Nothing is known of it: a temporary file could not be made or used. The check can be made again.
    NoTemporaryFile,
    /// Nothing is known of it: the disk, or the operating system, refused. The node must stop.
    DiskFailure,
}

impl Fault {
    /// Whether nothing is wrong but that the state was forgotten, or is not there yet.
    pub fn is_history(&self) -> bool {
        match self {
            Self::History(HistoryError::Pruned { .. } | HistoryError::Ahead { .. }) => true,
            Self::Root { source, .. } => source.is_pruned(),
            Self::Base { source: BuildError::Scan(ScanError::History(HistoryError::Pruned { .. })), .. } => true,
            _ => false,
        }
    }

    /// What has to happen now.
    pub fn means(&self) -> Meaning {
        match self {
            _ if self.is_history() => Meaning::Forgotten,
            Self::Scratch(_) | Self::ScratchWrite(_) | Self::Root { source: RootError::File { .. }, .. } => {
                Meaning::NoTemporaryFile
            }
            _ if is_disk_failure(self) => Meaning::DiskFailure,
            _ => Meaning::Damage,
        }
    }

    /// Always this node's: what is stored here was right when it was stored.
    pub fn blame(&self) -> Blame {
        Blame::Local
    }
}

/// A stored block that is right.
#[derive(Debug)]
pub struct CheckedBlock {
    /// What executing it again gives.
    pub executed: Executed,
    /// How many rows the look-up by address has of it.
    pub address_rows: u64,
}

/// Checks block 0 and what was stored with it, but for its state.
pub fn check_genesis(snapshot: &Snapshot, config: &ChainConfig) -> Result<(), Fault> {
    let stored = verified(snapshot, config, 0)?;
    let genesis = SealedGenesis::from_json(&snapshot.genesis_json()?)?;
    let (expected, actual) = (genesis.hash(), stored.value().hash());
    if expected != actual { Err(Fault::Genesis { expected, actual }) } else { Ok(()) }
}

/// Checks a block above 0: form, seal, transactions, its place after its parent; executes it again on the stored state
/// of its parent; and compares gas, receipts, bloom, senders, look-ups, and every value that it changed, with what is
/// stored. What is left to the caller is the state root.
pub fn check_block(snapshot: &Snapshot, config: &ChainConfig, height: u64) -> Result<CheckedBlock, Fault> {
    let before = height.checked_sub(1).ok_or(Fault::Range { from: height, to: height })?;
    let block = verified(snapshot, config, height)?;
    let parent = snapshot.header(before)?.ok_or(Fault::Missing { height: before })?;
    verify_child(block.value().header(), &parent, config).map_err(|source| Fault::Header { height, source })?;
    let state = snapshot.state_at(before)?;
    let executed = execute_block(&state, config, &block).map_err(|source| Fault::Execution { height, source })?;
    check_execution(block.value().header(), &executed)?;
    if snapshot.receipts(height)?.as_ref() != Some(&executed.receipts) {
        return Err(Fault::Stored { height, what: "receipts" });
    }
    // A search for logs passes over this block where the bloom of its group says that it may.
    let bloom = block.value().header().logs_bloom;
    if snapshot.group_bloom(height)?.is_some_and(|group| !group.contains(&bloom)) {
        return Err(Fault::Stored { height, what: "logs blooms of its group" });
    }
    if snapshot.senders(height)?.as_deref() != Some(block.senders()) {
        return Err(Fault::Stored { height, what: "senders" });
    }
    check_changes(height, &executed.changes, &snapshot.changes(height)?)?;
    Ok(CheckedBlock { executed, address_rows: address_rows(block.value(), block.senders()) })
}

/// The stored block, as the parallel stage of an import checks it, and the look-ups that lead to it.
fn verified(snapshot: &Snapshot, config: &ChainConfig, height: u64) -> Result<Verified<Block>, Fault> {
    let bytes = snapshot.block_bytes(height)?.ok_or(Fault::Missing { height })?;
    let block = verify_block(bytes, config).map_err(|source| Fault::Verify { height, source })?;
    let hash = block.value().hash();
    index(height, "heights by block hash", Some(height), snapshot.height_of(hash)?)?;
    index(height, "block hashes by height", Some(hash), snapshot.hash_of(height)?)?;
    for ((place, transaction), sender) in (0u32..).zip(block.value().transactions()).zip(block.senders().iter()) {
        let expected = TransactionLocation { height, index: place };
        let actual = snapshot.transaction_location(*transaction.tx_hash())?;
        index(height, "transactions", Some(expected), actual)?;
        if let Some(differs) = snapshot.address_difference(transaction, *sender, expected)? {
            let AddressDifference { address, expected, actual } = differs;
            return Err(Fault::Address { height, index: place, address, expected, actual });
        }
    }
    Ok(block)
}

fn index<T: PartialEq + std::fmt::Debug>(
    height: u64,
    what: &'static str,
    expected: Option<T>,
    actual: Option<T>,
) -> Result<(), Fault> {
    if expected == actual {
        return Ok(());
    }
    let shown = |value: Option<T>| value.map_or_else(|| "nothing".to_owned(), |value| format!("{value:?}"));
    Err(Fault::Index { height, what, expected: shown(expected), actual: shown(actual) })
}

/// Compares what execution changed with what is stored as changed. Storage roots are the trie's to say.
fn check_changes(height: u64, executed: &BlockChanges, stored: &BlockChanges) -> Result<(), Fault> {
    let (by_execution, as_stored) = (accounts(executed), accounts(stored));
    if let Some((address, expected, actual)) = first_difference(&by_execution, &as_stored) {
        return Err(Fault::Account { height, address, expected, actual });
    }
    let slots = |changes: &BlockChanges| -> BTreeMap<_, _> {
        changes.storage.iter().map(|change| ((change.address, change.slot), (change.before, change.after))).collect()
    };
    match first_difference(&slots(executed), &slots(stored)) {
        Some(((address, slot), expected, actual)) => Err(Fault::Slot { height, address, slot, expected, actual }),
        None => Ok(()),
    }
}

type Change = (Option<Account>, Option<Account>);

/// Each changed account before and after, with the storage root that it had before.
fn accounts(changes: &BlockChanges) -> BTreeMap<Address, Change> {
    let change = |change: &callboard_chain::AccountChange| {
        let storage_root = change.before.unwrap_or_default().storage_root;
        (change.address, (change.before, change.after.map(|after| Account { storage_root, ..after })))
    };
    changes.accounts.iter().map(change).collect()
}

/// The first key at which two maps differ, and both values.
fn first_difference<K: Ord + Copy, V: PartialEq + std::fmt::Debug>(
    expected: &BTreeMap<K, V>,
    actual: &BTreeMap<K, V>,
) -> Option<(K, String, String)> {
    let shown = |value: Option<&V>| value.map_or_else(|| "unchanged".to_owned(), |value| format!("{value:?}"));
    let differs = |key: &&K| expected.get(key) != actual.get(key);
    let key = expected.keys().chain(actual.keys()).filter(differs).min().copied()?;
    Some((key, shown(expected.get(&key)), shown(actual.get(&key))))
}
