//! The real program with a configuration of the test's own, on ports of its own.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::daemon::{Daemon, Ended};
use super::origin::Origin;
use super::port;
use super::raw::Raw;
use super::wait::{PATIENCE, wait_for};

/// A running gateway. It is killed when dropped.
pub struct Airside {
    set_up: SetUp,
    daemon: Daemon,
}

/// A gateway to be started: its configuration, with `{gateway}`, `{identity}`, `{admin}` (addresses
/// that are free), `{folder}` (the configuration's own) and whatever was `set` in place of values.
pub struct SetUp {
    config: String,
    values: BTreeMap<String, String>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    /// The limit of open files, soft and hard.
    files: Option<u32>,
    folder: TempDir,
}

impl Airside {
    /// Starts with `config`, or fails with what the program said.
    #[track_caller]
    pub fn start(config: &str) -> Self {
        Self::with(config).start()
    }

    /// The same, for more than a configuration.
    pub fn with(config: &str) -> SetUp {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display().to_string();
        let mut values = BTreeMap::from([("folder".to_owned(), place)]);
        for name in ["gateway", "identity", "admin"] {
            values.insert(name.to_owned(), port::free().to_string());
        }
        SetUp {
            config: config.to_owned(),
            values,
            environment: Vec::new(),
            arguments: Vec::new(),
            files: None,
            folder,
        }
    }

    /// Where requests go.
    pub fn address(&self) -> SocketAddr {
        self.set_up.address("gateway")
    }

    /// A URL at the gateway.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// A URL at the identity service's own listener.
    pub fn identity_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.set_up.address("identity"))
    }

    /// A URL at the admin listener.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.set_up.address("admin"))
    }

    /// A raw connection to the gateway.
    pub fn raw(&self) -> Raw {
        Raw::connect(self.address())
    }

    pub fn folder(&self) -> &Path {
        self.set_up.folder.path()
    }

    /// Writes another configuration in place of the present one; telling the program is the test's.
    pub fn write_config(&mut self, config: &str) {
        config.clone_into(&mut self.set_up.config);
        self.set_up.write();
    }

    /// The program, to signal it, to read what it says, or to wait for its end.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Runs another command of the program on the same configuration.
    pub fn command(&self, arguments: &[&str], stdin: &str) -> Output {
        self.set_up.command(arguments, stdin)
    }

    pub fn stderr(&self) -> String {
        self.daemon.stderr()
    }

    /// The lines of the access log so far, where it goes to the standard output, by when their requests
    /// came: two that follow each other may be written in the other order.
    pub fn access_log(&self) -> Vec<Value> {
        let stdout = self.daemon.stdout();
        let lines = stdout.lines().map(serde_json::from_str);
        let mut lines: Vec<Value> = lines.filter_map(Result::ok).collect();
        lines.sort_by_key(|line| line["ts"].as_str().unwrap_or_default().to_owned());
        lines
    }

    /// Waits until the access log has `count` lines, which are written in batches.
    #[track_caller]
    pub fn wait_for_access_log(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} lines of access log");
        wait_for(&what, || self.access_log().len() >= count);
        self.access_log()
    }

    /// Starts another process on the same configuration, to take the listeners over from this one.
    pub fn upgrade(&self) -> Daemon {
        self.set_up.spawn_with(&["--upgrade"])
    }

    /// Kills the program and starts it anew, on the same ports, in the same folder.
    #[track_caller]
    pub fn restart(mut self) -> Self {
        self.daemon.kill();
        self.set_up.start()
    }
}

