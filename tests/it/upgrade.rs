//! Another process on the same listeners: no request is lost, whatever the successor is like, and the
//! service manager knows who serves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::edge::{get, request};
use crate::support::origin::{Origin, Reply};
use crate::support::raw::{Raw, once};
use crate::support::server::{Airside, SetUp};
use crate::support::wait::{PATIENCE, wait_for};

const CONFIG: &str = r#"
server: { run_dir: run, drain: 20s }
listeners: [{ address: "{gateway}" }]
admin: { listen: "{admin}" }
defaults: { auth: public }
upstreams: { origin: { servers: ["{origin}"] } }
routes:
  - { path: /which, respond: { status: 200, body: one } }
  - { path: "/o/*", upstream: origin }
"#;

fn set_up(origin: &Origin) -> SetUp {
    Airside::with(CONFIG).origin(origin)
}

fn pid_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("run/airside.pid")).unwrap_or_default()
}

/// Writes what a successor is to say of itself.
fn become_two(airside: &mut Airside) {
    airside.write_config(&CONFIG.replace("body: one", "body: two"));
}

#[test]
fn a_successor_takes_over_and_no_request_is_lost() {
    let origin = Origin::start();
    origin.on(
        "/o/slow",
        Reply::new(200, "done").after(Duration::from_secs(4)),
    );
    let mut airside = set_up(&origin).start();
    let address = airside.address();
    wait_for("the pid", || !pid_of(airside.folder()).is_empty());
    let before = pid_of(airside.folder());
    assert_eq!(before.trim(), airside.daemon().id().to_string());
    let metadata = airside.folder().join("run").metadata().unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
    let mut slow = airside.raw();
    slow.send(get("/o/slow"));
    origin.wait_for_requests(1);

    let (ended, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let successor = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut raw = Raw::connect(address);
                    while !ended.load(Ordering::Relaxed) {
                        let answer = raw.exchange(get("/o/x"));
                        assert_eq!(answer.status, 200);
                        answered.fetch_add(1, Ordering::Relaxed);
                        if answer.header("connection") == "close" {
                            raw = Raw::connect(address);
                        }
                    }
                })
            })
            .collect();
        let successor = airside.upgrade();
        wait_for("the successor's word", || {
            pid_of(airside.folder()) != before
        });
        assert_eq!(pid_of(airside.folder()).trim(), successor.id().to_string());
        // The request from before the change is answered by the process that has it.
        assert_eq!(slow.read().text(), "done");
        let gone = airside.daemon().wait_until_ended(PATIENCE);
        assert_eq!(gone.status.code(), Some(0), "{}", gone.stderr);
        assert!(
            gone.stderr.contains("left with nothing in flight"),
            "{}",
            gone.stderr
        );
        let so_far = answered.load(Ordering::Relaxed);
        wait_for("traffic", || {
            answered.load(Ordering::Relaxed) > so_far + 100
        });
        ended.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("a client without an error");
        }
        successor
    });
    assert_eq!(once(address, get("/which")).text(), "one");
    let folder = airside.folder().join("run");
    let mut left: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["airside.pid"]);
    drop(successor);
}

#[test]
fn a_successor_that_fails_costs_nothing_and_one_that_is_better_follows() {
    let origin = Origin::start();
    let mut airside = set_up(&origin).start();
    let address = airside.address();
    let which = || once(address, get("/which")).text();
    // Told before it asks for anything.
    airside.write_config(&CONFIG.replace("upstream: origin", "upstream: nobody"));
    let failed = airside.upgrade().wait_until_ended(PATIENCE);
    assert_eq!(failed.status.code(), Some(1), "{}", failed.stderr);
    assert_eq!(which(), "one");

    // It has the listeners and can't open one more.
    let taken = std::net::TcpListener::bind(crate::support::port::free()).unwrap();
    let more = format!(", {{ address: \"{}\" }}]", taken.local_addr().unwrap());
    airside.write_config(&CONFIG.replace("\"{gateway}\" }]", &format!("\"{{gateway}}\" }}{more}")));
    let failed = airside.upgrade().wait_until_ended(PATIENCE);
    assert_eq!(failed.status.code(), Some(1), "{}", failed.stderr);
    wait_for("a word", || {
        airside
            .stderr()
            .contains("waiting until the successor serves")
    });
    for _ in 0..20 {
        assert_eq!(which(), "one");
    }

    become_two(&mut airside);
    let successor = airside.upgrade();
    airside.daemon().wait_until_ended(PATIENCE);
    for _ in 0..20 {
        assert_eq!(which(), "two");
    }
    drop(successor);
}

