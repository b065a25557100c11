//! The operator's view, on its own listener.

mod api;
mod health;
mod upstreams;

pub use api::router;
pub use health::{Check, Readiness};
