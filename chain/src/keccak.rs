//! The one place that computes Keccak-256 for Callboard's own code.
//!
//! `sha3` hashes single inputs, and is the reference that the vector implementation behind [`keccak256_each`] is
//! compared with in tests.

use alloy_primitives::B256;
use sha3::{Digest, Keccak256};

#[cfg(target_arch = "x86_64")]
mod lanes;

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

/// Keccak-256 of each input, in order. Much faster than one call each, where the processor has AVX2 or AVX-512.
#[cfg(target_arch = "x86_64")]
pub fn keccak256_each(inputs: &[&[u8]]) -> Vec<B256> {
    let Some(vectors) = lanes::Vectors::detect() else {
        return inputs.iter().map(keccak256).collect();
    };
    let permutations = |index: usize| inputs[index].len() / lanes::RATE;
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|index| permutations(*index));
    let mut hashes = vec![B256::ZERO; inputs.len()];
    for group in order.chunk_by(|a, b| permutations(*a) == permutations(*b)) {
        for together in group.chunks(lanes::LANES) {
            match together {
                [alone] => hashes[*alone] = keccak256(inputs[*alone]),
                // Lanes that are left over hash the first input again.
                _ => {
                    let lanes = std::array::from_fn(|lane| inputs[*together.get(lane).unwrap_or(&together[0])]);
                    together.iter().zip(vectors.hash(lanes)).for_each(|(index, hash)| hashes[*index] = hash);
                }
            }
        }
    }
    hashes
}

/// Keccak-256 of each input, in order.
#[cfg(not(target_arch = "x86_64"))]
pub fn keccak256_each(inputs: &[&[u8]]) -> Vec<B256> {
    inputs.iter().map(keccak256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;
    use proptest::prelude::*;

    #[test]
    fn empty_input_has_the_known_hash() {
        let expected = b256!("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
        assert_eq!(keccak256([]), expected);
        assert_eq!(keccak256_each(&[&[], &[], &[]]), [expected; 3]);
    }

    #[test]
    fn parts_hash_as_their_concatenation() {
        assert_eq!(keccak256_parts(&[b"call", b"", b"board"]), keccak256(b"callboard"));
    }

    /// All lengths around the block boundaries, in every position of a vector, by every implementation this processor
    /// can run.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn vector_implementations_agree_with_sha3_at_every_length() {
        use pulp::x86::{V3, V4};
        let vectors = [V3::try_new().map(lanes::Vectors::Avx2), V4::try_new().map(lanes::Vectors::Avx512)];
        println!("{} of 2 implementations run here", vectors.iter().flatten().count());
        for vectors in vectors.into_iter().flatten() {
            for length in 0..5 * lanes::RATE {
                let longest = length / lanes::RATE * lanes::RATE + lanes::RATE - 1;
                let inputs = [length, longest, length, longest]
                    .map(|length| (0..length).map(|byte| (byte * 7 + length) as u8).collect::<Vec<_>>());
                let inputs = inputs.each_ref().map(|input| &input[..]);
                assert_eq!(vectors.hash(inputs), inputs.map(keccak256), "{length} bytes");
            }
        }
    }

    proptest! {
        #[test]
        fn each_hash_is_that_of_its_own_input(
            inputs in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 0..20)
        ) {
            let inputs: Vec<&[u8]> = inputs.iter().map(|input| &input[..]).collect();
            let expected: Vec<_> = inputs.iter().map(keccak256).collect();
            prop_assert_eq!(keccak256_each(&inputs), expected);
        }
    }
}
