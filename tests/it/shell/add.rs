//! `airside user add`, with and without a gateway beside it, and what a start demands of keys and
//! database.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use super::{on, written};
use crate::support::daemon::Ended;
use crate::support::origin::Origin;
use crate::support::people::{self, Answer, Api, PASSWORD, Site, account, add_user};
use crate::support::server::Airside;

const ROOT: &str = "root@example.com";

fn add(folder: &Path, email: &str, roles: &[&str], password: &str) -> Output {
    add_user(&folder.join("airside.yaml"), email, roles, password)
}

fn with_identity() -> tempfile::TempDir {
    on("sqlite:airside.db")
}

/// Asserts an exit code, nothing on stdout, and one line that has `words` and not the password.
#[track_caller]
fn failed(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(!said.contains(PASSWORD), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

async fn is_admin(api: &Api, email: &str, password: &str) {
    let answer = api.sign_in(email, password).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let answer = api.ask("GET", "/auth/admin/roles", &token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn an_admin_is_made_beside_a_running_gateway() {
    let site = Site::start();
    let folder = site.airside.folder();
    let output = add(folder, ROOT, &["admin", "customer"], PASSWORD);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let id = String::from_utf8(output.stdout).unwrap();
    let answer = site.api().sign_in(ROOT, PASSWORD).await;
    let user = &answer.json()["user"];
    assert_eq!(id, format!("{}\n", user["id"].as_str().unwrap()));
    assert_eq!(user["roles"], serde_json::json!(["admin", "customer"]));
    is_admin(&site.api(), ROOT, PASSWORD).await;

    // Without a role it is an account like any other.
    let output = add(folder, "plain@example.com", &[], PASSWORD);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let token = site.api().token("plain@example.com").await;
    let answer = site.api().ask("GET", "/auth/admin/roles", &token).await;
    answer.refused(403, "forbidden");
}

#[tokio::test]
async fn an_admin_is_made_before_the_first_start() {
    // The shell makes the database and the keys; the gateway finds them.
    let origin = Origin::start();
    let first = with_identity();
    let output = add(first.path(), ROOT, &["admin"], PASSWORD);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mode = |path: &str| {
        let metadata = first.path().join(path).metadata().unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("airside.db"), 0o600);
    assert_eq!((mode("keys"), mode("keys/signing.pk8")), (0o700, 0o600));
    let airside = people::set_up(&origin)
        .set("store", first.path().join("airside.db").display())
        .set("keys", first.path().join("keys").display())
        .start();
    is_admin(&Api::at(airside.url("")), ROOT, PASSWORD).await;
}

#[tokio::test]
async fn the_line_end_of_echo_is_not_part_of_a_password_and_blanks_are() {
    let site = Site::start();
    let folder = site.airside.folder();
    for (email, typed, password) in [
        ("lf@example.com", "correct horse\n", "correct horse"),
        ("crlf@example.com", "correct horse\r\n", "correct horse"),
        ("blank@example.com", " correct horse ", " correct horse "),
        ("utf8@example.com", "pässwörter ✈\n", "pässwörter ✈"),
    ] {
        let output = add(folder, email, &["admin"], typed);
        assert_eq!(output.status.code(), Some(0), "{email}: {output:?}");
        is_admin(&site.api(), email, password).await;
    }
    let trimmed = site
        .api()
        .sign_in("blank@example.com", "correct horse")
        .await;
    trimmed.refused(401, "invalid_credentials");
}

#[test]
fn what_cannot_be_made_is_told_and_nothing_is_left_of_it() {
    let folder = with_identity();
    let folder = folder.path();
    assert!(add(folder, ROOT, &["admin"], PASSWORD).status.success());
    let taken = add(folder, "ROOT@example.com", &[], PASSWORD);
    failed(&taken, 4, &["ROOT@example.com", "has an account"]);

    let ann = "ann@example.com";
    let short = add(folder, ann, &[], "short");
    failed(&short, 1, &[ann, "`password`", "fewer than 8 characters"]);
    failed(&add(folder, ann, &[], ""), 1, &["`password`"]);
    let common = add(folder, ann, &[], "password\n");
    failed(&common, 1, &["`password`", "tried first"]);
    let long = add(folder, ann, &[], &"x".repeat(10_000));
    failed(&long, 1, &["`password`", "more than 71 bytes"]);
    failed(&add(folder, "ann", &[], PASSWORD), 1, &["`email`", "`@`"]);
    let role = add(folder, ann, &["customer", "pilot"], PASSWORD);
    failed(&role, 3, &[ann, "no such role"]);

    // The address is still free: nothing of all that was kept.
    let output = add(folder, ann, &["customer"], PASSWORD);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_configuration_without_identity_is_told() {
    let folder = written(
        "listeners: [{ address: 127.0.0.1:3001 }]\n\
         routes: [{ path: /ping, auth: public, respond: { status: 200 } }]\n",
    );
    let output = add(folder.path(), ROOT, &[], PASSWORD);
    failed(&output, 1, &["airside.yaml", "`identity:`"]);
    let output = add(&folder.path().join("nowhere"), ROOT, &[], PASSWORD);
    failed(&output, 1, &["nowhere/airside.yaml"]);
}

#[test]
fn a_database_that_cannot_be_used_is_told() {
    let store = |folder: &Path| folder.join("airside.db");
    let private = |path: &Path| {
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, mode).unwrap();
    };
    let folder = with_identity();
    std::fs::write(store(folder.path()), "dear diary, ".repeat(1_000)).unwrap();
    private(&store(folder.path()));
    let output = add(folder.path(), ROOT, &[], PASSWORD);
    failed(&output, 1, &["database", "can't be opened"]);
    let kept = std::fs::read_to_string(store(folder.path())).unwrap();
    assert!(kept.starts_with("dear diary"), "a stranger's file is kept");

    let folder = with_identity();
    std::fs::create_dir(store(folder.path())).unwrap();
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(store(folder.path()), mode).unwrap();
    let output = add(folder.path(), ROOT, &[], PASSWORD);
    failed(&output, 1, &["database"]);

    let folder = with_identity();
    assert!(add(folder.path(), ROOT, &[], PASSWORD).status.success());
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(store(folder.path()), mode).unwrap();
    let output = add(folder.path(), "ann@example.com", &[], PASSWORD);
    failed(&output, 1, &["airside.db", "0644", "chmod 600"]);
}

#[test]
fn a_password_is_never_an_argument() {
    let folder = with_identity();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_airside"));
        command.args(["user", "add", ROOT, "-c"]);
        command.arg(folder.path().join("airside.yaml"));
        command.args(arguments).output().unwrap()
    };
    for arguments in [
        vec![],
        vec!["--role", "admin"],
        vec!["--password", PASSWORD],
        vec!["--password-stdin", PASSWORD],
        vec!["--password-stdin=x"],
        vec!["--password-stdin", "--role", "not a role"],
    ] {
        let output = run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("Usage") || said.contains("--help"), "{said}");
    }
    assert!(!folder.path().join("airside.db").exists());
}

#[test]
fn rule_23_a_key_that_others_may_read_stops_the_start() {
    for (path, mode, chmod) in [
        ("keys/signing.pk8", 0o644, "chmod 600"),
        ("keys/signing.pk8", 0o640, "chmod 600"),
        ("keys", 0o755, "chmod 700"),
        ("airside.db", 0o644, "chmod 600"),
    ] {
        let folder = with_identity();
        assert!(add(folder.path(), ROOT, &[], PASSWORD).status.success());
        let exposed = folder.path().join(path);
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&exposed, permissions).unwrap();
        let Ended { status, stderr, .. } = refused_start(folder.path());
        assert_eq!(status.code(), Some(1), "{stderr}");
        let advice = format!("run `{chmod} {}`", exposed.display());
        assert!(stderr.contains(&advice), "{stderr}");
        let metadata = exposed.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{path}");
    }
}

#[test]
fn a_key_that_is_none_stops_the_start_and_is_kept() {
    let folder = with_identity();
    assert!(add(folder.path(), ROOT, &[], PASSWORD).status.success());
    let key = folder.path().join("keys/signing.pk8");
    std::fs::write(&key, "not a key").unwrap();
    let Ended { status, stderr, .. } = refused_start(folder.path());
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("is not a key that signs tokens"),
        "{stderr}"
    );
    assert_eq!(std::fs::read_to_string(&key).unwrap(), "not a key");
}

