//! Random configurations with all that decides on a request, and requests that meet it.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

/// A request, to be sent and to be asked about.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: &'static str,
    pub target: String,
    pub host: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: usize,
}

/// A gateway in front of the upstreams `a` and `b`, with the identity service and HS256.
pub fn config(random: &mut StdRng, secret: &str) -> String {
    let trusted = if random.random_bool(0.7) {
        "127.0.0.1"
    } else {
        "10.9.9.9"
    };
    let mut config = format!(
        r#"server: {{ trusted_proxies: [{trusted}] }}
listeners: [{{ address: "{{gateway}}" }}]
admin: {{ listen: "{{admin}}" }}
identity:
  listen: "{{identity}}"
  store: "sqlite::memory:"
  issuer: https://api.test
  access_token: {{ ttl: 1h, algorithm: HS256, secret: {secret} }}
limits:
  few: {{ rate: 6/1d, by: ip }}
  users: {{ rate: 5/1d, by: user, per_role: {{ r2: 9/1d }} }}
  heads: {{ rate: 4/1d, by: "header:x-h", on_missing: {on_missing} }}
  bucket: {{ rate: 5/1d, burst: 3, by: [ip, route], algorithm: token_bucket }}
  failures: {{ rate: 3/1d, by: ip, count: failures }}
  watched: {{ rate: 1/1d, by: global, mode: shadow }}
  places: {{ concurrent: 2, by: ip }}
upstreams:
  a: {{ servers: ["{{origin_a}}"] }}
  b: {{ servers: ["{{origin_b}}"], host: upstream }}
defaults:
  auth: public
  response_headers: {{ set: {{ X-Content-Type-Options: nosniff }}, remove: [Server] }}
routes:
"#,
        on_missing = one(random, &["share", "deny", "skip"]),
    );
    for number in 0..12 {
        config += &route(random, number);
    }
    config
}

fn route(random: &mut StdRng, number: u32) -> String {
    let (path, captures) = pattern(random);
    // A priority of its own, so that nothing ties.
    let mut keys = vec![format!(
        "name: r{number}, path: \"{path}\", priority: {number}"
    )];
    if random.random_bool(0.4) {
        keys.push(format!(
            "host: \"{}\"",
            one(random, &["a.test", "*.a.test"])
        ));
    }
    if random.random_bool(0.4) {
        keys.push(format!(
            "methods: [{}]",
            one(random, &["GET", "GET, HEAD", "POST", "POST, PUT, OPTIONS"])
        ));
    }
    if random.random_bool(0.2) {
        let when = one(random, &["headers: { x-h: \"1\" }", "query: { q: \"1\" }"]);
        keys.push(format!("when: {{ {when} }}"));
    }
    keys.push(target(random, &captures));
    if random.random_bool(0.5) {
        let auth = one(
            random,
            &[
                "required",
                "{ roles: [r1] }",
                "{ roles: [r1, r2] }",
                "{ all_roles: [r1, r2] }",
                "{ api_key: true }",
                "{ api_key: true, issuers: [airside] }",
            ],
        );
        keys.push(format!("auth: {auth}"));
    }
    if random.random_bool(0.6) {
        let limits = one(
            random,
            &[
                "few",
                "users",
                "heads",
                "bucket",
                "failures",
                "few, users",
                "users, heads, watched",
                "watched",
                "places",
                "{ rate: 3/1d, by: [ip, route] }",
            ],
        );
        keys.push(format!("limits: [{limits}]"));
    }
    for (chance, key) in [
        (0.2, "allow: [192.0.2.0/24, 127.0.0.1]"),
        (0.2, "deny: [192.0.2.2]"),
        (0.3, "max_body: 10B"),
        (
            0.2,
            "cors: { origins: [\"https://app.test\"], methods: [GET, PUT], credentials: true, max_age: 1h }",
        ),
        (
            0.3,
            "request_headers: { set: { X-Set: one }, add: { X-Add: two }, remove: [X-Debug] }",
        ),
        (
            0.2,
            "response_headers: { set: { X-Out: out }, add: { X-More: more } }",
        ),
        (0.1, "compress: [gzip]"),
    ] {
        if random.random_bool(chance) {
            keys.push(key.to_owned());
        }
    }
    format!("  - {{ {} }}\n", keys.join(", "))
}

