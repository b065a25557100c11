//! What the operator sees of the running gateway: the program's own log, the access log, the metrics and spans,
//! and what became of refused requests.

use jiff::Timestamp;

pub mod access;
pub mod config;
pub mod denials;
pub mod logs;
pub mod metrics;
pub mod tracing;

/// A time for people and machines: RFC 3339 in UTC, to the millisecond.
fn timestamp(unix_millis: u64) -> impl std::fmt::Display {
    struct Shown(Timestamp);

    impl std::fmt::Display for Shown {
        fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            write!(f, "{:.3}", self.0)
        }
    }

    let millis = i64::try_from(unix_millis).unwrap_or(i64::MAX);
    // Out of range only beyond the year 9999.
    Shown(Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX))
}
