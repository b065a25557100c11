pub mod base;
pub mod identity;
pub mod limit;
pub mod telemetry;
pub mod token;
