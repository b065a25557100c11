//! Servers die, stall and come back while requests go on: clients see nothing of it.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{start, states, view};
use crate::support::edge::{self, get, request};
use crate::support::origin::{Answer, Origin};
use crate::support::server::Airside;
use crate::support::wait::{wait_for, wait_until};

const KEYS: &str = "\
    health: { path: /healthz, every: 300ms, timeout: 300ms, unhealthy_after: 3, healthy_after: 2 }, \
    ejection: { failures: 2, for: 2s, max_ejected: 50% }, \
    timeouts: { connect: 1s, first_byte: 1s }, \
    retry: { attempts: 3, on: [connect, reset, 502, 503, 504], budget: 100% }";

/// Four clients that ask without a pause until `work` is done. Brings how many answers there were; each must be 200.
fn under_load(airside: &Airside, work: impl FnOnce(&AtomicUsize)) -> usize {
    let (done, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for worker in 0..4 {
            let (done, answers) = (&done, &answers);
            scope.spawn(move || {
                let mut raw = airside.raw();
                while !done.load(Ordering::SeqCst) {
                    let method = if worker == 0 { "DELETE" } else { "GET" };
                    let answer = raw.exchange(request(method, "/a", &[]));
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answers.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        // It must end also where the work fails.
        let _done = Done(&done);
        work(&answers);
    });
    answers.into_inner()
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn wait_for_more(answers: &AtomicUsize, more: usize) {
    let goal = answers.load(Ordering::SeqCst) + more;
    wait_for("answers", || answers.load(Ordering::SeqCst) >= goal);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_servers_is_killed_and_comes_back_and_no_request_fails() {
    let (one, two, victim) = (Origin::start(), Origin::start(), Origin::start());
    let address = victim.address();
    let airside = start(&[&one, &two, &victim], KEYS);
    let mut back = None;
    let answers = under_load(&airside, |answers| {
        wait_for_more(answers, 200);
        assert!(victim.count() > 0);
        drop(victim);
        wait_for_more(answers, 400);
        let revived = Origin::start_at(address);
        let asked = |origin: &Origin| {
            let requests = origin.requests();
            requests.iter().any(|request| request.target == "/a")
        };
        wait_for("requests at the revived server", || asked(&revived));
        wait_for_more(answers, 100);
        back = Some(revived);
    });
    assert!(answers >= 700, "{answers}");
    wait_until("all are in", async || {
        let states = states(&airside).await;
        states
            .iter()
            .all(|state| ["in", "warming"].contains(&&**state))
    })
    .await;
    assert!(back.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_servers_stops_answering_and_no_request_fails() {
    let (one, two, victim) = (Origin::start(), Origin::start(), Origin::start());
    let airside = start(&[&one, &two, &victim], KEYS);
    under_load(&airside, |answers| {
        wait_for_more(answers, 100);
        for path in ["/a", "/healthz"] {
            victim.on(path, Answer::Stall(Vec::new()));
        }
        wait_for_more(answers, 300);
    });
    wait_until("it is out", async || {
        states(&airside).await[2] == "unhealthy"
    })
    .await;
    assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    let took = airside
        .access_log()
        .iter()
        .map(|line| line["duration_us"].as_u64().unwrap())
        .max();
    assert!(
        took < Some(Duration::from_secs(10).as_micros() as u64),
        "{took:?}"
    );
}

/// A server in a process of its own, which can be killed.
fn process() -> Airside {
    Airside::start(
        "listeners: [{ address: \"{gateway}\" }]\nadmin: { listen: \"{admin}\" }\nroutes:\n  - { path: /*, respond: { body: well }, auth: public }",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn wrk_sees_no_error_while_one_of_three_processes_is_killed_and_started_again() {
    let (one, two, victim) = (process(), process(), process());
    let keys = "health: { path: /healthz, every: 2s, timeout: 2s }, \
        ejection: { failures: 2, for: 2s, max_ejected: 50% }, \
        timeouts: { connect: 5s, first_byte: 5s }, \
        retry: { attempts: 3, on: [connect, reset, 502, 503, 504], budget: 20% }";
    let servers = [&one, &two, &victim].map(|server| format!("\"{}\"", server.address()));
    let top = format!(
        "upstreams:\n  origin: {{ servers: [{}], {keys} }}",
        servers.join(", ")
    );
    let airside = edge::with_top(&top, super::ROUTE).start();
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", "1", "--connections", "32", "--duration", "90s"]);
    wrk.args(["--latency", &airside.url("/a")]);
    let wrk = wrk.stdout(Stdio::piped()).spawn().expect("wrk runs");
    let answered = async |server: usize| {
        let view = view(&airside).await;
        view["servers"][server]["requests"].as_u64().unwrap()
    };
    wait_until("requests at the victim", async || answered(2).await > 300).await;
    let before = answered(0).await;
    // SIGKILL: whatever was on its way is lost.
    let address = victim.address();
    let victim = tokio::task::spawn_blocking(|| victim.restart())
        .await
        .unwrap();
    assert_eq!(victim.address(), address);
    wait_until("others", async || answered(0).await > before + 300).await;
    // It stops before its time, and tells what it has seen.
    kill(Pid::from_raw(wrk.id() as i32), Signal::SIGINT).unwrap();
    let output = tokio::task::spawn_blocking(|| wrk.wait_with_output().unwrap()).await;
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(said.contains("requests in "), "{said}");
    assert!(
        !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "{said}"
    );
    let failures = &view(&airside).await["servers"][2]["failures"];
    assert_ne!(failures, 0, "the kill was felt, and by no client");
}
