//! The operator's view, on its own listener.

mod api;
mod denials;
mod health;
mod upstreams;

pub use api::{Parts, Reloads, router};
pub use health::{Check, Checking, Readiness};
