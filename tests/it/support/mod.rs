//! What the tests stand on: the real program, real servers, an upstream that sees every byte, and
//! clients that send any.

pub mod bash;
pub mod collector;
pub mod corp;
pub mod daemon;
pub mod disk;
pub mod dns;
pub mod edge;
pub mod grpc;
pub mod http;
pub mod installed;
pub mod mariadb;
pub mod origin;
pub mod people;
pub mod port;
pub mod process;
pub mod python;
pub mod raw;
pub mod redis;
pub mod relay;
pub mod secure;
pub mod server;
pub mod statistics;
pub mod tls;
pub mod token;
pub mod wait;
pub mod websocket;
pub mod wellness;
pub mod wire;
