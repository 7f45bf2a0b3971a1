//! The key by which peers know this node. It signs greetings between nodes and nothing else.

use crate::keystore::write_private;
use callboard_chain::keys::SecretKey;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why a node has no key.
#[derive(Debug, thiserror::Error)]
pub enum NodeKeyError {
    /// The file or its folder cannot be read or written.
    #[error("the node key {} cannot be read or written: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the node key {} does not hold a key of 64 hex digits; delete it and a new one is made", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// The node key at `path` (64 hex digits); a new one where there is none.
pub fn load_or_create(path: &Path) -> Result<SecretKey, NodeKeyError> {
    let file_error = |source| NodeKeyError::File { path: path.to_owned(), source };
    match std::fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => parse(&text).ok_or_else(|| NodeKeyError::Malformed { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SecretKey::random(getrandom::fill)?;
            let text = Zeroizing::new(format!("{}\n", hex::encode(key.to_bytes())));
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).and_then(|()| write_private(path, text.as_bytes())).map_err(file_error)?;
            Ok(key)
        }
        Err(error) => Err(file_error(error)),
    }
}

fn parse(text: &str) -> Option<SecretKey> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).ok()?;
    SecretKey::from_bytes(*bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_node_keeps_its_key() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("data").join("node.key");
        let key = load_or_create(&path).expect("created");
        assert_eq!(load_or_create(&path).expect("loaded").to_bytes(), key.to_bytes());
        assert_eq!(std::fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("node.key");
        std::fs::write(&path, "00").expect("written");
        assert!(matches!(load_or_create(&path), Err(NodeKeyError::Malformed { .. })));
        assert_eq!(std::fs::read(&path).expect("file"), b"00");
    }
}
