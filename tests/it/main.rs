//! The integration tests: one binary, one file a subject, and the builders that they share.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails and says where"
)]

mod config;
mod docs;
mod identity;
mod layers;
mod regressions;
mod servers;
#[expect(
    dead_code,
    reason = "the builders offer more than the tests of any one day use"
)]
mod support;
mod tokens;
mod tour;
mod users_cli;
