//! Certificates: the grammar of listeners' TLS; serving it is not built yet.

pub mod config;
