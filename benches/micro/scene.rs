//! Routes, limits, tokens and requests as they are in a gateway, without a socket: what is measured here,
//! and counted in `tests/allocations`.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use airside::base::decode::{Decode, FromText};
use airside::base::net::Client;
use airside::base::report::Report;
use airside::base::secret::Process;
use airside::base::yaml;
use airside::config;
use airside::limit::{self, Limit};
use airside::plan::{self, Plan, Shared};
use airside::policy::{Call, Findings, Progress, Unwatched};
use airside::proxy::rare::Rare;
use airside::proxy::{destination, intake};
use airside::route::method::Method;
use airside::route::pattern::PathPattern;
use airside::route::predicate::{Asked, Predicates};
use airside::route::router::Matcher;
use airside::route::{Found, Router};
use airside::token::{
    Accepted, Claims, Issuer, KeyRing, KeySet, SharedKey, SigningKey, TokenCache, Verifier,
    install_crypto,
};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use pingora::http::RequestHeader;

/// Unix seconds.
pub const NOW: u64 = 1_800_000_000;
pub const ALGORITHMS: [&str; 4] = ["HS256", "RS256", "ES256", "EdDSA"];

/// A user of an issuer of ours, with a token.
pub struct Holder {
    pub verifier: Arc<Verifier>,
    pub token: String,
}

/// A request and the gateway that it comes to.
pub struct Scene {
    plan: Plan,
    header: RequestHeader,
    client: Client,
}

/// Routes of one shape, as services have them, and a request for one of them.
pub struct Routes {
    router: Router,
    path: String,
    headers: HeaderMap,
}

impl Holder {
    pub fn new(algorithm: &str) -> Self {
        install_crypto();
        let claims = claims();
        let random = SystemRandom::new();
        let (keys, token) = match algorithm {
            "HS256" => {
                let key = SharedKey::new(&[7; 32], 900);
                (KeySet::Shared(key.clone()), key.sign(&claims).unwrap())
            }
            "RS256" => {
                let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
                let document: Pkcs8V1Der = pair.as_der().unwrap();
                pair_of(document.as_ref(), &claims)
            }
            "ES256" => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
                pair_of(document.as_ref(), &claims)
            }
            _ => {
                let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                pair_of(document.as_ref(), &claims)
            }
        };
        let (issuer, audience) = (claims.iss, claims.aud);
        let verifier = Verifier::new("airside", issuer, audience, KeyRing::new(keys), 5);
        Self {
            verifier: Arc::new(verifier),
            token,
        }
    }

    pub fn issuer(&self) -> Issuer {
        Issuer::Own(self.verifier.clone())
    }

    /// What a route asks, with a memory of its own.
    pub fn accepted(&self) -> Accepted {
        Accepted::new(vec![self.issuer()], Arc::new(TokenCache::new()))
    }
}

impl Scene {
    /// A request of the holder for a route with these keys.
    pub fn new(holder: &Holder, route: &str) -> Self {
        let shared = Shared {
            issuers: vec![("airside".to_owned(), holder.issuer())],
            ..Shared::default()
        };
        let source =
            format!("{TOP}routes:\n  - {{ path: /bookings/*, upstream: origin, {route} }}\n");
        let (config, mut report) = config::parse(&source, &Process::new(Path::new(".")));
        let plan = config.and_then(|config| plan::compile(&config, &shared, None, &mut report));
        let Some(plan) = plan else {
            panic!("{}", report.sorted().text("scene", &source, false));
        };
        Self {
            plan,
            header: head(&holder.token),
            client: Client {
                address: "192.0.2.7".parse().unwrap(),
                via_trusted_proxy: false,
            },
        }
    }

    /// From the request's head to the end of its pipeline, as the gateway goes, but for the connection.
    pub fn pass(&self) -> Findings {
        let Ok(asked) = intake::read(
            &self.header,
            Rare::of(&self.header.headers),
            &self.plan.edge,
        ) else {
            panic!("the head is refused");
        };
        let Found::Route { route, captures } = destination::find(&self.plan, &asked, &self.header)
        else {
            panic!("no route");
        };
        let route = self.plan.route(route).unwrap();
        let mut findings = Findings::default();
        let mut call = Call {
            header: &self.header,
            client: self.client,
            path: &asked.path,
            captures: &captures,
            route: route.identity,
            now_millis: 1_000_000,
            unix_seconds: NOW,
            findings: &mut findings,
        };
        match route.pipeline.request(0, &mut call, &mut Unwatched) {
            Progress::Passed => findings,
            Progress::Answered(_) => panic!("the request is refused"),
            Progress::Waiting(..) => panic!("the request waits"),
        }
    }
}

