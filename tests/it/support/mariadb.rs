//! A real MariaDB on a port and in a folder of its own; nothing of the system's is touched.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tempfile::TempDir;

use super::daemon::{Daemon, run};
use super::port;
use super::wait::PATIENCE;

/// A running server with one empty database and one user, who may do all there and may make others
/// whose names begin with `airside`. It is killed when dropped.
pub struct Mariadb {
    address: SocketAddr,
    daemon: Daemon,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Mariadb {
    /// Sets one up, starts it, and waits until it answers: a matter of seconds.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with arguments of the test's own.
    #[track_caller]
    pub fn start_with(arguments: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut install = Command::new("mariadb-install-db");
        install
            .env("TMPDIR", folder.path())
            .args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"])
            .arg("--auth-root-authentication-method=normal")
            .arg(option("datadir", &folder.path().join("data")))
            .args(as_root());
        run(&mut install, PACKAGE);
        std::fs::write(folder.path().join("init.sql"), INIT).expect("a file can be written");
        let address = port::free();
        let daemon = spawn(address, folder.path(), arguments);
        Self {
            address,
            daemon,
            arguments: arguments.to_vec(),
            folder,
        }
    }

    /// One that several tests use at once, each with a database of its own. The last of them stops it.
    #[track_caller]
    pub fn shared() -> Shared {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Makes an empty database and gives its URL. Only the first letters of a long name count.
    pub async fn new_database(&self, name: &str) -> String {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let short: String = name.chars().take(40).collect();
        let name = format!("airside_{number}_{short}");
        let mut connection = mysql_async::Conn::from_url(self.url())
            .await
            .expect("a connection");
        let made = connection
            .query_drop(format!("CREATE DATABASE {name}"))
            .await;
        made.expect("a database can be made");
        format!("mysql://airside:in-tests-only@{}/{name}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database, as `identity.store` and the driver take it.
    pub fn url(&self) -> String {
        format!("mysql://airside:in-tests-only@{}/airside", self.address)
    }

    /// The program, to stop or continue it by a signal.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Starts it again at the same address on the same data, after its daemon was killed.
    #[track_caller]
    pub fn revive(&mut self) {
        self.daemon = spawn(self.address, self.folder.path(), &self.arguments);
    }

    /// The same with other arguments of the test's own, as after somebody has changed its configuration.
    #[track_caller]
    pub fn revive_with(&mut self, arguments: &[String]) {
        self.arguments = arguments.to_vec();
        self.revive();
    }

    /// Kills it as a power cut would, and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.daemon.kill();
        self.revive();
    }

    /// A connection that may do everything, past the network and its limits.
    pub async fn as_root(&self) -> mysql_async::Conn {
        let opts = mysql_async::OptsBuilder::default()
            .user(Some("root"))
            .socket(Some(
                self.folder.path().join("socket").display().to_string(),
            ));
        mysql_async::Conn::new(opts).await.expect("a connection")
    }
}

pub type Shared = Arc<Mariadb>;

static SHARED: Mutex<Weak<Mariadb>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

#[track_caller]
fn spawn(address: SocketAddr, folder: &Path, arguments: &[String]) -> Daemon {
    let mut command = Command::new("mariadbd");
    command
        // A server that starts clears the temporary tables of all that share the folder.
        .env("TMPDIR", folder)
        .args(["--no-defaults", "--skip-name-resolve", "--skip-log-bin"])
        .args(["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M"])
        // As in a server that is set up with care: the store must not lean on a lenient one.
        .args(["--character-set-server=utf8mb4", "--bind-address=127.0.0.1"])
        .arg(format!("--port={}", address.port()))
        .arg(option("datadir", &folder.join("data")))
        .arg(option("socket", &folder.join("socket")))
        .arg(option("pid-file", &folder.join("pid")))
        .arg(option("init-file", &folder.join("init.sql")))
        .args(arguments)
        .args(as_root());
    let mut daemon = Daemon::start(&mut command, PACKAGE);
    // The file above is worked off before the first connection is greeted.
    daemon.wait_until(PATIENCE * 3, "a greeting", || greets(address));
    daemon
}

fn greets(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok_and(|mut stream| {
        let patience = stream.set_read_timeout(Some(Duration::from_secs(1)));
        patience.is_ok() && stream.read(&mut [0]).is_ok_and(|read| read > 0)
    })
}

fn option(name: &str, value: &Path) -> String {
    format!("--{name}={}", value.display())
}

/// As root the server wants to be told that this is meant.
fn as_root() -> Option<&'static str> {
    let owner = std::fs::metadata("/proc/self").map(|process| process.uid());
    owner.is_ok_and(|owner| owner == 0).then_some("--user=root")
}

const PACKAGE: &str = "mariadb-server-core";

const INIT: &str = "\
CREATE DATABASE IF NOT EXISTS airside;
CREATE USER IF NOT EXISTS 'airside'@'127.0.0.1' IDENTIFIED BY 'in-tests-only';
GRANT ALL ON `airside%`.* TO 'airside'@'127.0.0.1';
";
