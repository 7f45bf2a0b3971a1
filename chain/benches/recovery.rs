//! Sender recovery: both libraries, one signature each.
#![allow(missing_docs)]

use callboard_chain::{SecretKey, keccak256, recovery};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn recover_sender(criterion: &mut Criterion) {
    let hash = keccak256("message");
    let signature = SecretKey::from_bytes([1; 32]).expect("a key").sign(hash);
    let mut group = criterion.benchmark_group("recover one sender");
    #[cfg(feature = "secp256k1")]
    group.bench_function("libsecp256k1", |bencher| {
        bencher.iter(|| recovery::recover_with_libsecp256k1(black_box(hash), black_box(&signature)));
    });
    group.bench_function("k256", |bencher| {
        bencher.iter(|| recovery::recover_with_k256(black_box(hash), black_box(&signature)));
    });
    group.finish();
}

criterion_group!(benches, recover_sender);
criterion_main!(benches);
