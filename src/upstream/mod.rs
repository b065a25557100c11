//! Where does a request go? Upstreams, their servers, and the choice between them.

pub mod balance;
pub mod cluster;
pub mod config;
pub mod endpoint;
pub mod gate;
pub mod transport;

pub use cluster::{Cluster, Lease};
pub use gate::Gate;
