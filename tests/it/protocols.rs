//! What is spoken with clients and with upstreams: TLS, HTTP/2, and all that rides on them.

mod clients;
mod compress;
mod grpc;
mod http2;
mod outward;
mod proxied;
mod scanned;
mod streaming;
mod tls;
mod trailers;
mod websocket;
