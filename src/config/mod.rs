//! The whole file: an aggregate of the keys that each part owns.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use schemars::{Schema, SchemaGenerator};

use crate::base::decode::{
    self, Decode, Entries, Fields, Keys as _, Section, Table, keys, mappings, words,
};
use crate::base::report::{Code, Problem, Report};
use crate::base::secret::Secret;
use crate::base::units::ByteSize;
use crate::base::yaml::{At, Node, Place};
use crate::identity::config as identity;
use crate::token::issuer;
use crate::{limit, policy, route, telemetry, tls, upstream};

mod advice;
pub mod cases;
mod check;
mod effective;
mod load;
mod redis;

pub use advice::advise;
pub use check::{cases::check as check_cases, check};
pub use effective::effective;
pub use load::{Loaded, load, parse};
pub use redis::Redis;

keys! {
    /// An Airside configuration.
    pub struct Config {
        /// The process: threads, bounds, how it leaves.
        pub server: Server = Server::default(),
        /// Where clients come in.
        pub listeners: At<Entries<Listener>>,
        /// The identity service; left out, there is none.
        pub identity: Section<identity::Identity>,
        /// Other token issuers that routes may accept.
        pub issuers: Table<issuer::config::Issuer> = Table::default(),
        /// Where limits of `scope: cluster` are counted.
        pub redis: Section<Redis>,
        /// Limits by name, counted across every route that names them.
        pub limits: Table<limit::config::Limit> = Table::default(),
        /// Services that routes forward to, by name.
        pub upstreams: Table<upstream::config::Upstream> = Table::default(),
        /// Policies of every route that does not say otherwise.
        pub defaults: Section<policy::Keys>,
        /// Which requests there are, who may make them, and where they go. The most specific one wins.
        pub routes: At<Entries<Route>>,
        /// Health, readiness and the operator's view.
        pub admin: Section<Admin>,
        /// Logs of the program and of requests.
        pub telemetry: telemetry::config::Telemetry = telemetry::config::Telemetry::default(),
        /// Requests and what should become of them, for `airside test`.
        pub tests: Entries<cases::Case> = Entries(Vec::new()),
    }

    pub struct Server {
        /// Edge worker threads; `auto` is one a core.
        pub threads: Threads = Threads::Auto,
        /// Only these may say who the client is, by `X-Forwarded-For` or the PROXY protocol.
        pub trusted_proxies: Vec<At<IpNet>> = Vec::new(),
        /// A graceful stop takes at most this long, less when idle.
        pub drain: Duration = Duration::from_secs(30),
        /// The folder of the pid file and of the socket for `--upgrade`; made with mode 0700.
        pub run_dir: Option<String>,
        /// What a request may be at most, before a route is known.
        pub limits: ServerLimits = ServerLimits::default(),
    }

    pub struct ServerLimits {
        /// Connections of clients at once; above, they are closed. Left out: 10,000, or what the limit of open files allows.
        pub connections: Option<At<u32>>,
        /// Of one address at once, or of one /64 of IPv6; trusted proxies are not counted so.
        pub connections_per_ip: u32 = 1_000,
        /// The longest request target: 414 above.
        pub uri: ByteSize = ByteSize(8 << 10),
        /// The largest request head: 431 above.
        pub headers: ByteSize = ByteSize(32 << 10),
        /// A request's head must be there so long after its first byte, or after the connection where it is the first.
        pub header_timeout: Duration = Duration::from_secs(10),
        /// How long a kept connection may be idle.
        pub idle_timeout: Duration = Duration::from_secs(60),
        /// In this time a client must send, or take, 1 KiB of a body, or what is left of it.
        pub body_timeout: Duration = Duration::from_secs(30),
        /// How long a tunnel, such as a WebSocket, may be silent on both sides.
        pub tunnel_timeout: Duration = Duration::from_secs(3_600),
    }

    pub struct Listener {
        /// Where it listens; `0.0.0.0` and `[::]` are all addresses of the machine.
        pub address: At<SocketAddr>,
        /// Left out, the listener is plain.
        pub tls: Option<tls::config::Listener>,
        /// Left out: HTTP/1.1 and 1.0. `http2` without `tls` is h2c, for a network of one's own.
        pub protocols: At<Vec<Protocol>> = At::new(vec![Protocol::Http1], Place::default()),
        /// Connections begin with a PROXY protocol header, version 1 or 2, and come from `trusted_proxies` only.
        pub proxy_protocol: At<bool> = At::new(false, Place::default()),
    }

    pub struct Admin {
        /// Loopback, or else `token` is needed.
        pub listen: At<SocketAddr> = At::new(SocketAddr::from(([127, 0, 0, 1], 3003)), Place::default()),
        /// What callers must bring as `Authorization: Bearer`.
        pub token: Option<At<AdminToken>>,
    }
}
mappings!(Server, ServerLimits, Listener, Admin);

words! {
    pub enum Protocol {
        Http1 = "http1",
        Http2 = "http2",
    }
}

/// Worker threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    Auto,
    Count(u16),
}

