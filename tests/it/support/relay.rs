//! A network that can be bad: a relay in front of a server, which passes bytes on, holds each step of them up, or
//! takes them and says nothing.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::port;

/// A running relay. It takes no more connections when dropped, and cuts those that it has.
pub struct Relay {
    address: SocketAddr,
    weather: Arc<Mutex<Weather>>,
}

/// What becomes of bytes, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Clear,
    /// Each piece waits for so long.
    Slow(Duration),
    /// They are taken and kept, as behind a firewall that drops; connections are taken too.
    Silent,
    /// Connections are cut.
    Over,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Self {
        let address = port::free();
        let listener = TcpListener::bind(address).expect("a free address");
        let weather = Arc::new(Mutex::new(Weather::Clear));
        let current = Arc::clone(&weather);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *current.lock().unwrap() == Weather::Over {
                    return;
                }
                // A connection that breaks is the affair of those who talk.
                let _ = join(stream, server, &current);
            }
        });
        Self { address, weather }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it is so, for the connections that there are too.
    pub fn turn(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.turn(Weather::Over);
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

fn join(client: TcpStream, server: SocketAddr, weather: &Arc<Mutex<Weather>>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
    }
    let ways = [(client.try_clone()?, server.try_clone()?), (server, client)];
    for (from, to) in ways {
        let weather = Arc::clone(weather);
        thread::spawn(move || {
            let _ = pass(&from, &to, &weather);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, weather: &Mutex<Weather>) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        loop {
            let now = *weather.lock().unwrap();
            match now {
                Weather::Clear => break,
                Weather::Over => return Ok(()),
                // The slowness that the test told the network to have.
                Weather::Slow(by) if read > 0 => {
                    thread::sleep(by);
                    break;
                }
                Weather::Slow(_) => break,
                Weather::Silent => thread::sleep(LOOK),
            }
        }
        to.write_all(&buffer[..read])?;
    }
}

/// How soon a change of the weather is noticed.
const LOOK: Duration = Duration::from_millis(10);

#[test]
fn bytes_pass_or_wait_as_they_are_told() {
    use super::raw::Raw;
    let origin = super::origin::Origin::start();
    let relay = Relay::to(origin.address());
    let mut raw = Raw::connect(relay.address());
    let ask = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(raw.exchange(ask).status, 200);
    relay.turn(Weather::Silent);
    raw.send(ask);
    raw.set_patience(Duration::from_millis(100));
    assert!(raw.try_read("GET").is_err());
    assert_eq!(origin.count(), 1);
    relay.turn(Weather::Slow(Duration::from_millis(20)));
    raw.set_patience(super::wait::PATIENCE);
    assert_eq!(raw.read().status, 200);
    relay.turn(Weather::Over);
    assert!(raw.closes());
}
