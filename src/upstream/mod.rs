//! Where does a request go? Upstreams, their servers, the choice between them, and what is known of their health.
//!
//! | file | holds |
//! |---|---|
//! | `config`, `check`, `settings` | the keys; what is wrong between them; what they come to |
//! | `cluster`, `lease` | an upstream; a request's claims on it |
//! | `members`, `endpoint`, `standing` | its servers at a moment; one server; how that one stands |
//! | `balance`, `ring`, `key` | the choice of a server |
//! | `breaker`, `budget`, `tally` | when nothing is sent, and when nothing is sent again; how often it was |
//! | `names`, `resolve`, `probe`, `wellness`, `registry` | what goes on beside requests; the question of gRPC's probes |
//! | `peer`, `transport`, `connector` | what Pingora is told; TLS and which HTTP; where connections come from |
//! | `shelf`, `wire`, `link` | connections of HTTP/1 without a request; one with a request; between the two: trailers |
//! | `tunnel`, `gate` | a connection for a WebSocket; between it, its request and its client |

pub mod balance;
pub mod breaker;
pub mod budget;
pub mod check;
pub mod cluster;
pub mod config;
mod connector;
pub mod endpoint;
pub mod gate;
pub mod key;
pub mod lease;
mod link;
pub mod members;
pub mod names;
pub mod peer;
mod probe;
pub mod registry;
mod resolve;
mod ring;
pub mod settings;
mod shelf;
pub mod standing;
pub mod tally;
pub mod transport;
mod tunnel;
mod wellness;
mod wire;

pub use cluster::{Cluster, NoLease};
pub use connector::Connector;
pub use gate::Gate;
pub use lease::{Lease, Ticket};
pub use link::{Follow, Link};
pub use registry::Registry;
pub use shelf::Shelves;
