//! Trailers: which pass, between whom, and that what does not pass never becomes a header, and that what follows on the
//! connections is read rightly.

use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;

use crate::support::edge::{self, assert_refused, get, request, with_top};
use crate::support::origin::{Answer, Origin};
use crate::support::port;

mod versions;

/// What would do harm if it were taken for a header, and what would not.
const TRAILERS: &str = "X-Sum: 1\r\nX-Auth-User: root\r\nContent-Length: 7\r\nHost: evil.test\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\n";
const NAMES: [&str; 4] = ["x-sum", "x-auth-user", "set-cookie", "evil.test"];

/// An answer with trailers, after which the connection goes on. It comes byte by byte: no part of it at once.
fn answer() -> Answer {
    let head =
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum, Set-Cookie\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = format!("{head}3\r\nabc\r\n0\r\n{TRAILERS}\r\n");
    Answer::Dribble(bytes.into_bytes(), Duration::ZERO)
}

fn upload(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Host\r\n\r\n3\r\nabc\r\n0\r\n{TRAILERS}\r\n"
    )
}

#[test]
fn a_request_s_trailers_reach_a_server_of_http1_and_the_connections_go_on() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    let mut raw = airside.raw();
    for round in 0..6 {
        match round % 2 {
            0 => assert_eq!(raw.exchange(upload("/u")).status, 200),
            _ => {
                // However it comes.
                let mut writer = raw.writer();
                for byte in upload("/u").bytes() {
                    writer.write_all(&[byte]).unwrap();
                }
                assert_eq!(raw.read().status, 200);
            }
        }
        let seen = origin.last();
        assert_eq!(
            (seen.body.as_slice(), &seen.trailers),
            (&b"abc"[..], &vec!["x-sum: 1".to_owned()])
        );
        assert_eq!(seen.header("trailer"), Some("x-sum"));
        let head = String::from_utf8_lossy(&seen.head.raw).to_lowercase();
        assert!(
            !["x-auth-user", "set-cookie", "evil.test"]
                .iter()
                .any(|name| head.contains(name)),
            "{head}"
        );
        assert_eq!(raw.exchange(get("/next")).json()["target"], "/next");
        assert_eq!(origin.last().trailers, [""; 0]);
    }
    // With trailers or without: all go over the same one.
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_answer_s_trailers_reach_a_client_that_takes_them() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    origin.on("/t", answer());
    let mut raw = airside.raw();
    for _ in 0..5 {
        let answer = raw.exchange(request(
            "GET",
            "/t",
            &[("TE", "trailers"), ("Connection", "TE")],
        ));
        assert_eq!(
            (answer.body.as_slice(), &answer.trailers),
            (&b"abc"[..], &vec!["x-sum: 1".to_owned()])
        );
        assert_eq!(answer.header("trailer"), "x-sum");
        assert_eq!(
            (
                origin.last().header("te"),
                origin.last().header("connection")
            ),
            (Some("trailers"), Some("TE"))
        );
        assert_eq!(raw.exchange(get("/next")).json()["target"], "/next");
    }
    assert_eq!(origin.connections(), 1);
    // A server that closes its connection as the end of a body has none, and its answer is whole.
    origin.on(
        "/c",
        Answer::Bytes(b"HTTP/1.1 200 OK\r\n\r\n0\r\nX-Sum: 1\r\n\r\n".to_vec()),
    );
    let answer = raw.exchange(request("GET", "/c", &[("TE", "trailers")]));
    assert_eq!(
        (answer.text().as_str(), answer.trailers.len()),
        ("0\r\nX-Sum: 1\r\n\r\n", 0)
    );
}

