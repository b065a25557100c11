//! One upstream's keys.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::key::By;
use crate::base::decode::{Decode, FromText, Within, keys, mappings, words};
use crate::base::report::Report;
use crate::base::units::Share;
use crate::base::yaml::{At, Node, Place};
use crate::tls;

keys! {
    /// A service: one or more servers that answer alike.
    pub struct Upstream {
        /// Its servers: addresses, or mappings with a `weight`.
        pub servers: At<Vec<At<Server>>>,
        /// How a server is chosen.
        pub balance: At<Balance> = At::new(Balance::LeastRequests, Place::default()),
        /// What `balance: hash` goes by: `ip`, `user`, `header:NAME` or `cookie:NAME`.
        pub by: Option<At<By>>,
        /// Asks each server from time to time whether it is well.
        pub health: Option<At<Health>>,
        /// Leaves a server out for a while after failures in a row.
        pub ejection: Option<At<Ejection>>,
        /// Refuses at once while too many requests fail.
        pub breaker: Option<At<Breaker>>,
        /// How long is waited for what.
        pub timeouts: At<Timeouts> = At::new(Timeouts::default(), Place::default()),
        /// Sends a request that failed once more, where that is safe.
        pub retry: Option<At<Retry>>,
        /// What the servers speak; `http2` without `tls` is h2c.
        pub protocol: Protocol = Protocol::Http1,
        /// Speak TLS with the servers; `{}` verifies them by the system's authorities.
        pub tls: Option<At<tls::config::Upstream>>,
        /// Which `Host` the servers get: the client's, or their own name.
        pub host: Host = Host::Preserve,
        /// Idle connections kept to each server at most; left out, all of the pool.
        pub keepalive: Option<u32>,
        /// Requests in flight at most; 503 above.
        pub max_requests: Option<Within<1, 1_000_000>>,
        /// How often names are resolved again; left out, as often as DNS says.
        pub resolve: Option<At<Duration>>,
    }

    pub struct Health {
        /// Asked by GET; an answer from 200 to 299 is well.
        pub path: Option<At<ProbePath>>,
        /// True: a connection is proof enough.
        pub tcp: bool = false,
        /// True: gRPC's own health service is asked (`grpc.health.v1.Health/Check`).
        pub grpc: bool = false,
        /// Which service that is asked about; left out, the server as a whole.
        pub service: Option<At<GrpcService>>,
        pub every: Duration = Duration::from_secs(5),
        pub timeout: Duration = Duration::from_secs(1),
        /// So many failures in a row take a server out.
        pub unhealthy_after: Within<1, 100> = Within(3),
        /// So many successes in a row let it in again.
        pub healthy_after: Within<1, 100> = Within(2),
    }

    pub struct Ejection {
        /// In a row.
        pub failures: Within<1, 1_000> = Within(5),
        pub r#for: Duration = Duration::from_secs(30),
        /// The share of the servers that may be left out at once.
        pub max_ejected: Share = Share(0.5),
    }

    pub struct Breaker {
        /// The share of the last ten seconds' requests.
        pub failure_rate: Share,
        /// With fewer in ten seconds nothing is concluded.
        pub min_requests: Within<1, 100_000> = Within(20),
        pub open_for: Duration = Duration::from_secs(10),
    }

    pub struct Timeouts {
        /// To a connection.
        pub connect: Duration = Timeouts::CONNECT,
        /// From the request's last byte to the answer's head.
        pub first_byte: Duration = Timeouts::FIRST_BYTE,
        /// Between two reads of an answer's body.
        pub idle: Duration = Timeouts::IDLE,
        /// For all attempts of a request together; left out, no bound.
        pub total: Option<Duration>,
    }

    pub struct Retry {
        /// The first one included.
        pub attempts: Within<1, 10> = Within(2),
        /// What counts as having failed.
        pub on: Vec<RetryOn> = vec![RetryOn::Connect],
        /// The share of the upstream's requests that may be sent again.
        pub budget: Share = Share(0.2),
    }
}
mappings!(Upstream, Health, Ejection, Breaker, Timeouts, Retry);

