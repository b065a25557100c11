//! A real Redis on a port and in a folder of its own; nothing of the system's is touched.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::daemon::Daemon;
use super::port;
use super::wait::PATIENCE;

/// A running server, empty at the start. It is killed when dropped.
pub struct Redis {
    address: SocketAddr,
    daemon: Daemon,
    folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    #[track_caller]
    pub fn start() -> Self {
        let address = port::free();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let daemon = spawn(address, &folder);
        Self {
            address,
            daemon,
            folder,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// The program, to stop or continue it by a signal.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Kills it, and starts an empty one at the same address.
    #[track_caller]
    pub fn restart(&mut self) {
        self.daemon.kill();
        self.daemon = spawn(self.address, &self.folder);
    }
}

#[track_caller]
fn spawn(address: SocketAddr, folder: &TempDir) -> Daemon {
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder.path());
    let mut daemon = Daemon::start(&mut command, "redis-server");
    daemon.wait_until(PATIENCE, "an answer to PING", || answers(address));
    daemon
}

fn answers(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| answer == *b"+PONG\r\n")
}
