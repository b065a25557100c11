//! Two small services for a gateway to stand in front of, flights and bookings, and the tour through
//! them. They keep all in memory, and who may call is the gateway's business, not theirs.

mod answer;
pub mod bookings;
mod caller;
#[cfg(test)]
mod exchange;
pub mod flights;
pub mod tour;