/// Runs a gateway on the database and the keys of `folder`, which must not start.
fn refused_start(folder: &Path) -> Ended {
    let origin = Origin::start();
    people::set_up(&origin)
        .set("store", folder.join("airside.db").display())
        .set("keys", folder.join("keys").display())
        .run_to_its_end()
}

#[tokio::test]
async fn two_gateways_that_start_at_once_share_users_and_keys() {
    let origin = Origin::start();
    for round in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let start = || {
            let set_up = people::set_up(&origin)
                .set("store", folder.path().join("data/airside.db").display())
                .set("keys", folder.path().join("data/keys").display());
            thread::spawn(|| set_up.start())
        };
        let starting = [start(), start()];
        let gateways: [Airside; 2] = starting.map(|thread| thread.join().unwrap());
        let apis = gateways.each_ref().map(|airside| Api::at(airside.url("")));
        let [one, other] = &apis;
        for (made_by, used_by) in [(one, other), (other, one)] {
            let email = format!("ann@{}.example", std::ptr::from_ref(made_by).addr());
            let (_, token) = made_by.join(&email).await;
            let answer = used_by.ask("GET", "/members", &token).await;
            assert_eq!(answer.status, 200, "round {round}: {}", answer.body);
            used_by.token(&email).await;
            used_by.sign_up(&email).await.refused(409, "email_taken");
        }
        // One address, both gateways, all at once.
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..10 {
            let api = apis[index % 2].clone();
            let body = account("bob@example.com", PASSWORD);
            tasks.spawn(async move { api.post("/auth/signup", &body).await });
        }
        let answers = tasks.join_all().await;
        let (made, refused): (Vec<Answer>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!((made.len(), refused.len()), (1, 9), "{refused:?}");
        for answer in refused {
            answer.refused(409, "email_taken");
        }
        let left: Vec<_> = std::fs::read_dir(folder.path().join("data/keys"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["signing.pk8"]);
    }
}