/// 16 bytes or more.
#[derive(Debug, Clone, PartialEq)]
pub struct AdminToken(pub Secret);

/// One entry of `routes:`.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub place: Place,
    pub matches: route::config::Matches,
    pub policies: policy::Keys,
    pub targets: route::target::Targets,
}

impl Config {
    /// The routes that could be read.
    pub fn routes(&self) -> &[Route] {
        &self.routes.value.0
    }

    pub fn listeners(&self) -> &[Listener] {
        &self.listeners.value.0
    }

    /// Everything that is listened on, and the key that says so.
    pub fn addresses(&self) -> Vec<(String, At<SocketAddr>)> {
        let edge = self.listeners().iter().enumerate();
        let edge =
            edge.map(|(index, listener)| (format!("listeners[{index}].address"), listener.address));
        let identity = self.identity.given();
        let identity = identity.map(|identity| ("identity.listen".to_owned(), identity.listen));
        let admin = self.admin.given();
        let admin = admin.map(|admin| ("admin.listen".to_owned(), admin.listen));
        edge.chain(identity).chain(admin).collect()
    }

    /// A route's policies: its own keys, and for those left out the defaults'.
    pub fn policies(&self, route: &Route) -> policy::Keys {
        match self.defaults.given() {
            Some(defaults) => route.policies.or(defaults),
            None => route.policies.clone(),
        }
    }
}

impl Decode for Config {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &[Self::NAMES], report)?.lenient();
        Self::take(&mut fields, report)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = decode::object(Self::properties(generator));
        // An address that is not this machine's own needs a token.
        let outside = serde_json::json!({
            "properties": { "listen": { "pattern": r"^(?!127\.|\[::1\]|.*\$\{)" } },
            "required": ["listen"],
        });
        let guarded = serde_json::json!({ "if": outside, "then": { "required": ["token"] } });
        decode::narrow(schema, "admin", guarded)
    }
}

impl Route {
    /// The name in logs and messages: its own, or its path.
    pub fn name(&self) -> String {
        match &self.matches.name {
            Some(name) => name.value.0.clone(),
            None => self.matches.path.value.to_string(),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            threads: Threads::Auto,
            trusted_proxies: Vec::new(),
            drain: Duration::from_secs(30),
            run_dir: None,
            limits: ServerLimits::default(),
        }
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: None,
            connections_per_ip: 1_000,
            uri: ByteSize(8 << 10),
            headers: ByteSize(32 << 10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            tunnel_timeout: Duration::from_secs(3_600),
        }
    }
}

impl Decode for Route {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let groups = [
            route::config::Matches::NAMES,
            policy::Keys::NAMES,
            route::target::Targets::NAMES,
        ];
        let mut fields = Fields::open(node, &groups, report)?;
        let matches = route::config::Matches::take(&mut fields, report);
        let policies = policy::Keys::take(&mut fields, report);
        let targets = route::target::Targets::take(&mut fields, report);
        route::target::Targets::check(&fields, report);
        Some(Self {
            place: node.place,
            matches: matches?,
            policies: policies?,
            targets: targets?,
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = route::config::Matches::properties(generator);
        properties.extend(policy::Keys::properties(generator));
        properties.extend(route::target::Targets::properties(generator));
        decode::exactly_one(decode::object(properties), route::target::Targets::NAMES)
    }
}

impl Decode for Threads {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        match &node.value {
            Node::Text(text) if text.value == "auto" => Some(Self::Auto),
            _ => u16::decode(node, report)
                .filter(|count| {
                    let fits = (1..=1024).contains(count);
                    if !fits {
                        let message = format!("{count} threads: from 1 to 1024, or `auto`");
                        report.push(Problem::error(Code::InvalidValue, node.place, message));
                    }
                    fits
                })
                .map(Self::Count),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [{ "const": "auto" }, decode::whole_number(1, 1024)] })
    }

    fn show(&self) -> serde_json::Value {
        match self {
            Self::Auto => "auto".into(),
            Self::Count(count) => (*count).into(),
        }
    }
}

impl decode::FromText for AdminToken {
    const EXPECTED: &'static str = "a token of 16 characters or more";
    const PATTERN: &'static str = "[!-~]{16,}";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(Secret::new(text))),
            false => Err("it is too short, or not printable ASCII".to_owned()),
        }
    }
}

/// The JSON Schema of the whole file (draft 2020-12), for editors.
pub fn schema() -> serde_json::Value {
    let mut schema = Config::schema(&mut SchemaGenerator::default());
    schema.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    schema.insert("title".into(), "Airside configuration".into());
    // Who may call is said by each route, or by `defaults` for all that do not.
    let said = serde_json::json!({ "properties": { "defaults": { "required": ["auth"] } }, "required": ["defaults"] });
    let each =
        serde_json::json!({ "properties": { "routes": { "items": { "required": ["auth"] } } } });
    schema.insert("if".into(), serde_json::json!({ "not": said }));
    schema.insert("then".into(), each);
    schema.to_value()
}
