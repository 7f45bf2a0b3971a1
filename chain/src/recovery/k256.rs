//! Recovery by `k256`, in pure Rust.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

/// The affine coordinates x ‖ y of the public key, where there is one.
pub(super) fn recover(hash: &[u8; 32], rs: &[u8; 64], y_is_odd: bool) -> Option<[u8; 64]> {
    let signature = Signature::from_slice(rs).ok()?;
    let key = VerifyingKey::recover_from_prehash(hash, &signature, RecoveryId::new(y_is_odd, false)).ok()?;
    key.to_sec1_point(false).as_bytes().last_chunk().copied()
}
