//! A gRPC server that says how it is, by the health service of the library that services in Rust use.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use super::port;
use super::secure::Manner;

/// A running server; it ends when dropped.
pub struct Wellness {
    address: SocketAddr,
    reporter: HealthReporter,
    mood: Arc<Mutex<Mood>>,
    deadlines: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Willing,
    /// It takes the question and never answers.
    Silent,
    /// It is a server of gRPC that has no health service.
    Absent,
    /// It answers in HTTP.
    Web,
    /// It ends the stream without a word of its status.
    Short,
}

type Answering =
    BoxCloneSyncService<http::Request<Incoming>, http::Response<tonic::body::Body>, Infallible>;

impl Wellness {
    /// Speaks TLS where `manner` has a certificate, and HTTP/2 only.
    pub fn start(manner: &Manner) -> Self {
        let acceptor = manner
            .leaf
            .map(|leaf| TlsAcceptor::from(Arc::new(manner.config(leaf))));
        let (reporter, server) = health_reporter();
        let server: Answering = BoxCloneSyncService::new(server);
        let mood = Arc::new(Mutex::new(Mood::Willing));
        let deadlines = Arc::default();
        let open = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&open);
        let runtime = Runtime::new().expect("a runtime");
        // Bound without the runtime, because a test may be inside one of its own.
        let listener = StdListener::bind(port::free()).expect("an address");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("an address");
        let (moods, kept) = (Arc::clone(&mood), Arc::clone(&deadlines));
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, server) = (acceptor.clone(), server.clone());
                let (moods, kept) = (Arc::clone(&moods), Arc::clone(&kept));
                let counted = Arc::clone(&counted);
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let mood = *moods.lock().unwrap();
                        answer(request, mood, server.clone(), Arc::clone(&kept))
                    });
                    let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    // A connection that breaks is the other side's affair.
                    let _ = match acceptor {
                        None => http.serve_connection(TokioIo::new(stream), service).await,
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => {
                                http.serve_connection(TokioIo::new(stream), service).await
                            }
                            Err(_) => Ok(()),
                        },
                    };
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            reporter,
            mood,
            deadlines,
            open,
            runtime: Some(runtime),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it says this of `service`; of none, it is the whole server.
    pub async fn say(&self, service: &str, serves: bool) {
        let status = match serves {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        self.reporter.set_service_status(service, status).await;
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Connections that are there now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// What each question gave it as its time.
    pub fn deadlines(&self) -> Vec<String> {
        self.deadlines.lock().unwrap().clone()
    }
}

impl Drop for Wellness {
    fn drop(&mut self) {
        // Waiting for its tasks is not allowed inside another runtime.
        self.runtime
            .take()
            .map(Runtime::shutdown_background)
            .unwrap_or_default();
    }
}

async fn answer(
    request: http::Request<Incoming>,
    mood: Mood,
    mut server: Answering,
    deadlines: Arc<Mutex<Vec<String>>>,
) -> Result<http::Response<tonic::body::Body>, Infallible> {
    let told = request.headers().get("grpc-timeout");
    let told = told.map(|value| value.to_str().unwrap_or_default().to_owned());
    deadlines.lock().unwrap().extend(told);
    let empty = || http::Response::builder().header("content-type", "application/grpc");
    match mood {
        Mood::Willing => server.ready().await?.call(request).await,
        Mood::Silent => std::future::pending().await,
        Mood::Absent => Ok(tonic::Status::unimplemented("none").into_http()),
        Mood::Web => Ok(empty().status(404).body(Default::default()).unwrap()),
        Mood::Short => Ok(empty().body(Default::default()).unwrap()),
    }
}
