//! What the machine could do if senders had to be recovered and nothing else: the measure for everything else.

use alloy_primitives::B256;
use callboard_chain::{SecretKey, keccak256, recovery};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long it is measured: before and after each run, so it is a good part of what the small workloads take.
const WHILE: Duration = Duration::from_millis(600);
/// Signatures between two looks at the clock.
const CHUNK: usize = 64;

/// Senders recovered a second on all cores by the library that the node uses.
pub(crate) fn per_second() -> f64 {
    let key = SecretKey::from_bytes([7; 32]).expect("in range");
    let hashes: Vec<B256> = (0..CHUNK as u64).map(|number| keccak256(number.to_be_bytes())).collect();
    let signed: Vec<_> = hashes.into_iter().map(|hash| (hash, key.sign(hash))).collect();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let one = || {
        let (began, mut count) = (Instant::now(), 0usize);
        while began.elapsed() < WHILE {
            for (hash, signature) in &signed {
                black_box(recovery::recover(*hash, signature)).expect("a valid signature");
            }
            count += CHUNK;
        }
        count as f64 / began.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    })
}
