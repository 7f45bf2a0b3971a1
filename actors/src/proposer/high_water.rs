//! The high-water file: the highest block this authority ever sealed, fsynced before the seal leaves the signer.
//!
//! It lies beside the keystore, so that it outlives a wiped data directory and a database restored from an old copy.
//! It holds the sealed block itself: when the process dies between sealing and committing, the same block is taken up
//! again at the next start, and no height is sealed twice.
//!
//! Layout: `callboard-high-water/1\n`, then the genesis hash (32 bytes), the block's canonical bytes, and the
//! keccak256 of everything before it (32 bytes).

use alloy_primitives::{B256, Bytes};
use callboard_chain::{Block, keccak256};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"callboard-high-water/1\n";
const HASH_LENGTH: usize = 32;

/// The mark of one chain.
#[derive(Debug)]
pub struct HighWater {
    path: PathBuf,
    /// Locked for as long as this mark lives: two processes with one key would seal every height twice.
    _lock: File,
    genesis: B256,
    sealed: Option<Block>,
}

/// The mark could not be read or written, or forbids a seal.
#[derive(Debug, thiserror::Error)]
pub enum HighWaterError {
    /// The file cannot be read or written.
    #[error("{path}: {source}; the authority seals nothing without its high-water file")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process seals with this key.
    #[error("{path} is locked: another process seals this chain with the same key; stop it first")]
    InUse {
        /// The lock.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{path} is damaged ({what}); restore it from a backup, or the authority could seal a height twice")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A block of this height, or a higher one, was sealed before.
    #[error("height {height} must not be sealed: {path} says that height {mark} was sealed as {sealed}")]
    BelowMark {
        /// The file.
        path: PathBuf,
        /// The height asked for.
        height: u64,
        /// The highest height that was sealed.
        mark: u64,
        /// The hash of that block.
        sealed: B256,
    },
}

impl HighWater {
    /// Opens the mark of the chain with this genesis in `folder`; a chain that never sealed has no file yet.
    pub fn open(folder: &Path, genesis: B256) -> Result<Self, HighWaterError> {
        let path = folder.join(format!("{genesis:#x}.high-water"));
        let lock = lock(&path)?;
        let sealed = match fs::read(&path) {
            Ok(bytes) => Some(decode(&path, genesis, &bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(HighWaterError::Io { path, source }),
        };
        Ok(Self { path, _lock: lock, genesis, sealed })
    }

    /// The highest block ever sealed.
    pub fn sealed(&self) -> Option<&Block> {
        self.sealed.as_ref()
    }

    /// Records a freshly sealed block. Once this returns, the seal may leave the signer.
    pub fn record(&mut self, block: &Block) -> Result<(), HighWaterError> {
        if let Some(sealed) = &self.sealed
            && !allows(sealed, block)
        {
            return Err(HighWaterError::BelowMark {
                path: self.path.clone(),
                height: block.height(),
                mark: sealed.height(),
                sealed: sealed.hash(),
            });
        }
        self.write(block).map_err(|source| HighWaterError::Io { path: self.path.clone(), source })?;
        self.sealed = Some(block.clone());
        Ok(())
    }

    /// Gives the mark up: the file is kept aside under another name, as evidence of what was sealed. `None` where
    /// nothing was.
    pub fn abandon(&mut self) -> Result<Option<PathBuf>, HighWaterError> {
        let Some(sealed) = &self.sealed else { return Ok(None) };
        let kept = self.path.with_extension(format!("abandoned-{}-{:x}", sealed.height(), sealed.hash()));
        let moved = fs::rename(&self.path, &kept).and_then(|()| sync_folder(&kept));
        moved.map_err(|source| HighWaterError::Io { path: self.path.clone(), source })?;
        self.sealed = None;
        Ok(Some(kept))
    }

    /// Writes a new file, makes it durable, and puts it in the place of the old one.
    fn write(&self, block: &Block) -> io::Result<()> {
        let fresh = self.path.with_extension("high-water.new");
        let mut file = File::create(&fresh)?;
        file.write_all(&encode(self.genesis, block))?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        sync_folder(&self.path)
    }
}

/// Whether `block` may be sealed where `sealed` is the highest block that ever was: no height twice, and none below it.
pub fn allows(sealed: &Block, block: &Block) -> bool {
    block.height() > sealed.height() || block.hash() == sealed.hash()
}

/// A file's new name lasts only once its folder is durable.
fn sync_folder(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Takes the lock beside the mark, and makes the folder where there is none yet.
fn lock(path: &Path) -> Result<File, HighWaterError> {
    let path = path.with_extension("lock");
    let io = |source| HighWaterError::Io { path: path.clone(), source };
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
    let file = File::options().create(true).append(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HighWaterError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn encode(genesis: B256, block: &Block) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAGIC.len() + 2 * HASH_LENGTH + block.bytes().len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(genesis.as_slice());
    bytes.extend_from_slice(block.bytes());
    let checksum = keccak256(&bytes);
    bytes.extend_from_slice(checksum.as_slice());
    bytes
}

fn decode(path: &Path, genesis: B256, bytes: &[u8]) -> Result<Block, HighWaterError> {
    let damaged = |what| HighWaterError::Damaged { path: path.to_owned(), what };
    let body = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not begin as a high-water file"))?;
    let (_, checksum) = bytes.split_last_chunk::<HASH_LENGTH>().ok_or_else(|| damaged("it is too short"))?;
    if body.len() < 2 * HASH_LENGTH {
        return Err(damaged("it is too short"));
    }
    if keccak256(&bytes[..bytes.len() - HASH_LENGTH]) != B256::from(*checksum) {
        return Err(damaged("its checksum does not match"));
    }
    let (of, block) = body[..body.len() - HASH_LENGTH].split_at(HASH_LENGTH);
    if of != genesis.as_slice() {
        return Err(damaged("it belongs to another chain"));
    }
    Block::decode(Bytes::copy_from_slice(block)).map_err(|_| damaged("its block does not decode"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::Header;
    use callboard_chain::keys::SecretKey;

    const GENESIS: B256 = B256::repeat_byte(7);

    fn block(height: u64, gas_limit: u64) -> Block {
        let key = SecretKey::from_bytes([9; 32]).unwrap();
        Block::sealed(Header { number: height, gas_limit, ..Header::default() }, Vec::new(), &key)
    }

    #[test]
    fn a_chain_that_never_sealed_has_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        assert!(HighWater::open(folder.path(), GENESIS).unwrap().sealed().is_none());
    }

    #[test]
    fn the_sealed_block_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = block(5, 1);
        HighWater::open(folder.path(), GENESIS).unwrap().record(&sealed).unwrap();
        assert_eq!(HighWater::open(folder.path(), GENESIS).unwrap().sealed(), Some(&sealed));
    }

    #[test]
    fn two_processes_cannot_seal_one_chain_with_one_keystore() {
        let folder = tempfile::tempdir().unwrap();
        let first = HighWater::open(folder.path(), GENESIS).unwrap();
        assert!(matches!(HighWater::open(folder.path(), GENESIS), Err(HighWaterError::InUse { .. })));
        drop(first);
        HighWater::open(folder.path(), GENESIS).unwrap();
    }

    #[test]
    fn no_height_at_or_below_the_mark_is_sealed_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut mark = HighWater::open(folder.path(), GENESIS).unwrap();
        mark.record(&block(5, 1)).unwrap();
        for height in [4, 5] {
            let refused = mark.record(&block(height, 2));
            assert!(matches!(refused, Err(HighWaterError::BelowMark { mark: 5, .. })), "{refused:?}");
        }
        mark.record(&block(5, 1)).unwrap();
        mark.record(&block(6, 2)).unwrap();
    }

    #[test]
    fn a_damaged_file_is_refused_wherever_it_is_cut_or_changed() {
        let folder = tempfile::tempdir().unwrap();
        let mut mark = HighWater::open(folder.path(), GENESIS).unwrap();
        mark.record(&block(5, 1)).unwrap();
        let path = mark.path.clone();
        drop(mark);
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(HighWater::open(folder.path(), GENESIS), Err(HighWaterError::Damaged { .. })), "{cut}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(matches!(HighWater::open(folder.path(), GENESIS), Err(HighWaterError::Damaged { .. })), "{at}");
        }
    }

    #[test]
    fn an_abandoned_mark_is_kept_aside_and_forbids_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut mark = HighWater::open(folder.path(), GENESIS).unwrap();
        assert!(mark.abandon().unwrap().is_none());
        mark.record(&block(5, 1)).unwrap();
        let kept = mark.abandon().unwrap().unwrap();
        assert!(kept.exists());
        mark.record(&block(4, 2)).unwrap();
    }

    #[test]
    fn chains_have_marks_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        HighWater::open(folder.path(), GENESIS).unwrap().record(&block(5, 1)).unwrap();
        assert!(HighWater::open(folder.path(), B256::ZERO).unwrap().sealed().is_none());
    }
}
