//! An upstream of our own: it keeps every request as it came, and answers with an echo or as told.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;
use socket2::SockRef;

use super::port;
use super::wait::wait_for;
use super::wire::Head;

/// A running upstream. It stops, and closes its connections, when dropped.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub head: Head,
    pub body: Vec<u8>,
    /// The lines behind a body in chunks.
    pub trailers: Vec<String>,
    /// Which of the connections brought it, counted from 0.
    pub connection: usize,
}

/// What a path answers.
#[derive(Clone)]
pub enum Answer {
    Reply(Reply),
    /// These bytes, whatever they are; then the connection is closed.
    Bytes(Vec<u8>),
    /// Nothing: the connection is closed.
    Close,
    /// These bytes; then the connection is reset, once the other side has sent something on it or, without bytes, at
    /// once.
    Reset(Vec<u8>),
    /// These bytes, and then nothing more for as long as the other side waits.
    Stall(Vec<u8>),
    /// These bytes one by one, so far apart.
    Dribble(Vec<u8>, Duration),
    /// The connection is handed over, for protocols that begin as HTTP.
    Take(Arc<Taker>),
}

/// Gets the connection and the request that came on it.
pub type Taker = dyn Fn(TcpStream, &Request) + Send + Sync;

/// An answer of ordinary HTTP.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How long the upstream seems to work on it.
    pub delay: Duration,
    /// Close the connection after it, unannounced.
    pub close: bool,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    accepted: AtomicUsize,
    /// Requests of one connection before it is closed; none, zero.
    most: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    answers: Mutex<HashMap<String, Answer>>,
    streams: Mutex<Vec<TcpStream>>,
}

impl Origin {
    pub fn start() -> Self {
        Self::start_at(port::free())
    }

    /// Starts at an address, such as that of one that was stopped.
    pub fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address)
            .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What requests to `path` are answered with from now on; the query is not part of it.
    pub fn on(&self, path: &str, answer: impl Into<Answer>) -> &Self {
        let mut answers = self.shared.answers.lock().unwrap();
        answers.insert(path.to_owned(), answer.into());
        self
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// The latest request.
    #[track_caller]
    pub fn last(&self) -> Request {
        self.requests()
            .pop()
            .expect("a request reached the upstream")
    }

    /// From now on connections are closed, unannounced, after so many requests.
    pub fn close_after(&self, requests: usize) -> &Self {
        self.shared.most.store(requests, Ordering::SeqCst);
        self
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests have come.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) {
        let what = format!("{count} requests at the upstream");
        wait_for(&what, || self.count() >= count);
    }

    /// Closes what is idle or busy, and goes on listening.
    pub fn close_connections(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then ends; once it has, the address can be bound again.
        let _ = TcpStream::connect(self.address);
        wait_for("the upstream's end", || {
            TcpListener::bind(self.address).is_ok()
        });
        self.close_connections();
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let number = self.accepted.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(&self);
            // A connection that breaks is the other side's affair; what came before is kept.
            thread::spawn(move || shared.serve(stream, number));
        }
    }

    fn serve(&self, stream: TcpStream, number: usize) -> io::Result<()> {
        stream.set_nodelay(true)?;
        self.streams.lock().unwrap().push(stream.try_clone()?);
        let served = self.answer_each(&stream, number);
        if matches!(&served, Err(error) if error.kind() == io::ErrorKind::ConnectionReset) {
            return self.reset(stream);
        }
        // The clone above would keep the connection open.
        let _ = stream.shutdown(Shutdown::Both);
        served
    }

    /// Ends a connection so that the other side sees a reset: nothing may be sent first, and no clone be left.
    fn reset(&self, stream: TcpStream) -> io::Result<()> {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        let other = stream.peer_addr()?;
        let mut streams = self.streams.lock().unwrap();
        streams.retain(|stream| !matches!(stream.peer_addr(), Ok(peer) if peer == other));
        Ok(())
    }

    fn answer_each(&self, stream: &TcpStream, connection: usize) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream;
        let mut served = 0;
        while let Some(head) = Head::read(&mut reader)? {
            if head.header("expect").is_some() {
                writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let (body, trailers) = head.read_whole(&mut reader, false)?;
            let mut words = head.line.split(' ').map(str::to_owned);
            let request = Request {
                method: words.next().unwrap_or_default(),
                target: words.next().unwrap_or_default(),
                head,
                body,
                trailers,
                connection,
            };
            self.requests.lock().unwrap().push(request.clone());
            served += 1;
            let is_last = served == self.most.load(Ordering::SeqCst)
                || request.header("connection") == Some("close");
            match self.answer(&request) {
                Answer::Reply(reply) => {
                    // The work that the test told the upstream to pretend.
                    thread::sleep(reply.delay);
                    writer.write_all(&reply.bytes(&request.method))?;
                    if reply.close || is_last {
                        return Ok(());
                    }
                }
                Answer::Bytes(bytes) => return writer.write_all(&bytes),
                Answer::Close => return Ok(()),
                Answer::Reset(bytes) => {
                    writer.write_all(&bytes)?;
                    if !bytes.is_empty() {
                        reader.read_exact(&mut [0])?;
                    }
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                Answer::Stall(bytes) => {
                    writer.write_all(&bytes)?;
                    while Head::read(&mut reader)?.is_some() {}
                    return Ok(());
                }
                Answer::Dribble(bytes, apart) => {
                    for byte in bytes {
                        writer.write_all(&[byte])?;
                        // The slowness that the test told the upstream to have.
                        thread::sleep(apart);
                    }
                }
                Answer::Take(taker) => {
                    taker(stream.try_clone()?, &request);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn answer(&self, request: &Request) -> Answer {
        let path = request.target.split('?').next().unwrap_or_default();
        let told = self.answers.lock().unwrap().get(path).cloned();
        told.unwrap_or_else(|| request.echo().into())
    }
}

impl Request {
    /// The first value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    fn echo(&self) -> Reply {
        let mut headers = serde_json::Map::new();
        for (name, _) in &self.head.headers {
            let values: Vec<_> = self.head.all(name).collect();
            headers.insert(name.to_ascii_lowercase(), values.join(", ").into());
        }
        let echo = json!({
            "method": self.method,
            "target": self.target,
            "headers": headers,
            "body": String::from_utf8_lossy(&self.body),
        });
        Reply::new(200, echo.to_string()).header("Content-Type", "application/json")
    }
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
            close: false,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub fn then_close(mut self) -> Self {
        self.close = true;
        self
    }

    fn bytes(&self, method: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Told\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        // RFC 9110 §8.6: no length with 1xx and 204.
        if self.status >= 200 && self.status != 204 {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if method != "HEAD" {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

#[cfg(test)]
mod tests;
