use super::*;
use crate::{SecretKey, keccak256};
use alloy_primitives::U256;
use proptest::prelude::*;

/// The other signature that the same key could have made: n − s, opposite parity.
pub(crate) fn high_s_twin(signature: &[u8; 65]) -> [u8; 65] {
    let mut twin = *signature;
    let s = U256::from_be_slice(&signature[32..64]);
    twin[32..64].copy_from_slice(&(U256::from_be_bytes(ORDER) - s).to_be_bytes::<32>());
    twin[64] ^= 1;
    twin
}

fn signature(r: U256, s: U256, y_parity: u8) -> [u8; 65] {
    let mut out = [0; 65];
    out[..32].copy_from_slice(&r.to_be_bytes::<32>());
    out[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    out[64] = y_parity;
    out
}

/// Both libraries agree, and the answer. Without feature `secp256k1` both are the same one.
fn agreed(hash: B256, signature: &[u8; 65]) -> Result<Address, RecoverError> {
    let answer = recover(hash, signature);
    assert_eq!(answer, recover_with_k256(hash, signature), "hash {hash}, signature {}", hex::encode(signature));
    answer
}

#[test]
fn half_order_is_half_the_order() {
    assert_eq!(U256::from_be_bytes(HALF_ORDER), U256::from_be_bytes(ORDER) >> 1);
}

#[test]
fn libraries_agree_on_thousands_of_valid_signatures() {
    for index in 0u32..3_000 {
        let key = SecretKey::from_bytes(keccak256(index.to_be_bytes()).0).unwrap();
        let hash = keccak256(index.to_le_bytes());
        assert_eq!(agreed(hash, &key.sign(hash)), Ok(key.address()));
    }
}

#[test]
fn libraries_agree_on_hostile_signatures() {
    let order = U256::from_be_bytes(ORDER);
    let half = U256::from_be_bytes(HALF_ORDER);
    let field = U256::from_str_radix("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16).unwrap();
    let one = U256::ONE;
    let generator_x =
        U256::from_str_radix("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", 16).unwrap();
    let mut numbers = vec![U256::ZERO, U256::MAX, half, half + one, field, field - one, generator_x];
    numbers.extend((1u64..12).map(U256::from));
    numbers.extend((0u64..4).map(|below| order - U256::from(below)));
    numbers.push(order + one);
    let hashes = [B256::ZERO, B256::repeat_byte(0xff), B256::new(ORDER), keccak256("x"), generator_x.into()];
    let mut recovered = 0;
    for hash in hashes {
        for &r in &numbers {
            for &s in &numbers {
                for y_parity in [0, 1, 2, 27, 255] {
                    recovered += usize::from(agreed(hash, &signature(r, s, y_parity)).is_ok());
                }
            }
        }
    }
    assert!(recovered > 100, "{recovered}");
}

#[test]
fn key_that_would_be_the_point_at_infinity_is_refused() {
    // With R = G and s = hash, the key is (s·R − hash·G)/r: the point at infinity.
    let generator_x =
        U256::from_str_radix("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", 16).unwrap();
    let hash = B256::from(U256::from(7));
    assert_eq!(agreed(hash, &signature(generator_x, U256::from(7), 0)), Err(RecoverError::NoKey { hash }));
}

#[test]
fn each_bound_has_its_own_error() {
    let order = U256::from_be_bytes(ORDER);
    let half = U256::from_be_bytes(HALF_ORDER);
    let one = U256::ONE;
    let refused = |r, s, y_parity| agreed(B256::ZERO, &signature(r, s, y_parity)).unwrap_err();
    assert_eq!(refused(one, one, 2), RecoverError::YParity { actual: 2 });
    for r in [U256::ZERO, order, U256::MAX] {
        assert_eq!(refused(r, one, 0), RecoverError::ROutOfRange { actual: r.into() });
    }
    for s in [U256::ZERO, order, U256::MAX] {
        assert_eq!(refused(one, s, 0), RecoverError::SOutOfRange { actual: s.into() });
    }
    for s in [half + one, order - one] {
        assert_eq!(refused(one, s, 0), RecoverError::HighS { actual: s.into() });
    }
    assert!(agreed(B256::ZERO, &signature(one, half, 0)).is_ok());
}

#[test]
fn high_s_twin_of_a_valid_signature_is_refused() {
    let key = SecretKey::from_bytes([3; 32]).unwrap();
    let hash = keccak256("message");
    assert!(matches!(agreed(hash, &high_s_twin(&key.sign(hash))), Err(RecoverError::HighS { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn libraries_agree_on_random_bytes(hash: [u8; 32], r: [u8; 32], s: [u8; 32], odd: bool) {
        let mut signature = [0; 65];
        signature[..32].copy_from_slice(&r);
        signature[32..64].copy_from_slice(&s);
        signature[32] &= 0x7f;
        signature[64] = odd.into();
        let _ = agreed(B256::new(hash), &signature);
    }

    #[test]
    fn flipped_bit_never_recovers_to_the_signer(seed: [u8; 32], bit in 0usize..512) {
        let key = SecretKey::from_bytes([9; 32]).unwrap();
        let hash = B256::new(seed);
        let mut signature = key.sign(hash);
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(agreed(hash, &signature), Ok(key.address()));
    }
}
