pub mod base;
pub mod demo;
pub mod identity;
pub mod limit;
pub mod telemetry;
pub mod token;
