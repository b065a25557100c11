//! A DNS server over UDP: it knows the addresses that it is told, or fails as it is told.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A running server. It stops when dropped.
pub struct Dns {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    failing: AtomicBool,
    asked: AtomicUsize,
    names: Mutex<HashMap<String, (Vec<Ipv4Addr>, u32)>>,
}

impl Dns {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let patience = Some(Duration::from_millis(50));
        socket.set_read_timeout(patience).expect("a socket option");
        let address = socket.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || serving.serve(&socket));
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a name stands for from now on, and for how many seconds that holds.
    pub fn tell(&self, name: &str, addresses: &[&str], ttl: u32) -> &Self {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        let mut names = self.shared.names.lock().unwrap();
        names.insert(name.to_owned(), (addresses.collect(), ttl));
        self
    }

    /// From now on every answer is `SERVFAIL`, or none is any more.
    pub fn fail(&self, failing: bool) -> &Self {
        self.shared.failing.store(failing, Ordering::SeqCst);
        self
    }

    /// Questions for an IPv4 address so far.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn serve(&self, socket: &UdpSocket) {
        let mut buffer = [0; 1_500];
        while !self.stopped.load(Ordering::SeqCst) {
            let Ok((read, from)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            if let Some(answer) = self.answer(&buffer[..read]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    }

    /// RFC 1035 §4.1: a head of 12 bytes, the question as it came, then one record for each address.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut at = 12;
        while *query.get(at)? > 0 {
            let length = usize::from(query[at]);
            name.push(String::from_utf8_lossy(query.get(at + 1..=at + length)?).to_lowercase());
            at += length + 1;
        }
        let question = query.get(12..at + 5)?;
        let wants_ipv4 = query[at + 1..at + 3] == [0, 1];
        if wants_ipv4 {
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
        let known = self.names.lock().unwrap().get(&name.join(".")).cloned();
        let code: u8 = match (self.failing.load(Ordering::SeqCst), &known) {
            (true, _) => 2,
            (false, None) => 3,
            (false, Some(_)) => 0,
        };
        let (addresses, ttl) = known
            .filter(|_| wants_ipv4 && code == 0)
            .unwrap_or_default();
        let mut answer = query[..2].to_vec();
        answer.extend([
            0x81,
            0x80 | code,
            0,
            1,
            0,
            addresses.len() as u8,
            0,
            0,
            0,
            0,
        ]);
        answer.extend_from_slice(question);
        for address in addresses {
            answer.extend([0xc0, 12, 0, 1, 0, 1]);
            answer.extend(ttl.to_be_bytes());
            answer.extend([0, 4]);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}
