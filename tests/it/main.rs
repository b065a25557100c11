//! The integration tests: one binary, one file a subject, and the builders that they share.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails and says where"
)]

mod access;
mod access_log;
mod admin;
mod advice_model;
mod alone;
mod bytes;
mod config;
mod connections;
mod cors;
mod crowd;
mod docs;
mod explain;
mod faults;
mod forwarding;
mod from_express;
mod full_store;
mod headers;
mod identity;
mod layers;
mod lifecycle;
mod limits;
mod metrics;
mod moving_in;
mod mysql;
mod passing;
mod paths;
mod properties;
mod protocols;
mod refusals;
mod refused_bodies;
mod regressions;
mod reload;
mod routing;
mod routing_model;
mod safety;
mod same_way;
mod schema;
mod scrape;
mod servers;
mod shell;
mod shipped;
mod slow;
mod startup;
mod store;
mod support;
mod targets;
mod tokens;
mod tour;
mod tracing;
mod upgrade;
mod upstreams;
