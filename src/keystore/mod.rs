//! Keys at rest: a folder of V3 key files, as geth and cast keep them.

mod crypto;
mod file_name;
mod password;
#[cfg(test)]
mod tests;

pub use crypto::{DecryptError, KeyFile, ScryptCost};
pub use password::{MIN_PASSWORD_BYTES, Password, PasswordError, PasswordSource};

use alloy_primitives::Address;
use callboard_chain::keys::SecretKey;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A key file is about 500 bytes; anything much longer in the folder is something else.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A folder of key files.
#[derive(Debug, Clone)]
pub struct Keystore {
    folder: PathBuf,
    cost: ScryptCost,
}

/// A key file in the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyEntry {
    /// Whose key, as the file says.
    pub address: Address,
    /// The file.
    pub path: PathBuf,
}

/// Why a key could not be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// A file or folder cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds no key for the address.
    #[error("the keystore {} holds no key for {address}; add it with `callboard account import`", folder.display())]
    NotFound {
        /// The folder.
        folder: PathBuf,
        /// Whose key is missing.
        address: Address,
    },
    /// The folder holds a key for the address already.
    #[error("{} holds the key of {address} already; it is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// Whose key.
        address: Address,
    },
    /// The file does not open.
    #[error("{}: {source}", path.display())]
    Decrypt {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DecryptError,
    },
    /// The password is not fit for a new key.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
}

impl Keystore {
    /// The keystore in `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), cost: ScryptCost::STANDARD }
    }

    /// With another cost for the keys it writes.
    pub fn with_cost(self, cost: ScryptCost) -> Self {
        Self { cost, ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The keys of the folder, by address. Files that are no key files are passed over.
    pub fn list(&self) -> Result<Vec<KeyEntry>, KeystoreError> {
        let unreadable = |source| KeystoreError::Unreadable { path: self.folder.clone(), source };
        let files = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(unreadable)?,
        };
        let mut entries = Vec::new();
        for file in files {
            let path = file.map_err(unreadable)?.path();
            if let Some(address) = read(&path).ok().and_then(|file| file.address()) {
                entries.push(KeyEntry { address, path });
            }
        }
        entries.sort();
        Ok(entries)
    }

    /// The key file of an address.
    pub fn find(&self, address: Address) -> Result<KeyEntry, KeystoreError> {
        let found = self.list()?.into_iter().find(|entry| entry.address == address);
        found.ok_or_else(|| KeystoreError::NotFound { folder: self.folder.clone(), address })
    }

    /// The key of an address.
    pub fn unlock(&self, address: Address, password: &Password) -> Result<SecretKey, KeystoreError> {
        open(&self.find(address)?.path, password)
    }

    /// Makes a key and keeps it.
    pub fn create(&self, password: &Password) -> Result<SecretKey, KeystoreError> {
        let key = SecretKey::random(getrandom::fill)?;
        self.import(&key, password)?;
        Ok(key)
    }

    /// Keeps a key, in a file that only this user can read. A key that is there already is refused.
    pub fn import(&self, key: &SecretKey, password: &Password) -> Result<KeyEntry, KeystoreError> {
        password.check_strength()?;
        let address = key.address();
        if let Some(entry) = self.list()?.into_iter().find(|entry| entry.address == address) {
            return Err(KeystoreError::Exists { path: entry.path, address });
        }
        let text = KeyFile::encrypt(key, password, self.cost)?.to_json();
        let path = self.folder.join(file_name::for_key(SystemTime::now(), address));
        self.write(&path, &text).map_err(|source| KeystoreError::Unwritable { path: path.clone(), source })?;
        Ok(KeyEntry { address, path })
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        write_private(path, text.as_bytes())
    }
}

/// Opens one key file.
pub fn open(path: &Path, password: &Password) -> Result<SecretKey, KeystoreError> {
    read(path)?.decrypt(password).map_err(|source| KeystoreError::Decrypt { path: path.to_owned(), source })
}

/// Writes a file that only this user can read, whole and durable or not at all; an existing one is not replaced.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let unfinished = path.with_extension(format!("tmp-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // A hard link, unlike a rename, fails where the target exists.
    let linked = written.and_then(|()| fs::hard_link(&unfinished, path));
    fs::remove_file(&unfinished)?;
    linked?;
    fs::File::open(folder)?.sync_all()
}

fn read(path: &Path) -> Result<KeyFile, KeystoreError> {
    let unreadable = |source| KeystoreError::Unreadable { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    let refused = |source| KeystoreError::Decrypt { path: path.to_owned(), source };
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(refused(DecryptError::Malformed { reason: "it is no file of the size of a key file".into() }));
    }
    KeyFile::from_json(&fs::read(path).map_err(unreadable)?).map_err(refused)
}
