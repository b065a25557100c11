//! The cases of h2spec, each under the name that it has there: which row of `frames.rs` is one, and the further ones,
//! many of which need an answer before they go on. h2spec takes any end of a connection for any error of it; here the
//! verdict is the one.

use std::collections::BTreeSet;

use super::frames::{
    ALL, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GET, GET_A, POST_A, PROTOCOL_ERROR, ROWS,
};
use super::http2::Outcome::{self, Alive, Closed, GoAway, Reset, Status};
use super::http2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Framed, GOAWAY, HEADERS, PING,
    PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, start,
};

/// Its cases, what is sent, what comes of it, and whole requests that reach the upstream.
struct Case(&'static str, &'static [Step], Outcome, usize);

enum Step {
    Send(Frame),
    /// Waits until the answer to stream 1 is over.
    Answered,
    /// Waits for an answer's piece of so many bytes.
    Piece(usize),
    /// Waits until settings were acknowledged, the client's first among them.
    Acknowledged(usize),
}
use Step::{Acknowledged, Answered, Piece, Send};

const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;
const STREAM_CLOSED: u32 = 5;
const REFUSED_STREAM: u32 = 7;
/// The client's own settings are acknowledged, too.
const SECOND: usize = 2;

const fn send(kind: u8, flags: u8, stream: u32, payload: &'static [u8]) -> Step {
    Send(frame(kind, flags, stream, payload))
}
const ASK: Step = send(HEADERS, ALL, 1, GET_A);
const OPEN: Step = send(HEADERS, END_HEADERS, 1, POST_A);
const FINISH: Step = send(DATA, END_STREAM, 1, b"abc");
/// A window of nothing for each stream.
const NO_WINDOW: Step = send(SETTINGS, 0, 0, b"\0\x04\0\0\0\0");
const X: &[u8] = b"\x00\x01x\x01y";

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case("http2/4.1/2 flags that nobody knows", &[send(PING, 0x16, 0, b"12345678")], Alive, 0),
    Case("http2/4.1/3 the reserved bit", &[send(PING, 0, 1 << 31, b"12345678")], Alive, 0),
    Case("http2/4.2/1 as long as a frame may be", &[OPEN, send(DATA, END_STREAM, 1, &[b'x'; 16_384])], Status(413), 0),
    Case("http2/4.3/1 a block that is cut off", &[send(HEADERS, ALL, 1, b"\x40")], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/4.3/2 http2/6.2/1 a priority within a block", &[send(HEADERS, 0, 1, GET), send(PRIORITY, 0, 1, b"\0\0\0\0\xff")], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/4.3/3 http2/6.2/2 another stream within a block", &[send(HEADERS, 0, 1, GET), send(HEADERS, ALL, 3, GET_A)], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/5.1/3 a window on an idle stream", &[send(WINDOW_UPDATE, 0, 1, b"\0\0\0\x64")], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/5.1/6 a head after the end", &[NO_WINDOW, ASK, send(HEADERS, ALL, 1, GET_A)], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/5.1/7 http2/6.10/4 a continuation after the end", &[NO_WINDOW, ASK, send(CONTINUATION, END_HEADERS, 1, X)], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/5.1/8 data after a reset", &[OPEN, send(RST_STREAM, 0, 1, b"\0\0\0\x08"), FINISH], Reset(STREAM_CLOSED), 0),
    Case("http2/5.1/9 a head after a reset", &[OPEN, send(RST_STREAM, 0, 1, b"\0\0\0\x08"), send(HEADERS, ALL, 1, GET_A)], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/5.1/10 a continuation after a reset", &[OPEN, send(RST_STREAM, 0, 1, b"\0\0\0\x08"), send(CONTINUATION, END_HEADERS, 1, X)], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/5.1/11 data on a closed stream", &[ASK, Answered, FINISH], Reset(STREAM_CLOSED), 1),
    Case("http2/5.1/12 a head on a closed stream", &[ASK, Answered, send(HEADERS, ALL, 1, GET_A)], GoAway(PROTOCOL_ERROR), 1),
    Case("http2/5.1/13 a continuation on a closed stream", &[ASK, Answered, send(CONTINUATION, END_HEADERS, 1, X)], GoAway(PROTOCOL_ERROR), 1),
    Case("http2/5.3.1/1 a head that depends on itself", &[send(HEADERS, ALL | WITH_PRIORITY, 1, b"\0\0\0\x01\x10\x82\x86\x84\x41\x01a")], Reset(PROTOCOL_ERROR), 0),
    Case("http2/5.3.1/2 a priority that depends on itself", &[send(PRIORITY, 0, 1, b"\0\0\0\x01\x10")], Reset(PROTOCOL_ERROR), 0),
    Case("http2/5.5/2 an unknown frame within a block", &[send(HEADERS, 0, 1, GET), send(0x77, 0, 0, b"abc")], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/6.1/3 data with more padding than it has", &[OPEN, send(DATA, END_STREAM | PADDED, 1, b"\x06abc")], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/6.3/1 a priority of no stream", &[send(PRIORITY, 0, 0, b"\0\0\0\0\x10")], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/6.5.2/4 frames too large", &[send(SETTINGS, 0, 0, b"\0\x05\x01\0\0\0")], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/6.5.3/1 the last of several values", &[send(SETTINGS, 0, 0, b"\0\x04\0\0\0\x64\0\x04\0\0\0\x01"), Acknowledged(SECOND), ASK, Piece(1)], Alive, 1),
    Case("http2/6.5.3/2 generic/3.5/1 settings are acknowledged", &[send(SETTINGS, 0, 0, b"\0\x02\0\0\0\0"), Acknowledged(SECOND)], Alive, 0),
    Case("http2/6.7/2 an acknowledged ping is not answered", &[send(PING, ACK, 0, b"the last")], Alive, 0),
    Case("http2/6.9/2 a stream's window of nothing", &[OPEN, send(WINDOW_UPDATE, 0, 1, b"\0\0\0\0")], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/6.9.1/1 a window of one byte", &[send(SETTINGS, 0, 0, b"\0\x04\0\0\0\x01"), ASK, Piece(1)], Alive, 1),
    Case("http2/6.9.1/3 a stream's window beyond", &[OPEN, send(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff")], Reset(FLOW_CONTROL_ERROR), 0),
    Case("http2/6.9.2/1 a window that opens later", &[NO_WINDOW, ASK, send(SETTINGS, 0, 0, b"\0\x04\0\0\0\x01"), Piece(1)], Alive, 1),
    Case("http2/6.9.2/2 a window below nothing", &[send(SETTINGS, 0, 0, b"\0\x04\0\0\0\x03"), ASK, Piece(3), send(SETTINGS, 0, 0, b"\0\x04\0\0\0\x02"), send(WINDOW_UPDATE, 0, 1, b"\0\0\0\x02"), Piece(1)], Alive, 1),
    Case("http2/6.10/1 generic/3.10/2 a block in three frames", &[send(HEADERS, END_STREAM, 1, GET), send(CONTINUATION, 0, 1, b"\x41\x01a"), send(CONTINUATION, END_HEADERS, 1, X)], Status(200), 1),
    Case("http2/6.10/2 data between continuations", &[send(HEADERS, 0, 1, GET), send(CONTINUATION, 0, 1, X), send(DATA, END_STREAM, 1, b"abc")], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/6.10/3 a continuation of no stream", &[send(HEADERS, END_STREAM, 1, GET), send(CONTINUATION, END_HEADERS, 0, X)], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/6.10/5 a continuation of a block that is over", &[NO_WINDOW, send(HEADERS, END_STREAM, 1, GET), send(CONTINUATION, END_HEADERS, 1, b"\x41\x01a"), send(CONTINUATION, END_HEADERS, 1, X)], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/6.10/6 a continuation behind data", &[OPEN, send(DATA, 0, 1, b"abc"), send(CONTINUATION, END_HEADERS, 1, X)], GoAway(PROTOCOL_ERROR), 0),
    Case("http2/7/1 a farewell for a reason that nobody knows", &[send(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\xff")], Alive, 0),
    Case("http2/7/2 a reset for a reason that nobody knows", &[OPEN, send(RST_STREAM, 0, 1, b"\0\0\0\xff")], Alive, 0),
    Case("http2/8.1/1 a second head that is no trailer", &[OPEN, send(HEADERS, END_HEADERS, 1, X)], Reset(PROTOCOL_ERROR), 0),
    // Known: the library under Pingora drops such a field in place of refusing its request. Nobody gets to see it.
    Case("http2/8.1.2.1/3 a pseudo field in trailers", &[OPEN, send(DATA, 0, 1, b"abc"), send(HEADERS, ALL, 1, b"\x82")], Status(200), 1),
    Case("http2/8.1.2.3/6 a scheme twice", &[send(HEADERS, ALL, 1, b"\x82\x86\x86\x84\x41\x01a")], Reset(PROTOCOL_ERROR), 0),
    Case("http2/8.1.2.6/2 another length than several pieces have", &[send(HEADERS, END_HEADERS, 1, b"\x83\x86\x84\x41\x01a\x0f\x0d\x011"), send(DATA, 0, 1, b"a"), send(DATA, END_STREAM, 1, b"b")], Reset(PROTOCOL_ERROR), 0),
    Case("hpack/2.3.3/2 a literal whose name has an index beyond", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x7f\x7f\x01y")], GoAway(PROTOCOL_ERROR), 0),
    Case("hpack/4.2/1 a table's size behind fields", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x21")], GoAway(PROTOCOL_ERROR), 0),
    Case("hpack/5.2/1 more padding than seven bits", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x01x\x82\x1f\xff")], GoAway(PROTOCOL_ERROR), 0),
    Case("hpack/5.2/2 padding of zeros", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x01x\x81\x18")], GoAway(PROTOCOL_ERROR), 0),
    Case("hpack/5.2/3 the end of all strings within one", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x01x\x84\xff\xff\xff\xff")], GoAway(PROTOCOL_ERROR), 0),
    Case("generic/2/2 generic/3.9/2 a window on a stream half closed", &[NO_WINDOW, ASK, send(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01"), Piece(1)], Alive, 1),
    Case("generic/2/3 a priority on a stream half closed", &[NO_WINDOW, ASK, send(PRIORITY, 0, 1, b"\0\0\0\0\xff"), send(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01"), Piece(1)], Alive, 1),
    Case("generic/2/5 a priority on a closed stream", &[ASK, Answered, send(PRIORITY, 0, 1, b"\0\0\0\0\xff")], Alive, 1),
    Case("generic/3.1/2 data in pieces", &[OPEN, send(DATA, 0, 1, b"a"), send(DATA, 0, 1, b"b"), FINISH], Status(200), 1),
    Case("generic/3.1/3 data with padding", &[OPEN, send(DATA, END_STREAM | PADDED, 1, b"\x02abc\0\0")], Status(200), 1),
    Case("generic/3.2/2 a head with padding", &[send(HEADERS, ALL | PADDED, 1, b"\x02\x82\x86\x84\x41\x01a\0\0")], Status(200), 1),
    Case("generic/3.2/3 a head with a priority", &[send(HEADERS, ALL | WITH_PRIORITY, 1, b"\0\0\0\0\xff\x82\x86\x84\x41\x01a")], Status(200), 1),
    Case("generic/3.3/1 the least priority", &[send(PRIORITY, 0, 1, b"\0\0\0\0\0"), ASK], Status(200), 1),
    Case("generic/3.3/2 the most", &[send(PRIORITY, 0, 1, b"\0\0\0\0\xff"), ASK], Status(200), 1),
    Case("generic/3.3/3 generic/3.3/5 of a later stream, which depends on this one", &[send(PRIORITY, 0, 3, b"\0\0\0\x01\0"), ASK], Status(200), 1),
    Case("generic/3.3/4 an exclusive one", &[send(PRIORITY, 0, 1, b"\x80\0\0\0\0"), ASK], Status(200), 1),
    Case("generic/3.8/1 a farewell", &[send(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0")], Alive, 0),
    Case("generic/3.9/1 a window of the connection", &[send(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01"), ASK], Status(200), 1),
    Case("generic/4/2 HEAD", &[send(HEADERS, ALL, 1, b"\x02\x04HEAD\x86\x84\x41\x01a")], Status(200), 1),
    Case("generic/5/1 a field that both sides remember", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x40\x01x\x01y\xbe")], Status(200), 1),
    Case("generic/5/2 a name by its index, to be remembered", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x7a\x01y")], Status(200), 1),
    Case("generic/5/3 in Huffman's code", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x7a\x81\x1f")], Status(200), 1),
    Case("generic/5/4 a new name, to be remembered", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x40\x01x\x01y")], Status(200), 1),
    Case("generic/5/5 in Huffman's code", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x40\x81\x1f\x81\x1f")], Status(200), 1),
    Case("generic/5/6 a name by its index", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x0f\x2b\x01y")], Status(200), 1),
    Case("generic/5/7 in Huffman's code", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x0f\x2b\x81\x1f")], Status(200), 1),
    Case("generic/5/8 a new name", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x01x\x01y")], Status(200), 1),
    Case("generic/5/9 in Huffman's code", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x00\x81\x1f\x81\x1f")], Status(200), 1),
    Case("generic/5/10 a name by its index, never to be remembered", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x1f\x2b\x01y")], Status(200), 1),
    Case("generic/5/11 in Huffman's code", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x1f\x2b\x81\x1f")], Status(200), 1),
    Case("generic/5/12 a new name, never to be remembered", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x10\x01x\x01y")], Status(200), 1),
    Case("generic/5/13 in Huffman's code", &[send(HEADERS, ALL, 1, b"\x82\x86\x84\x41\x01a\x10\x81\x1f\x81\x1f")], Status(200), 1),
    Case("generic/5/14 another size of the table", &[send(HEADERS, ALL, 1, b"\x20\x82\x86\x84\x41\x01a")], Status(200), 1),
    Case("generic/5/15 two of them", &[send(HEADERS, ALL, 1, b"\x20\x3f\xe1\x1f\x82\x86\x84\x41\x01a")], Status(200), 1),
];

/// Rows of `frames.rs` that are cases of h2spec.
#[rustfmt::skip]
const ROWS_THAT_ARE: &[(&str, &str)] = &[
    ("http2/4.1/1 http2/5.5/1", "5.5 an unknown frame"),
    ("http2/5.1/1 http2/6.1/2", "5.1 data on an idle stream"),
    ("http2/5.1/2 http2/6.4/2", "6.4 a reset of an idle stream"),
    ("http2/5.1/4", "6.10 a continuation of nothing"),
    ("http2/5.1/5", "5.1 data after the end"),
    ("http2/5.1.1/1", "5.1.1 an even stream"),
    ("http2/5.1.1/2", "5.1 headers on a closed stream"),
    ("http2/5.4.1/2 http2/6.7/3", "6.7 a ping of a stream"),
    ("http2/6.1/1", "6.1 data without a stream"),
    ("http2/6.2/3", "6.2 headers without a stream"),
    ("http2/6.2/4", "6.2 padding longer than the frame"),
    ("http2/6.3/2", "6.3 of the wrong size"),
    ("http2/6.4/1", "6.4 without a stream"),
    ("http2/6.4/3", "6.4 of the wrong size"),
    ("http2/6.5/1", "6.5 an acknowledgement with contents"),
    ("http2/6.5/2", "6.5 settings of a stream"),
    ("http2/6.5/3", "6.5 of the wrong size"),
    ("http2/6.5.2/1", "6.5.2 push that is neither"),
    ("http2/6.5.2/2 http2/6.9.2/3", "6.5.2 a window beyond"),
    ("http2/6.5.2/3", "6.5.2 frames too small"),
    ("http2/6.5.2/5", "6.5.2 an unknown one"),
    ("http2/6.7/4", "6.7 of the wrong size"),
    ("http2/6.8/1", "6.8 a farewell of a stream"),
    ("http2/6.9/1", "6.9 a window of nothing"),
    ("http2/6.9/3", "6.9 of the wrong size"),
    ("http2/6.9.1/2", "6.9 a window beyond"),
    ("http2/8.1.2/1", "8.2.1 upper case"),
    ("http2/8.1.2.1/1", "8.3 an unknown pseudo field"),
    ("http2/8.1.2.1/2", "8.3 of an answer"),
    ("http2/8.1.2.1/4", "8.3 behind a field"),
    ("http2/8.1.2.2/1", "8.2.2 connection"),
    ("http2/8.1.2.2/2", "8.2.2 te"),
    ("http2/8.1.2.3/1", "8.3.1 an empty path"),
    ("http2/8.1.2.3/2", "8.3.1 no method"),
    ("http2/8.1.2.3/3", "8.3.1 no scheme"),
    ("http2/8.1.2.3/4", "8.3.1 no path"),
    ("http2/8.1.2.3/5", "8.3 a method twice"),
    ("http2/8.1.2.3/7", "8.3 a path twice"),
    ("http2/8.1.2.6/1", "8.1.1 more than its length"),
    ("http2/8.2/1", "6.6 a push by a client"),
    ("hpack/2.3.3/1", "7541 2.3.3 an index beyond"),
    ("hpack/6.1/1", "7541 6.1 the index 0"),
    ("hpack/6.3/1", "7541 6.3 a table too large"),
    ("generic/1/1 generic/3.2/1 generic/4/1", "8.1 a request"),
    ("generic/2/1", "6.3 a priority is passed over"),
    ("generic/3.1/1 generic/4/3", "8.1 with a body"),
    ("generic/3.10/1", "6.10 in two frames"),
    ("generic/4/4", "8.1 with trailers"),
];

/// Tests below and beside this one that are cases: their verdict is no single outcome.
const TESTS_THAT_ARE: &str = "http2/3.5/1 http2/3.5/2 http2/4.2/2 http2/4.2/3 http2/5.1.2/1 http2/5.4.1/1 \
    http2/6.7/1 generic/2/4 generic/3.4/1 generic/3.7/1";

/// How many cases each section has.
#[rustfmt::skip]
const SECTIONS: &[(&str, usize)] = &[
    ("generic/1", 1), ("generic/2", 5), ("generic/3.1", 3), ("generic/3.2", 3), ("generic/3.3", 5),
    ("generic/3.4", 1), ("generic/3.5", 1), ("generic/3.7", 1), ("generic/3.8", 1), ("generic/3.9", 2),
    ("generic/3.10", 2), ("generic/4", 4), ("generic/5", 15),
    ("http2/3.5", 2), ("http2/4.1", 3), ("http2/4.2", 3), ("http2/4.3", 3), ("http2/5.1", 13),
    ("http2/5.1.1", 2), ("http2/5.1.2", 1), ("http2/5.3.1", 2), ("http2/5.4.1", 2), ("http2/5.5", 2),
    ("http2/6.1", 3), ("http2/6.2", 4), ("http2/6.3", 2), ("http2/6.4", 3), ("http2/6.5", 3),
    ("http2/6.5.2", 5), ("http2/6.5.3", 2), ("http2/6.7", 4), ("http2/6.8", 1), ("http2/6.9", 3),
    ("http2/6.9.1", 3), ("http2/6.9.2", 3), ("http2/6.10", 6), ("http2/7", 2), ("http2/8.1", 1),
    ("http2/8.1.2", 1), ("http2/8.1.2.1", 4), ("http2/8.1.2.2", 2), ("http2/8.1.2.3", 7),
    ("http2/8.1.2.6", 2), ("http2/8.2", 1),
    ("hpack/2.3.3", 2), ("hpack/4.2", 1), ("hpack/5.2", 3), ("hpack/6.1", 1), ("hpack/6.3", 1),
];

#[test]
fn every_case_of_h2spec_is_here_once() {
    let of_rows = ROWS_THAT_ARE.iter().map(|(cases, title)| {
        let named = ROWS.iter().any(|row| row.0 == *title);
        assert!(named, "no row is {title:?}");
        *cases
    });
    let texts = CASES.iter().map(|case| case.0).chain(of_rows);
    let words = texts
        .chain([TESTS_THAT_ARE])
        .flat_map(|text| text.split(' '));
    let named: Vec<&str> = words.filter(|word| word.contains('/')).collect();
    let expected = SECTIONS
        .iter()
        .flat_map(|(section, count)| (1..=*count).map(move |number| format!("{section}/{number}")));
    let expected: BTreeSet<String> = expected.collect();
    let here: BTreeSet<String> = named.iter().map(|name| (*name).to_owned()).collect();
    let differ: Vec<_> = expected.symmetric_difference(&here).collect();
    assert!(differ.is_empty(), "{differ:?}");
    assert_eq!(named.len(), here.len(), "one stands there twice");
}

#[test]
fn the_other_cases_of_h2spec_have_the_verdict_that_they_have() {
    let (airside, origin) = start("server: { limits: { header_timeout: 2s, body_timeout: 2s } }");
    let mut wrong = Vec::new();
    for Case(title, steps, outcome, reach) in CASES {
        let before = origin.count();
        let mut framed = Framed::connect(&airside);
        let walked = steps.iter().all(|step| take(step, &mut framed));
        if *outcome == Alive {
            framed.ping();
        }
        let came = match walked {
            true => behind(&mut framed, *outcome == Alive),
            false => Closed,
        };
        let reached = origin.count() - before;
        if (came, reached) != (*outcome, *reach) {
            wrong.push(format!(
                "{title}: {came:?}, {reached} at the upstream, not {outcome:?}, {reach}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The outcome; where it is that all goes on, answers may come before the last ping's.
fn behind(framed: &mut Framed, goes_on: bool) -> Outcome {
    loop {
        match framed.outcome() {
            Status(_) if goes_on => {}
            outcome => return outcome,
        }
    }
}

/// False where the connection ended, or what was waited for did not come.
fn take(step: &Step, framed: &mut Framed) -> bool {
    let mut left = 1;
    match step {
        Send(frame) => {
            framed.send(frame);
            return true;
        }
        Acknowledged(times) => left = *times,
        Answered | Piece(_) => {}
    }
    while let Some((kind, flags, stream, payload)) = framed.frame() {
        let found = match step {
            Answered => stream == 1 && matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0,
            Piece(length) => stream == 1 && kind == DATA && payload.len() == *length,
            _ => kind == SETTINGS && flags & ACK != 0 && stream == 0 && payload.is_empty(),
        };
        if kind == GOAWAY || kind == RST_STREAM {
            return false;
        }
        left -= usize::from(found);
        if left == 0 {
            return true;
        }
    }
    false
}

#[test]
fn a_connection_begins_with_settings_answers_pings_and_is_closed_after_its_farewell() {
    let (airside, _origin) = start("");
    let mut framed = Framed::connect(&airside);
    let (kind, flags, ..) = framed.frame().expect("it begins");
    assert_eq!((kind, flags & ACK), (SETTINGS, 0), "http2/3.5/1");
    framed.send(&frame(PING, 0, 0, b"12345678"));
    let answered = std::iter::from_fn(|| framed.frame())
        .any(|came| came == (PING, ACK, 0, b"12345678".to_vec()));
    assert!(answered, "http2/6.7/1 generic/3.7/1");
    framed.send(&frame(PING, 0, 3, b"12345678"));
    assert_eq!(framed.outcome(), GoAway(PROTOCOL_ERROR));
    assert_eq!(framed.outcome(), Closed, "http2/5.4.1/1");
}

#[test]
fn frames_that_are_too_long_end_the_connection_whatever_they_are() {
    let (airside, origin) = start("");
    for kind in [DATA, HEADERS] {
        let mut framed = Framed::connect(&airside);
        framed.send(&frame(HEADERS, END_HEADERS, 1, POST_A));
        framed.send_as(&frame(kind, ALL, 1, &[0; 16_385]), 16_385);
        assert_eq!(
            framed.outcome(),
            GoAway(FRAME_SIZE_ERROR),
            "http2/4.2/2 and /3"
        );
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_stream_too_many_is_refused_and_the_others_go_on() {
    let (airside, origin) = start("server: { limits: { body_timeout: 10s } }");
    let mut framed = Framed::connect(&airside);
    for stream in (1..=201).step_by(2) {
        framed.send(&frame(HEADERS, END_HEADERS, stream, POST_A));
    }
    let refused = std::iter::from_fn(|| framed.frame()).find(|(kind, ..)| *kind == RST_STREAM);
    let (_, _, stream, code) = refused.expect("one is refused");
    assert_eq!(
        (stream, code),
        (201, REFUSED_STREAM.to_be_bytes().to_vec()),
        "http2/5.1.2/1"
    );
    framed.send(&frame(DATA, END_STREAM, 1, b"abc"));
    assert!(take(&Answered, &mut framed));
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_request_that_is_taken_back_is_no_error() {
    let (airside, _origin) = start("");
    for asked in [ALL, END_HEADERS] {
        let mut framed = Framed::connect(&airside);
        framed.send(&frame(HEADERS, asked, 1, POST_A));
        framed.send(&frame(RST_STREAM, 0, 1, b"\0\0\0\x08"));
        framed.ping();
        assert_eq!(
            behind(&mut framed, true),
            Alive,
            "generic/2/4 generic/3.4/1"
        );
    }
}
