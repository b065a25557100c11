//! A client that sends any bytes and reads one answer at a time, so that a test can see whether the
//! connection is fit for the next request.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::wait::PATIENCE;
use super::wire::{Head, read_chunk};

/// A connection.
pub struct Raw {
    stream: BufReader<TcpStream>,
}

/// An answer, as it came.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    pub body: Vec<u8>,
    /// The lines behind a body in chunks.
    pub trailers: Vec<String>,
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        let mut raw = Self {
            stream: BufReader::new(stream),
        };
        raw.set_patience(PATIENCE);
        Ok(raw)
    }

    /// A connection that was made in a way of its own.
    pub fn of(stream: TcpStream) -> Self {
        let mut raw = Self {
            stream: BufReader::new(stream),
        };
        raw.set_patience(PATIENCE);
        raw
    }

    /// How long a read waits before it fails.
    pub fn set_patience(&mut self, patience: Duration) {
        let stream = self.stream.get_ref();
        stream
            .set_read_timeout(Some(patience))
            .expect("a socket option");
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the other side takes bytes");
    }

    /// Another hand on the same connection, to send while this one reads.
    pub fn writer(&self) -> TcpStream {
        self.stream.get_ref().try_clone().expect("a second handle")
    }

    /// The next head, an interim answer's (1xx) too.
    #[track_caller]
    pub fn read_head(&mut self) -> Head {
        let head = Head::read(&mut self.stream).expect("a head");
        head.expect("an answer before the close")
    }

    /// What comes next, for those who read it in their own way.
    pub fn reader(&mut self) -> &mut BufReader<TcpStream> {
        &mut self.stream
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn finish_sending(&mut self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Reads the final answer to a `method` request: interim ones (1xx) but 101 are skipped.
    pub fn try_read(&mut self, method: &str) -> io::Result<Response> {
        loop {
            let closed = || io::Error::new(io::ErrorKind::UnexpectedEof, "closed, no answer");
            let head = Head::read(&mut self.stream)?.ok_or_else(closed)?;
            let status = head
                .line
                .split(' ')
                .nth(1)
                .and_then(|code| code.parse().ok());
            let status: u16 = status.ok_or_else(|| io::Error::other(head.line.clone()))?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let bodiless = method == "HEAD" || matches!(status, 101 | 204 | 304);
            let (body, trailers) = match bodiless {
                true => Default::default(),
                false => head.read_whole(&mut self.stream, true)?,
            };
            return Ok(Response {
                status,
                head,
                body,
                trailers,
            });
        }
    }

    #[track_caller]
    pub fn read(&mut self) -> Response {
        self.try_read("GET").expect("an answer")
    }

    /// One request, one answer.
    #[track_caller]
    pub fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        self.send(bytes);
        self.read()
    }

    /// Exactly `count` bytes, such as a WebSocket frame.
    #[track_caller]
    pub fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("enough bytes");
        bytes
    }

    /// The next chunk of a body in chunks; empty at its end.
    #[track_caller]
    pub fn read_chunk(&mut self) -> Vec<u8> {
        let mut chunk = Vec::new();
        read_chunk(&mut self.stream, &mut chunk).expect("a chunk");
        chunk
    }

    /// The next WebSocket frame, its first byte and payload; `None` where the other side has closed.
    pub fn try_read_frame(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        let mut first = [0];
        if self.stream.read(&mut first)? == 0 {
            return Ok(None);
        }
        let mut length = [0];
        self.stream.read_exact(&mut length)?;
        let length = match length[0] {
            126 => {
                let mut bytes = [0; 2];
                self.stream.read_exact(&mut bytes)?;
                u64::from(u16::from_be_bytes(bytes))
            }
            127 => {
                let mut bytes = [0; 8];
                self.stream.read_exact(&mut bytes)?;
                u64::from_be_bytes(bytes)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(Some((first[0], payload)))
    }

    /// Waits until the other side closes: true if it does so, cleanly or not, without another byte.
    pub fn closes(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ),
        }
    }
}

impl Response {
    /// The first value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.head.header(name).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {}", self.head.line, self.text()))
    }
}

/// One request on a connection of its own.
#[track_caller]
pub fn once(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    Raw::connect(address).exchange(bytes)
}
