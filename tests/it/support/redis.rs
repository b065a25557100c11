//! A real Redis or Valkey on a port and in a folder of its own; nothing of the system's is touched.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::daemon::Daemon;
use super::tls::Authority;
use super::wait::PATIENCE;
use super::{port, python};

/// A running server, empty at the start. It is killed when dropped.
pub struct Redis {
    address: SocketAddr,
    daemon: Daemon,
    folder: TempDir,
    setting: Setting,
}

/// Whose server it is: Valkey went its own way after Redis 7.2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Product {
    Redis,
    Valkey,
}

/// How it is started.
struct Setting {
    product: Product,
    more: Vec<String>,
    /// It speaks TLS alone, with a certificate for `localhost` by this authority.
    tls: Option<Arc<Authority>>,
}

impl Redis {
    /// Starts one and waits until it answers.
    #[track_caller]
    pub fn start() -> Self {
        Self::of(Product::Redis)
    }

    #[track_caller]
    pub fn of(product: Product) -> Self {
        Self::with(Setting {
            product,
            more: Vec::new(),
            tls: None,
        })
    }

    /// With more arguments, such as `--requirepass`.
    #[track_caller]
    pub fn told(arguments: &[&str]) -> Self {
        Self::with(Setting {
            product: Product::Redis,
            more: arguments.iter().map(|&one| one.to_owned()).collect(),
            tls: None,
        })
    }

    /// One that speaks nothing but TLS.
    #[track_caller]
    pub fn secure(authority: &Arc<Authority>) -> Self {
        Self::with(Setting {
            product: Product::Redis,
            more: Vec::new(),
            tls: Some(authority.clone()),
        })
    }

    #[track_caller]
    fn with(setting: Setting) -> Self {
        let address = port::free();
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Some(authority) = &setting.tls {
            authority.sign(&["localhost"]).write(folder.path(), "redis");
        }
        let daemon = spawn(address, &folder, &setting);
        Self {
            address,
            daemon,
            folder,
            setting,
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
        self.daemon = spawn(self.address, &self.folder, &self.setting);
    }
}

#[track_caller]
fn spawn(address: SocketAddr, folder: &TempDir, setting: &Setting) -> Daemon {
    let port = address.port().to_string();
    let mut command = match setting.product {
        Product::Redis => Command::new("redis-server"),
        Product::Valkey => Command::new(python::valkey_server()),
    };
    command
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(folder.path());
    match &setting.tls {
        None => command.args(["--port", &port]),
        Some(_) => command
            .args(["--port", "0", "--tls-port", &port])
            .args(["--tls-cert-file", "redis.pem"])
            .args(["--tls-key-file", "redis.key"])
            .args(["--tls-auth-clients", "no"])
            .current_dir(folder.path()),
    };
    command.args(&setting.more);
    let mut daemon = Daemon::start(&mut command, "redis-server");
    let tls = setting.tls.as_deref();
    daemon.wait_until(PATIENCE, "an answer to PING", || answers(address, tls));
    daemon
}

fn answers(address: SocketAddr, tls: Option<&Authority>) -> bool {
    if let Some(authority) = tls {
        let connection = authority.hello("localhost").connect(address);
        return connection.is_ok_and(|mut connection| {
            connection.send(b"PING\r\n");
            let mut answer = [0; 7];
            connection.read_exact(&mut answer);
            answer == *b"+PONG\r\n"
        });
    }
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        io::Result::Ok(answer)
    };
    // One that asks for a password is there as well.
    ask().is_ok_and(|answer| answer == *b"+PONG" || answer == *b"-NOAU")
}
