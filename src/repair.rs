//! A damaged chain made whole from its own blocks: `callboard chain reconcile`.
//!
//! The blocks are sealed, and everything else in the database follows from them. The repair works on a copy, takes it
//! back to the last height whose state is right, executes the blocks above it again, with every check, and only when
//! all of it is right does the copy take the database's place. Until then the database is as it was.

use crate::apply::{Applier, ApplyError};
use crate::configuration::Configuration;
use crate::start::chain_files::{create_database, store_config};
use crate::start::{self, Chain, StartError};
use alloy_primitives::Bytes;
use callboard_actors::reconciler::{Fault, Meaning, RangeCheck, RangeProgress};
use callboard_chain::verify::{VerifyError, verify_block};
use callboard_store::{Head, OpenError, RollbackError, RootError, StorageError, Store, is_disk_failure};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Blocks executed between two reports.
const CHUNK_BLOCKS: u64 = 256;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told<'a> {
    /// A step begins.
    Step(&'a str),
    /// A step that goes from block to block has come this far.
    Reached {
        /// Which: `checking` or `executing`.
        what: &'static str,
        /// The block it has reached.
        height: u64,
        /// The last one.
        target: u64,
        /// Blocks since it was told last.
        blocks: u64,
    },
}

/// What was found and done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is wrong.
    Whole {
        /// The head.
        head: Head,
    },
    /// Something was, and no longer is.
    Repaired(Repaired),
}

/// A repair that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// What was wrong.
    pub fault: String,
    /// The height whose state was believed.
    pub last_good: u64,
    /// Blocks executed again.
    pub executed: u64,
    /// The head, which is the one before.
    pub head: Head,
    /// The damaged database.
    pub kept: PathBuf,
}

/// Why a chain was not repaired. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// There is no chain, or it cannot even be read.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It cannot be made whole from what is there.
    #[error(
        "the database is damaged ({fault}) and cannot be repaired from its own blocks ({reason}); it is as it was; restore a backup, import an export, or sync again into an empty data_dir"
    )]
    Unrepairable {
        /// What is wrong.
        fault: String,
        /// Why that is the end of it.
        reason: String,
    },
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no room for the copy.
    #[error("the repair works on a copy of {needed} bytes, and {} has {free} bytes free; make room", folder.display())]
    NoRoom {
        /// Where.
        folder: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// What is there could not be checked, which says nothing of it.
    #[error("the chain could not be checked ({reason}); it is as it was; make room or look at the disk, and try again")]
    Unchecked {
        /// Why.
        reason: String,
    },
    /// The database could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A root could not be computed for a reason that says nothing of the state.
impl From<RootError> for RepairError {
    fn from(error: RootError) -> Self {
        Self::Unchecked { reason: error.to_string() }
    }
}

/// Why one way of repairing failed; there may be another.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Rewind(#[from] RollbackError),
    #[error("block {0} is missing")]
    Missing(u64),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the blocks lead to {0}")]
    StillWrong(String),
    #[error("{0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    Unchecked(#[from] RootError),
}

impl AttemptError {
    /// Whether it says nothing of the blocks: another way would end alike, or worse.
    fn is_environment(&self) -> bool {
        matches!(self, Self::File(_) | Self::Unchecked(_)) || is_disk_failure(self)
    }
}

/// Where something is wrong.
struct Damage {
    fault: String,
    /// The highest height whose state may be right.
    at_most: u64,
}

/// Checks the chain of a stopped node, and repairs it where it is damaged. `full` executes every block again besides
/// hashing the state. `tell` hears what is being done.
pub fn reconcile(
    configuration: &Configuration,
    full: bool,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Outcome, RepairError> {
    let chain = start::open_damaged(configuration)?;
    let folder = &configuration.node.data_dir;
    let head = chain.store.snapshot()?.head();
    check_head(&chain, head).map_err(|reason| RepairError::Unrepairable { fault: "its head".to_owned(), reason })?;
    tell(Told::Step(&format!("hashing the state after block {}", head.height)));
    let Some(damage) = find_damage(&chain, head, folder, full, tell)? else { return Ok(Outcome::Whole { head }) };
    tell(Told::Step(&format!("damaged: {}", damage.fault)));
    check_room(&configuration.chain_path(), folder)?;
    let copy = Copy(start::repair_path(configuration));
    let (last_good, executed) = repair(configuration, &chain, head, &damage, full, &copy.0, tell)?;
    tell(Told::Step("putting the repaired chain in the place of the damaged one"));
    let kept = put_in_place(&copy.0, &configuration.chain_path())?;
    // Locked until now: a node that was started in between would write into the file that has just been put aside.
    drop(chain);
    Ok(Outcome::Repaired(Repaired { fault: damage.fault, last_good, executed, head, kept }))
}

/// The copy, as long as it has not become the database.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // After a repair it bears another name.
        let _ = fs::remove_file(&self.0);
    }
}

