//! WebSockets by raw frames: an echo server that judges what it gets, and a client that sends anything.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use tungstenite::protocol::{Message, WebSocketConfig};

use super::port;
use super::raw::Raw;
use super::wait::PATIENCE;

/// A running echo server; it lives as long as the process.
pub struct Echo(SocketAddr);

/// One frame as it is on the wire, masked as a client's must be.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The first byte: FIN, reserved bits, opcode.
    pub first: u8,
    pub payload: Vec<u8>,
    pub masked: bool,
    /// What the length says, where that is not the payload's.
    pub length: Option<u64>,
    /// The shortest of the three forms of a length is not used.
    pub long: bool,
}

/// What came of a conversation, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// First byte, length and checksum of each frame.
    pub frames: Vec<(u8, usize, u64)>,
    /// Of the close frame, if one came.
    pub close: Option<Vec<u8>>,
    /// The connection was ended after it.
    pub ended: bool,
}

impl Echo {
    pub fn start() -> Self {
        let listener = TcpListener::bind(port::free()).expect("an address");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || echo(stream));
            }
        });
        Self(address)
    }

    pub fn address(&self) -> SocketAddr {
        self.0
    }
}

/// Echoes messages; what is against the protocol is closed with the code that it deserves (RFC 6455 §7.4.1).
fn echo(stream: TcpStream) {
    use tungstenite::error::{CapacityError, Error};
    use tungstenite::protocol::CloseFrame;
    use tungstenite::protocol::frame::coding::CloseCode;
    stream.set_nodelay(true).expect("a socket option");
    let limits = WebSocketConfig::default()
        .max_message_size(Some(17 << 20))
        .max_frame_size(Some(17 << 20));
    let Ok(mut socket) = tungstenite::accept_with_config(stream, Some(limits)) else {
        return;
    };
    loop {
        let code = match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => match socket.send(message) {
                Ok(()) => continue,
                Err(_) => break,
            },
            Ok(_) => continue,
            Err(Error::Protocol(_)) => CloseCode::Protocol,
            Err(Error::Utf8(_)) => CloseCode::Invalid,
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => CloseCode::Size,
            Err(_) => break,
        };
        let _ = socket.close(Some(CloseFrame {
            code,
            reason: "".into(),
        }));
        let _ = socket.flush();
        break;
    }
    // With unread bytes a close would be a reset, which may overtake what was said.
    let mut stream = socket.into_inner();
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
}

impl Frame {
    pub fn new(first: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            first,
            payload: payload.into(),
            masked: true,
            length: None,
            long: false,
        }
    }

    pub fn text(payload: &str) -> Self {
        Self::new(0x81, payload)
    }

    pub fn binary(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(0x82, payload)
    }

    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(0x88, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mask = if self.masked { 0x80 } else { 0 };
        let length = self.length.unwrap_or(self.payload.len() as u64);
        let mut bytes = vec![self.first];
        match length {
            0..=125 if !self.long => bytes.push(mask | length as u8),
            0..=65_535 if !self.long || length < 126 => {
                bytes.push(mask | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        if !self.masked {
            bytes.extend(&self.payload);
            return bytes;
        }
        let key = [0x37, 0xfa, 0x21, 0x3d];
        bytes.extend(key);
        bytes.extend(
            self.payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        bytes
    }
}

/// The request that begins a WebSocket.
pub fn handshake(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: edge.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// Has a conversation: sends `pieces` one by one, then, where it is to, nothing more, and listens to the end.
pub fn converse(address: SocketAddr, pieces: &[Vec<u8>], half_close: bool) -> Verdict {
    let mut raw = Raw::connect(address);
    raw.send(handshake("/ws", ""));
    let head = raw.read_head();
    assert!(head.line.contains(" 101 "), "{}", head.line);
    let mut writer = raw.writer();
    let pieces = pieces.to_vec();
    let sending = thread::spawn(move || {
        for piece in pieces {
            if writer.write_all(&piece).is_err() {
                return;
            }
        }
        if half_close {
            let _ = writer.shutdown(Shutdown::Write);
        }
    });
    raw.set_patience(PATIENCE);
    let mut verdict = Verdict {
        frames: Vec::new(),
        close: None,
        ended: false,
    };
    loop {
        match raw.try_read_frame() {
            Ok(Some((0x88, payload))) => verdict.close = Some(payload),
            Ok(Some((first, payload))) => {
                let sum = payload.iter().fold(7u64, |sum, byte| {
                    sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
                });
                verdict.frames.push((first, payload.len(), sum));
            }
            Ok(None) => verdict.ended = true,
            Err(error) => {
                verdict.ended = !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
            }
        }
        if verdict.ended || verdict.close.is_some() {
            break;
        }
    }
    if verdict.close.is_some() && !verdict.ended {
        // A close is answered with a close, then the server ends the connection.
        let _ = raw.try_send(Frame::close(1000, "").bytes());
        verdict.ended = raw.closes();
    }
    sending.join().expect("the sender ends");
    verdict
}
