//! An API gateway on Pingora with identity built in. The folders are its layers.

pub mod base;
pub mod config;
pub mod demo;
pub mod identity;
pub mod limit;
pub mod plan;
pub mod policy;
pub mod proxy;
pub mod route;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod upstream;
