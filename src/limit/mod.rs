//! How many calls a client may make: what a limit counts by, how it counts, and what it tells the
//! client. Which limits a request meets, and the refusal itself, are the pipeline's.

pub mod config;
mod forgotten;
pub mod headers;
mod key;
mod rule;
mod sliding;
mod table;

pub use key::{Parts, User};
pub use rule::{Limit, Outcome};
pub use sliding::Decision;
