//! A client of HTTP/2 that sends any frames and tells what came of them.

use std::io::{BufReader, Read};
use std::time::Duration;

use crate::support::edge::with_top;
use crate::support::origin::Origin;
use crate::support::raw::Raw;
use crate::support::server::Airside;

/// A frame as it is sent (RFC 9113 §4.1).
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'static [u8],
}

/// What comes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Stream 1 is answered.
    Status(u16),
    /// Stream 1, or another, is reset with this code.
    Reset(u32),
    /// The connection ends with this code.
    GoAway(u32),
    /// It ends without a word.
    Closed,
    /// Nothing: the connection goes on.
    Alive,
}

/// A connection that has begun.
pub struct Framed(pub Raw);

/// A frame as it came: kind, flags, stream and what it holds.
pub type Came = (u8, u8, u32, Vec<u8>);

pub const fn frame(kind: u8, flags: u8, stream: u32, payload: &'static [u8]) -> Frame {
    Frame {
        kind,
        flags,
        stream,
        payload,
    }
}

pub fn start(limits: &str) -> (Airside, Origin) {
    let origin = Origin::start();
    let top =
        format!("{limits}\nlisteners: [{{ address: \"{{gateway}}\", protocols: [http1, http2] }}]");
    let routes = "  - { path: /*, upstream: origin, max_body: 1KiB }";
    let airside = with_top(&top, routes).origin(&origin).start();
    (airside, origin)
}

impl Framed {
    pub fn connect(airside: &Airside) -> Self {
        let mut raw = airside.raw();
        raw.set_patience(Duration::from_secs(8));
        raw.send(PREFACE);
        let mut framed = Self(raw);
        framed.send(&frame(SETTINGS, 0, 0, b""));
        framed
    }

    /// The other side may have closed.
    pub fn send(&mut self, frame: &Frame) {
        self.send_as(frame, frame.payload.len());
    }

    /// A frame that says it has `length` bytes.
    pub fn send_as(&mut self, frame: &Frame, length: usize) {
        let mut bytes = (length as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([frame.kind, frame.flags]);
        bytes.extend(frame.stream.to_be_bytes());
        bytes.extend(frame.payload);
        let _ = self.0.try_send(bytes);
    }

    /// The first thing that comes of what was sent; acknowledged pings with other contents are passed over.
    pub fn outcome(&mut self) -> Outcome {
        loop {
            if let Some(outcome) = self.next() {
                return outcome;
            }
        }
    }

    /// The next frame; none where the connection has ended.
    pub fn frame(&mut self) -> Option<Came> {
        read_frame(self.0.reader())
    }

    /// What the next frame means, if anything.
    pub fn next(&mut self) -> Option<Outcome> {
        let Some((kind, flags, _, payload)) = self.frame() else {
            return Some(Outcome::Closed);
        };
        let code = |at: usize| {
            let bytes = payload
                .get(at..at + 4)
                .and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(u32::MAX, u32::from_be_bytes)
        };
        match kind {
            HEADERS => Some(Outcome::Status(status(&payload))),
            RST_STREAM => Some(Outcome::Reset(code(0))),
            GOAWAY => Some(Outcome::GoAway(code(4))),
            PING if flags & ACK != 0 && payload == LAST_PING => Some(Outcome::Alive),
            _ => None,
        }
    }

    /// Asks whether the connection is alive behind all that was sent.
    pub fn ping(&mut self) {
        self.send(&frame(PING, 0, 0, LAST_PING));
    }
}

fn read_frame(from: &mut BufReader<impl Read>) -> Option<Came> {
    let mut head = [0; 9];
    from.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    from.read_exact(&mut payload).ok()?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], head[4], stream, payload))
}

/// The status that a block of fields begins with (RFC 7541 §6.1, §6.2.1, appendix A and B).
fn status(block: &[u8]) -> u16 {
    // Updates of the table's size may come first.
    let start = block
        .iter()
        .position(|byte| byte & 0xe0 != 0x20)
        .unwrap_or(0);
    let block = &block[start..];
    match block[0] {
        0x88 => 200,
        0x89 => 204,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        _ => {
            let length = usize::from(block[1] & 0x7f);
            let value = &block[2..2 + length];
            let text = match block[1] & 0x80 {
                0 => String::from_utf8_lossy(value).into_owned(),
                _ => digits(value),
            };
            text.parse()
                .unwrap_or_else(|_| panic!("no status: {text:?}"))
        }
    }
}

/// Huffman's code of digits: five bits for 0, 1 and 2, six for the others.
fn digits(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut text, mut rest) = (String::new(), bits.as_str());
    while rest.len() >= 5 {
        let five = u8::from_str_radix(&rest[..5], 2).expect("bits");
        if five < 3 {
            text.push(char::from(b'0' + five));
            rest = &rest[5..];
            continue;
        }
        let Some(six) = rest.get(..6) else { break };
        let six = u8::from_str_radix(six, 2).expect("bits");
        if !(0x19..=0x1f).contains(&six) {
            break;
        }
        text.push(char::from(b'3' + six - 0x19));
        rest = &rest[6..];
    }
    text
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LAST_PING: &[u8] = b"the last";
