//! The operator's view, on its own listener.

mod api;
mod health;

pub use api::{Parts, Reloads, router};
pub use health::{Checking, Readiness};