impl Routes {
    /// Three of four routes are found by texts alone, one by a parameter.
    pub fn new(count: usize) -> Self {
        let path = |number: usize| match number % 4 {
            0 => format!("/service-{number}/items/{{id}}"),
            1 => format!("/service-{number}/items/{{id}}/parts/*"),
            2 => format!("/service-{number}/status"),
            _ => format!("/service-{number}/*"),
        };
        let matchers: Vec<_> = (0..count)
            .map(|number| Matcher {
                host: None,
                path: PathPattern::from_text(&path(number)).unwrap(),
                predicates: Predicates::default(),
                priority: 0,
            })
            .collect();
        // In the middle, and of those with a parameter and a rest.
        let number = count / 8 * 4 + 1;
        Self {
            router: Router::new(&matchers),
            path: format!("/service-{number}/items/4711/parts/a/b"),
            headers: HeaderMap::new(),
        }
    }

    pub fn find(&self) -> Found {
        let asked = Asked {
            method: Method::Get,
            headers: &self.headers,
            query: "",
        };
        self.router.find("api.example.com", &self.path, asked)
    }
}

/// The limit that is written so.
pub fn limit(source: &str) -> Arc<Limit> {
    let mut report = Report::default();
    let config = yaml::read(source).unwrap();
    let config = limit::config::Limit::decode(&config, &mut report).unwrap();
    Arc::new(Limit::new("sample".into(), &config).unwrap())
}

/// A call from this address, of nobody that is known.
pub fn call(client: IpAddr, headers: &HeaderMap) -> limit::Parts<'_> {
    limit::Parts {
        client,
        route: 1,
        headers,
        caller: None,
    }
}

fn pair_of(document: &[u8], claims: &Claims) -> (KeySet, String) {
    let key = SigningKey::from_pkcs8(document).unwrap();
    let token = key.sign(claims).unwrap();
    (KeySet::new(vec![key.verify_key()]), token)
}

fn claims() -> Claims {
    let user = "01a203e7-1812-7701-89a1-0123456789ab".to_owned();
    Claims {
        iss: "https://api.example.com".to_owned(),
        aud: "airside".to_owned(),
        sub: user.clone(),
        id: user,
        email: "ann@example.com".to_owned(),
        roles: vec!["customer".to_owned(), "gold".to_owned()],
        client_id: "airside".to_owned(),
        iat: NOW - 60,
        exp: NOW + 840,
        nbf: None,
        jti: "01a203e7-1812-7701-89a1-0123456789ac".to_owned(),
        sid: "01a203e7-1812-7701-89a1-0123456789ad".to_owned(),
        ver: 1,
    }
}

/// What a browser sends. The values are parts of one buffer, as they are when they were read from a connection.
fn head(token: &str) -> RequestHeader {
    let bearer = format!("Bearer {token}");
    let lines = [
        ("host", "api.example.com"),
        ("authorization", &bearer),
        ("origin", "https://app.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0)"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("x-tenant", "acme"),
    ];
    let text: String = lines.iter().map(|(_, value)| *value).collect();
    let wire = Bytes::from(text);
    let _shared = wire.clone();
    let mut header = RequestHeader::build("GET", b"/bookings/4711/seats", None).unwrap();
    let mut from = 0;
    for (name, value) in lines {
        let to = from + value.len();
        let value = HeaderValue::from_maybe_shared(wire.slice(from..to)).unwrap();
        header.append_header(name, value).unwrap();
        from = to;
    }
    header
}

const TOP: &str = r#"
listeners: [{ address: "127.0.0.1:1" }]
limits:
  per_client: { rate: 1000000/1h }
  per_user: { rate: 1000000/1h, by: [user, "claim:client_id"], per_role: { gold: 2000000/1h } }
  bursty: { rate: 1000000/1s, burst: 2000000, algorithm: token_bucket, by: "header:X-Tenant" }
  parallel: { concurrent: 10, by: user }
  failing: { rate: 1000000/1h, count: failures, by: [ip, route] }
upstreams: { origin: { servers: ["127.0.0.1:2"] } }
"#;

/// A route's keys: every policy that there is.
pub const EVERYTHING: &str = "rewrite: '/api/v1/bookings/{rest}', auth: { roles: [admin, customer] }, \
     limits: [per_client, per_user, bursty, parallel], allow: [192.0.2.0/24], deny: [192.0.2.13], \
     cors: { origins: ['https://app.example.com'], credentials: true }, max_body: 1MiB, timeout: 10s, \
     compress: [zstd, gzip], request_headers: { set: { X-Channel: web }, remove: [X-Debug] }, \
     response_headers: { set: { X-Content-Type-Options: nosniff } }";
/// A public route with one limit, and one with a token and a role, as most are.
pub const PUBLIC: &str = "auth: public, limits: [per_client]";
pub const GUARDED: &str = "auth: { roles: [customer] }, limits: [per_client]";
