//! gRPC through the gateway, with a client and a service of a library that knows nothing of it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Request, Status};

use crate::support::edge::{assert_refused, request, with_top};
use crate::support::grpc::{Plain, Service, client, path};
use crate::support::people::Api;
use crate::support::server::Airside;
use crate::support::wait::{PATIENCE, wait_for};

const ROUTES: &str = r#"  - { path: /t.Echo/*, upstream: service }
  - { path: /auth/*, upstream: identity }
  - { path: /t.Own/Unary, upstream: service, rewrite: /t.Echo/Unary, auth: required }
  - { path: /t.Admin/Unary, upstream: service, auth: { roles: [admin] } }
  - { path: /t.Few/Unary, upstream: service, rewrite: /t.Echo/Unary, limits: [{ rate: 1/1h }] }
  - { path: /t.Small/Unary, upstream: service, rewrite: /t.Echo/Unary, max_body: 1KiB }
  - { path: /t.Away/Unary, upstream: away }"#;

fn start(service: &Service) -> Airside {
    let top = r#"listeners: [{ address: "{gateway}", protocols: [http1, http2] }]
identity: { listen: "{identity}", store: "sqlite:airside.db", keys: keys, issuer: https://a.test, audience: a, password: { bcrypt_cost: 10 }, signup: { enabled: true, roles: [customer] }, roles: [admin, customer] }
upstreams:
  service: { servers: ["{service}"], protocol: grpc }
  away: { servers: ["{away}"], protocol: grpc }"#;
    let set_up = with_top(top, ROUTES).set("service", service.address());
    set_up.set("away", crate::support::port::free()).start()
}

async fn ask(
    airside: &Airside,
    method: &str,
    request: Request<Vec<u8>>,
) -> Result<tonic::Response<Vec<u8>>, Status> {
    let mut client = client(airside.address()).await;
    client.ready().await.unwrap();
    let call = client.unary(request, method.parse().unwrap(), Plain);
    let answered = tokio::time::timeout(PATIENCE, call).await;
    answered.unwrap_or_else(|_| panic!("{method}: no answer"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_every_kind_passes() {
    let service = Service::start();
    let airside = start(&service);
    let mut client = client(airside.address()).await;
    for length in [0, 1, 1_000, 3_000_000] {
        client.ready().await.unwrap();
        let answer = client
            .unary(Request::new(vec![7; length]), path("Unary"), Plain)
            .await
            .unwrap();
        assert_eq!(answer.metadata().get("seen-for").unwrap(), "127.0.0.1");
        assert_eq!(answer.metadata().get("seen-te").unwrap(), "trailers");
        assert!(answer.into_inner() == vec![7; length]);
    }

    client.ready().await.unwrap();
    let answers = client
        .server_streaming(Request::new(vec![0; 100]), path("Count"), Plain)
        .await
        .unwrap();
    let all: Vec<_> = answers.into_inner().collect().await;
    assert_eq!(all.len(), 100);
    assert!(
        all.into_iter()
            .enumerate()
            .all(|(index, one)| one.unwrap() == vec![index as u8; 10])
    );

    let messages = tokio_stream::iter((0..100).map(|index| vec![index; 1_000]));
    client.ready().await.unwrap();
    let sum = client
        .client_streaming(Request::new(messages), path("Sum"), Plain)
        .await
        .unwrap();
    assert_eq!(sum.into_inner().len(), 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_to_and_fro_message_by_message() {
    let service = Service::start();
    let airside = start(&service);
    let mut client = client(airside.address()).await;
    client.ready().await.unwrap();
    let (send, messages) = mpsc::unbounded_channel();
    let messages = UnboundedReceiverStream::new(messages);
    send.send(b"first".to_vec()).unwrap();
    let answers = client
        .streaming(Request::new(messages), path("Both"), Plain)
        .await
        .unwrap();
    let mut answers = answers.into_inner();
    assert_eq!(answers.next().await.unwrap().unwrap(), b"first");
    for round in 0..50u8 {
        send.send(vec![round; 100]).unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap(), vec![round; 100]);
    }
    send.send(b"fail".to_vec()).unwrap();
    let status = answers.next().await.unwrap().unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::OutOfRange, "asked for")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_services_status_arrives_with_its_message_details_and_metadata() {
    let service = Service::start();
    let airside = start(&service);
    let status = ask(&airside, "/t.Echo/Fail", Request::new(vec![1]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert_eq!(status.message(), "not so: 100% \u{e9}");
    assert_eq!(status.details(), b"\x01\x02");
    assert_eq!(status.metadata().get("x-why").unwrap(), "because");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_told_to_the_service_and_ends_the_call() {
    let service = Service::start();
    let airside = start(&service);
    let mut timed = Request::new(vec![1]);
    timed.set_timeout(Duration::from_secs(20));
    let answer = ask(&airside, "/t.Echo/Unary", timed).await.unwrap();
    assert!(answer.metadata().contains_key("seen-timeout"));
    let mut short = Request::new(vec![1]);
    short.set_timeout(Duration::from_millis(300));
    let status = ask(&airside, "/t.Echo/Never", short).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    wait_for("the service's call to end", || service.cancelled() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_our_own_is_a_status_of_grpc() {
    let service = Service::start();
    let airside = start(&service);
    let (id, token) = Api::at(airside.url("")).join("ann@example.com").await;
    let with = |token: &str| {
        let mut request = Request::new(vec![1; 10]);
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    };
    let answer = ask(&airside, "/t.Own/Unary", with(&token)).await.unwrap();
    assert_eq!(answer.metadata().get("seen-user").unwrap(), id.as_str());
    assert!(
        ask(&airside, "/t.Few/Unary", Request::new(vec![1]))
            .await
            .is_ok()
    );
    let large = Request::new(vec![1; 2_000]);
    for (method, request, code) in [
        ("/t.Own/Unary", Request::new(vec![1]), Code::Unauthenticated),
        ("/t.Own/Unary", with("nonsense"), Code::Unauthenticated),
        ("/t.Admin/Unary", with(&token), Code::PermissionDenied),
        (
            "/t.Few/Unary",
            Request::new(vec![1]),
            Code::ResourceExhausted,
        ),
        ("/t.Small/Unary", large, Code::ResourceExhausted),
        ("/t.None/Unary", Request::new(vec![1]), Code::Unimplemented),
        ("/t.Away/Unary", Request::new(vec![1]), Code::Unavailable),
    ] {
        let status = ask(&airside, method, request).await.unwrap_err();
        assert_eq!(status.code(), code, "{method}: {status:?}");
        assert_ne!(status.message(), "", "{method}");
        assert_eq!(
            status.metadata().get("content-type").unwrap(),
            "application/grpc"
        );
    }
    // Anyone else is told in HTTP.
    let plain = request(
        "POST",
        "/t.Own/Unary",
        &[("Content-Type", "application/grpc")],
    );
    assert_refused(&airside.raw().exchange(plain), 401, "unauthenticated");
}
