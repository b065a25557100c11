//! A request that panics, before and behind its answer; and connections that are watched, on paused time.

use std::time::Duration;

use pingora::apps::ReusedHttpStream;
use pingora::protocols::http::ServerSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::base::clock::Clock;
use crate::base::report::Report;
use crate::base::secret::Process;
use crate::plan::Shared;
use crate::proxy::{Line, Phase, Traffic};
use crate::telemetry::access::AccessLog;

/// An application that panics, as a bug in one of ours would.
struct Panics {
    traffic: Traffic,
    after: &'static [u8],
}

#[async_trait]
impl HttpServerApp for Panics {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let _in_flight = self.traffic.enter();
        session.read_request().await.ok()?;
        if session.req_header().uri.path() == "/well" {
            let head = pingora::http::ResponseHeader::build(204, None).ok()?;
            session.write_response_header(Box::new(head)).await.ok()?;
            session.finish().await.ok()?;
            return None;
        }
        let line = session.take_connection_user_context();
        if let Some(line) = line.and_then(|line| line.downcast::<Arc<Line>>().ok()) {
            line.set(Phase::Answering);
        }
        if !self.after.is_empty() {
            let mut head = pingora::http::ResponseHeader::build(200, None).ok()?;
            head.insert_header("content-length", "9").ok()?;
            session.write_response_header(Box::new(head)).await.ok()?;
            session
                .write_response_body(self.after.into(), false)
                .await
                .ok()?;
        }
        panic!("a bug in a request (the test's own)");
    }
}

fn http(after: &'static [u8]) -> Arc<Http<Panics>> {
    let text = "listeners: [{ address: \"127.0.0.1:1\" }]\n\
        telemetry: { access_log: { to: off } }\n\
        routes: [{ path: /, respond: { body: a }, auth: public }]\n";
    let files = Process::new(std::path::Path::new("."));
    let config = crate::config::parse(text, &files).0.unwrap();
    let mut report = Report::default();
    let plan = crate::plan::compile(&config, &Shared::offline(&config), None, &mut report).unwrap();
    let plan = Arc::new(ArcSwap::from_pointee(plan));
    let clock = Clock::at(0);
    let log = AccessLog::start(&config.telemetry.access_log, std::path::Path::new(".")).unwrap();
    Arc::new(Http {
        proxy: Arc::new(Panics {
            traffic: Traffic::default(),
            after,
        }),
        crowd: Arc::new(Crowd::new(plan.clone(), 9, clock.clone())),
        ledger: Ledger::new(plan.clone(), Arc::new(log), clock),
        plan,
    })
}

async fn answer(http: &Arc<Http<Panics>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let stream: Plain = listener.accept().await.unwrap().0.into();
    let (_running, shutdown) = tokio::sync::watch::channel(false);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    http.http1(Box::new(stream), net::UNKNOWN, Instant::now(), &shutdown)
        .await;
    let mut answer = String::new();
    let read = client.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(9), read)
        .await
        .unwrap()
        .unwrap();
    answer
}

#[tokio::test]
async fn a_panic_is_a_500_and_is_counted_and_nothing_stays_in_flight() {
    let http = http(b"");
    for round in 1..=3 {
        let answer = answer(&http).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.contains("\"code\":\"internal\""), "{answer}");
        assert!(!answer.contains("bug"), "{answer}");
        assert_eq!(http.crowd.panics.value(), round);
        assert_eq!(http.proxy.traffic.in_flight(), 0);
    }
    let mut page = crate::telemetry::metrics::Page::default();
    crate::telemetry::metrics::write_routes(&mut page, http.plan.load().meters());
    let page = String::from_utf8(page.into_text()).unwrap();
    let line = "airside_requests_total{route=\"\",status=\"500\"} 3";
    assert!(page.contains(line), "{page}");
}

#[tokio::test]
async fn a_panic_within_an_answer_cuts_it_off_and_adds_nothing() {
    let http = http(b"half");
    let answer = answer(&http).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("half"), "{answer}");
    assert_eq!(http.crowd.panics.value(), 1);
    assert_eq!(http.proxy.traffic.in_flight(), 0);
}

/// A client's connection of HTTP/2, driven beside the test, and the gateway's end of it.
async fn http2(
    http: &Arc<Http<Panics>>,
) -> (
    h2::client::SendRequest<bytes::Bytes>,
    tokio::task::JoinHandle<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let stream: Plain = listener.accept().await.unwrap().0.into();
    let (http, (running, shutdown)) = (http.clone(), tokio::sync::watch::channel(false));
    let served = tokio::spawn(async move {
        let _running = running;
        http.http2(Box::new(stream), net::UNKNOWN, &shutdown).await;
    });
    let (sender, connection) = h2::client::handshake(client).await.unwrap();
    tokio::spawn(async move {
        // How it ends, the streams tell.
        let _ = connection.await;
    });
    (sender, served)
}

async fn ask(
    sender: &h2::client::SendRequest<bytes::Bytes>,
    path: &str,
) -> Result<http::Response<h2::RecvStream>, h2::Error> {
    let uri = format!("http://a{path}");
    let request = http::Request::get(uri).body(()).unwrap();
    let mut sender = sender.clone().ready().await?;
    let answer = sender.send_request(request, true)?.0;
    tokio::time::timeout(Duration::from_secs(9), answer)
        .await
        .expect("it is answered or reset")
}

#[tokio::test]
async fn a_panic_in_a_stream_resets_it_alone_and_is_counted_and_nothing_stays_in_flight() {
    let http = http(b"");
    let (sender, served) = http2(&http).await;
    let (other, other_served) = http2(&http).await;
    for round in 1..=3 {
        let (broken, well, elsewhere) = tokio::join!(
            ask(&sender, "/broken"),
            ask(&sender, "/well"),
            ask(&other, "/well")
        );
        assert!(broken.is_err_and(|why| why.is_reset()), "its own stream");
        assert_eq!(well.unwrap().status(), 204, "beside it on the connection");
        assert_eq!(elsewhere.unwrap().status(), 204, "on another");
        assert_eq!(http.crowd.panics.value(), round);
    }
    assert_eq!(http.proxy.traffic.in_flight(), 0);
    let mut page = crate::telemetry::metrics::Page::default();
    crate::telemetry::metrics::write_routes(&mut page, http.plan.load().meters());
    let page = String::from_utf8(page.into_text()).unwrap();
    let line = "airside_requests_total{route=\"\",status=\"500\"} 3";
    assert!(page.contains(line), "{page}");
    drop((sender, other));
    // No stream is left open that would keep a connection.
    for served in [served, other_served] {
        let over = tokio::time::timeout(Duration::from_secs(9), served).await;
        over.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_panic_within_a_streams_answer_cuts_that_answer_off() {
    let http = http(b"half");
    let (sender, _served) = http2(&http).await;
    let answer = ask(&sender, "/broken").await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let mut told = Vec::new();
    let end = loop {
        match body.data().await {
            Some(Ok(piece)) => told.extend_from_slice(&piece),
            end => break end,
        }
    };
    assert!(b"half".starts_with(&told[..]), "{told:?}");
    assert!(end.is_some_and(|end| end.is_err_and(|why| why.is_reset())));
    assert_eq!(ask(&sender, "/well").await.unwrap().status(), 204);
    assert_eq!(http.crowd.panics.value(), 1);
    assert_eq!(http.proxy.traffic.in_flight(), 0);
}
