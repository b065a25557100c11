//! Probes that ask gRPC's own health service, of a server whose health service is not of our making.

use super::states;
use crate::support::edge;
use crate::support::secure::Manner;
use crate::support::server::Airside;
use crate::support::tls::Authority;
use crate::support::wait::{wait_for, wait_until};
use crate::support::wellness::{Mood, Wellness};

const EVERY: &str = "every: 300ms, timeout: 300ms, unhealthy_after: 2, healthy_after: 1";

/// A gateway before one server; `keys` are the upstream's, `ca.pem` lies beside its configuration.
fn start(server: &Wellness, keys: &str, authority: &Authority) -> Airside {
    let top = format!(
        "upstreams:\n  origin: {{ servers: [\"{}\"], {keys} }}",
        server.address()
    );
    let set_up = edge::with_top(&top, super::ROUTE);
    set_up.file("ca.pem", authority.pem()).start()
}

async fn wait_for_state(airside: &Airside, expected: &str) {
    wait_until(expected, async || {
        let states = states(airside).await;
        // A server that came back is in, whether or not it has its whole weight.
        states == [expected] || (expected == "in" && states == ["warming"])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_server_is_out_while_its_health_service_does_not_say_that_it_serves() {
    for protocol in ["grpc", "http2"] {
        let server = Wellness::start(&Manner::default());
        let keys = format!("protocol: {protocol}, health: {{ grpc: true, {EVERY} }}");
        let airside = start(&server, &keys, &Authority::new("ours"));
        wait_for("probes", || server.deadlines().len() > 2);
        assert_eq!(server.deadlines()[0], "300m", "it is told its time");
        assert!(!airside.stderr().contains("unhealthy"), "{protocol}");
        wait_for("the end of their connections", || server.open() <= 1);
        server.say("", false).await;
        wait_for_state(&airside, "unhealthy").await;
        wait_for("the reason", || {
            airside.stderr().contains("it says NOT_SERVING of itself")
        });
        server.say("", true).await;
        wait_for_state(&airside, "in").await;
        for (mood, why) in [
            (Mood::Silent, "no answer in time"),
            (Mood::Absent, "it has no health service"),
            (Mood::Web, "its health service answered 404"),
            (Mood::Short, "its health service broke its answer off"),
        ] {
            server.set(mood);
            wait_for_state(&airside, "unhealthy").await;
            wait_for(why, || airside.stderr().contains(why));
            server.set(Mood::Willing);
            wait_for_state(&airside, "in").await;
        }
        drop(server);
        wait_for("the reason", || {
            airside
                .stderr()
                .contains("its health service did not answer")
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_asked_about_by_its_own_name() {
    let server = Wellness::start(&Manner::default());
    let keys = format!("protocol: grpc, health: {{ grpc: true, service: a.v1.Flights, {EVERY} }}");
    let airside = start(&server, &keys, &Authority::new("ours"));
    wait_for_state(&airside, "unhealthy").await;
    wait_for("the reason", || {
        airside.stderr().contains("does not know `a.v1.Flights`")
    });
    server.say("a.v1.Flights", true).await;
    wait_for_state(&airside, "in").await;
    // What becomes of the server's other services is not asked.
    server.say("", false).await;
    server.say("a.v1.Bookings", false).await;
    let asked = server.deadlines().len();
    wait_for("more probes", || server.deadlines().len() > asked + 3);
    wait_for_state(&airside, "in").await;
    server.say("a.v1.Flights", false).await;
    wait_for_state(&airside, "unhealthy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_servers_certificate_is_verified_and_http2_is_a_must() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let leaf = ours.sign(&["grpc.test"]);
    let keys = format!(
        "protocol: grpc, tls: {{ server_name: grpc.test, ca: ca.pem }}, health: {{ grpc: true, {EVERY} }}"
    );
    let speaks = |alpn| {
        Wellness::start(&Manner {
            leaf: Some(&leaf),
            alpn,
            clients: None,
        })
    };
    let server = speaks(&["h2"]);
    let airside = start(&server, &keys, &ours);
    wait_for("probes", || server.deadlines().len() > 3);
    assert!(!airside.stderr().contains("unhealthy"));
    server.say("", false).await;
    wait_for_state(&airside, "unhealthy").await;

    let airside = start(&server, &keys, &theirs);
    wait_for_state(&airside, "unhealthy").await;
    let told = || airside.stderr().contains("invalid peer certificate");
    wait_for("the reason", told);

    let server = speaks(&["http/1.1"]);
    let airside = start(&server, &keys, &ours);
    wait_for_state(&airside, "unhealthy").await;
    assert!(server.deadlines().is_empty());
}
