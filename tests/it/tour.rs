//! `airside demo`: up at once, and its printed tour goes as it says, typed line for line.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use airside::demo::tour::{self, Step};

use crate::support::bash;
use crate::support::daemon::Daemon;
use crate::support::people::Api;
use crate::support::port;
use crate::support::raw::{self, Raw};
use crate::support::wait::{PATIENCE, wait_for};

/// A running demo on ports of its own.
struct Demo {
    daemon: Daemon,
    gateway: SocketAddr,
    data: PathBuf,
    up_after: Duration,
}

const ADMIN: &str = "admin@airside.example";
/// What follows the tour.
const END: &str = "Accounts and keys are in ";

impl Demo {
    /// Starts the demo and waits until it serves.
    #[track_caller]
    fn start(data: &Path) -> Self {
        let [gateway, identity, admin, flights, bookings] = [(); 5].map(|()| port::free());
        let began = Instant::now();
        let mut command = program(&["demo", "--data"]);
        command
            .arg(data)
            .env("AIRSIDE_LISTEN", gateway.to_string())
            .env("AIRSIDE_IDENTITY", identity.to_string())
            .env("AIRSIDE_ADMIN", admin.to_string())
            .env("AIRSIDE_FLIGHTS", flights.to_string())
            .env("AIRSIDE_BOOKINGS", bookings.to_string());
        let mut daemon = Daemon::start(&mut command, "airside");
        for address in [gateway, identity, admin, flights, bookings] {
            let up = || std::net::TcpStream::connect(address).is_ok();
            daemon.wait_until(PATIENCE, &format!("a listener on {address}"), up);
        }
        let ping = "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(raw::once(gateway, ping).text(), "pong");
        Self {
            daemon,
            gateway,
            data: data.to_owned(),
            up_after: began.elapsed(),
        }
    }

    /// The tour as it stands on the standard output.
    fn printed(&self) -> String {
        wait_for("the end of the tour", || self.daemon.stdout().contains(END));
        let stdout = self.daemon.stdout();
        // The access log goes to the same place, and begins before the tour does.
        let tour = stdout.split(END).next().unwrap().lines();
        let tour = tour.filter(|line| !line.starts_with("{\"ts\""));
        tour.collect::<Vec<_>>().join("\n")
    }

    fn password(&self) -> String {
        let file = std::fs::read_to_string(self.data.join("admin-password"));
        file.unwrap().trim().to_owned()
    }

    /// The tour that this demo ought to print.
    fn expected(&self) -> Vec<Step> {
        let gateway = format!("http://{}", self.gateway);
        tour::tour(&gateway, ADMIN, &self.password())
    }

    /// Types what was printed, and holds each answer against what was promised.
    fn take_the_tour(&self) {
        let (printed, steps) = (self.printed(), self.expected());
        assert_eq!(printed.trim_end(), tour::print(&steps).trim_end());
        let outputs = bash::session(&blocks(&printed, steps.len()));
        for (step, output) in steps.iter().zip(outputs) {
            assert!(
                step.expect.met_by(&output),
                "{}: expected {:?}, and it printed:\n{output}",
                step.title,
                step.expect
            );
        }
    }
}

/// The printed lines of each step, from its number to the next.
fn blocks(printed: &str, count: usize) -> Vec<String> {
    let mut rest = printed;
    let mut blocks = Vec::new();
    for number in (1..=count).rev() {
        let start = rest
            .find(&format!("# {number}. "))
            .expect("a numbered step");
        blocks.insert(0, rest[start..].to_owned());
        rest = &rest[..start];
    }
    assert_eq!(rest, "", "something stands before the first step");
    blocks
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_airside"));
    command
        .args(arguments)
        .env("NO_COLOR", "1")
        .env_remove("AIRSIDE_CONFIG");
    command
}

fn clean(data: &Path) -> Output {
    program(&["demo", "--clean", "--data"])
        .arg(data)
        .output()
        .unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn the_printed_tour_goes_as_it_says_also_after_a_second_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let demo = Demo::start(&data);
    println!("up after {:?}", demo.up_after);
    assert!(
        demo.up_after < Duration::from_secs(5),
        "{:?}",
        demo.up_after
    );
    demo.take_the_tour();
    let password = demo.password();
    drop(demo);

    let again = Demo::start(&data);
    println!("up again after {:?}", again.up_after);
    assert_eq!(again.password(), password);
    again.take_the_tour();
}

#[tokio::test]
async fn the_administrators_password_outlives_the_demo_and_stays_off_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = Demo::start(&data);
    let password = first.password();
    drop(first);
    let mut second = Demo::start(&data);
    let api = Api::at(format!("http://{}", second.gateway));
    let answer = api.sign_in(ADMIN, &password).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["user"]["roles"][0], "admin");

    second.daemon.signal("TERM");
    let ended = second.daemon.wait_until_ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let log = ended.stdout.split(END).nth(1).unwrap();
    assert!(log.contains("/auth/signin"), "{log}");
    for secret in [password.as_str(), &token, "$2b$"] {
        assert!(!log.contains(secret), "{secret} is in the access log");
        assert!(!ended.stderr.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn rule_23_what_the_demo_keeps_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _demo = Demo::start(&data);
    assert_eq!(mode(&data.join("keys")), 0o700);
    for file in ["airside.db", "admin-password", "keys/signing.pk8"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    let exposed: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| mode(path) & 0o077 != 0 && !path.ends_with(".airside-demo"))
        .collect();
    assert!(exposed.is_empty(), "{exposed:?}");
}

#[test]
fn clean_deletes_what_the_demo_made_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Demo::start(&data));
    let output = clean(&data);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!data.exists());
    // Twice is no error.
    assert_eq!(clean(&data).status.code(), Some(0));

    let others = folder.path().join("others");
    std::fs::create_dir(&others).unwrap();
    std::fs::write(others.join("diary"), "dear diary").unwrap();
    let output = clean(&others);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("was not made by the demo"), "{said}");
    assert!(others.join("diary").exists());

    // A folder that was there before may be used, and is not the demo's to delete.
    drop(Demo::start(&others));
    assert_eq!(clean(&others).status.code(), Some(1));
    assert!(others.join("diary").exists());
}

#[test]
fn a_taken_port_is_named_and_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let demo = Demo::start(&data);
    let mut command = program(&["demo", "--data"]);
    command
        .arg(folder.path().join("other"))
        .env("AIRSIDE_LISTEN", demo.gateway.to_string());
    for name in ["IDENTITY", "ADMIN", "FLIGHTS", "BOOKINGS"] {
        command.env(format!("AIRSIDE_{name}"), port::free().to_string());
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&demo.gateway.to_string()), "{said}");
    // The first one is none the worse for it.
    let mut client = Raw::connect(demo.gateway);
    let answer = client.exchange("GET /ping HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.status, 200);
}
