//! Fetches a key set: one bounded GET over verified TLS. No redirect is followed, no proxy is asked, and no
//! connection is kept.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::base::trust::system_authorities;
use crate::token::issuer::config::JwksUrl;

/// Why no key set came, for an operator.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("can't connect: {0}")]
    Connect(#[source] std::io::Error),
    #[error("`http` is for this machine alone, and the name leads to {0}")]
    Elsewhere(std::net::IpAddr),
    #[error("TLS: {0}")]
    Tls(#[source] std::io::Error),
    #[error("no HTTP answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer is {0}, not 200")]
    Status(StatusCode),
    #[error("the answer broke off, or has more than {MAX_BYTES} bytes")]
    Body,
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Timeout,
    #[error("its URL can't be asked for")]
    Url,
}

/// Fetches key sets, trusting the system's authorities; those of Mozilla's list where the system has none.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
}

impl Client {
    pub fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(system_authorities())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// The document at the URL, whole, within a few seconds.
    pub async fn fetch(&self, url: &JwksUrl) -> Result<Bytes, FetchError> {
        let fetched = tokio::time::timeout(PATIENCE, self.connect_and_ask(url)).await;
        fetched.map_err(|_| FetchError::Timeout)?
    }

    async fn connect_and_ask(&self, url: &JwksUrl) -> Result<Bytes, FetchError> {
        let stream = TcpStream::connect((url.host(), url.port())).await;
        let stream = stream.map_err(FetchError::Connect)?;
        if url.is_plain() {
            let peer = stream.peer_addr().map_err(FetchError::Connect)?.ip();
            return match peer.is_loopback() {
                true => ask(url, TokioIo::new(stream)).await,
                false => Err(FetchError::Elsewhere(peer)),
            };
        }
        let name = ServerName::try_from(url.host().to_owned()).map_err(|_| FetchError::Url)?;
        let stream = self.tls.connect(name, stream).await;
        ask(url, TokioIo::new(stream.map_err(FetchError::Tls)?)).await
    }
}

async fn ask(
    url: &JwksUrl,
    stream: impl Read + Write + Unpin + Send + 'static,
) -> Result<Bytes, FetchError> {
    let uri = url.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(
            header::USER_AGENT,
            concat!("airside/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Url)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(stream)
        .await?;
    // The set ends its task when it is dropped, also when time is up.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    let body = Limited::new(answer.into_body(), MAX_BYTES);
    let body = body.collect().await.map_err(|_| FetchError::Body)?;
    Ok(body.to_bytes())
}

/// For all of it: looking the name up, connecting, TLS, and the answer to its last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// Key sets have a few KiB, with certificates some tens.
pub const MAX_BYTES: usize = 256 << 10;
const MAX_HEAD: usize = 32 << 10;
