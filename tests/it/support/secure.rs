//! An upstream that speaks TLS and HTTP/2 as it is told, and answers with what it saw.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::port;
use super::tls::{Authority, Leaf, install_crypto};

/// A running upstream; it ends when dropped.
pub struct SecureOrigin {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Value>>>,
    connections: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

/// How it shakes hands.
#[derive(Default)]
pub struct Manner<'a> {
    /// `None`: without TLS, HTTP/1.1 and HTTP/2 as the client begins.
    pub leaf: Option<&'a Leaf>,
    pub alpn: &'a [&'a str],
    /// Clients must show a certificate of this authority.
    pub clients: Option<&'a Authority>,
}

impl SecureOrigin {
    pub fn start(manner: &Manner) -> Self {
        let acceptor = manner
            .leaf
            .map(|leaf| TlsAcceptor::from(Arc::new(manner.config(leaf))));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let runtime = Runtime::new().expect("a runtime");
        // Bound without the runtime, because a test may be inside one of its own.
        let listener = StdListener::bind(port::free()).expect("an address");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("an address");
        let (kept, counted) = (Arc::clone(&seen), Arc::clone(&connections));
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, Arc::clone(&seen)));
                    let http = Builder::new(TokioExecutor::new());
                    // A connection that breaks is the other side's affair.
                    let _ = match acceptor {
                        None => http.serve_connection(TokioIo::new(stream), service).await,
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else {
                                return;
                            };
                            http.serve_connection(TokioIo::new(stream), service).await
                        }
                    };
                });
            }
        });
        Self {
            address,
            seen,
            connections,
            runtime: Some(runtime),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the latest request was.
    #[track_caller]
    pub fn last(&self) -> Value {
        let seen = self.seen.lock().unwrap();
        seen.last().expect("a request reached the upstream").clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for SecureOrigin {
    fn drop(&mut self) {
        // Waiting for its tasks is not allowed inside another runtime.
        self.runtime
            .take()
            .map(Runtime::shutdown_background)
            .unwrap_or_default();
    }
}

impl Manner<'_> {
    pub fn config(&self, leaf: &Leaf) -> ServerConfig {
        install_crypto();
        let builder = ServerConfig::builder();
        let builder = match self.clients {
            Some(authority) => {
                let verifier = WebPkiClientVerifier::builder(Arc::new(authority.store()));
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(leaf.chain(), leaf.private());
        let mut config = config.expect("a certificate");
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        config
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    seen: Arc<Mutex<Vec<Value>>>,
) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes();
    let text = |map: &HeaderMap| -> Value {
        let keys = map.keys();
        let pairs = keys.map(|name| {
            let values = map.get_all(name).iter();
            let values: Vec<_> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            (name.to_string(), Value::from(values.join(", ")))
        });
        pairs.collect::<serde_json::Map<_, _>>().into()
    };
    let echo = json!({
        "version": format!("{:?}", head.version),
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "authority": head.uri.authority().map(|name| name.as_str()),
        "headers": text(&head.headers),
        "trailers": text(&trailers),
        "length": body.len(),
        "body": String::from_utf8_lossy(body.get(..200).unwrap_or(&body)),
    });
    seen.lock().unwrap().push(echo.clone());
    let length = head
        .headers
        .get("x-answer-bytes")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let body = match length {
        Some(length) => Body::from(vec![b'x'; length]),
        None => Body::from(echo.to_string()),
    };
    Ok(Response::new(body))
}
