//! HTTP/2 from clients, over TLS and without.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response, Version};
use tokio::net::TcpStream;

use crate::support::edge::{get, with_top};
use crate::support::http::json;
use crate::support::origin::Origin;
use crate::support::people::Api;
use crate::support::server::Airside;
use crate::support::tls::{Authority, install_crypto};
use crate::support::wait::PATIENCE;

const ROUTES: &str = "  - { path: /*, upstream: origin, max_body: 100KiB }";
const H2C: &str = r#"listeners: [{ address: "{gateway}", protocols: [http1, http2] }]"#;

fn start() -> (Airside, Origin) {
    let origin = Origin::start();
    (with_top(H2C, ROUTES).origin(&origin).start(), origin)
}

fn client() -> reqwest::Client {
    install_crypto();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    client.http2_prior_knowledge().build().unwrap()
}

async fn connect(airside: &Airside) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(airside.address()).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    send.ready().await.unwrap()
}

fn asked(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://edge.test{path}"))
}

async fn body(response: Response<h2::RecvStream>) -> Vec<u8> {
    let (mut stream, mut whole) = (response.into_body(), Vec::new());
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.unwrap();
        stream.flow_control().release_capacity(chunk.len()).unwrap();
        whole.extend_from_slice(&chunk);
    }
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_chooses_between_both() {
    install_crypto();
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    for (protocols, alpn, expected) in [
        ("[http1, http2]", &["h2", "http/1.1"][..], Some("h2")),
        ("[http1, http2]", &["http/1.1"], Some("http/1.1")),
        ("[http1, http2]", &[], None),
        ("[http1]", &["h2", "http/1.1"], Some("http/1.1")),
        ("[http2]", &["h2", "http/1.1"], Some("h2")),
    ] {
        let top = format!(
            r#"listeners: [{{ address: "{{gateway}}", tls: {{ certificates: [{{ cert: one.pem, key: one.key }}] }}, protocols: {protocols} }}]"#
        );
        let set_up = with_top(&top, ROUTES).origin(&origin);
        authority.sign(&["one.test"]).write(set_up.folder(), "one");
        let airside = set_up.start();
        let mut hello = authority.hello("one.test");
        hello.alpn = alpn;
        let secure = hello.connect(airside.address()).unwrap();
        let chosen = secure.connection().alpn_protocol();
        assert_eq!(chosen, expected.map(str::as_bytes), "{protocols} {alpn:?}");
        if expected == Some("h2") {
            let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
            let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]);
            let client = client
                .resolve("one.test", airside.address())
                .build()
                .unwrap();
            let url = format!("https://one.test:{}/a", airside.address().port());
            let response = client.get(url).send().await.unwrap();
            assert_eq!(
                (response.version(), response.status().as_u16()),
                (Version::HTTP_2, 200)
            );
            let seen = origin.last();
            assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
            assert_eq!(seen.header("via"), Some("2 airside"));
            let host = format!("one.test:{}", airside.address().port());
            assert_eq!(seen.header("host"), Some(host.as_str()));
            let logged = airside.wait_for_access_log(1);
            assert_eq!(logged[0]["protocol"], "HTTP/2");
        }
    }
}

#[test]
fn both_are_spoken_on_one_listener_without_tls_and_a_short_request_is_answered() {
    let (airside, origin) = start();
    // 18 bytes: fewer than the preface of HTTP/2 that is looked for.
    let mut old = airside.raw();
    old.set_patience(Duration::from_secs(3));
    assert_eq!(old.exchange("GET / HTTP/1.0\r\n\r\n").status, 400);
    let mut slow = airside.raw();
    for byte in get("/slow").bytes() {
        slow.send([byte]);
    }
    assert_eq!(slow.read().status, 200);
    assert_eq!(origin.last().target, "/slow");
    // It begins like the preface and is none.
    let mut similar = airside.raw();
    similar.send("PRI * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        similar
            .try_read("PRI")
            .is_ok_and(|answer| answer.status >= 400)
    );
    for flags in [
        &["--http2-prior-knowledge"][..],
        &["--http1.1"],
        &["--http1.0"],
    ] {
        let url = airside.url("/curl");
        let out = Command::new("curl")
            .args(["-sS", "--max-time", "10"])
            .args(flags)
            .arg(url)
            .output();
        assert!(
            String::from_utf8_lossy(&out.unwrap().stdout).contains("/curl"),
            "{flags:?}"
        );
    }
}

