//! The authority's signature over a block hash. It is not part of the header: block hashes do not depend on it.

use alloy_primitives::B256;

/// Domain of a seal's signing hash.
pub const SEAL_DOMAIN: &[u8] = b"callboard/seal/1";
/// Length of a seal on the wire.
pub const SEAL_LENGTH: usize = 65;

/// 65 bytes r ‖ s ‖ yParity over keccak256("callboard/seal/1" ‖ block hash).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seal(pub [u8; SEAL_LENGTH]);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seal({})", alloy_primitives::hex::encode_prefixed(self.0))
    }
}

/// What the authority signs for the block with `block_hash`.
pub fn seal_hash(block_hash: B256) -> B256 {
    crate::keccak::keccak256_parts(&[SEAL_DOMAIN, block_hash.as_slice()])
}
