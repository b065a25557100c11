//! The commands on files: each policy's line, each route's reason, tests that pass, fail and are wrong.

use std::path::Path;

use serde_json::json;

use super::{airside, explained, text};

const SITE: &str = "tests/it/explain/site.yaml";

#[test]
fn each_route_that_lost_has_its_reason_and_line() {
    let told = explained(SITE, &["GET", "http://a.test/a/7"]);
    assert_eq!(
        told["route"],
        json!({ "name": "item", "line": 22 }),
        "{told:#}"
    );
    let routes = told["routes"].as_array().unwrap();
    let why: Vec<_> = routes
        .iter()
        .take(4)
        .map(|route| &route["why_not"])
        .collect();
    assert_eq!(
        why,
        [
            &json!("less_specific"),
            &json!(null),
            &json!("header"),
            &json!("path")
        ]
    );
    assert_eq!(routes[2]["because"], "needs the header x-beta: 1");
    assert_eq!(told["upstream"]["path"], "/items/7");
    let told = explained(SITE, &["POST", "http://a.test/a/7"]);
    assert_eq!(told["routes"][1]["why_not"], "method");
    assert_eq!(told["routes"][1]["because"], "only GET");
    let told = explained(SITE, &["GET", "/a/7"]);
    assert_eq!(told["routes"][1]["because"], "only at a.test");
}

#[test]
fn a_refusal_names_its_policy_and_line() {
    let cases: &[(&[&str], &str, &str, u64)] = &[
        (
            &["--ip", "192.0.2.13", "GET", "/office"],
            "forbidden",
            "deny",
            36,
        ),
        (
            &["--ip", "198.51.100.1", "GET", "/office"],
            "forbidden",
            "allow",
            35,
        ),
        (&["GET", "/members"], "unauthenticated", "auth", 37),
        (
            &["--as", "user=k,roles=x,issuer=corp", "GET", "/staff"],
            "forbidden",
            "auth.all_roles",
            38,
        ),
        (&["GET", "/tenant"], "forbidden", "limits.keyed", 16),
        (&["GET", "/nothing"], "no_route", "routes", 21),
    ];
    for (arguments, code, rule, line) in cases {
        let told = explained(SITE, arguments);
        let refusal = &told["refusal"];
        assert_eq!(told["outcome"], "refused", "{told:#}");
        let found = (&refusal["code"], &refusal["rule"], &refusal["line"]);
        assert_eq!(
            found,
            (&json!(code), &json!(rule), &json!(line)),
            "{arguments:?}"
        );
        assert!(told["upstream"].is_null());
    }
}

