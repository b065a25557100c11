//! How many calls a client may make: what a limit counts by, how it counts, and what it tells the
//! client. Which limits a request meets, and the refusal itself, are the pipeline's.

mod bucket;
pub mod config;
mod count;
mod counted;
mod debts;
mod decision;
mod forgotten;
pub mod headers;
mod key;
mod meter;
mod places;
mod question;
mod rule;
mod shared;
mod sliding;
mod store;
mod table;
mod tally;
mod tier;
mod told;

pub use counted::Counted;
pub use decision::Decision;
pub use key::{Caller, Parts, User};
pub use question::{Asked, Question};
pub use rule::{Limit, Outcome};
pub use store::{OpenError, Store};
pub use tally::{Counts, Ruling, Tally};
pub use told::Told;
