//! The integration tests: one binary, one file a subject, and the builders that they share.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails and says where"
)]

mod access_log;
mod config;
mod connections;
mod docs;
mod forwarding;
mod identity;
mod layers;
mod lifecycle;
mod limits;
mod mysql;
mod passing;
mod paths;
mod protocols;
mod refusals;
mod refused_bodies;
mod regressions;
mod routing;
mod routing_model;
mod servers;
mod shell;
mod store;
#[expect(
    dead_code,
    reason = "the builders offer more than the tests of any one day use"
)]
mod support;
mod targets;
mod tokens;
mod tour;
