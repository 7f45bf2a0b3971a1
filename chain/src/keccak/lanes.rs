//! Keccak-256 of four inputs at once, a 64-bit lane of each in one vector. AVX2 needs a third of the time an input
//! that one after the other takes, AVX-512VL a fifth; which of them the processor has is asked when the node runs.

use alloy_primitives::B256;
use pulp::{
    NullaryFnOnce, u64x4,
    x86::{V3, V4},
};

/// Inputs hashed together.
pub(super) const LANES: usize = 4;
/// Bytes absorbed by a permutation (1600 bits less twice the 256 of the digest).
pub(super) const RATE: usize = 136;

/// FIPS 202, section 3.2.5.
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Proof that this processor has the vector instructions.
#[derive(Clone, Copy)]
pub(super) enum Vectors {
    Avx2(V3),
    Avx512(V4),
}

impl Vectors {
    /// The widest this processor has; `None` where it has neither.
    pub(super) fn detect() -> Option<Self> {
        V4::try_new().map(Self::Avx512).or_else(|| V3::try_new().map(Self::Avx2))
    }

    /// Hashes four inputs that need the same number of permutations.
    pub(super) fn hash(self, inputs: [&[u8]; LANES]) -> [B256; LANES] {
        debug_assert!(inputs.iter().all(|input| input.len() / RATE == inputs[0].len() / RATE));
        match self {
            Self::Avx2(simd) => simd.vectorize(Sponge { simd, inputs }),
            Self::Avx512(simd) => simd.vectorize(Sponge { simd: *simd, inputs }),
        }
    }
}

/// The whole hash, as one function that is compiled once for each set of instructions.
struct Sponge<'a> {
    simd: V3,
    inputs: [&'a [u8]; LANES],
}

impl NullaryFnOnce for Sponge<'_> {
    type Output = [B256; LANES];

    #[inline(always)]
    fn call(self) -> Self::Output {
        let mut state = [self.simd.splat_u64x4(0); 25];
        let whole = self.inputs[0].len() / RATE;
        for block in 0..whole {
            absorb(self.simd, &mut state, self.inputs.map(|input| &input[block * RATE..(block + 1) * RATE]));
        }
        let last = self.inputs.map(|input| pad(&input[whole * RATE..]));
        absorb(self.simd, &mut state, last.each_ref().map(|block| &block[..]));
        squeeze(&state)
    }
}

/// Keccak's padding: a one bit after the input and one at the end of the block.
#[inline(always)]
fn pad(rest: &[u8]) -> [u8; RATE] {
    let mut block = [0; RATE];
    block[..rest.len()].copy_from_slice(rest);
    block[rest.len()] = 0x01;
    block[RATE - 1] |= 0x80;
    block
}

#[inline(always)]
fn absorb(simd: V3, state: &mut [u64x4; 25], blocks: [&[u8]; LANES]) {
    for word in 0..RATE / 8 {
        let lane = |input: usize| {
            let bytes = blocks[input][word * 8..word * 8 + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes)
        };
        state[word] = simd.xor_u64x4(state[word], u64x4(lane(0), lane(1), lane(2), lane(3)));
    }
    permute(simd, state);
}

#[inline(always)]
fn squeeze(state: &[u64x4; 25]) -> [B256; LANES] {
    let mut digests = [B256::ZERO; LANES];
    for (word, u64x4(a, b, c, d)) in state[..4].iter().enumerate() {
        for (digest, lane) in digests.iter_mut().zip([a, b, c, d]) {
            digest[word * 8..word * 8 + 8].copy_from_slice(&lane.to_le_bytes());
        }
    }
    digests
}

#[inline(always)]
fn rotate<const LEFT: i32, const RIGHT: i32>(simd: V3, lane: u64x4) -> u64x4 {
    simd.or_u64x4(simd.shl_const_u64x4::<LEFT>(lane), simd.shr_const_u64x4::<RIGHT>(lane))
}

/// Keccak-f[1600] (FIPS 202, section 3.3).
#[inline(always)]
fn permute(simd: V3, state: &mut [u64x4; 25]) {
    let mut a = *state;
    for constant in ROUND_CONSTANTS {
        theta(simd, &mut a);
        rho_and_pi(simd, &mut a);
        chi(simd, &mut a);
        a[0] = simd.xor_u64x4(a[0], simd.splat_u64x4(constant));
    }
    *state = a;
}

#[inline(always)]
fn theta(simd: V3, a: &mut [u64x4; 25]) {
    let mut parity = [a[0]; 5];
    for x in 0..5 {
        let upper = simd.xor_u64x4(a[x], a[x + 5]);
        let lower = simd.xor_u64x4(a[x + 10], a[x + 15]);
        parity[x] = simd.xor_u64x4(simd.xor_u64x4(upper, lower), a[x + 20]);
    }
    for x in 0..5 {
        let mixed = simd.xor_u64x4(parity[(x + 4) % 5], rotate::<1, 63>(simd, parity[(x + 1) % 5]));
        for y in 0..5 {
            a[x + 5 * y] = simd.xor_u64x4(a[x + 5 * y], mixed);
        }
    }
}

#[inline(always)]
fn rho_and_pi(simd: V3, a: &mut [u64x4; 25]) {
    let mut carried = a[1];
    macro_rules! steps {
        ($($to:literal by $bits:literal),*) => { $(
            let next = a[$to];
            a[$to] = rotate::<$bits, { 64 - $bits }>(simd, carried);
            carried = next;
        )* };
    }
    steps!(
        10 by 1, 7 by 3, 11 by 6, 17 by 10, 18 by 15, 3 by 21, 5 by 28, 16 by 36, 8 by 45, 21 by 55, 24 by 2, 4 by 14,
        15 by 27, 23 by 41, 19 by 56, 13 by 8, 12 by 25, 2 by 43, 20 by 62, 14 by 18, 22 by 39, 9 by 61, 6 by 20
    );
    a[1] = rotate::<44, 20>(simd, carried);
}

#[inline(always)]
fn chi(simd: V3, a: &mut [u64x4; 25]) {
    for y in 0..5 {
        let row = [a[5 * y], a[5 * y + 1], a[5 * y + 2], a[5 * y + 3], a[5 * y + 4]];
        for x in 0..5 {
            let mixed = simd.and_u64x4(simd.not_u64x4(row[(x + 1) % 5]), row[(x + 2) % 5]);
            a[5 * y + x] = simd.xor_u64x4(row[x], mixed);
        }
    }
}
