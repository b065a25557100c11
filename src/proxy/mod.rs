//! The request's way through Pingora's phases. `gateway` is the only implementation of `ProxyHttp`; a
//! phase there is a few lines, and the words are in the files beside it. What needs no connection, from a
//! request's head to its route, can be used from outside: `benches/` measures it.

mod alarm;
mod answer;
mod arrival;
mod at_once;
mod attempt;
mod context;
mod decision;
mod denial;
pub mod destination;
mod failure;
mod forward;
mod gateway;
mod head;
pub mod intake;
mod line;
pub mod rare;
mod record;
pub mod rehearsal;
mod slow;
mod spans;
mod traffic;
mod trailers;
mod unheard;
mod websocket;

pub use alarm::Alarm;
pub use gateway::Gateway;
pub use line::{Line, Phase};
pub use traffic::Traffic;
pub use unheard::{Ledger, Unheard};
