//! A whole request through the gateway's own deciding, without a network: what the router matched is what the upstream
//! gets, byte for byte; no spelling goes round a guarded route; nothing that only the gateway may say comes through.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use airside::base::clock::Clock;
use airside::base::host;
use airside::base::report::Report;
use airside::base::secret::Process;
use airside::base::{net, path as paths};
use airside::config::parse;
use airside::plan::{Shared, compile};
use airside::proxy::rehearsal::{Course, Forward, Rehearsal, Request};
use http::{HeaderName, HeaderValue, StatusCode};

use super::{forwarded, path};

/// A line with method and target, then lines of the head. The first byte says who connects.
pub fn check(bytes: &[u8]) {
    let Some(request) = read(bytes) else {
        return;
    };
    let Ok(begun) = GATEWAY.begin(&request) else {
        return;
    };
    let course = begun
        .finish(StatusCode::OK)
        .expect("what began is finished");
    assert!(course.body.len() < 8 << 10);
    let lines: Vec<&[u8]> = lines(&request, "x-forwarded-for");
    let client = net::client(request.peer, lines, &forwarded::trusted());
    assert_eq!(course.client, client);
    match &course.forward {
        None => refused(&course),
        Some(forward) => passed(&request, &course, forward),
    }
}

fn read(bytes: &[u8]) -> Option<Request> {
    let (who, rest) = bytes.split_first()?;
    let peers: [IpAddr; 2] = [[192, 0, 2, 9].into(), [10, 0, 0, 1].into()];
    let mut lines = rest.split(|byte| *byte == b'\n');
    let first = str::from_utf8(lines.next()?).ok()?;
    let (method, target) = first.split_once(' ')?;
    let mut headers = Vec::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.push((
            name,
            HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?,
        ));
    }
    Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        host: Some("edge.test".to_owned()),
        headers,
        peer: peers[usize::from(*who) % peers.len()],
        tls: who & 2 != 0,
    })
}

fn refused(course: &Course) {
    if course.refused.is_some() {
        assert!(course.status.is_client_error() || course.status.is_server_error());
        let kind = course.headers.get("content-type").unwrap();
        assert_eq!(kind, "application/problem+json");
        serde_json::from_slice::<serde_json::Value>(&course.body).expect("JSON");
    } else {
        assert_eq!(course.status, 204, "`OPTIONS *` alone is answered");
    }
    assert!(course.status != 500, "{:?}", course.refused);
}

fn passed(request: &Request, course: &Course, forward: &Forward) {
    let asked = course.asked.as_ref().expect("it was read");
    let (to, query) = match forward.target.split_once('?') {
        Some((to, query)) => (to, Some(query)),
        None => (&*forward.target, None),
    };
    assert_eq!(
        paths::normalise(to).as_deref(),
        Ok(to),
        "the upstream's is normal"
    );
    assert_eq!(query.unwrap_or_default(), asked.query);
    let matched = &*asked.path;
    match matched
        .strip_prefix("/api")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        Some(rest) => assert_eq!(to, format!("/v1{rest}")),
        None => assert_eq!(to, matched, "what was matched, byte for byte"),
    }
    // No way of reading what goes upstream leads to what is guarded.
    let (segments, _) = path::decoded(to);
    assert!(!is_guarded(matched) && !is_guarded(to), "{request:?}");
    let first = segments.first().map(Vec::as_slice).unwrap_or_default();
    assert!(first != b"admin", "{request:?}");
    head(request, asked, course, forward);
}

fn head(
    request: &Request,
    asked: &airside::proxy::rehearsal::Asked,
    course: &Course,
    forward: &Forward,
) {
    let headers = &forward.headers;
    let all = |name: &str| headers.get_all(name).iter().collect::<Vec<_>>();
    for name in headers.keys() {
        let name = name.as_str();
        assert!(
            !name.contains('_') && !name.starts_with("x-auth-"),
            "{name}"
        );
        assert!(
            !matches!(name, "client-cert" | "client-cert-chain"),
            "{name}"
        );
    }
    let [to] = all("host")[..] else {
        panic!("{:?} hosts", all("host"));
    };
    assert_eq!(
        host::normalise(to.to_str().unwrap()).as_deref(),
        Ok(&*asked.host)
    );
    assert!(all("content-length").len() <= 1 && all("transfer-encoding").len() <= 1);
    assert!(all("authorization").len() <= 1);
    assert_eq!(all("x-request-id").len(), 1);
    assert_eq!(all("traceparent").len(), 1);
    assert_eq!(all("x-forwarded-proto").len().min(1), 1);

    // An upstream that trusts this gateway learns the same client.
    let told: Vec<&[u8]> = all("x-forwarded-for")
        .iter()
        .map(|line| line.as_bytes())
        .collect();
    let gateway = [10, 0, 0, 99].into();
    let learnt = net::client(gateway, told, &forwarded::trusted());
    assert_eq!(learnt.address, course.client.address, "{request:?}");
    if !course.client.via_trusted_proxy {
        assert!(all("forwarded").is_empty() && all("x-real-ip").is_empty());
        assert_eq!(all("x-forwarded-for").len(), 1);
        let scheme = if request.tls { "https" } else { "http" };
        assert_eq!(all("x-forwarded-proto"), [scheme]);
    }
}

fn is_guarded(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

fn lines<'a>(request: &'a Request, name: &str) -> Vec<&'a [u8]> {
    let named = request.headers.iter().filter(|(known, _)| known == name);
    named.map(|(_, value)| value.as_bytes()).collect()
}

static GATEWAY: LazyLock<Rehearsal> = LazyLock::new(|| {
    let files = Process::new(std::path::Path::new("."));
    let (config, report) = parse(GUARDED, &files);
    assert!(!report.has_errors(), "{report:?}");
    let config = config.unwrap();
    let mut report = Report::default();
    let plan = compile(&config, &Shared::offline(&config), None, &mut report);
    Rehearsal::new(Arc::new(plan.unwrap()), Clock::at(1_800_000_000_000))
});

const GUARDED: &str = r#"
listeners: [{ address: "127.0.0.1:8080" }]
server: { trusted_proxies: [10.0.0.0/8, "fd00::/8"] }
identity:
  listen: "127.0.0.1:8081"
  store: "sqlite:airside.db"
  keys: keys
  issuer: http://edge.test
  audience: edge
upstreams: { origin: { servers: ["127.0.0.1:8082"] } }
routes:
  - { path: /admin/*, upstream: origin, auth: required }
  - { path: /api/*, upstream: origin, auth: public, rewrite: "/v1/{rest}" }
  - { path: /*, upstream: origin, auth: public }
"#;
