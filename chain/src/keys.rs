//! Secret keys over secp256k1: signing and addresses.

use crate::keccak256;
use alloy_primitives::{Address, B256};
use k256::ecdsa::SigningKey;
use zeroize::Zeroizing;

/// Length of a signature: r ‖ s ‖ yParity.
pub const SIGNATURE_LENGTH: usize = 65;

/// A secp256k1 secret key. Its memory is overwritten when it is dropped, and `Debug` shows the address only.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// The bytes are no secp256k1 secret key: zero, or not below the group order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret key is a number from 1 to the order of secp256k1 minus 1; these 32 bytes are not")]
pub struct InvalidSecretKey;

impl SecretKey {
    /// The key with these big-endian bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, InvalidSecretKey> {
        let bytes = Zeroizing::new(bytes);
        SigningKey::from_slice(bytes.as_slice()).map(Self).map_err(|_| InvalidSecretKey)
    }

    /// A key from a source of random bytes, such as the operating system's. Asks again in the case, one in 2^127,
    /// that the bytes are no key; fails only where the source fails.
    pub fn random<E>(mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        loop {
            fill(bytes.as_mut_slice())?;
            if let Ok(key) = Self::from_bytes(*bytes) {
                return Ok(key);
            }
        }
    }

    /// The key's big-endian bytes, overwritten when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// The public key in compressed SEC1 form.
    pub fn public_key(&self) -> [u8; 33] {
        let point = self.0.verifying_key().to_sec1_point(true);
        point.as_bytes().try_into().expect("a compressed point has 33 bytes")
    }

    /// The Ethereum address: the last 20 bytes of the public key's Keccak-256.
    pub fn address(&self) -> Address {
        let point = self.0.verifying_key().to_sec1_point(false);
        address_of(point.as_bytes()[1..].try_into().expect("an uncompressed point has 65 bytes"))
    }

    /// Signs a hash: r ‖ s ‖ yParity with a nonce by RFC 6979 (so the same hash always gives the same bytes) and
    /// s in the lower half of the group order.
    pub fn sign(&self, hash: B256) -> [u8; SIGNATURE_LENGTH] {
        let (signature, recovery_id) = self.0.sign_prehash_recoverable(hash.as_slice());
        let mut out = [0; SIGNATURE_LENGTH];
        out[..64].copy_from_slice(&signature.to_bytes());
        out[64] = u8::from(recovery_id.is_y_odd());
        out
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", self.address())
    }
}

/// The address of a public key given as its affine coordinates x ‖ y.
pub(crate) fn address_of(coordinates: &[u8; 64]) -> Address {
    Address::from_slice(&keccak256(coordinates)[12..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::recover;
    use alloy_primitives::{address, b256, hex};

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes([byte; 32]).unwrap()
    }

    #[test]
    fn address_is_that_of_the_development_mnemonics_first_account() {
        let bytes = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        let key = SecretKey::from_bytes(bytes.0).unwrap();
        assert_eq!(key.address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(*key.to_bytes(), bytes.0);
    }

    #[test]
    fn nonce_is_that_of_rfc_6979() {
        // The widely used secp256k1 vector: key 1, SHA-256 of "Satoshi Nakamoto", low s.
        let mut one = [0; 32];
        one[31] = 1;
        let hash = b256!("a0dc65ffca799873cbea0ac274015b9526505daaaed385155425f7337704883e");
        let expected = hex!(
            "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
            "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
        );
        assert_eq!(SecretKey::from_bytes(one).unwrap().sign(hash)[..64], expected);
    }

    #[test]
    fn signature_recovers_to_the_address() {
        for byte in 1..=64 {
            let hash = keccak256([byte]);
            assert_eq!(recover(hash, &key(byte).sign(hash)), Ok(key(byte).address()));
        }
    }

    #[test]
    fn zero_and_the_group_order_are_no_keys() {
        assert_eq!(SecretKey::from_bytes([0; 32]).unwrap_err(), InvalidSecretKey);
        assert_eq!(SecretKey::from_bytes(crate::recovery::ORDER).unwrap_err(), InvalidSecretKey);
    }

    #[test]
    fn random_asks_again_until_the_bytes_are_a_key() {
        let mut answers = [[0u8; 32], [0xff; 32], [7; 32]].into_iter();
        let key = SecretKey::random(|bytes| {
            bytes.copy_from_slice(&answers.next().ok_or("exhausted")?);
            Ok::<_, &str>(())
        });
        assert_eq!(*key.unwrap().to_bytes(), [7; 32]);
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let text = format!("{:?}", key(0xab));
        assert!(!text.contains("abab"), "{text}");
    }
}