#[test]
fn who_begins_and_does_not_go_on_is_let_go() {
    let (airside, _origin) = start();
    for beginning in ["", "PRI * HT"] {
        let mut raw = airside.raw();
        raw.set_patience(Duration::from_secs(15));
        raw.send(beginning);
        assert!(raw.closes(), "{beginning:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_speaks_http2_only_where_it_says_so() {
    let origin = Origin::start();
    let airside = crate::support::edge::gateway(ROUTES)
        .origin(&origin)
        .start();
    assert!(client().get(airside.url("/a")).send().await.is_err());
    let top = r#"listeners: [{ address: "{gateway}", protocols: [http2] }]"#;
    let airside = with_top(top, ROUTES).origin(&origin).start();
    assert_eq!(
        client()
            .get(airside.url("/a"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let mut raw = airside.raw();
    raw.send(get("/a"));
    assert!(raw.closes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_ends_in_an_empty_frame_leaves_the_upstreams_connection_sound() {
    let (airside, origin) = start();
    let mut send = connect(&airside).await;
    for round in 0..20 {
        let request = asked("POST", "/up").body(()).unwrap();
        let (response, mut stream) = send.send_request(request, false).unwrap();
        stream
            .send_data(Bytes::from_static(b"hello"), false)
            .unwrap();
        stream.send_data(Bytes::new(), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200, "{round}");
        assert!(
            String::from_utf8(body(response).await)
                .unwrap()
                .contains("hello")
        );
        let request = asked("GET", "/down").body(()).unwrap();
        let (response, _) = send.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200, "{round}");
    }
    assert_eq!(origin.count(), 40);
    // A broken one would be dropped in each round; a whole one may not be back yet when the next request comes.
    assert!(origin.connections() < 10, "{}", origin.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_in_pieces_reach_an_upstream_of_http1_in_one() {
    let (airside, origin) = start();
    let mut send = connect(&airside).await;
    let request = asked("GET", "/a")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("cookie", "c=3");
    let (response, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    let seen = origin.last();
    assert_eq!(
        seen.head.all("cookie").collect::<Vec<_>>(),
        ["a=1; b=2; c=3"]
    );
    assert_eq!(seen.header("host"), Some("edge.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_share_a_connection_at_once_from_the_first_on() {
    let (airside, origin) = start();
    let send = connect(&airside).await;
    let each = (0..100).map(|index| {
        let mut send = send.clone();
        async move {
            send = send.ready().await.unwrap();
            let request = asked("GET", &format!("/{index}")).body(()).unwrap();
            let (response, _) = send.send_request(request, true).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            String::from_utf8(body(response).await).unwrap()
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    each.for_each(|one| drop(tasks.spawn(one)));
    assert_eq!(tasks.join_all().await.len(), 100);
    assert_eq!(origin.count(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_http1_is_refused_for_http2_is_too() {
    let (airside, origin) = start();
    let mut send = connect(&airside).await;
    let large = "x".repeat(40 << 10);
    let cases = [
        (asked("GET", "/a%2fb"), 400),
        (asked("GET", "/a%00"), 400),
        (asked("TRACE", "/a"), 405),
        (asked("PURGE", "/a"), 501),
        (asked("GET", &format!("/{}", "a".repeat(9_000))), 414),
        (asked("GET", "/a").header("x-large", large), 431),
        (
            asked("GET", "/a")
                .header("authorization", "a")
                .header("authorization", "b"),
            400,
        ),
        (asked("GET", "/a").header("expect", "miracles"), 417),
    ];
    for (request, status) in cases {
        let (response, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
        assert_eq!(response.await.unwrap().status(), status);
        send = send.ready().await.unwrap();
    }
    // By length at once, and without one by counting.
    for length in [Some("200000"), None] {
        let mut request = asked("POST", "/a");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let (response, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
        let _ = stream.send_data(Bytes::from(vec![b'x'; 200_000]), true);
        let response = response.await.unwrap();
        assert_eq!(response.status(), 413, "{length:?}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        send = send.ready().await.unwrap();
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.body.len() < 200_000)
    );
}

const IDENTITY: &str = r#"identity:
  listen: "{identity}"
  store: "sqlite:airside.db"
  keys: keys
  issuer: https://api.example.com
  audience: api
  password: { bcrypt_cost: 10 }
  signup: { enabled: true, roles: [customer] }
  roles: [admin, customer]"#;
const GUARDED: &str = r#"  - { path: /auth/*, upstream: identity, auth: public }
  - { path: /open/*, upstream: origin, limits: [{ rate: 2/1h }], auth: public, rewrite: "/deep/{rest}" }
  - { path: /own/*, upstream: origin, auth: required }
  - { path: /admin/*, upstream: origin, auth: { roles: [admin] } }"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_holds_over_http2() {
    let origin = Origin::start();
    let airside = with_top(&format!("{H2C}\n{IDENTITY}"), GUARDED)
        .origin(&origin)
        .start();
    let client = client();
    let fetch = |path: &str, token: Option<&str>| {
        let request = client
            .get(airside.url(path))
            .header("X-Auth-User", "root")
            .header("x_auth_user", "root");
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    };
    let (id, token) = Api::at(airside.url("")).join("ann@example.com").await;
    assert_eq!(
        json(fetch("/own/a", None).send().await.unwrap(), 401).await["code"],
        "unauthenticated"
    );
    assert_eq!(
        json(fetch("/admin/a", Some(&token)).send().await.unwrap(), 403).await["code"],
        "forbidden"
    );
    let seen = json(
        fetch("/own/../own/%61", Some(&token)).send().await.unwrap(),
        200,
    )
    .await;
    assert_eq!(seen["target"], "/own/a");
    assert_eq!(seen["headers"]["x-auth-user"], id.as_str());
    assert_eq!(seen["headers"].get("x_auth_user"), None);
    for _ in 0..2 {
        let response = fetch("/open/a", None).send().await.unwrap();
        assert!(response.headers().contains_key("ratelimit"));
        assert_eq!(json(response, 200).await["target"], "/deep/a");
    }
    let refused = fetch("/open/a", None).send().await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(json(refused, 429).await["code"], "rate_limited");
}
