//! Tests that measure time, and so need the machine for themselves. They are left out of `cargo test`;
//! `make test` runs them one after another when the others are done.

mod changes;
mod flood;
mod timing;
