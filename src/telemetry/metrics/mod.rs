//! What the gateway counts, and the page that shows it (Prometheus text format 0.0.4). Whoever counts
//! owns its counters and finds them without a look-up; this folder has their kinds, and how they are
//! written.

mod counters;
mod page;
mod process;
mod route;

pub use counters::{Counter, Gauge, Histogram, Statuses, Words};
pub use page::{Kind, Page};
pub use process::write_process;
pub use route::{RouteMeters, write_routes};
