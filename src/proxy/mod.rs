//! The request's way through Pingora's phases. `gateway` is the only implementation of `ProxyHttp`; a
//! phase there is a few lines, and the words are in the files beside it.

mod alarm;
mod answer;
mod arrival;
mod attempt;
mod context;
mod denial;
mod destination;
mod failure;
mod forward;
mod gateway;
mod intake;
mod record;
mod traffic;
mod websocket;

pub use alarm::Alarm;
pub use gateway::Gateway;
pub use traffic::Traffic;
