//! People and tokens.

pub mod config;
pub mod email;
pub mod password;
pub mod role;
pub mod store;
pub mod user;
pub mod workers;
