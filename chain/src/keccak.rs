//! The one place that computes Keccak-256 for Callboard's own code.
//!
//! `sha3` is the backend. A faster one may take its place here, and then `sha3` stays as the reference it is
//! compared with in tests.

use alloy_primitives::B256;
use sha3::{Digest, Keccak256};

/// Keccak-256 of `data` (Ethereum's hash: the original Keccak padding, not SHA3-256).
pub fn keccak256(data: impl AsRef<[u8]>) -> B256 {
    B256::new(Keccak256::digest(data.as_ref()).into())
}

/// Keccak-256 of several parts, as if they were concatenated.
pub fn keccak256_parts(parts: &[&[u8]]) -> B256 {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    B256::new(hasher.finalize().into())
}