impl SetUp {
    /// Puts `value` in place of `{name}`.
    pub fn set(mut self, name: &str, value: impl Display) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }

    /// Puts the upstream's address in place of `{origin}`.
    pub fn origin(self, origin: &Origin) -> Self {
        self.set("origin", origin.address())
    }

    /// A variable of the program's environment.
    pub fn env(mut self, name: &str, value: impl Display) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// One more argument after `run -c FILE`.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Lets the program have so many open files at most.
    pub fn limit_files(mut self, files: u32) -> Self {
        self.files = Some(files);
        self
    }

    /// A file beside the configuration.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).expect("a file can be written");
        self
    }

    /// What it says, with the names of values.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the program until it can be used: the admin listener says so, and the listeners that the
    /// configuration names take connections.
    #[track_caller]
    pub fn start(self) -> Airside {
        let mut daemon = self.spawn();
        let admin = self.address("admin");
        daemon.wait_until(PATIENCE, "/healthz of the admin listener", || is_up(admin));
        for name in ["gateway", "identity"] {
            if self.config.contains(&format!("{{{name}}}")) {
                let address = self.address(name);
                let up = || TcpStream::connect(address).is_ok();
                daemon.wait_until(PATIENCE, &format!("the {name} listener"), up);
            }
        }
        Airside {
            set_up: self,
            daemon,
        }
    }

    /// Runs another command of the program on this configuration, with something to read.
    pub fn command(&self, arguments: &[&str], stdin: &str) -> Output {
        self.write();
        let mut child = self
            .program()
            .env_remove("AIRSIDE_CONFIG")
            .env("NO_COLOR", "1")
            .current_dir(self.folder.path())
            .args(arguments)
            .arg("-c")
            .arg(self.file_path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        // A command that does not read may have ended.
        let _ = child
            .stdin
            .take()
            .map(|mut pipe| pipe.write_all(stdin.as_bytes()));
        child.wait_with_output().expect("it ends")
    }

    /// Runs the program, which must end by itself.
    #[track_caller]
    pub fn run_to_its_end(self) -> Ended {
        self.spawn().wait_until_ended(PATIENCE)
    }

    fn program(&self) -> Command {
        let Some(files) = self.files else {
            return Command::new(program());
        };
        // It becomes the program, with its id.
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={files}")).arg(program());
        command
    }

    fn spawn(&self) -> Daemon {
        self.write();
        self.spawn_with(&[])
    }

    fn spawn_with(&self, arguments: &[&str]) -> Daemon {
        let mut command = self.program();
        command
            .env_remove("AIRSIDE_CONFIG")
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .args(["run", "-c"])
            .arg(self.file_path())
            .args(&self.arguments)
            .args(arguments);
        Daemon::start(&mut command, "airside")
    }

    fn write(&self) {
        // In one step, so that a program that watches the file never sees half of it.
        let draft = self.folder.path().join("draft");
        std::fs::write(&draft, fill(&self.config, &self.values)).expect("a file can be written");
        std::fs::rename(&draft, self.file_path()).expect("a file can be renamed");
    }

    fn file_path(&self) -> PathBuf {
        self.folder.path().join("airside.yaml")
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.values[name].parse().expect("an address")
    }
}

/// Puts values in place of `{name}`; braces around anything else stay, as paths have them too.
fn fill(config: &str, values: &BTreeMap<String, String>) -> String {
    let put = |text: String, (name, value): (&String, &String)| {
        text.replace(&format!("{{{name}}}"), value)
    };
    values.iter().fold(config.to_owned(), put)
}

/// Does `GET /healthz` answer 200?
fn is_up(admin: SocketAddr) -> bool {
    // A start first tries whether it may listen, and lets go of who has connected by then.
    let Ok(mut client) = Raw::try_connect(admin) else {
        return false;
    };
    client.set_patience(Duration::from_secs(1));
    let asked =
        client.try_send("GET /healthz HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    let answer = asked.and_then(|()| client.try_read("GET"));
    answer.is_ok_and(|answer| answer.status == 200)
}

/// The program under test: the one that cargo has built with the tests, or another build of it, for what
/// measures time.
fn program() -> std::ffi::OsString {
    std::env::var_os("AIRSIDE_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_airside").into())
}

#[test]
fn only_known_names_are_replaced() {
    let origin = Origin::start();
    let set_up = Airside::with("{origin} {gateway} /a/{rest}").origin(&origin);
    let expected = format!(
        "{} {} /a/{{rest}}",
        origin.address(),
        set_up.address("gateway")
    );
    assert_eq!(fill(&set_up.config, &set_up.values), expected);
}

#[test]
fn health_is_told_from_its_absence() {
    let origin = Origin::start();
    assert!(is_up(origin.address()));
    origin.on("/healthz", super::origin::Reply::new(503, ""));
    assert!(!is_up(origin.address()));
    assert!(!is_up(port::free()));
}
