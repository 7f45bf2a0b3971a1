//! The authority's signature over a block hash. It is not part of the header: block hashes do not depend on it.

use crate::{
    Blame, SecretKey,
    recovery::{RecoverError, recover},
};
use alloy_primitives::{Address, B256, hex};

/// Domain of a seal's signing hash.
pub const SEAL_DOMAIN: &[u8] = b"callboard/seal/1";
/// Length of a seal on the wire.
pub const SEAL_LENGTH: usize = 65;

/// 65 bytes r ‖ s ‖ yParity over keccak256("callboard/seal/1" ‖ block hash).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seal(pub [u8; SEAL_LENGTH]);

/// A seal is not the authority's over this block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes are no valid signature.
    #[error("the seal over block {block_hash} is no signature: {source}")]
    NoSignature {
        /// The block's hash.
        block_hash: B256,
        /// What is wrong with it.
        source: RecoverError,
    },
    /// Somebody else's signature, or the authority's over something else.
    #[error("the seal over block {block_hash} is signed by {actual}, expected the authority {expected}")]
    WrongSigner {
        /// The block's hash.
        block_hash: B256,
        /// The chain's authority.
        expected: Address,
        /// Whose signature it is.
        actual: Address,
    },
}

impl SealError {
    /// Whoever sent the block.
    pub fn blame(&self) -> Blame {
        Blame::Peer
    }

    /// What was expected, and what came.
    pub fn expected_and_actual(&self) -> (String, String) {
        match self {
            Self::NoSignature { source, .. } => source.expected_and_actual(),
            Self::WrongSigner { expected, actual, .. } => (expected.to_string(), actual.to_string()),
        }
    }
}

impl Seal {
    /// Seals the block with `block_hash`. Deterministic (RFC 6979).
    pub fn sign(key: &SecretKey, block_hash: B256) -> Self {
        Self(key.sign(seal_hash(block_hash)))
    }

    /// Checks that `authority` sealed the block with `block_hash`.
    pub fn verify(&self, block_hash: B256, authority: Address) -> Result<(), SealError> {
        let actual =
            recover(seal_hash(block_hash), &self.0).map_err(|source| SealError::NoSignature { block_hash, source })?;
        if actual != authority {
            return Err(SealError::WrongSigner { block_hash, expected: authority, actual });
        }
        Ok(())
    }
}

impl std::fmt::Display for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode_prefixed(self.0))
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seal({self})")
    }
}

/// What the authority signs for the block with `block_hash`.
pub fn seal_hash(block_hash: B256) -> B256 {
    crate::keccak::keccak256_parts(&[SEAL_DOMAIN, block_hash.as_slice()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: B256 = B256::repeat_byte(0x11);

    fn authority() -> SecretKey {
        SecretKey::from_bytes([1; 32]).unwrap()
    }

    #[test]
    fn authority_verifies_its_own_seal() {
        assert_eq!(Seal::sign(&authority(), BLOCK).verify(BLOCK, authority().address()), Ok(()));
    }

    #[test]
    fn seal_of_another_key_names_both_signers() {
        let other = SecretKey::from_bytes([2; 32]).unwrap();
        let error = Seal::sign(&other, BLOCK).verify(BLOCK, authority().address()).unwrap_err();
        let (expected, actual) = (authority().address(), other.address());
        assert_eq!(error, SealError::WrongSigner { block_hash: BLOCK, expected, actual });
    }

    #[test]
    fn seal_of_another_block_is_refused() {
        let seal = Seal::sign(&authority(), BLOCK);
        assert!(seal.verify(B256::repeat_byte(0x12), authority().address()).is_err());
    }

    #[test]
    fn signature_over_the_bare_block_hash_is_no_seal() {
        assert!(Seal(authority().sign(BLOCK)).verify(BLOCK, authority().address()).is_err());
    }

    #[test]
    fn y_parity_of_two_is_refused() {
        for y_parity in [2, 3, 27, 28, 255] {
            let mut seal = Seal::sign(&authority(), BLOCK);
            seal.0[64] = y_parity;
            let source = RecoverError::YParity { actual: y_parity };
            let expected = SealError::NoSignature { block_hash: BLOCK, source };
            assert_eq!(seal.verify(BLOCK, authority().address()), Err(expected));
        }
    }

    #[test]
    fn high_s_form_of_a_valid_seal_is_refused() {
        let high = Seal(crate::recovery::high_s_twin(&Seal::sign(&authority(), BLOCK).0));
        let error = high.verify(BLOCK, authority().address()).unwrap_err();
        assert!(matches!(error, SealError::NoSignature { source: RecoverError::HighS { .. }, .. }), "{error}");
    }
}