/// The header that everything is held against is the authority's.
fn check_head(chain: &Chain, head: Head) -> Result<(), String> {
    let bytes = chain.store.snapshot().and_then(|snapshot| snapshot.block_bytes(head.height));
    let bytes = bytes.map_err(|error| error.to_string())?.ok_or_else(|| format!("block {} is missing", head.height))?;
    let block = verify_block(bytes, chain.genesis.config()).map_err(|error: VerifyError| error.to_string())?;
    match Head::of(block.value()) == head {
        true => Ok(()),
        false => Err(format!("block {} is another one than the recorded head", head.height)),
    }
}

fn find_damage(
    chain: &Chain,
    head: Head,
    folder: &Path,
    full: bool,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Option<Damage>, RepairError> {
    let below = head.height.saturating_sub(1);
    let difference = chain.store.first_difference()?;
    if let Some(wrong) = wrong_state(&chain.store, head.height, folder)? {
        let named = difference.map_or_else(String::new, |difference| format!("; {difference}"));
        return Ok(Some(Damage { fault: format!("{wrong}{named}"), at_most: below }));
    }
    if let Some(difference) = difference {
        return Ok(Some(Damage { fault: difference.to_string(), at_most: head.height }));
    }
    if !full {
        return Ok(None);
    }
    check_blocks(chain, folder, head.height, tell)
}

/// What is wrong with the flat state after a block; `None` where its root is the header's.
fn wrong_state(store: &Store, height: u64, folder: &Path) -> Result<Option<String>, RootError> {
    let actual = match store.state_root_at(height, folder, &mut |_| true) {
        Ok(Some(root)) => root,
        Ok(None) => return Ok(Some("the state was not hashed to its end".to_owned())),
        Err(error) if matches!(error, RootError::File { .. }) || is_disk_failure(&error) => return Err(error),
        Err(error) => return Ok(Some(error.to_string())),
    };
    Ok(match store.snapshot().and_then(|snapshot| snapshot.header(height)) {
        Err(error) if is_disk_failure(&error) => return Err(error.into()),
        Err(error) => Some(error.to_string()),
        Ok(None) => Some(format!("block {height} is missing")),
        Ok(Some(header)) if header.state_root != actual => Some(format!(
            "the stored state after block {height} has root {actual}, its header says {}",
            header.state_root
        )),
        Ok(Some(_)) => None,
    })
}

/// Executes every block up to `to` again; the first at which something is wrong.
fn check_blocks(
    chain: &Chain,
    folder: &Path,
    to: u64,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Option<Damage>, RepairError> {
    let damage = |height: u64, fault: Fault| match fault.means() {
        Meaning::Damage => Ok(Some(Damage { fault: fault.to_string(), at_most: height.saturating_sub(1) })),
        _ => Err(RepairError::Unchecked { reason: fault.to_string() }),
    };
    let config = Arc::new(chain.genesis.config().clone());
    let mut check = match RangeCheck::new(chain.store.clone(), config, folder, None, Some(to)) {
        Ok(check) => check,
        // Nothing is kept below.
        Err(Fault::Range { .. }) => return Ok(None),
        Err(fault) => return damage(0, fault),
    };
    let mut at = check.from();
    loop {
        match check.step() {
            Ok(RangeProgress::Done) => return Ok(None),
            Ok(RangeProgress::State { .. }) => {}
            Ok(RangeProgress::Block { height }) => {
                at = height.saturating_add(1);
                tell(Told::Reached { what: "checking", height, target: check.to(), blocks: 1 });
            }
            Err(fault) => return damage(at, fault),
        }
    }
}

/// Makes a whole chain at `copy`: from the last height whose state is right, else from the genesis. The height, and
/// how many blocks were executed again.
fn repair(
    configuration: &Configuration,
    chain: &Chain,
    head: Head,
    damage: &Damage,
    full: bool,
    copy: &Path,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<(u64, u64), RepairError> {
    let folder = &configuration.node.data_dir;
    if let Some(last_good) = last_good_below(chain, damage.at_most, folder, full, tell)? {
        tell(Told::Step(&format!("the state after block {last_good} is right; executing the blocks above it again")));
        match from_height(configuration, chain, head, last_good, copy, tell) {
            Ok(executed) => return Ok((last_good, executed)),
            Err(error) if error.is_environment() => return Err(RepairError::Unchecked { reason: error.to_string() }),
            Err(error) => tell(Told::Step(&format!("that is not enough: {error}"))),
        }
    }
    tell(Told::Step("executing every block again, from the genesis"));
    let executed = from_genesis(configuration, chain, head, copy, tell);
    executed.map(|executed| (0, executed)).map_err(|error| match (error.is_environment(), error.to_string()) {
        (true, reason) => RepairError::Unchecked { reason },
        (false, reason) => RepairError::Unrepairable { fault: damage.fault.clone(), reason },
    })
}

/// The highest height whose state is right and, where all is to be checked, below which nothing is wrong: what a
/// repair leaves alone is what it keeps.
fn last_good_below(
    chain: &Chain,
    at_most: u64,
    folder: &Path,
    full: bool,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Option<u64>, RepairError> {
    let mut found = last_good(&chain.store, at_most, folder, tell)?;
    while let (Some(height), true) = (found, full) {
        tell(Told::Step(&format!("checking the blocks up to {height}")));
        let Some(damage) = check_blocks(chain, folder, height, tell)? else { break };
        tell(Told::Step(&format!("damaged there, too: {}", damage.fault)));
        found = match height.checked_sub(1) {
            Some(below) => last_good(&chain.store, damage.at_most.min(below), folder, tell)?,
            None => None,
        };
    }
    Ok(found)
}

/// The highest height at which the history gives the state that the header says; looked for from the top in growing
/// steps, and then between the last two.
fn last_good(
    store: &Store,
    at_most: u64,
    folder: &Path,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Option<u64>, RepairError> {
    let oldest = store.snapshot()?.pruned_below();
    let mut good = |height: u64| {
        tell(Told::Step(&format!("hashing the state after block {height}")));
        Ok::<bool, RepairError>(wrong_state(store, height, folder)?.is_none())
    };
    let (mut wrong, mut height, mut step) = (at_most.saturating_add(1), at_most, 1u64);
    while !good(height)? {
        if height <= oldest {
            return Ok(None);
        }
        wrong = height;
        height = height.saturating_sub(step).max(oldest);
        step = step.saturating_mul(2);
    }
    while wrong.saturating_sub(height) > 1 {
        let middle = height.midpoint(wrong);
        if good(middle)? { height = middle } else { wrong = middle }
    }
    Ok(Some(height))
}

fn from_height(
    configuration: &Configuration,
    chain: &Chain,
    head: Head,
    last_good: u64,
    copy: &Path,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<u64, AttemptError> {
    fs::copy(configuration.chain_path(), copy)?;
    let (store, mut writer) = Store::open_damaged(copy, &store_config(configuration))?;
    writer.rewind(last_good)?;
    let mut repaired = Chain { genesis: chain.genesis.clone(), store, writer };
    execute_again(chain, &mut repaired, last_good, head, &configuration.node.data_dir, tell)
}

fn from_genesis(
    configuration: &Configuration,
    chain: &Chain,
    head: Head,
    copy: &Path,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<u64, AttemptError> {
    if copy.exists() {
        fs::remove_file(copy)?;
    }
    let mut repaired = create_database(copy, &store_config(configuration), chain.genesis.clone())?;
    execute_again(chain, &mut repaired, 0, head, &configuration.node.data_dir, tell)
}

/// Gives the blocks above `from` to the repaired chain, and looks whether it is right then.
fn execute_again(
    damaged: &Chain,
    repaired: &mut Chain,
    from: u64,
    head: Head,
    folder: &Path,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<u64, AttemptError> {
    let mut applier = Applier::new(repaired)?;
    let mut next = from.saturating_add(1);
    while next <= head.height {
        let last = head.height.min(next.saturating_add(CHUNK_BLOCKS - 1));
        applier.apply(&read(&damaged.store, next, last)?)?;
        tell(Told::Reached {
            what: "executing",
            height: last,
            target: head.height,
            blocks: last.saturating_sub(next).saturating_add(1),
        });
        next = last.saturating_add(1);
    }
    let store = repaired.store.clone();
    let reached = store.snapshot()?.head();
    if reached != head {
        return Err(AttemptError::StillWrong(format!("block {} {}, not to the head", reached.height, reached.hash)));
    }
    if let Some(wrong) = wrong_state(&store, head.height, folder)? {
        return Err(AttemptError::StillWrong(wrong));
    }
    match store.first_difference()? {
        Some(difference) => Err(AttemptError::StillWrong(difference.to_string())),
        None => Ok(head.height.saturating_sub(from)),
    }
}

fn read(store: &Store, first: u64, last: u64) -> Result<Vec<(u64, Bytes)>, AttemptError> {
    let snapshot = store.snapshot()?;
    let block = |height| Ok((height, snapshot.block_bytes(height)?.ok_or(AttemptError::Missing(height))?));
    (first..=last).map(block).collect()
}

/// The copy is as long as the database, or longer.
fn check_room(path: &Path, folder: &Path) -> Result<(), RepairError> {
    let failed = |source| RepairError::File { path: path.to_owned(), source };
    let needed = fs::metadata(path).map_err(failed)?.len();
    match fs4::available_space(folder) {
        Ok(free) if free < needed => Err(RepairError::NoRoom { folder: folder.to_owned(), needed, free }),
        // A disk that cannot be asked is not known to be full; writing will tell.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Lets the copy take the database's place, at once: at no instant is there no database. The damaged one gets another
/// name.
fn put_in_place(copy: &Path, path: &Path) -> Result<PathBuf, RepairError> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let kept = path.with_extension(format!("redb.damaged-{seconds}"));
    let moved = File::open(copy)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::hard_link(path, &kept))
        .and_then(|()| fs::rename(copy, path))
        .and_then(|()| File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all());
    moved.map(|()| kept).map_err(|source| RepairError::File { path: path.to_owned(), source })
}
