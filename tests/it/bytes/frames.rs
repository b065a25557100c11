//! Frames of HTTP/2, as RFC 9113 and RFC 7541 have them.

use super::http2::Outcome::{self, Alive, Closed, GoAway, Reset, Status};
use super::http2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Framed, GOAWAY, HEADERS, PING,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, start,
};

/// Frames after the preface and the client's settings; a ping follows. What comes of them first; whole requests
/// that reach the upstream.
pub struct Row(
    pub &'static str,
    pub &'static [Frame],
    pub Outcome,
    pub usize,
);

#[test]
fn frames_are_answered_as_the_rfc_has_them() {
    let (airside, origin) =
        start("server: { limits: { header_timeout: 2s, body_timeout: 1s, idle_timeout: 3s } }");
    assert!(ROWS.len() >= 40, "only {} rows", ROWS.len());
    let mut wrong = Vec::new();
    for Row(rule, frames, outcome, reach) in ROWS {
        let before = origin.count();
        let mut framed = Framed::connect(&airside);
        frames.iter().for_each(|frame| framed.send(frame));
        if *outcome == Alive {
            framed.ping();
        }
        let came = framed.outcome();
        let reached = origin.count() - before;
        if (came, reached) != (*outcome, *reach) {
            wrong.push(format!(
                "{rule}: {came:?}, {reached} at the upstream, not {outcome:?}, {reach}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        airside
            .raw()
            .exchange(crate::support::edge::get("/a"))
            .status,
        200
    );
    let log = airside.stderr();
    assert!(!log.contains("Downstream"), "clients fill the log: {log}");
}

/// `GET http /`, and with the authority `a`; `POST` the same.
pub const GET: &[u8] = b"\x82\x86\x84";
pub const GET_A: &[u8] = b"\x82\x86\x84\x41\x01a";
pub const POST_A: &[u8] = b"\x83\x86\x84\x41\x01a";
pub const ALL: u8 = END_STREAM | END_HEADERS;

/// Where the RFC has a code of its own for a connection that ends, the library under Pingora often says this one.
pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const FRAME_SIZE_ERROR: u32 = 6;
const ENHANCE_YOUR_CALM: u32 = 11;

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row("8.1 a request", &[frame(HEADERS, ALL, 1, GET_A)], Status(200), 1),
    Row("8.1 with a body", &[frame(HEADERS, END_HEADERS, 1, POST_A), frame(DATA, END_STREAM, 1, b"abc")], Status(200), 1),
    Row("8.1 with trailers", &[frame(HEADERS, END_HEADERS, 1, POST_A), frame(DATA, 0, 1, b"abc"), frame(HEADERS, ALL, 1, b"\x00\x01x\x01y")], Status(200), 1),
    Row("6.10 in two frames", &[frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, END_HEADERS, 1, b"\x41\x01a")], Status(200), 1),
    Row("8.3.1 no authority", &[frame(HEADERS, ALL, 1, GET)], Status(400), 0),
    Row("8.3.1 no method", &[frame(HEADERS, ALL, 1, b"\x86\x84\x41\x01a")], Reset(PROTOCOL_ERROR), 0),
    Row("8.3.1 no scheme", &[frame(HEADERS, ALL, 1, b"\x82\x84\x41\x01a")], Reset(PROTOCOL_ERROR), 0),
    Row("8.3.1 no path", &[frame(HEADERS, ALL, 1, b"\x82\x86\x41\x01a")], Reset(PROTOCOL_ERROR), 0),
    Row("8.3.1 an empty path", &[frame(HEADERS, ALL, 1, b"\x82\x86\x44\x00\x41\x01a")], Reset(PROTOCOL_ERROR), 0),
    Row("8.3 a method twice", &[frame(HEADERS, ALL, 1, b"\x82\x82\x86\x84\x41\x01a")], Reset(PROTOCOL_ERROR), 0),
    Row("8.3 a path twice", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x84\x41\x01a")], Reset(PROTOCOL_ERROR), 0),
    Row("8.3 an unknown pseudo field", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x02:x\x01y")], GoAway(PROTOCOL_ERROR), 0),
    Row("8.3 of an answer", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x88")], Reset(PROTOCOL_ERROR), 0),
    Row("8.3 behind a field", &[frame(HEADERS, ALL, 1, b"\x82\x86\x00\x01x\x01y\x84\x41\x01a")], Reset(PROTOCOL_ERROR), 0),
    Row("8.2.1 upper case", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x01X\x01y")], GoAway(PROTOCOL_ERROR), 0),
    Row("8.2.1 a line break in a value", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x01x\x03y\r\n")], GoAway(PROTOCOL_ERROR), 0),
    Row("8.2.2 connection", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x0aconnection\x05close")], Reset(PROTOCOL_ERROR), 0),
    Row("8.2.2 transfer-encoding", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x11transfer-encoding\x07chunked")], Reset(PROTOCOL_ERROR), 0),
    Row("8.2.2 te", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x02te\x04gzip")], Reset(PROTOCOL_ERROR), 0),
    Row("8.2.2 te: trailers", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x02te\x08trailers")], Status(200), 1),
    Row("8.1.1 more than its length", &[frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x84\x41\x01a\x0f\x0d\x011"), frame(DATA, END_STREAM, 1, b"abc")], Reset(PROTOCOL_ERROR), 0),
    Row("8.1.1 less than its length", &[frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x84\x41\x01a\x0f\x0d\x019"), frame(DATA, END_STREAM, 1, b"abc")], Reset(PROTOCOL_ERROR), 0),
    Row("8.1.1 two lengths", &[frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x84\x41\x01a\x0f\x0d\x013\x0f\x0d\x014"), frame(DATA, END_STREAM, 1, b"abc")], Reset(PROTOCOL_ERROR), 0),
    Row("8.3.1 another host", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x04host\x01b")], Status(400), 0),
    Row("8.5 CONNECT", &[frame(HEADERS, ALL, 1, b"\x02\x07CONNECT\x41\x01a")], Status(405), 0),
    Row("9110 9.3.8 TRACE", &[frame(HEADERS, ALL, 1, b"\x02\x05TRACE\x86\x84\x41\x01a")], Status(405), 0),
    Row("9110 9.1 unknown", &[frame(HEADERS, ALL, 1, b"\x02\x04BREW\x86\x84\x41\x01a")], Status(501), 0),
    Row("own: %2f", &[frame(HEADERS, ALL, 1, b"\x82\x86\x04\x05/a%2f\x41\x01a")], Status(400), 0),
    Row("own: a body that does not come", &[frame(HEADERS, END_HEADERS, 1, POST_A), frame(DATA, 0, 1, b"abc")], Status(408), 0),
    Row("own: a head that does not end", &[frame(HEADERS, END_STREAM, 1, GET)], GoAway(ENHANCE_YOUR_CALM), 0),
    Row("6.1 data without a stream", &[frame(DATA, 0, 0, b"abc")], GoAway(PROTOCOL_ERROR), 0),
    Row("5.1 data on an idle stream", &[frame(DATA, 0, 1, b"abc")], GoAway(PROTOCOL_ERROR), 0),
    Row("5.1.1 an even stream", &[frame(HEADERS, ALL, 2, GET_A)], GoAway(PROTOCOL_ERROR), 0),
    Row("6.2 headers without a stream", &[frame(HEADERS, ALL, 0, GET_A)], GoAway(PROTOCOL_ERROR), 0),
    Row("6.2 padding longer than the frame", &[frame(HEADERS, ALL | 8, 1, b"\xff\x82\x86\x84\x41\x01a")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.3 a priority is passed over", &[frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")], Alive, 0),
    Row("6.3 of the wrong size", &[frame(PRIORITY, 0, 1, b"\0\0\0\0")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.4 a reset of an idle stream", &[frame(RST_STREAM, 0, 1, b"\0\0\0\x08")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.4 without a stream", &[frame(RST_STREAM, 0, 0, b"\0\0\0\x08")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.4 of the wrong size", &[frame(HEADERS, END_HEADERS, 1, POST_A), frame(RST_STREAM, 0, 1, b"\0\0\x08")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.5 settings of a stream", &[frame(SETTINGS, 0, 1, b"")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.5 of the wrong size", &[frame(SETTINGS, 0, 0, b"\0\0\0")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.5 an acknowledgement with contents", &[frame(SETTINGS, ACK, 0, b"\0\x03\0\0\0\x01")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.5.2 push that is neither", &[frame(SETTINGS, 0, 0, b"\0\x02\0\0\0\x02")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.5.2 a window beyond", &[frame(SETTINGS, 0, 0, b"\0\x04\x80\0\0\0")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.5.2 frames too small", &[frame(SETTINGS, 0, 0, b"\0\x05\0\0\0\x01")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.5.2 an unknown one", &[frame(SETTINGS, 0, 0, b"\xff\xff\0\0\0\x01")], Alive, 0),
    Row("6.6 a push by a client", &[frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02\x82")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.7 a ping of a stream", &[frame(PING, 0, 1, b"12345678")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.7 of the wrong size", &[frame(PING, 0, 0, b"1234")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.8 a farewell of a stream", &[frame(GOAWAY, 0, 1, b"\0\0\0\0\0\0\0\0")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.9 a window of nothing", &[frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.9 a window beyond", &[frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")], GoAway(FLOW_CONTROL_ERROR), 0),
    Row("6.9 of the wrong size", &[frame(WINDOW_UPDATE, 0, 0, b"\0\0\x01")], GoAway(PROTOCOL_ERROR), 0),
    Row("6.10 a continuation of nothing", &[frame(CONTINUATION, END_HEADERS, 1, GET_A)], GoAway(PROTOCOL_ERROR), 0),
    Row("6.10 something else between", &[frame(HEADERS, END_STREAM, 1, GET), frame(PING, 0, 0, b"12345678")], GoAway(PROTOCOL_ERROR), 0),
    Row("5.5 an unknown frame", &[frame(0x77, 0, 0, b"abc")], Alive, 0),
    Row("5.1 headers on a closed stream", &[frame(HEADERS, ALL, 3, b"\x86"), frame(HEADERS, ALL, 1, GET_A)], GoAway(PROTOCOL_ERROR), 0),
    Row("5.1 data after the end", &[frame(HEADERS, ALL, 1, GET), frame(DATA, 0, 1, b"abc")], GoAway(PROTOCOL_ERROR), 0),
    Row("7541 2.3.3 an index beyond", &[frame(HEADERS, ALL, 1, b"\xff\x7f")], GoAway(PROTOCOL_ERROR), 0),
    Row("7541 6.1 the index 0", &[frame(HEADERS, ALL, 1, b"\x80")], GoAway(PROTOCOL_ERROR), 0),
    Row("7541 5.2 a string cut off", &[frame(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x09a")], GoAway(PROTOCOL_ERROR), 0),
    Row("7541 6.3 a table too large", &[frame(HEADERS, ALL, 1, b"\x3f\xff\xff\x7f\x82\x86\x84\x41\x01a")], GoAway(PROTOCOL_ERROR), 0),
];

#[test]
fn what_is_no_preface_and_what_is_longer_than_it_may_be_ends_the_connection() {
    let (airside, origin) = start("");
    let mut raw = airside.raw();
    raw.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    assert!(raw.try_read("PRI").is_ok_and(|answer| answer.status == 400));
    let mut framed = Framed::connect(&airside);
    // RFC 9113 §4.2: above 16,384.
    framed.send_as(&frame(DATA, 0, 1, b""), 16_385);
    assert_eq!(framed.outcome(), GoAway(FRAME_SIZE_ERROR));
    let mut settings = airside.raw();
    settings.send(super::http2::PREFACE);
    let mut framed = Framed(settings);
    // The first frame must be settings (RFC 9113 §3.4).
    framed.send(&frame(HEADERS, ALL, 1, GET_A));
    let outcome = framed.outcome();
    assert_eq!(outcome, Closed);
    assert_eq!(origin.count(), 0);
}
