//! Servers that go out and come back: by probes, by failures in a row, by the breaker.

use std::time::Duration;

use super::{line, start, states, view};
use crate::support::edge::{assert_refused, get};
use crate::support::origin::{Answer, Origin, Reply};
use crate::support::server::Airside;
use crate::support::wait::{wait_for, wait_until};

async fn wait_for_states(airside: &Airside, expected: &[&str]) {
    wait_until(&format!("{expected:?}"), async || {
        let states = states(airside).await;
        let fits = |(state, expected): (&String, &&str)| {
            // A server that came back is in, whether or not it has its whole weight.
            state == expected || (*expected == "in" && state == "warming")
        };
        states.iter().zip(expected).all(fits)
    })
    .await;
}

fn counts(servers: &[&Origin], path: &str) -> Vec<usize> {
    let of = |origin: &&Origin| {
        let requests = origin.requests();
        requests
            .iter()
            .filter(|request| request.target == path)
            .count()
    };
    servers.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_probe_fails_gets_no_requests_until_it_is_well_again() {
    let servers = [Origin::start(), Origin::start()];
    let [good, bad] = servers.each_ref();
    let keys = "balance: round_robin, health: { path: /healthz, every: 300ms, timeout: 300ms, unhealthy_after: 2, healthy_after: 2 }";
    let airside = start(&[good, bad], keys);
    wait_for("probes", || bad.count() > 2);
    let probe = bad.last();
    assert_eq!(probe.head.line, "GET /healthz HTTP/1.1");
    assert_eq!(probe.header("host"), Some(&*bad.address().to_string()));
    assert_eq!(probe.header("user-agent"), Some("airside-probe"));
    for (answer, why) in [
        (Answer::from(Reply::new(503, "")), "answered 503"),
        (Reply::new(302, "").into(), "answered 302"),
        (Answer::Stall(Vec::new()), "no answer in time"),
        (
            Answer::Bytes(b"garbage\r\n\r\n".to_vec()),
            "was not answered",
        ),
    ] {
        bad.on("/healthz", answer);
        wait_for_states(&airside, &["in", "unhealthy"]).await;
        wait_for(why, || airside.stderr().contains(why));
        let before = counts(&[good, bad], "/a");
        for _ in 0..6 {
            assert_eq!(airside.raw().exchange(get("/a")).status, 200);
        }
        let after = counts(&[good, bad], "/a");
        assert_eq!([after[0] - before[0], after[1] - before[1]], [6, 0]);
        bad.on("/healthz", Reply::new(204, ""));
        wait_for_states(&airside, &["in", "in"]).await;
    }
    wait_for("requests at the server that is back", || {
        airside.raw().exchange(get("/back"));
        counts(&[bad], "/back") == [1]
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_server_is_unhealthy_the_answer_is_503_and_says_when_to_ask_again() {
    let origin = Origin::start();
    let address = origin.address();
    let keys =
        "health: { tcp: true, every: 100ms, timeout: 100ms, unhealthy_after: 1, healthy_after: 1 }";
    let airside = start(&[&origin], keys);
    drop(origin);
    wait_for_states(&airside, &["unhealthy"]).await;
    let mut raw = airside.raw();
    let answer = raw.exchange(get("/a"));
    assert_refused(&answer, 503, "no_healthy_upstream");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("connection"), "keep-alive");
    let line = line(&airside, 1);
    assert_eq!(line["reason"], "no_server");
    assert_eq!(
        (&line["attempts"], &line["server"]),
        (&0.into(), &().into())
    );
    let _origin = Origin::start_at(address);
    wait_for_states(&airside, &["in"]).await;
    assert_eq!(
        raw.exchange(get("/a")).status,
        200,
        "on the same connection"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_in_a_row_is_left_out_and_comes_back_by_itself() {
    let servers = [Origin::start(), Origin::start(), Origin::start()];
    let [one, two, bad] = servers.each_ref();
    bad.on("/a", Reply::new(502, "bad"));
    let keys = "balance: round_robin, ejection: { failures: 3, for: 700ms, max_ejected: 50% }";
    let airside = start(&[one, two, bad], keys);
    let mut failed = 0;
    for _ in 0..60 {
        failed += usize::from(airside.raw().exchange(get("/a")).status == 502);
        if states(&airside).await[2] == "ejected" {
            break;
        }
    }
    assert_eq!(failed, 3, "and then it was out");
    bad.on("/a", Reply::new(200, "good"));
    wait_for_states(&airside, &["in", "in", "in"]).await;
    wait_for("requests at the server that is back", || {
        assert_eq!(airside.raw().exchange(get("/back")).status, 200);
        counts(&[bad], "/back")[0] > 0
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_servers_fail_no_more_are_left_out_than_may_be() {
    let servers = [(); 4].map(|()| Origin::start());
    for server in &servers {
        server.on("/a", Reply::new(502, "bad"));
    }
    let keys = "balance: round_robin, ejection: { failures: 2, for: 60s, max_ejected: 50% }";
    let airside = start(&servers.each_ref(), keys);
    let mut raw = airside.raw();
    for _ in 0..40 {
        assert_eq!(
            raw.exchange(get("/a")).text(),
            "bad",
            "someone still answers"
        );
    }
    let out = states(&airside).await;
    let out = out.iter().filter(|state| *state == "ejected").count();
    assert_eq!(out, 2, "half of four");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_begins_with_few_requests() {
    let (good, back) = (Origin::start(), Origin::start());
    back.on("/bad", Reply::new(502, ""));
    good.on("/bad", Reply::new(200, ""));
    let keys = "balance: random, ejection: { failures: 1, for: 300ms, max_ejected: 50% }";
    let airside = start(&[&good, &back], keys);
    let mut raw = airside.raw();
    wait_for("an ejection", || {
        raw.exchange(get("/bad"));
        counts(&[&back], "/bad") == [1]
    });
    wait_until("its return", async || {
        states(&airside).await == ["in", "warming"]
    })
    .await;
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
    // From a tenth to the whole within ten seconds; on a busy machine some of them have gone by.
    let share = (begun.elapsed().as_secs_f64() / 10.0 + 0.2).min(1.0);
    let most = (200.0 * share / (1.0 + share)) as usize + 30;
    let got = counts(&[&back], "/a")[0];
    assert!(got <= most, "{got} of 200, and {most} would be many");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_answers_break_off_is_left_out_too() {
    let (good, bad) = (Origin::start(), Origin::start());
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    bad.on("/a", Answer::Bytes(half.to_vec()));
    let keys = "balance: round_robin, ejection: { failures: 2, for: 60s, max_ejected: 50% }";
    let airside = start(&[&good, &bad], keys);
    for _ in 0..4 {
        let mut raw = airside.raw();
        raw.send(get("/a"));
        let _ = raw.try_read("GET");
    }
    airside.wait_for_access_log(4);
    assert_eq!(states(&airside).await, ["in", "ejected"]);
    assert_eq!(bad.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_answers_between_failures_keep_a_server_in() {
    let (good, flaky) = (Origin::start(), Origin::start());
    flaky.on("/bad", Reply::new(502, ""));
    flaky.on("/empty", Reply::new(204, ""));
    good.on("/bad", Reply::new(200, ""));
    let keys = "balance: round_robin, ejection: { failures: 2, for: 60s, max_ejected: 50% }";
    let airside = start(&[&good, &flaky], keys);
    let mut raw = airside.raw();
    for target in ["/bad", "/fine", "/bad", "/empty", "/bad", "/fine"] {
        raw.exchange(get(target));
        raw.exchange(get(target));
    }
    assert_eq!(states(&airside).await, ["in", "in"]);
    assert_eq!(flaky.count(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_that_goes_away_is_no_failure_of_the_server() {
    let origin = Origin::start();
    let other = Origin::start();
    origin.on(
        "/slow",
        Reply::new(200, "").after(Duration::from_millis(50)),
    );
    other.on(
        "/slow",
        Reply::new(200, "").after(Duration::from_millis(50)),
    );
    let keys = "ejection: { failures: 1, for: 60s, max_ejected: 100% }";
    let airside = start(&[&origin, &other], keys);
    for _ in 0..10 {
        airside.raw().send(get("/slow"));
    }
    airside.wait_for_access_log(10);
    assert_eq!(states(&airside).await, ["in", "in"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_refuses_at_once_tries_one_and_closes_when_all_is_well() {
    let origin = Origin::start();
    origin.on("/a", Reply::new(503, "own"));
    let keys = "breaker: { failure_rate: 50%, min_requests: 5, open_for: 700ms }";
    let airside = start(&[&origin], keys);
    let mut raw = airside.raw();
    for _ in 0..5 {
        assert_eq!(raw.exchange(get("/a")).text(), "own");
    }
    assert_eq!(view(&airside).await["breaker"], "open");
    let answer = raw.exchange(get("/a"));
    assert_refused(&answer, 503, "no_healthy_upstream");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("connection"), "keep-alive");
    assert_eq!(origin.count(), 5, "it is left in peace");
    assert_eq!(line(&airside, 6)["reason"], "breaker_open");
    // The trial fails, and it is open again.
    wait_for("the trial", || {
        raw.exchange(get("/a"));
        origin.count() == 6
    });
    assert_eq!(view(&airside).await["breaker"], "open");
    origin.on("/a", Reply::new(200, "well"));
    wait_for("a success", || raw.exchange(get("/a")).status == 200);
    assert_eq!(view(&airside).await["breaker"], "probation");
    for _ in 0..4 {
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
    assert_eq!(view(&airside).await["breaker"], "closed");
}
