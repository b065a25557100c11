//! One upstream's keys.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::base::decode::{self, Decode, FromText, Within, keys, mappings, words};
use crate::base::report::Report;
use crate::base::units::{Share, Word};
use crate::base::yaml::{At, Node};
use crate::tls;

keys! {
    /// A service: one or more servers that answer alike.
    pub struct Upstream {
        pub servers: At<Vec<At<Server>>>,
        /// How a server is chosen.
        pub balance: Balance = Balance::LeastRequests,
        /// What `balance: hash` hashes.
        pub by: Option<Word>; unbuilt,
        pub health: Option<Health>; unbuilt,
        pub ejection: Option<Ejection>; unbuilt,
        pub breaker: Option<Breaker>; unbuilt,
        pub timeouts: Option<Timeouts>; unbuilt,
        pub retry: Option<Retry>; unbuilt,
        /// What the servers speak; `http2` without `tls` is h2c.
        pub protocol: Protocol = Protocol::Http1,
        pub tls: Option<tls::config::Upstream>,
        /// Which `Host` the servers get: the client's, or their own name.
        pub host: Host = Host::Preserve,
        /// Idle connections kept.
        pub keepalive: Option<u32>; unbuilt,
        /// Requests in flight at most.
        pub max_requests: Option<u32>; unbuilt,
        /// How often names are resolved again.
        pub resolve: Option<Duration>; unbuilt,
    }

    pub struct Health {
        pub path: String,
        pub every: Duration = Duration::from_secs(5),
        pub timeout: Duration = Duration::from_secs(1),
        pub unhealthy_after: u32 = 3,
        pub healthy_after: u32 = 2,
    }

    pub struct Ejection {
        pub failures: u32 = 5,
        pub r#for: Duration = Duration::from_secs(30),
        pub max_ejected: Share = Share(0.5),
    }

    pub struct Breaker {
        pub failure_rate: Share,
        pub min_requests: u32 = 20,
        pub open_for: Duration = Duration::from_secs(10),
    }

    pub struct Timeouts {
        pub connect: Option<Duration>,
        pub first_byte: Option<Duration>,
        pub idle: Option<Duration>,
        pub total: Option<Duration>,
    }

    pub struct Retry {
        pub attempts: u32 = 2,
        pub on: Vec<RetryOn> = vec![RetryOn::Connect],
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
        Hash = "hash"; unbuilt,
    }

    pub enum Protocol {
        Http1 = "http1",
        Http2 = "http2",
        /// HTTP/2, and streams may be silent for as long as they like.
        Grpc = "grpc",
    }

    pub enum Host {
        Preserve = "preserve",
        Upstream = "upstream"; unbuilt,
    }

    pub enum RetryOn {
        Connect = "connect",
        Reset = "reset",
        S502 = "502",
        S503 = "503",
        S504 = "504",
    }
}

/// A server's address and its weight, 1 unless it is said.
#[derive(Debug, Clone)]
pub struct Server {
    pub address: Address,
    pub weight: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Socket(SocketAddr),
    /// A name and a port; looking names up is not built yet.
    Name(String),
}

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
        if let Address::Name(name) = &keys.address.value {
            let what = format!("`{name}`: looking a server's name up");
            report.push(decode::not_built(keys.address.place, &what));
        }
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

impl FromText for Address {
    const EXPECTED: &'static str = "a server such as `127.0.0.1:3000` or `flights.internal:80`";

    fn from_text(text: &str) -> Result<Self, String> {
        if let Ok(socket) = text.parse() {
            return Ok(Self::Socket(socket));
        }
        let (name, port) = text.rsplit_once(':').ok_or("the port is missing")?;
        port.parse::<u16>()
            .map_err(|_| format!("`{port}` is not a port"))?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        match !name.is_empty() && name.bytes().all(fits) {
            true => Ok(Self::Name(text.to_owned())),
            false => Err(format!("`{name}` is neither an address nor a name")),
        }
    }
}
