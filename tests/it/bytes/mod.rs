//! Requests as bytes, in tables that can be read beside the RFCs: what is sent, what is answered, and whether a whole
//! request reached the upstream.

mod connections;
mod fields;
mod frames;
mod framing;
mod h2spec;
pub mod http2;
mod lines;
mod targets;

use std::io::Read;
use std::time::Duration;

use crate::support::edge;
use crate::support::origin::Origin;
use crate::support::server::Airside;

/// One row.
pub struct Row {
    /// Where the rule stands; `own` is one of the gateway's.
    rule: &'static str,
    sends: &'static [u8],
    /// The first final answer; 0 where the connection is closed without one.
    status: u16,
    /// Whole requests that the upstream gets.
    reach: usize,
}

const fn row(rule: &'static str, sends: &'static str, status: u16, reach: usize) -> Row {
    raw(rule, sends.as_bytes(), status, reach)
}

const fn raw(rule: &'static str, sends: &'static [u8], status: u16, reach: usize) -> Row {
    Row {
        rule,
        sends,
        status,
        reach,
    }
}

/// A request with these header lines after `Host`.
macro_rules! get {
    ($($line:literal),*) => { concat!("GET /a HTTP/1.1\r\nHost: a\r\n", $($line, "\r\n",)* "\r\n") };
}
/// The same with a method and bytes after the head.
macro_rules! post {
    ($($line:literal),*; $body:literal) => {
        concat!("POST /a HTTP/1.1\r\nHost: a\r\n", $($line, "\r\n",)* "\r\n", $body)
    };
}
use {get, post};

const LIMITS: &str =
    "server: { limits: { header_timeout: 1s, body_timeout: 1s, idle_timeout: 2s } }";
const ROUTES: &str = "  - { path: /*, upstream: origin, max_body: 1KiB }";

fn start() -> (Airside, Origin) {
    let origin = Origin::start();
    let airside = edge::with_top(LIMITS, ROUTES).origin(&origin).start();
    (airside, origin)
}

/// Sends each row on a connection of its own, and tells all that are not as the table says.
#[track_caller]
fn check(rows: &[Row], least: usize) {
    let (airside, origin) = start();
    assert!(rows.len() >= least, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let before = origin.count();
        let (status, answer) = answer_to(&airside, row.sends);
        let reach = origin.count() - before;
        if (status, reach) != (row.status, row.reach) {
            wrong.push(format!(
                "{}: {}\n  is {status} and {reach} at the upstream, not {} and {}",
                row.rule,
                row.sends.escape_ascii(),
                row.status,
                row.reach
            ));
        } else if status >= 400 && !answer.contains("application/problem+json") {
            wrong.push(format!("{}: {answer}", row.rule));
        }
    }
    let usable = airside.raw().exchange(edge::get("/a"));
    assert_eq!(usable.status, 200, "another client is served");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let log = airside.stderr();
    assert!(!log.contains("Downstream"), "clients fill the log: {log}");
}

/// The first final status, and all that came.
fn answer_to(airside: &Airside, bytes: &[u8]) -> (u16, String) {
    let mut raw = airside.raw();
    raw.set_patience(Duration::from_secs(6));
    // The other side may have closed before all of it is sent.
    let _ = raw.try_send(bytes);
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = raw.reader().read(&mut buffer) {
        all.extend_from_slice(&buffer[..read]);
        if let Some(status) = status_in(&all) {
            return (status, String::from_utf8_lossy(&all).into_owned());
        }
    }
    let status = status_in(&all).unwrap_or_default();
    (status, String::from_utf8_lossy(&all).into_owned())
}

/// The status of the first head that is whole and final.
fn status_in(bytes: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(bytes);
    let heads = text.split_inclusive("\r\n\r\n");
    let whole = heads.filter(|head| head.starts_with("HTTP/1.1 ") && head.ends_with("\r\n\r\n"));
    let status = |head: &str| head.get(9..12).and_then(|code| code.parse().ok());
    whole.filter_map(status).find(|status| *status >= 200)
}
