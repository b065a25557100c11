//! What a collector reads of requests of every kind, and what it never does.

use std::time::Duration;

use tonic::Request;

use super::{Collector, get, start, tracing, wait_for};
use crate::support::collector::Span;
use crate::support::edge::{request, with_top};
use crate::support::grpc::{self, Plain, Service};
use crate::support::origin::{Answer, Origin, Reply};
use crate::support::port;
use crate::support::server::{Airside, SetUp};
use crate::support::websocket::{Echo, Frame, handshake};

const IDENTITY: &str = "identity: { listen: \"{identity}\", store: \"sqlite:a.db\", keys: keys, \
                        issuer: https://a.test, audience: a }";

/// A gateway with these sections and routes that exports all.
fn traced(top: &str, routes: &str, collector: &Collector) -> SetUp {
    let top = format!("{}\n{top}", tracing("sample: 100%"));
    with_top(&top, routes).set("collector", collector.address())
}

/// The spans of the trace that a request begins, that of the request first.
#[track_caller]
fn spans_of(airside: &Airside, collector: &Collector, bytes: &str, count: usize) -> Vec<Span> {
    let before = collector.spans().len();
    airside.raw().exchange(bytes);
    collector.wait_for_spans(before + count).split_off(before)
}

#[test]
fn a_forwarded_request_is_told_by_the_conventions_for_http() {
    let (airside, collector, origin) = start();
    origin.on("/a/7", Reply::new(404, "").after(Duration::from_millis(30)));
    let spans = spans_of(&airside, &collector, &get("/a/7"), 2);
    let (server, client) = (&spans[0], &spans[1]);
    assert_eq!((&*server.name, &*client.name), ("GET /*", "GET"));
    assert_eq!((&*server.service, server.failed), ("airside", false));
    let keys = [
        "http.request.method",
        "url.path",
        "url.scheme",
        "http.route",
        "http.response.status_code",
        "network.protocol.version",
        "client.address",
        "server.address",
        "airside.route",
        "airside.upstream",
        "airside.refusal",
        "error.type",
    ];
    let expected = [
        "GET",
        "/a/7",
        "http",
        "/*",
        "404",
        "1.1",
        "127.0.0.1",
        "edge.test",
        "/*",
        "origin",
        "",
        "",
    ];
    assert_eq!(server.all(keys), expected);
    let address = origin.address();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let keys = [
        "http.request.method",
        "server.address",
        "server.port",
        "url.full",
        "http.response.status_code",
        "error.type",
        "http.request.resend_count",
    ];
    let url = format!("http://{address}/a/7");
    let expected = ["GET", &*ip, &*port, &*url, "404", "404", ""];
    assert_eq!(client.all(keys), expected);
    // The upstream's work is in both, and the attempt within the request.
    assert!(client.nanos >= 30_000_000 && server.nanos >= client.nanos);
}