#[test]
fn without_a_successor_the_signal_changes_nothing() {
    let origin = Origin::start();
    let mut airside = set_up(&origin).start();
    airside.daemon().signal("QUIT");
    wait_for("a word", || {
        airside.stderr().contains("nobody waits for the listeners")
    });
    assert_eq!(airside.raw().exchange(get("/which")).status, 200);
    // A socket that its owner left behind is nobody either.
    let socket = airside.folder().join("run/upgrade.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let lines = airside.stderr().lines().count();
    airside.daemon().signal("QUIT");
    wait_for("a word", || airside.stderr().lines().count() > lines);
    assert_eq!(airside.raw().exchange(get("/which")).status, 200);
}

#[test]
fn a_listener_that_the_successor_does_not_have_is_closed() {
    let origin = Origin::start();
    let other = crate::support::port::free();
    let with_two = CONFIG.replace(
        "\"{gateway}\" }]",
        &format!("\"{{gateway}}\" }}, {{ address: \"{other}\" }}]"),
    );
    let mut airside = Airside::with(&with_two).origin(&origin).start();
    wait_for("the other listener", || {
        std::net::TcpStream::connect(other).is_ok()
    });
    become_two(&mut airside);
    let successor = airside.upgrade();
    airside.daemon().wait_until_ended(PATIENCE);
    assert_eq!(airside.raw().exchange(get("/which")).text(), "two");
    let refused = std::net::TcpStream::connect(other).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    drop(successor);
}

#[test]
fn an_upgrade_needs_its_folder_and_starts_by_itself_where_nobody_serves() {
    let origin = Origin::start();
    let without = CONFIG.replace("run_dir: run, ", "");
    let ended = Airside::with(&without)
        .origin(&origin)
        .argument("--upgrade")
        .run_to_its_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("`server.run_dir`"),
        "{}",
        ended.stderr
    );
    // A pid that is another program's, as after a crash.
    let alone = set_up(&origin).argument("--upgrade");
    fs::create_dir(alone.folder().join("run")).unwrap();
    fs::set_permissions(
        alone.folder().join("run"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    fs::write(alone.folder().join("run/airside.pid"), "1\n").unwrap();
    let alone = alone.start();
    assert_eq!(alone.raw().exchange(get("/which")).text(), "one");

    let open = set_up(&origin);
    fs::create_dir(open.folder().join("run")).unwrap();
    fs::set_permissions(open.folder().join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    let ended = open.run_to_its_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("chmod 700"), "{}", ended.stderr);
}

#[test]
fn the_service_manager_is_told_and_a_signal_starts_the_successor() {
    let origin = Origin::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let ready = |pid: u32| format!("READY=1\nMAINPID={pid}\n");
    let mut airside = set_up(&origin).env("NOTIFY_SOCKET", path.display()).start();
    let pid = airside.daemon().id();
    assert_eq!(told(), ready(pid));
    airside.daemon().signal("HUP");
    let reloading = told();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(told(), ready(pid));

    airside.daemon().signal("USR2");
    let other = told();
    let other: i32 = other.trim().rsplit('=').next().unwrap().parse().unwrap();
    assert_ne!(other, pid as i32);
    airside.daemon().wait_until_ended(PATIENCE);
    assert_eq!(airside.raw().exchange(get("/which")).text(), "one");
    // Not a child of this test's, so that it is ended by its number.
    let ended = std::process::Command::new("kill")
        .arg(other.to_string())
        .status()
        .unwrap();
    assert!(ended.success());
    assert_eq!(told(), "STOPPING=1\n");
    wait_for("its end", || {
        std::net::TcpStream::connect(airside.address()).is_err()
    });
    assert_eq!(pid_of(airside.folder()), "", "taken back");
}

#[test]
fn a_stop_under_load_takes_nothing_more_after_a_while_and_ends_when_all_is_answered() {
    let origin = Origin::start();
    let mut airside = set_up(&origin).start();
    let address = airside.address();
    let (answered, stopping) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    // Once the listener is closed, what it had not taken yet is refused.
                    let answer = Raw::try_connect(address).and_then(|mut raw| {
                        raw.try_send(request("GET", "/o/x", &[]))?;
                        raw.try_read("GET")
                    });
                    match answer {
                        Ok(answer) => assert_eq!(answer.status, 200),
                        Err(error) if stopping.load(Ordering::Relaxed) => return drop(error),
                        Err(error) => panic!("{error}"),
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait_for("traffic", || answered.load(Ordering::Relaxed) > 100);
        let begun = Instant::now();
        stopping.store(true, Ordering::Relaxed);
        airside.daemon().signal("TERM");
        let ended = airside.daemon().wait_until_ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(0));
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
        assert!(
            ended.stderr.contains("left with nothing in flight"),
            "{}",
            ended.stderr
        );
    });
}
