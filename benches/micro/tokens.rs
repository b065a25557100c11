//! A token that was never seen, and one that was verified a moment ago.

use divan::Bencher;

use crate::scene::{ALGORITHMS, Holder, NOW};

/// Signature and claims.
#[divan::bench(args = ALGORITHMS)]
fn cold(bencher: Bencher, algorithm: &str) {
    let holder = Holder::new(algorithm);
    bencher.bench_local(|| holder.verifier.verify(&holder.token, NOW).unwrap());
}

/// A hash, and whether it still holds.
#[divan::bench(args = ALGORITHMS)]
fn cached(bencher: Bencher, algorithm: &str) {
    let holder = Holder::new(algorithm);
    let accepted = holder.accepted();
    accepted.verify(&holder.token, NOW).unwrap();
    bencher.bench_local(|| accepted.verify(&holder.token, NOW).unwrap());
}