words! {
    pub enum Balance {
        /// In turn, smoothly by weight.
        RoundRobin = "round_robin",
        /// The less busy of two that chance names.
        LeastRequests = "least_requests",
        Random = "random",
        /// One server for one caller, as long as it is there.
        Hash = "hash",
    }

    pub enum Protocol {
        Http1 = "http1",
        Http2 = "http2",
        /// HTTP/2, and streams may be silent for as long as they like.
        Grpc = "grpc",
    }

    pub enum Host {
        Preserve = "preserve",
        Upstream = "upstream",
    }

    pub enum RetryOn {
        /// No connection: nothing was sent.
        Connect = "connect",
        /// The connection broke, or brought garbage, before the answer's head.
        Reset = "reset",
        S502 = "502",
        S503 = "503",
        /// The server's own, or no answer in time.
        S504 = "504",
    }
}

/// A server's address and its weight, 1 unless it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub address: Address,
    pub weight: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Socket(SocketAddr),
    /// A name that DNS resolves, and a port.
    Name(String, u16),
}

/// A path and query that probes ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePath(pub String);

/// A service's name as gRPC's health service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcService(pub String);

keys! {
    pub struct ServerKeys {
        pub address: At<Address>,
        /// From 1 to 1000; a server with twice the weight gets twice the requests.
        pub weight: Within<1, 1_000> = Within(1),
    }
}
mappings!(ServerKeys);

impl Decode for Server {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let keys = match &node.value {
            Node::Map(_) => ServerKeys::decode(node, report)?,
            _ => ServerKeys {
                address: Decode::decode(node, report)?,
                weight: Within(1),
            },
        };
        Some(Self {
            address: keys.address.value,
            weight: keys.weight.0,
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = ServerKeys::schema(generator);
        json_schema!({ "oneOf": [Address::schema(generator), keys] })
    }
}

impl Timeouts {
    /// To a server in the same network: one lost SYN is sent again after 1 s.
    pub const CONNECT: Duration = Duration::from_secs(3);
    pub const FIRST_BYTE: Duration = Duration::from_secs(60);
    pub const IDLE: Duration = Duration::from_secs(60);
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Self::CONNECT,
            first_byte: Self::FIRST_BYTE,
            idle: Self::IDLE,
            total: None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Socket(address) => write!(f, "{address}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl FromText for ProbePath {
    const EXPECTED: &'static str = "a path such as `/healthz`";
    const PATTERN: &'static str = "/[!-~]*";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
            .ok_or_else(|| "it does not begin with `/`, or is not printable ASCII".to_owned())
    }
}

impl FromText for GrpcService {
    const EXPECTED: &'static str = "a service such as `flights.v1.Flights`";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
            .ok_or_else(|| "it is empty, or not printable ASCII".to_owned())
    }
}

impl FromText for Address {
    const EXPECTED: &'static str = "a server such as `127.0.0.1:3000` or `flights.internal:80`";
    const PATTERN: &'static str = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]*[1-9][0-9]*";

    fn from_text(text: &str) -> Result<Self, String> {
        if let Ok(socket) = text.parse() {
            return Ok(Self::Socket(socket));
        }
        let (name, port) = text.rsplit_once(':').ok_or("the port is missing")?;
        let port = port.parse::<u16>().ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| "the port is not from 1 to 65535".to_owned())?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        // What ends in a number was meant as an address (RFC 3986 §3.2.2).
        let last = name.rsplit('.').next().unwrap_or_default();
        let number = last.bytes().all(|byte| byte.is_ascii_digit());
        match !number && name.bytes().all(fits) {
            true => Ok(Self::Name(name.to_ascii_lowercase(), port)),
            false => Err(format!("`{name}` is neither an address nor a name")),
        }
    }
}
