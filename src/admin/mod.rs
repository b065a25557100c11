//! The operator's view, on its own listener.

mod api;
mod health;

pub use api::router;
pub use health::{Check, Readiness};
