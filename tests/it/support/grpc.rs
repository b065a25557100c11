//! A gRPC service and its client, with messages of bare bytes: what is tested is what carries them.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::{Stream, StreamExt};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::metadata::MetadataMap;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};

use super::port;

/// A running service; it ends when dropped.
pub struct Service {
    address: SocketAddr,
    cancelled: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

/// Messages are bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

pub type Answers = Pin<Box<dyn Stream<Item = Result<Vec<u8>, Status>> + Send>>;

impl Service {
    pub fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        // Bound without the runtime, because a test may be inside one of its own.
        let listener = StdListener::bind(port::free()).expect("an address");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("an address");
        let cancelled = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&cancelled);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                let service = service_fn(move |request| {
                    let counter = Arc::clone(&counter);
                    async move { Ok::<_, std::convert::Infallible>(serve(request, counter).await) }
                });
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            address,
            cancelled,
            runtime: Some(runtime),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls that ended because nobody waited for them any more.
    pub fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::SeqCst)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Waiting for its tasks is not allowed inside another runtime.
        self.runtime
            .take()
            .map(Runtime::shutdown_background)
            .unwrap_or_default();
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn serve(
    request: http::Request<Incoming>,
    cancelled: Arc<AtomicUsize>,
) -> http::Response<tonic::body::Body> {
    let path = request.uri().path().to_owned();
    let mut grpc = Grpc::new(Plain);
    match path.as_str() {
        "/t.Echo/Unary" => grpc.unary(tower::service_fn(unary), request).await,
        "/t.Echo/Fail" => grpc.unary(tower::service_fn(fail), request).await,
        "/t.Echo/Never" => {
            let never = move |_: Request<Vec<u8>>| {
                let counted = Counted(Arc::clone(&cancelled));
                async move {
                    let _counted = counted;
                    std::future::pending::<Result<Response<Vec<u8>>, Status>>().await
                }
            };
            grpc.unary(tower::service_fn(never), request).await
        }
        "/t.Echo/Count" => {
            grpc.server_streaming(tower::service_fn(count), request)
                .await
        }
        "/t.Echo/Sum" => grpc.client_streaming(tower::service_fn(sum), request).await,
        _ => grpc.streaming(tower::service_fn(both), request).await,
    }
}

/// The message again; what the gateway told of the caller comes back as metadata, and a trailer.
async fn unary(request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Status> {
    let (metadata, _, message) = request.into_parts();
    let mut response = Response::new(message);
    for (key, echoed) in [
        ("x-auth-user", "seen-user"),
        ("grpc-timeout", "seen-timeout"),
        ("x-forwarded-for", "seen-for"),
        ("te", "seen-te"),
    ] {
        if let Some(value) = metadata.get(key) {
            response.metadata_mut().insert(echoed, value.clone());
        }
    }
    Ok(response)
}

async fn fail(_: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Status> {
    let mut metadata = MetadataMap::new();
    metadata.insert("x-why", "because".parse().expect("metadata"));
    let details = bytes::Bytes::from_static(b"\x01\x02");
    Err(Status::with_details_and_metadata(
        tonic::Code::Aborted,
        "not so: 100% \u{e9}",
        details,
        metadata,
    ))
}

async fn count(request: Request<Vec<u8>>) -> Result<Response<Answers>, Status> {
    let upto = request.into_inner().len();
    let all = tokio_stream::iter((0..upto).map(|index| Ok(vec![index as u8; 10])));
    Ok(Response::new(Box::pin(all)))
}

async fn sum(request: Request<Streaming<Vec<u8>>>) -> Result<Response<Vec<u8>>, Status> {
    let mut messages = request.into_inner();
    let mut whole = Vec::new();
    while let Some(message) = messages.next().await {
        whole.extend(message?);
    }
    Ok(Response::new(whole))
}

async fn both(request: Request<Streaming<Vec<u8>>>) -> Result<Response<Answers>, Status> {
    let each = request.into_inner().map(|message| {
        message.and_then(|message| match message.as_slice() {
            b"fail" => Err(Status::out_of_range("asked for")),
            _ => Ok(message),
        })
    });
    Ok(Response::new(Box::pin(each)))
}

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; from.remaining()];
        from.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}

/// A client's way to a gateway.
pub async fn client(address: SocketAddr) -> tonic::client::Grpc<tonic::transport::Channel> {
    let endpoint =
        tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    let channel = endpoint
        .connect_timeout(Duration::from_secs(10))
        .connect()
        .await;
    let client = tonic::client::Grpc::new(channel.expect("a connection"));
    client.max_decoding_message_size(32 << 20)
}

pub fn path(method: &str) -> http::uri::PathAndQuery {
    format!("/t.Echo/{method}").parse().expect("a path")
}
