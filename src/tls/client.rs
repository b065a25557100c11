//! What a connection's handshake told of the client: the name that it asked for, and its certificate.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use pingora::listeners::TlsAccept;
use pingora::protocols::tls::TlsRef;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::Certificates;
use super::pem::{self, TlsError};

/// A handshake, kept with its connection.
#[derive(Debug)]
pub struct Handshake {
    /// The name that the client asked for, in lower case (SNI).
    server_name: Option<Box<str>>,
    /// One of the certificates is for that name.
    covered: bool,
    certificates: Arc<Certificates>,
    pub certificate: Option<ClientCertificate>,
}

/// A verified client certificate, as upstreams are told of it.
#[derive(Debug)]
pub struct ClientCertificate {
    /// The certificate itself (RFC 9440 §2.2).
    pub whole: HeaderValue,
    /// Its subject's distinguished name; none where a header can't hold it.
    pub subject: Option<HeaderValue>,
}

/// Keeps what handshakes tell.
pub struct Witness(pub Arc<Certificates>);

impl Handshake {
    /// May this connection be asked for `host` (RFC 9110 §15.5.20)? A client that named no server, because it
    /// knows an address only, is not held to one.
    pub fn fits(&self, host: &str) -> bool {
        match &self.server_name {
            None => true,
            Some(name) if **name == *host => self.covered,
            Some(_) => self.certificates.cover(host),
        }
    }
}

#[async_trait]
impl TlsAccept for Witness {
    async fn handshake_complete_callback(
        &self,
        tls: &TlsRef,
    ) -> Option<Arc<dyn Any + Send + Sync>> {
        let server_name = tls.server_name().map(str::to_ascii_lowercase);
        let certificate = tls.peer_certificate_der().and_then(ClientCertificate::new);
        Some(Arc::new(Handshake {
            covered: server_name
                .as_deref()
                .is_some_and(|name| self.0.cover(name)),
            server_name: server_name.map(Into::into),
            certificates: self.0.clone(),
            certificate,
        }))
    }
}

impl ClientCertificate {
    fn new(der: &[u8]) -> Option<Self> {
        // A byte sequence of structured fields stands between colons (RFC 8941 §3.3.5).
        let whole = HeaderValue::try_from(format!(":{}:", STANDARD.encode(der))).ok()?;
        let subject = X509Certificate::from_der(der).ok();
        let subject = subject.map(|(_, parsed)| parsed.subject().to_string());
        Some(Self {
            whole,
            subject: subject.and_then(|text| HeaderValue::try_from(text).ok()),
        })
    }
}

/// Who verifies client certificates; one is required of every client.
pub fn verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let authorities = Arc::new(pem::authorities(path)?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider).build();
    verifier.map_err(|why| pem::invalid(path, why))
}

/// Does this header tell upstreams of a client's certificate? Only the gateway may say so.
pub fn is_certificate_header(name: &str) -> bool {
    matches!(
        name,
        "client-cert" | "client-cert-chain" | "x-client-cert-subject"
    )
}

pub const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
pub const CLIENT_CERT_SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
