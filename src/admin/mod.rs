//! The operator's view, on its own listener.

mod api;
mod health;

pub use api::{Reloads, router};
pub use health::Readiness;
