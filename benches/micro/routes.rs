//! Finding the route of a request among few and among many.

use divan::Bencher;

use crate::scene::Routes;

#[divan::bench(args = [10, 1_000, 10_000])]
fn find(bencher: Bencher, count: usize) {
    let routes = Routes::new(count);
    bencher.bench_local(|| routes.find());
}