#[test]
fn a_client_that_does_not_say_that_it_takes_trailers_gets_none() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    origin.on("/t", answer());
    let mut raw = airside.raw();
    for round in 0..5 {
        raw.send(get("/t"));
        let head = raw.read_head();
        let head = String::from_utf8_lossy(&head.raw).to_lowercase();
        assert!(
            !head.contains("trailer") && !NAMES.iter().any(|name| head.contains(name)),
            "{head}"
        );
        // To the last byte: the body, its end, and nothing in between.
        let mut body = Vec::new();
        // In one piece or in several, as the server's bytes came.
        loop {
            match raw.read_chunk() {
                end if end.is_empty() => break,
                piece => body.extend(piece),
            }
        }
        assert_eq!(body, b"abc", "{round}");
        assert_eq!(raw.exchange(get("/next")).json()["target"], "/next");
    }
    assert_eq!(
        origin.connections(),
        1,
        "the server's connection is sound too"
    );
    // HTTP/1.0 gets the body to the connection's end.
    let mut old = airside.raw();
    old.send("GET /t HTTP/1.0\r\nHost: edge.test\r\nTE: trailers\r\n\r\n");
    let mut whole = String::new();
    old.reader().read_to_string(&mut whole).unwrap();
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    assert!(
        body == "abc" && !head.to_lowercase().contains("x-sum"),
        "{whole}"
    );
}

#[test]
fn trailers_that_are_none_break_an_answer_off() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    let bytes =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum : 1\r\n\r\n";
    origin.on("/t", Answer::Dribble(bytes.into(), Duration::ZERO));
    let mut raw = airside.raw();
    raw.send(request("GET", "/t", &[("TE", "trailers")]));
    let mut whole = String::new();
    let _ = raw.reader().read_to_string(&mut whole);
    assert!(
        !whole.contains("0\r\n\r\n") && !whole.to_lowercase().contains("x-sum"),
        "{whole}"
    );
    assert_eq!(airside.raw().exchange(get("/next")).status, 200);
}

#[test]
fn a_request_whose_trailers_are_none_is_refused_before_its_server_has_all_of_it() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    let refused = airside
        .raw()
        .exchange(upload("/u").replace("X-Sum: 1", "X-Sum : 1"));
    assert_refused(&refused, 400, "bad_request");
    assert_eq!(origin.count(), 0);
}

#[test]
fn what_a_route_changes_or_codes_passes_as_no_trailer() {
    let (airside, origin) = edge::start(
        "  - { path: /t, upstream: origin, response_headers: { remove: [X-Sum] } }\n  - { path: /u, upstream: origin, request_headers: { set: { X-Sum: own } } }\n  - { path: /z, upstream: origin, compress: [gzip] }",
    );
    let long = "a".repeat(0x400);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = format!("{head}400\r\n{long}\r\n0\r\nX-Sum: 1\r\n\r\n");
    origin.on("/t", answer());
    origin.on("/z", Answer::Dribble(bytes.into_bytes(), Duration::ZERO));
    let mut raw = airside.raw();
    for path in ["/t", "/z"] {
        let asked = request(
            "GET",
            path,
            &[("TE", "trailers"), ("Accept-Encoding", "gzip")],
        );
        let answer = raw.exchange(asked);
        assert_eq!((answer.status, answer.trailers.len()), (200, 0), "{path}");
        assert_eq!(answer.head.header("trailer"), None, "{path}");
    }
    assert_eq!(raw.exchange(upload("/u")).status, 200);
    let seen = origin.last();
    assert_eq!(
        (seen.header("x-sum"), seen.trailers.len()),
        (Some("own"), 0)
    );
}

#[test]
fn a_request_that_is_sent_again_has_its_trailers_again() {
    let (bad, good) = (Origin::start(), Origin::start());
    bad.on("/u", Answer::Close);
    let top = "upstreams: { origin: { servers: [\"{bad}\", \"{good}\"], retry: { attempts: 2, on: [reset] } } }";
    let airside = with_top(top, "  - { path: /*, upstream: origin }")
        .set("bad", bad.address())
        .set("good", good.address())
        .start();
    // Which of both is asked first is left to chance.
    for round in 0..60 {
        let answer = airside.raw().exchange(upload("/u").replace("POST", "PUT"));
        assert_eq!(answer.status, 200);
        let seen = good.last();
        assert_eq!(
            (seen.body.as_slice(), &seen.trailers),
            (&b"abc"[..], &vec!["x-sum: 1".to_owned()])
        );
        if round > 3 && bad.count() > 0 {
            break;
        }
    }
    let tried: Vec<_> = bad
        .requests()
        .into_iter()
        .map(|seen| seen.trailers)
        .collect();
    let all = tried.iter().all(|trailers| trailers == &["x-sum: 1"]);
    assert!(all && !tried.is_empty(), "{tried:?}");
}

