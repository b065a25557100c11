//! Requests at an even pace, whether or not the earlier ones are answered: request number n is due n / rate seconds
//! after the start, and its latency counts from then, so that waiting for a connection shows. One thread, and a syscall
//! or four a request: it shares its core with the upstream.
//!
//! usage: pace ADDRESS PATH RATE SECONDS CONNECTIONS [HEADER…]

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, rate, seconds, connections, headers @ ..] = &arguments[..] else {
        bail!("usage: pace ADDRESS PATH RATE SECONDS CONNECTIONS [HEADER…]");
    };
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n");
    for header in headers {
        request += &format!("{header}\r\n");
    }
    request += "\r\n";
    let (rate, seconds): (f64, f64) = (rate.parse()?, seconds.parse()?);
    // A sleep is late by its slack, which is 50 µs otherwise: as much as lies between two requests.
    nix::sys::prctl::set_timerslack(1)?;
    let mut pace = Pace::open(address, connections.parse()?, request.into_bytes())?;
    pace.run(rate, seconds)?;
    println!("{}", pace.outcome(rate, seconds));
    Ok(())
}

struct Pace {
    epoll: Epoll,
    connections: Vec<Connection>,
    /// Who waits for a request, and since when.
    idle: VecDeque<(usize, Instant)>,
    request: Vec<u8>,
    /// From when a request was due to its answer, and to its leaving where a connection was there for it, in µs.
    latencies: Vec<u64>,
    late: Vec<u64>,
    served: usize,
    refused: usize,
    left: usize,
}

struct Connection {
    stream: TcpStream,
    due: Instant,
    answer: Vec<u8>,
}

impl Pace {
    fn open(address: &str, connections: usize, request: Vec<u8>) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        let now = Instant::now();
        let mut all = Vec::new();
        for number in 0..connections {
            let stream = TcpStream::connect(address).context("connecting")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
            all.push(Connection {
                stream,
                due: now,
                answer: Vec::with_capacity(4096),
            });
        }
        Ok(Self {
            epoll,
            connections: all,
            idle: (0..connections).map(|number| (number, now)).collect(),
            request,
            latencies: Vec::new(),
            late: Vec::new(),
            served: 0,
            refused: 0,
            left: 0,
        })
    }

    fn run(&mut self, rate: f64, seconds: f64) -> Result<()> {
        let begun = Instant::now() + Duration::from_millis(10);
        // Until then nobody has a connection to the upstream.
        let warm = begun + Duration::from_secs_f64(seconds / 10.0);
        let end = begun + Duration::from_secs_f64(seconds);
        let total = (rate * seconds) as usize;
        let due = |number: usize| begun + Duration::from_secs_f64(number as f64 / rate);
        let mut sent = 0;
        let mut events = vec![EpollEvent::empty(); self.connections.len()];
        loop {
            let mut now = Instant::now();
            while sent < total && due(sent) <= now && now < end {
                let Some((number, since)) = self.idle.pop_front() else {
                    break;
                };
                let own = due(sent);
                if own >= warm {
                    self.late.push(micros(now - own.max(since)));
                }
                let connection = &mut self.connections[number];
                connection.due = own;
                let written = connection.stream.write(&self.request)?;
                ensure!(written == self.request.len(), "a request did not fit");
                sent += 1;
                now = Instant::now();
            }
            if now >= end {
                // What was due and has no answer by now: a queue, where it is long.
                let busy = self.connections.len() - self.idle.len();
                self.left = total - sent + busy;
                return Ok(());
            }
            let wake = if sent < total && !self.idle.is_empty() {
                due(sent).min(end)
            } else {
                end
            };
            let patience = TimeSpec::from_duration(wake.saturating_duration_since(now));
            let mut poll = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
            if ppoll(&mut poll, Some(patience), None)? > 0 {
                let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO)?;
                for event in &events[..ready] {
                    self.read(event.data() as usize, warm)?;
                }
            }
        }
    }

    fn read(&mut self, number: usize, warm: Instant) -> Result<()> {
        let connection = &mut self.connections[number];
        let mut bytes = [0; 16384];
        match connection.stream.read(&mut bytes) {
            Ok(0) => bail!("a connection was closed"),
            Ok(count) => connection.answer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = complete(&connection.answer)? {
            let now = Instant::now();
            if connection.due >= warm {
                self.latencies.push(micros(now - connection.due));
            }
            connection.answer.clear();
            self.served += 1;
            self.refused += usize::from(status >= 400);
            self.idle.push_back((number, now));
        }
        Ok(())
    }

    fn outcome(&mut self, rate: f64, seconds: f64) -> String {
        let at = |times: &mut Vec<u64>, share: f64| {
            times.sort_unstable();
            let place = (times.len() as f64 * share) as usize;
            times
                .get(place.min(times.len().saturating_sub(1)))
                .copied()
                .unwrap_or(0)
        };
        let [p50, p99, p999, most] =
            [0.5, 0.99, 0.999, 1.0].map(|share| at(&mut self.latencies, share));
        let [late_p50, late_p99] = [0.5, 0.99].map(|share| at(&mut self.late, share));
        let (served, refused, left) = (self.served, self.refused, self.left);
        format!(
            r#"{{"rate":{rate},"served":{:.1},"refused":{refused},"left":{left},"p50_us":{p50},"p99_us":{p99},"p999_us":{p999},"max_us":{most},"late_p50_us":{late_p50},"late_p99_us":{late_p99}}}"#,
            served as f64 / seconds,
        )
    }
}

/// The status of an answer that is there as a whole.
fn complete(answer: &[u8]) -> Result<Option<u16>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(&answer[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .context("no status")?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("an answer without a length")?;
    let length: usize = length.1.trim().parse()?;
    Ok((answer.len() >= end + 4 + length).then_some(status.parse()?))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
