//! Airside: an API gateway on Pingora with identity built in.
//!
//! Two straight lines make the program; everything else hangs off them.
//!
//! ```text
//! configuration:  YAML ──parse──▶ Config (knows line:column) ──check, compile──▶ Plan (immutable) ──▶ ArcSwap
//! request:        accept ▶ load Plan ▶ client address ▶ normalise path ▶ find route ▶ pipeline ▶ server ▶ forward ▶ log
//! ```
//!
//! The folders are the layers. Who may import whom is checked by `tests/it/layers.rs`:
//!
//! ```text
//! main ▶ cli ▶ server ▶ { proxy, admin, identity, demo }
//!                proxy ▶ plan ▶ config ▶ policy ▶ { route, upstream, identity::config, telemetry } ▶ { limit, token, tls } ▶ base
//! ```
//!
//! | to add … | go to |
//! |---|---|
//! | a policy | a file in `policy/`, a line in its table, a key in `policy/keys.rs` |
//! | a configuration key | the `keys!` of the part that uses it; reader, defaults and schema follow |
//! | a check across parts | `config/check.rs`; a warning: `config/advice/`; names that must resolve: `plan/compile.rs` |
//! | a way to count | `limit/` |
//! | a way to choose a server | `upstream/balance.rs` |
//! | a refusal's code | `base/reply.rs` |
//! | an endpoint of identity | `identity/http/`, its rule in `identity/service/`, its verb in `identity/store/` |
//! | a command | a file in `cli/` |

pub mod admin;
pub mod base;
pub mod cli;
pub mod config;
pub mod demo;
pub mod identity;
pub mod limit;
pub mod plan;
pub mod policy;
pub mod proxy;
pub mod route;
pub mod server;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod upstream;
