//! The whole way of an admitted request from its head to the upstream's choice, without a connection: intake,
//! route and every policy, and the end of what it holds. Its token was verified before.

use divan::Bencher;

use crate::scene::{EVERYTHING, GUARDED, Holder, PUBLIC, Scene};

#[divan::bench]
fn public_with_one_limit(bencher: Bencher) {
    run(bencher, PUBLIC);
}

#[divan::bench]
fn token_role_and_one_limit(bencher: Bencher) {
    run(bencher, GUARDED);
}

#[divan::bench]
fn every_policy_and_four_limits(bencher: Bencher) {
    run(bencher, EVERYTHING);
}

fn run(bencher: Bencher, route: &str) {
    let scene = Scene::new(&Holder::new("EdDSA"), route);
    drop(scene.pass());
    bencher.bench_local(|| scene.pass());
}
