//! From a signature to the address that made it.
//!
//! Two libraries can do the arithmetic: the C library libsecp256k1 (feature `secp256k1`, on by default) and `k256`,
//! in pure Rust. What is a valid signature is decided here, once, before either of them is asked: r and s from 1 to
//! n − 1, s at most n/2 (EIP-2), yParity 0 or 1. The other form of the same signature is refused, so a signature has
//! exactly one form.

mod k256;
#[cfg(feature = "secp256k1")]
mod libsecp256k1;

use crate::{Blame, keys::address_of};
use alloy_primitives::{Address, B256, hex};

/// The order n of secp256k1's group, big-endian.
pub const ORDER: [u8; 32] = hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
/// n/2, rounded down: the largest s of a valid signature (EIP-2).
pub const HALF_ORDER: [u8; 32] = hex!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");

/// A signature has no sender. `invalid sender` is what Ethereum clients look for at the beginning of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// The last byte is neither 0 nor 1.
    #[error("invalid sender: yParity is {actual}, expected 0 or 1")]
    YParity {
        /// The byte.
        actual: u8,
    },
    /// r is zero, or not below the group order.
    #[error("invalid sender: r is {actual}, expected 1 to the group order minus 1")]
    ROutOfRange {
        /// r.
        actual: B256,
    },
    /// s is zero, or not below the group order.
    #[error("invalid sender: s is {actual}, expected 1 to half the group order")]
    SOutOfRange {
        /// s.
        actual: B256,
    },
    /// s is in the upper half of the group order (EIP-2).
    #[error("invalid sender: s is {actual}, above half the group order (EIP-2)")]
    HighS {
        /// s.
        actual: B256,
    },
    /// No public key could have made this signature: r is no x coordinate, or the key would be the point at infinity.
    #[error("invalid sender: no public key fits this signature over {hash}")]
    NoKey {
        /// What was signed.
        hash: B256,
    },
}

impl RecoverError {
    /// Whoever sent the signature.
    pub fn blame(&self) -> Blame {
        Blame::Peer
    }

    /// What was expected, and what came.
    pub fn expected_and_actual(&self) -> (String, String) {
        let (expected, actual) = match self {
            Self::YParity { actual } => ("yParity 0 or 1", format!("yParity {actual}")),
            Self::ROutOfRange { actual } => ("r from 1 to the group order minus 1", format!("r {actual}")),
            Self::SOutOfRange { actual } => ("s from 1 to half the group order", format!("s {actual}")),
            Self::HighS { actual } => ("s of at most half the group order", format!("s {actual}")),
            Self::NoKey { hash } => ("a signature of some key", format!("one of no key over {hash}")),
        };
        (expected.to_owned(), actual)
    }
}

/// The address whose key signed `hash`; `signature` is r ‖ s ‖ yParity. By the faster library that is compiled in.
pub fn recover(hash: B256, signature: &[u8; 65]) -> Result<Address, RecoverError> {
    #[cfg(feature = "secp256k1")]
    return recover_with_libsecp256k1(hash, signature);
    #[cfg(not(feature = "secp256k1"))]
    recover_with_k256(hash, signature)
}

/// As [`recover`], by the C library libsecp256k1.
#[cfg(feature = "secp256k1")]
pub fn recover_with_libsecp256k1(hash: B256, signature: &[u8; 65]) -> Result<Address, RecoverError> {
    recover_by(libsecp256k1::recover, hash, signature)
}

/// As [`recover`], by `k256`.
pub fn recover_with_k256(hash: B256, signature: &[u8; 65]) -> Result<Address, RecoverError> {
    recover_by(k256::recover, hash, signature)
}

/// A library's part: from hash, r ‖ s and the parity of y to the key's coordinates.
type Backend = fn(&[u8; 32], &[u8; 64], bool) -> Option<[u8; 64]>;

fn recover_by(backend: Backend, hash: B256, signature: &[u8; 65]) -> Result<Address, RecoverError> {
    let (rs, y_is_odd) = check(signature)?;
    backend(&hash.0, rs, y_is_odd).map(|point| address_of(&point)).ok_or(RecoverError::NoKey { hash })
}

/// r ‖ s, and whether y is odd, where the signature's numbers are in their ranges.
fn check(signature: &[u8; 65]) -> Result<(&[u8; 64], bool), RecoverError> {
    let (rs, y_parity) = signature.split_first_chunk::<64>().expect("65 bytes begin with 64");
    let (r, s) = (B256::from_slice(&rs[..32]), B256::from_slice(&rs[32..]));
    if y_parity[0] > 1 {
        return Err(RecoverError::YParity { actual: y_parity[0] });
    }
    if r.is_zero() || r.0 >= ORDER {
        return Err(RecoverError::ROutOfRange { actual: r });
    }
    if s.is_zero() || s.0 >= ORDER {
        return Err(RecoverError::SOutOfRange { actual: s });
    }
    if s.0 > HALF_ORDER {
        return Err(RecoverError::HighS { actual: s });
    }
    Ok((rs, y_parity[0] == 1))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::high_s_twin;
