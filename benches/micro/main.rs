//! What a request costs without a network: times, and allocations. `make bench-micro` prints the table;
//! `tests/allocations` holds what of it must not change. Times are worth reading on an idle machine only.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement that can't go on says where"
)]

use divan::AllocProfiler;

mod limits;
mod pipeline;
mod routes;
mod scene;
mod tokens;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}
