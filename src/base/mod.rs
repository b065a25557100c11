//! What every other folder stands on. Imports nothing of ours.

pub mod clock;
pub mod decode;
pub mod host;
pub mod id;
pub mod json;
pub mod net;
pub mod networks;
pub mod path;
pub(crate) mod private;
pub mod reply;
pub mod report;
pub mod secret;
pub mod template;
pub mod timer;
pub mod trace;
pub mod trace_state;
pub mod trailers;
pub mod trust;
pub mod units;
pub mod yaml;
