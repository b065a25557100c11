//! The edge's listeners: what each expects of a connection, and how one finds its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::listeners::{ALPN, L4BufferSettings, ListenerConfig, TcpSocketOptions};
use pingora::protocols::{GetSocketDigest, TcpKeepalive};
use pingora::services::listening::Service;

use crate::config::{Listener, Protocol};
use crate::tls::{Acceptor, Certificates, TlsError};

/// All listeners of the edge.
#[derive(Debug)]
pub struct Doors(Vec<Door>);

/// One listener.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    pub http1: bool,
    pub http2: bool,
    /// Connections begin with a PROXY protocol header.
    pub proxied: bool,
    /// What is spoken on it begins with TLS.
    pub tls: Option<Arc<Acceptor>>,
}

impl Doors {
    /// Reads the certificates; `folder` is what relative paths are relative to, `now` in seconds since 1970.
    pub fn open(listeners: &[Listener], folder: &Path, now: u64) -> Result<Self, TlsError> {
        let open = |listener: &Listener| {
            let speaks = |protocol| listener.protocols.value.contains(&protocol);
            let (http1, http2) = (speaks(Protocol::Http1), speaks(Protocol::Http2));
            let tls = listener.tls.as_ref().map(|tls| {
                let certificates = Certificates::open(&tls.certificates.value, folder, now)?;
                let clients = tls.client_ca.as_ref().map(|path| folder.join(path));
                let alpn = match (http1, http2) {
                    (true, true) => ALPN::H2H1,
                    (false, true) => ALPN::H2,
                    _ => ALPN::H1,
                };
                Acceptor::open(certificates, clients, alpn).map(Arc::new)
            });
            Ok(Door {
                address: listener.address.value,
                http1,
                http2,
                proxied: listener.proxy_protocol.value,
                tls: tls.transpose()?,
            })
        };
        listeners
            .iter()
            .map(open)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The listener that a connection came in by: its own address goes before one that stands for all.
    pub fn of(&self, connection: &(impl GetSocketDigest + ?Sized)) -> Option<&Door> {
        let digest = connection.get_socket_digest()?;
        self.at(*digest.local_addr()?.as_inet()?)
    }

    fn at(&self, local: SocketAddr) -> Option<&Door> {
        if let [only] = self.0.as_slice() {
            return Some(only);
        }
        let ip = local.ip().to_canonical();
        let port = self
            .0
            .iter()
            .filter(|door| door.address.port() == local.port());
        let exact = port
            .clone()
            .find(|door| door.address.ip().to_canonical() == ip);
        exact.or_else(|| port.clone().find(|door| door.address.ip().is_unspecified()))
    }

    /// All that speak TLS, to have their files read again.
    pub fn acceptors(&self) -> Vec<Arc<Acceptor>> {
        self.0.iter().filter_map(|door| door.tls.clone()).collect()
    }

    /// Has a service listen at all of them. What comes before HTTP is not the listener's affair.
    pub fn add_to<A: ServerApp + Send + Sync + 'static>(&self, service: &mut Service<A>) {
        for door in &self.0 {
            let mut options = TcpSocketOptions::default();
            // A peer that is gone without a word would keep its tunnel for ever.
            options.tcp_keepalive = Some(KEEPALIVE);
            // HTTP and TLS read into buffers of their own. Pingora's would be 64 KiB for as long as a connection waits.
            let buffers = L4BufferSettings::default().read(0);
            let endpoint = ListenerConfig::tcp(door.address.to_string());
            service.add_listener(endpoint.tcp_socket_options(options).l4_buffer(buffers));
        }
    }
}

/// A dead peer is noticed after some two minutes.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(15),
    count: 4,
    #[cfg(target_os = "linux")]
    user_timeout: Duration::from_secs(0),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn door(address: &str) -> Door {
        Door {
            address: address.parse().unwrap(),
            http1: true,
            http2: false,
            proxied: false,
            tls: None,
        }
    }

    #[test]
    fn a_connection_finds_the_listener_that_it_came_in_by() {
        let doors = Doors(vec![door("0.0.0.0:1"), door("127.0.0.1:1"), door("[::]:2")]);
        let found = |local: &str| {
            doors
                .at(local.parse().unwrap())
                .map(|door| door.address.to_string())
        };
        assert_eq!(found("127.0.0.1:1").as_deref(), Some("127.0.0.1:1"));
        assert_eq!(found("192.0.2.1:1").as_deref(), Some("0.0.0.0:1"));
        assert_eq!(
            found("[::ffff:127.0.0.1]:1").as_deref(),
            Some("127.0.0.1:1")
        );
        assert_eq!(found("[2001:db8::1]:2").as_deref(), Some("[::]:2"));
        assert_eq!(found("192.0.2.1:3"), None);
    }
}