#[test]
fn a_path_or_a_host_that_is_no_good_is_told() {
    for (url, reason) in [
        ("/a/%2f", "path"),
        ("/../a", "path"),
        ("http://a..b/c d", ""),
        ("http://[::1/a", "host"),
    ] {
        let output = airside(&["explain", "--format", "json", "-c", SITE, "GET", url]);
        if reason.is_empty() {
            assert_eq!(output.status.code(), Some(2), "{url}");
            continue;
        }
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["refusal"]["code"], "bad_request", "{url}");
        assert_eq!(told["refusal"]["reason"], reason, "{url}");
        assert!(
            told["refusal"]["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
        assert!(told["request"]["path"].is_null());
    }
}

#[test]
fn what_a_limit_counts_by_is_told() {
    let told = explained(SITE, &["--as", "user=u1,roles=gold", "GET", "/members"]);
    let limit = &told["limits"][0];
    assert_eq!(limit["key"], json!({ "user": "u1 of airside" }));
    assert_eq!(
        (&limit["rate"], &limit["remaining"]),
        (&json!("4/1m"), &json!(3))
    );
    assert_eq!(told["caller"]["roles"], json!(["gold"]));
    let told = explained(SITE, &["GET", "/a/b/c", "--ip", "2001:db8:1:2:3::4"]);
    assert_eq!(
        told["limits"][0]["key"],
        json!({ "ip": "2001:db8:1:2::/64" })
    );
    let note = told["notes"][0].as_str().unwrap();
    assert!(
        note.contains("Redis") && note.contains("everyone"),
        "{note}"
    );
}

#[test]
fn weights_are_told_and_the_caller_decides() {
    let ask = |ip: &str| {
        let told = explained(SITE, &["--ip", ip, "-H", "X-Beta: 1", "GET", "/a/x"]);
        assert_eq!(told["upstream"]["weights"], json!({ "a": 1, "b": 3 }));
        assert_eq!(told["upstream"]["removed"], json!(["x-beta"]));
        told["upstream"]["name"].as_str().unwrap().to_owned()
    };
    let names: Vec<_> = (1..12)
        .map(|last| ask(&format!("192.0.2.{last}")))
        .collect();
    assert!(names.iter().any(|name| name == "a") && names.iter().any(|name| name == "b"));
    assert_eq!(ask("192.0.2.1"), names[0]);
}

/// The secret of the configuration, the token and what stands behind `${…}` must not be read off a terminal.
#[test]
fn nothing_secret_is_told() {
    for format in ["text", "json"] {
        let output = airside(&[
            "explain",
            "--format",
            format,
            "-c",
            SITE,
            "-H",
            "X-Beta: 1",
            "-H",
            "Cookie: sid=abcdef",
            "--token",
            "abc.def.ghi",
            "GET",
            "/a/x",
        ]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(told.contains("x-key") && told.contains("***"), "{told}");
        for secret in ["hunter2", "abc.def", "abcdef", "9f86d081"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }
}

#[test]
fn a_token_is_judged_with_the_keys_that_are_at_hand_and_else_said_to_be_unknown() {
    let key = airside::token::SharedKey::new(
        b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        900,
    );
    let now = airside::base::clock::Clock::system().unix_seconds();
    let claims = airside::token::Claims {
        iss: "http://127.0.0.1:3002".to_owned(),
        aud: "airside".to_owned(),
        sub: "u7".to_owned(),
        id: "u7".to_owned(),
        email: "u7@example.com".to_owned(),
        roles: vec!["gold".to_owned()],
        client_id: "airside".to_owned(),
        iat: now - 1_000,
        exp: now + 60,
        nbf: None,
        jti: "j".to_owned(),
        sid: "s".to_owned(),
        ver: 1,
    };
    let good = key.sign(&claims).unwrap();
    let told = explained(SITE, &["--token", &good, "GET", "/members"]);
    assert_eq!(told["caller"]["user"], "u7", "{told:#}");
    assert_eq!(told["outcome"], "forwarded");
    let expired = key
        .sign(&airside::token::Claims {
            exp: now - 60,
            ..claims
        })
        .unwrap();
    let told = explained(SITE, &["--token", &expired, "GET", "/members"]);
    assert_eq!(told["refusal"]["reason"], "expired");
    let told = explained(SITE, &["--token", &good, "GET", "/staff"]);
    let notes = told["notes"].to_string();
    assert!(
        notes.contains("corp") && notes.contains("https://login.corp.example"),
        "{told:#}"
    );
}

#[test]
fn a_wrong_call_is_usage_and_a_wrong_file_is_told() {
    for arguments in [
        &["GET"][..],
        &["GET", "flights"],
        &["G T", "/a"],
        &["-H", "nothing", "GET", "/a"],
        &["--as", "roles=x", "GET", "/a"],
        &["--as", "user=u,issuer=nobody", "GET", "/a"],
        &["--as", "user=u", "--token", "x", "GET", "/a"],
    ] {
        let output = airside(&[&["explain", "-c", SITE], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
    let wrong = "tests/it/wrong/missing-auth.yaml";
    for command in [
        &["explain", "-c", wrong, "GET", "/"][..],
        &["test", "-c", wrong],
    ] {
        let output = airside(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(
            text(&output.stderr).contains("missing-auth.yaml:"),
            "{command:?}"
        );
    }
}

#[test]
fn the_shipped_configurations_pass_their_own_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|found| found == "yaml"));
    let files: Vec<_> = files.map(|file| file.display().to_string()).collect();
    assert!(!files.is_empty());
    for file in &files {
        let whole = ["--coverage", "100%"].repeat(usize::from(file.ends_with("/airside.yaml")));
        let output = airside(&[&["test", "-c", file][..], &whole].concat());
        let told = text(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{told}{}",
            text(&output.stderr)
        );
        assert!(told.contains(" 0 failed"), "{told}");
    }
}

#[test]
fn tests_in_another_file_ask_whatever_there_is_to_ask() {
    let output = airside(&["test", "-c", SITE, "tests/it/explain/passing.yaml"]);
    let told = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{told}{}",
        text(&output.stderr)
    );
    assert!(told.contains("23 passed, 0 failed"), "{told}");
    assert!(
        told.contains("11 of 12 routes are covered; no test reaches\n  any ("),
        "{told}"
    );
    let few = airside(&[
        "test",
        "--coverage",
        "95%",
        "-c",
        SITE,
        "tests/it/explain/passing.yaml",
    ]);
    assert_eq!(few.status.code(), Some(1));
    assert!(text(&few.stdout).contains("92% of the routes are covered, and 95% should be"));
}

#[test]
fn a_failure_names_its_line_what_came_and_why() {
    let arguments = ["test", "-c", SITE, "tests/it/explain/failing.yaml"];
    let output = airside(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    let expected = "\
failed: this one is not (tests/it/explain/failing.yaml:5)
  tests/it/explain/failing.yaml:8: status: expected 200, found 403
  tests/it/explain/failing.yaml:10: upstream: expected b, found none
  tests/it/explain/failing.yaml:11: headers.X-Set: expected 1, found none
  what became of it: route office (tests/it/explain/site.yaml:31): refused: 403 forbidden (address_not_allowed), by `allow` at tests/it/explain/site.yaml:35

tests/it/explain/site.yaml: 1 passed, 1 failed
2 of 12 routes are covered; no test reaches
";
    assert!(told.starts_with(expected), "{told}");
    let json = airside(&[&["test", "--format", "json"], &arguments[1..]].concat());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["passed"], &json["failed"]), (&json!(1), &json!(1)));
    let failures = json["tests"][1]["failures"].as_array().unwrap();
    let first = json!({ "key": "status", "line": 8, "expected": "200", "found": "403" });
    assert_eq!((failures.len(), &failures[0]), (3, &first));
    assert_eq!(json["uncovered"].as_array().unwrap().len(), 10);
}

#[test]
fn a_file_of_tests_is_as_strict_as_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("more.yaml");
    let wrong = "tests:\n  - name: x\n    request: { path: /ping }\n    expect: { route: pnog }\n";
    std::fs::write(&file, wrong).unwrap();
    let output = airside(&["test", "-c", SITE, file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("no route is named `pnog`") && said.contains("did you mean `pong`"),
        "{said}"
    );
    assert!(said.contains("more.yaml:4:"), "{said}");
    let output = airside(&["test", "-c", SITE, "no/such/file.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no/such/file.yaml"));
}

#[test]
fn routes_are_told_as_json_too() {
    let output = airside(&["routes", "--format", "json", "-c", SITE]);
    let routes: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(routes.as_array().unwrap().len(), 12);
    let item = &routes[1];
    assert_eq!((&item["name"], &item["line"]), (&json!("item"), &json!(22)));
    assert_eq!(
        (&item["methods"], &item["public"]),
        (&json!(["GET"]), &json!(true))
    );
    assert_eq!(routes[4]["limits"], json!(["members"]));
}