#[test]
fn nothing_secret_is_exported() {
    let (airside, collector, _origin) = start();
    let headers = [
        ("Authorization", "Bearer hunter2"),
        ("Cookie", "s=hunter2"),
        ("X-Api-Key", "hunter2"),
        ("X-Any", "hunter2"),
        ("User-Agent", "hunter2"),
        ("Referer", "https://x.test/?hunter2"),
    ];
    let ask = request("GET", "/a?token=hunter2#hunter2", &headers);
    let spans = spans_of(&airside, &collector, &ask, 2);
    assert_eq!(spans[0].get("url.path"), "/a");
    for batch in collector.batches() {
        let text = String::from_utf8_lossy(&batch.body).into_owned();
        assert!(text.contains("/a") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_refusal_is_told_with_its_code_and_the_limit_that_refused() {
    let collector = Collector::start();
    let top = "limits: { few: { rate: 1/1h } }\nupstreams: { away: { servers: [\"{away}\"] } }";
    let top = format!("{IDENTITY}\n{top}");
    let routes = "  - { name: few, path: \"/few/{id}\", limits: [few], respond: { status: 200 } }\n\
                  \x20 - { path: /closed, auth: required, respond: { status: 200 } }\n\
                  \x20 - { path: /away, upstream: away }";
    let set_up = traced(&top, routes, &collector);
    let airside = set_up.set("away", port::free()).start();
    let keys = [
        "http.response.status_code",
        "airside.refusal",
        "airside.reason",
        "airside.limit",
        "airside.limit.decision",
        "error.type",
    ];
    let of = |path: &str, count| spans_of(&airside, &collector, &get(path), count);
    let taken = of("/few/1", 1);
    assert_eq!(taken[0].all(keys), ["200", "", "", "few", "admitted", ""]);
    let refused = &of("/few/2", 1)[0];
    let expected = ["429", "rate_limited", "limit", "few", "refused", ""];
    assert_eq!((refused.all(keys), refused.failed), (expected, false));
    assert_eq!(refused.name, "GET /few/{id}");
    assert_eq!(
        refused.all(["http.route", "airside.route"]),
        ["/few/{id}", "few"]
    );

    let nowhere = &of("/nowhere", 1)[0];
    assert_eq!(
        (&*nowhere.name, nowhere.get("airside.refusal")),
        ("GET", "no_route")
    );
    assert_eq!(nowhere.get("http.route"), "");
    let stranger = &of("/closed", 1)[0];
    assert_eq!(stranger.get("airside.refusal"), "unauthenticated");

    let away = of("/away", 2);
    let expected = [
        "502",
        "upstream_unreachable",
        "connect_refused",
        "",
        "",
        "upstream_unreachable",
    ];
    assert_eq!((away[0].all(keys), away[0].failed), (expected, true));
    let attempt = away[1].all(["error.type", "http.response.status_code"]);
    assert_eq!((attempt, away[1].failed), (["connect_refused", ""], true));
}

#[test]
fn each_attempt_is_a_span_and_each_server_gets_its_own() {
    let collector = Collector::start();
    let (bad, good) = (Origin::start(), Origin::start());
    let top = "upstreams: { two: { servers: [\"{bad}\", \"{good}\"], balance: round_robin, \
               retry: { attempts: 2, on: [503, reset], budget: 100% } } }";
    let set_up = traced(top, "  - { path: /*, upstream: two }", &collector);
    let set_up = set_up.set("bad", bad.address());
    let airside = set_up.set("good", good.address()).start();
    let faults: [(Answer, [&str; 2]); 2] = [
        (Reply::new(503, "").into(), ["503", "503"]),
        (Answer::Close, ["connection_closed", ""]),
    ];
    for (fault, first) in faults {
        bad.on("/a", fault);
        let spans = spans_of(&airside, &collector, &get("/a"), 3);
        let (server, attempts) = (&spans[0], &spans[1..]);
        let told = ["http.response.status_code", "airside.retries", "error.type"];
        assert_eq!((server.all(told), server.failed), (["200", "1", ""], false));
        let told = ["error.type", "http.response.status_code"];
        assert_eq!((attempts[0].all(told), attempts[0].failed), (first, true));
        assert_eq!(
            (attempts[1].all(told), attempts[1].failed),
            (["", "200"], false)
        );
        let resent = attempts
            .iter()
            .map(|one| one.get("http.request.resend_count"));
        assert_eq!(resent.collect::<Vec<_>>(), ["", "1"]);
        for (attempt, origin) in attempts.iter().zip([&bad, &good]) {
            assert_eq!(attempt.parent, server.id);
            assert_eq!(
                attempt.get("server.port"),
                origin.address().port().to_string()
            );
            let parent = format!("00-{}-{}-03", server.trace, attempt.id);
            assert_eq!(origin.last().header("traceparent"), Some(&*parent));
        }
    }
}

#[test]
fn an_answer_that_breaks_off_is_an_error_and_a_client_that_leaves_is_none() {
    let (airside, collector, origin) = start();
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort";
    origin.on("/cut", Answer::Bytes(cut.to_vec()));
    let mut raw = airside.raw();
    raw.send(get("/cut"));
    let _ = raw.try_read("GET");
    let spans = collector.wait_for_spans(2);
    assert!(spans[0].failed && spans[1].failed, "{spans:#?}");
    assert_eq!(spans[0].get("http.response.status_code"), "200");
    assert_eq!(spans[0].get("error.type"), spans[1].get("error.type"));

    origin.on("/stuck", Answer::Stall(Vec::new()));
    let mut raw = airside.raw();
    let before = origin.count();
    raw.send(get("/stuck"));
    origin.wait_for_requests(before + 1);
    drop(raw);
    let spans = collector.wait_for_spans(4).split_off(2);
    assert!(!spans[0].failed, "{spans:#?}");
    assert_eq!(
        spans[0].all(["airside.reason", "error.type"]),
        ["client_gone", ""]
    );
}

#[test]
fn a_websocket_is_one_span_until_it_closes() {
    let (echo, collector) = (Echo::start(), Collector::start());
    let top = "upstreams: { echo: { servers: [\"{echo}\"] } }";
    let set_up = traced(top, "  - { path: /ws, upstream: echo }", &collector);
    let airside = set_up.set("echo", echo.address()).start();
    let mut raw = airside.raw();
    raw.send(handshake("/ws", ""));
    assert!(raw.read_head().line.contains(" 101 "));
    raw.send(Frame::text("hello").bytes());
    assert_eq!(raw.try_read_frame().unwrap().unwrap().1, b"hello");
    assert!(collector.spans().is_empty(), "it goes on");
    raw.send(Frame::close(1000, "").bytes());
    let _ = raw.try_read_frame();
    drop(raw);
    let spans = collector.wait_for_spans(2);
    for span in &spans {
        assert_eq!(span.get("http.response.status_code"), "101");
        assert!(!span.failed, "{span:#?}");
    }
    assert_eq!(spans[0].name, "GET /ws");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_grpc_are_told_also_where_the_status_of_http_says_nothing() {
    let (service, collector) = (Service::start(), Collector::start());
    let top = "listeners: [{ address: \"{gateway}\", protocols: [http1, http2] }]\n\
               upstreams: { service: { servers: [\"{service}\"], protocol: grpc }, away: { servers: [\"{away}\"], protocol: grpc } }";
    let routes =
        "  - { path: /t.Echo/*, upstream: service }\n  - { path: /t.Away/*, upstream: away }";
    let set_up = traced(top, routes, &collector).set("service", service.address());
    let airside = set_up.set("away", port::free()).start();
    let mut client = grpc::client(airside.address()).await;
    for path in ["/t.Echo/Unary", "/t.Away/Unary"] {
        client.ready().await.unwrap();
        let call = client.unary(Request::new(vec![7]), path.parse().unwrap(), Plain);
        assert_eq!(call.await.is_ok(), path == "/t.Echo/Unary");
    }
    let spans = collector.wait_for_spans(4);
    let keys = [
        "http.response.status_code",
        "network.protocol.version",
        "error.type",
    ];
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let good = find("POST /t.Echo/*");
    assert_eq!((good.all(keys), good.failed), (["200", "2", ""], false));
    let away = find("POST /t.Away/*");
    let expected = ["200", "2", "upstream_unreachable"];
    assert_eq!((away.all(keys), away.failed), (expected, true));
}

#[test]
fn a_request_to_identity_is_told_like_any_other() {
    let collector = Collector::start();
    let routes = "  - { path: /.well-known/jwks.json, upstream: identity }";
    let set_up = traced(IDENTITY, routes, &collector);
    let airside = set_up.set("origin", port::free()).start();
    wait_for("identity", || {
        airside.raw().exchange(get("/.well-known/jwks.json")).status == 200
    });
    wait_for("its spans", || collector.spans().len() >= 2);
    let spans = collector.spans();
    let server = spans.iter().rfind(|span| span.is_server).unwrap();
    let client = spans.iter().rfind(|span| !span.is_server).unwrap();
    assert_eq!(server.get("airside.upstream"), "identity");
    assert_eq!((&client.trace, &client.parent), (&server.trace, &server.id));
}
