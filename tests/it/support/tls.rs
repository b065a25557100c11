//! Certificates of our own making, and a client that speaks TLS as plainly as `raw` speaks TCP.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::raw::Response;
use super::wait::PATIENCE;
use super::wire::Head;

/// Someone who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub struct Leaf {
    pub cert: String,
    pub key: String,
}

/// What a client brings to a handshake.
pub struct Hello<'a> {
    pub trust: &'a Authority,
    pub name: &'a str,
    pub alpn: &'a [&'a str],
    pub leaf: Option<&'a Leaf>,
    pub version: Option<&'static rustls::SupportedProtocolVersion>,
}

/// A connection with TLS.
pub struct Secure {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names, for servers and clients.
    pub fn sign(&self, names: &[&str]) -> Leaf {
        self.sign_until(names, 2_100)
    }

    /// The same, over at the beginning of a year.
    pub fn sign_until(&self, names: &[&str], year: i32) -> Leaf {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).expect("names");
        params
            .distinguished_name
            .push(DnType::CommonName, &names[0]);
        params.not_before = rcgen::date_time_ymd(2_000, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        Leaf {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    pub fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        let der = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("a certificate");
        store.add(der).expect("an authority");
        store
    }

    /// What a client with nothing special brings.
    pub fn hello<'a>(&'a self, name: &'a str) -> Hello<'a> {
        Hello {
            trust: self,
            name,
            alpn: &[],
            leaf: None,
            version: None,
        }
    }
}

impl Leaf {
    /// Writes `name.pem` and `name.key`, each in one step, as renewals should be; the key for its owner only.
    pub fn write(&self, folder: &Path, name: &str) {
        let put = |end: &str, content: &str| {
            let draft = folder.join("draft");
            std::fs::write(&draft, content).expect("a file can be written");
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&draft, mode).expect("a mode can be set");
            std::fs::rename(&draft, folder.join(format!("{name}.{end}"))).expect("a rename");
        };
        put("key", &self.key);
        put("pem", &self.cert);
    }

    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        let chain = CertificateDer::pem_slice_iter(self.cert.as_bytes());
        chain.collect::<Result<_, _>>().expect("certificates")
    }

    /// The certificate as its file has it.
    pub fn cert(&self) -> &str {
        &self.cert
    }

    /// The key as its file has it.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key")
    }
}

impl Hello<'_> {
    pub fn config(&self) -> ClientConfig {
        install_crypto();
        let versions = self
            .version
            .map_or(rustls::ALL_VERSIONS.to_vec(), |one| vec![one]);
        let builder = ClientConfig::builder_with_protocol_versions(&versions)
            .with_root_certificates(self.trust.store());
        let mut config = match self.leaf {
            Some(leaf) => builder
                .with_client_auth_cert(leaf.chain(), leaf.private())
                .expect("a client certificate"),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        config
    }

    /// Connects and shakes hands.
    pub fn connect(&self, address: SocketAddr) -> io::Result<Secure> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        self.connect_over(stream)
    }

    pub fn connect_over(&self, mut stream: TcpStream) -> io::Result<Secure> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(self.name.to_owned()).map_err(io::Error::other)?;
        let config = Arc::new(self.config());
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Secure {
            stream: BufReader::new(StreamOwned::new(connection, stream)),
        })
    }
}

impl Secure {
    pub fn try_exchange(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Response> {
        self.stream.get_mut().write_all(bytes.as_ref())?;
        let closed = || io::Error::new(io::ErrorKind::UnexpectedEof, "closed, no answer");
        let head = Head::read(&mut self.stream)?.ok_or_else(closed)?;
        let status = head
            .line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        let (body, trailers) = head.read_whole(&mut self.stream, true)?;
        Ok(Response {
            status: status.ok_or_else(|| io::Error::other(head.line.clone()))?,
            head,
            body,
            trailers,
        })
    }

    #[track_caller]
    pub fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        self.try_exchange(bytes).expect("an answer")
    }

    pub fn connection(&self) -> &ClientConnection {
        &self.stream.get_ref().conn
    }

    /// The certificate that the server showed.
    pub fn shown(&self) -> CertificateDer<'static> {
        let chain = self
            .connection()
            .peer_certificates()
            .expect("a certificate");
        chain[0].clone().into_owned()
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.get_mut().write_all(bytes.as_ref());
        sent.expect("the other side takes bytes");
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn finish_sending(&mut self) {
        let stream = self.stream.get_mut();
        stream.conn.send_close_notify();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut stream.sock).expect("a write");
        }
        let _ = stream.sock.shutdown(std::net::Shutdown::Write);
    }

    /// Waits until the other side ends the connection, cleanly or not: true if it does so without another byte.
    pub fn ends(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ),
        }
    }

    #[track_caller]
    pub fn read_head(&mut self) -> Head {
        let head = Head::read(&mut self.stream).expect("a head");
        head.expect("an answer before the close")
    }

    #[track_caller]
    pub fn read_exact(&mut self, buffer: &mut [u8]) {
        self.stream.read_exact(buffer).expect("enough bytes");
    }
}

/// One of the crates has two backends to choose from: say which, once.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
