//! Recovery by the C library libsecp256k1.

use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// The affine coordinates x ‖ y of the public key, where there is one.
pub(super) fn recover(hash: &[u8; 32], rs: &[u8; 64], y_is_odd: bool) -> Option<[u8; 64]> {
    let id = if y_is_odd { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(rs, id).ok()?;
    let key = SECP256K1.recover_ecdsa(Message::from_digest(*hash), &signature).ok()?;
    key.serialize_uncompressed().last_chunk().copied()
}