fn target(random: &mut StdRng, captures: &[String]) -> String {
    let capture = captures.choose(random);
    let template = |before: &str| match capture {
        Some(name) => format!("{before}{{{name}}}"),
        None => format!("{before}x"),
    };
    match random.random_range(0..10) {
        0 => "respond: { status: 200, body: own }".to_owned(),
        1 => "respond: { status: 204 }".to_owned(),
        2 => format!("redirect: {{ to: \"{}\", status: 307 }}", template("/to/")),
        number => {
            let upstream = one(random, &["a", "b", "{ a: 1, b: 1 }"]);
            match number {
                3..6 => format!("upstream: {upstream}, rewrite: \"{}\"", template("/up/")),
                _ => format!("upstream: {upstream}"),
            }
        }
    }
}

/// A path's pattern, and what it captures.
fn pattern(random: &mut StdRng) -> (String, Vec<String>) {
    let (mut path, mut captures) = (String::new(), Vec::new());
    for number in 0..random.random_range(1..=2) {
        if random.random_bool(0.3) {
            path += &format!("/{{p{number}}}");
            captures.push(format!("p{number}"));
        } else {
            path += &format!("/{}", one(random, &["x", "y"]));
        }
    }
    if random.random_bool(0.5) {
        path += "/*";
        captures.push("rest".to_owned());
    }
    (path, captures)
}

pub fn request(random: &mut StdRng, tokens: &[String]) -> Request {
    let mut target = one(
        random,
        &[
            "/x",
            "/x",
            "/x",
            "/y",
            "/y",
            "/x/y",
            "/x/y",
            "/x/7",
            "/y/x/7",
            "/x/y",
            "/x/",
            "/y/x",
            "/x/y/x",
            "/y/7",
            "/x//y",
            "/x/./y",
            "/y/../x/y",
            "/x/%79",
            "/x;v=1/y",
            "/x%2fy",
            "/../x",
            "/x/%zz",
            "/nothing",
            "/x/a%20b",
            "/",
            "/x\\y",
        ],
    )
    .to_owned();
    if random.random_bool(0.3) {
        target += one(random, &["?q=1", "?q=2", "?a=%00&q=1", "?"]);
    }
    let mut headers: Vec<(&'static str, String)> = Vec::new();
    for (chance, name, values) in [
        (0.4, "X-H", &["1", "2"][..]),
        (
            0.6,
            "X-Forwarded-For",
            &["192.0.2.1", "192.0.2.2", "198.51.100.1, 192.0.2.3", "junk"],
        ),
        (0.2, "X-Auth-User", &["admin"]),
        (0.2, "x_auth_roles", &["admin"]),
        (0.2, "X-Debug", &["1"]),
        (0.2, "Origin", &["https://app.test", "https://evil.test"]),
        (0.1, "Access-Control-Request-Method", &["GET", "DELETE"]),
        (0.1, "Via", &["1.1 before"]),
        (0.1, "X-Forwarded-Host", &["outside.test"]),
        (0.1, "Accept-Encoding", &["gzip"]),
        (0.05, "X-API-Key", &["airside_nothing"]),
        (0.02, "Expect", &["something"]),
    ] {
        if random.random_bool(chance) {
            headers.push((name, one(random, values).to_owned()));
        }
    }
    if random.random_bool(0.6) {
        let token = tokens.choose(random).unwrap();
        let (name, before) = match random.random_range(0..5) {
            0 => ("x-access-token", ""),
            1 => ("Authorization", "bearer "),
            _ => ("Authorization", "Bearer "),
        };
        headers.push((name, format!("{before}{token}")));
    }
    let method = one(
        random,
        &[
            "GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS",
            "TRACE",
        ],
    );
    let with_body = ["POST", "PUT"].contains(&method) && random.random_bool(0.6);
    Request {
        method,
        target,
        host: one(
            random,
            &[
                "a.test",
                "a.test",
                "b.a.test",
                "b.a.test",
                "other.test",
                "other.test",
                "A.test:80",
                "a..b/c",
            ],
        ),
        headers,
        body: if with_body {
            random.random_range(1..20)
        } else {
            0
        },
    }
}

fn one<'a>(random: &mut impl Rng, of: &[&'a str]) -> &'a str {
    of.choose(random).unwrap()
}