#[test]
fn trailers_pass_over_tls_on_both_sides() {
    use crate::support::tls::Authority;
    let authority = Authority::new("ca");
    let leaf = authority.sign(&["one.test", "127.0.0.1"]);
    let origin = Origin::start();
    origin.on("/t", answer());
    let secure = |keys: String| {
        let top = format!(
            r#"listeners: [{{ address: "{{gateway}}", tls: {{ certificates: [{{ cert: one.pem, key: one.key }}] }} }}]
upstreams: {{ origin: {{ {keys} }} }}"#
        );
        let set_up =
            with_top(&top, "  - { path: /*, upstream: origin }").file("ca.pem", authority.pem());
        leaf.write(set_up.folder(), "one");
        set_up.start()
    };
    let inner = secure(format!("servers: [\"{}\"]", origin.address()));
    let tls = "tls: { server_name: one.test, ca: ca.pem }";
    let outer = secure(format!("servers: [\"{}\"], {tls}", inner.address()));
    let mut client = authority
        .hello("one.test")
        .connect(outer.address())
        .unwrap();
    for _ in 0..5 {
        let asked = request("GET", "/t", &[("TE", "trailers")]).replace("edge.test", "one.test");
        assert_eq!(client.exchange(asked).trailers, ["x-sum: 1"]);
        let up = upload("/u").replace("edge.test", "one.test");
        assert_eq!(client.exchange(up).status, 200);
        assert_eq!(origin.last().trailers, ["x-sum: 1"]);
    }
}

#[test]
fn curl_shows_an_answer_s_trailers() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    origin.on("/t", answer());
    let ask = |more: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-D", "-", &airside.url("/t")]).args(more);
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    };
    let said = ask(&["-H", "TE: trailers"]);
    assert!(
        said.contains("abc") && said.contains("x-sum: 1\r\n"),
        "{said}"
    );
    assert!(!said.to_lowercase().contains("set-cookie"), "{said}");
    assert!(!ask(&[]).contains("x-sum"));
}

/// A server and a client in one: what each got of the other, as JSON.
const NODE: &str = r#"
const http = require("http");
const [at, gateway] = process.argv.slice(1);
const body = (from, then) => { let all = ""; from.on("data", (piece) => (all += piece)); from.on("end", () => then(all)); };
const server = http.createServer((request, response) => body(request, (got) => {
  response.writeHead(200, { Trailer: "X-Sum" });
  response.write(JSON.stringify({ got, trailers: request.trailers, announced: request.headers.trailer }));
  response.addTrailers({ "X-Sum": "down", "Set-Cookie": "a=b" });
  response.end();
}));
server.listen(Number(at), "127.0.0.1", () => {
  const [host, port] = gateway.split(":");
  const headers = { TE: "trailers", Trailer: "X-Up", "Transfer-Encoding": "chunked" };
  const request = http.request({ host, port, method: "POST", path: "/", headers }, (response) => body(response, (got) => {
    console.log(JSON.stringify({ server: JSON.parse(got), trailers: response.trailers, announced: response.headers.trailer }));
    process.exit();
  }));
  request.write("abc");
  request.addTrailers({ "X-Up": "up", "X-Auth-User": "root" });
  request.end();
});
"#;

#[test]
fn nodes_server_and_nodes_client_get_each_others_trailers() {
    let upstream = port::free();
    let routes = "  - { path: /*, upstream: origin }";
    let airside = edge::gateway(routes).set("origin", upstream).start();
    let gateway = airside.address().to_string();
    let node = Command::new("node")
        .args(["-e", NODE, &upstream.port().to_string(), &gateway])
        .output();
    let output = node.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let seen: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    let expected = serde_json::json!({
        "server": { "got": "abc", "trailers": { "x-up": "up" }, "announced": "x-up" },
        "trailers": { "x-sum": "down" },
        "announced": "x-sum",
    });
    assert_eq!(seen, expected);
}
