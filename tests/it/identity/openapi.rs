//! The API's description held against OpenAPI by a validator of others' making, and the service's real
//! answers held against the description.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::support::people::Api;
use crate::support::python::python;

/// Answers of the service, each with the operation that it belongs to.
struct Tour {
    api: Api,
    answers: Vec<Value>,
}

impl Tour {
    /// Asks, keeps the answer, and gives its body.
    async fn ask(
        &mut self,
        operation: &str,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Value {
        let mut request = self.api.request(method, path);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = Answer::to(request).await;
        let body = match answer.body.as_str() {
            "" => Value::Null,
            _ => answer.json(),
        };
        self.answers.push(json!({
            "operation": operation,
            "status": answer.status,
            "content_type": answer.header("content-type"),
            "body": body,
        }));
        body
    }

    fn has(&self, operation: &str, status: impl Fn(u64) -> bool) -> bool {
        self.answers.iter().any(|answer| {
            answer["operation"] == operation && status(answer["status"].as_u64().unwrap())
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Every operation once with success, and refusals of all kinds.
async fn answers(site: &Site) -> Tour {
    let admin = site.admin("root@example.com").await;
    let mut tour = Tour {
        api: site.api(),
        answers: Vec::new(),
    };
    let t = &mut tour;
    let ann = account("ann@example.com", PASSWORD);
    let weak = account("bob@example.com", "password");
    let wrong = account("ann@example.com", "wrong password");
    let made = t
        .ask("signUp", "POST", "/auth/signup", "", Some(ann.clone()))
        .await;
    t.ask("signUp", "POST", "/auth/signup", "", Some(ann.clone()))
        .await;
    t.ask("signUp", "POST", "/auth/signup", "", Some(weak))
        .await;
    t.ask(
        "signUp",
        "POST",
        "/auth/signup",
        "",
        Some(json!({ "admin": true })),
    )
    .await;
    t.ask("signUp", "POST", "/auth/signup", "", None).await;
    t.ask("signIn", "POST", "/auth/signin", "", Some(wrong))
        .await;
    let tokens = t
        .ask("signIn", "POST", "/auth/signin", "", Some(ann.clone()))
        .await;
    let id = text(&made["user"]["id"]);
    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    t.ask("refresh", "POST", "/auth/refresh", "", Some(refresh))
        .await;
    t.ask(
        "refresh",
        "POST",
        "/auth/refresh",
        "",
        Some(json!({ "refresh_token": "x" })),
    )
    .await;
    let token = text(&tokens["access_token"]);
    for (operation, path) in [
        ("verify", "/auth/verify"),
        ("me", "/auth/me"),
        ("listSessions", "/auth/sessions"),
        ("jwks", "/.well-known/jwks.json"),
        ("describe", "/auth/openapi.json"),
        ("listRoles", "/auth/admin/roles"),
    ] {
        for token in [token.as_str(), "x"] {
            t.ask(operation, "GET", path, token, None).await;
        }
    }
    let second = t
        .ask("signIn", "POST", "/auth/signin", "", Some(ann.clone()))
        .await;
    let second = text(&second["access_token"]);
    let sessions = t
        .ask("listSessions", "GET", "/auth/sessions", &second, None)
        .await;
    let other = sessions["sessions"].as_array().unwrap().iter();
    let other = other
        .clone()
        .find(|session| session["current"] == false)
        .unwrap();
    let path = format!("/auth/sessions/{}", text(&other["id"]));
    t.ask("endSession", "DELETE", &path, &second, None).await;
    t.ask("endSession", "DELETE", &path, &second, None).await;
    let new = |current: &str| {
        Some(json!({ "current_password": current, "new_password": "a seat in the aisle" }))
    };
    t.ask(
        "changePassword",
        "POST",
        "/auth/password",
        &second,
        new("wrong"),
    )
    .await;
    t.ask(
        "changePassword",
        "POST",
        "/auth/password",
        &second,
        new(PASSWORD),
    )
    .await;
    let third = account("ann@example.com", "a seat in the aisle");
    let third = t
        .ask("signIn", "POST", "/auth/signin", "", Some(third))
        .await;
    let third = text(&third["access_token"]);
    t.ask(
        "signOut",
        "POST",
        "/auth/signout",
        &third,
        Some(json!({ "scope": "none" })),
    )
    .await;
    t.ask(
        "signOut",
        "POST",
        "/auth/signout",
        &third,
        Some(json!({ "scope": "all" })),
    )
    .await;

    t.ask("listRoles", "GET", "/auth/admin/roles", &admin, None)
        .await;
    for _ in 0..2 {
        t.ask(
            "makeRole",
            "POST",
            "/auth/admin/roles",
            &admin,
            Some(json!({ "name": "crew" })),
        )
        .await;
    }
    let root = t.ask("me", "GET", "/auth/me", &admin, None).await;
    let root = text(&root["user"]["id"]);
    let role = |user: &str, role: &str| format!("/auth/admin/users/{user}/roles/{role}");
    t.ask("grantRole", "PUT", &role(&id, "crew"), &admin, None)
        .await;
    t.ask("grantRole", "PUT", &role(&id, "nobody"), &admin, None)
        .await;
    t.ask(
        "removeRole",
        "DELETE",
        "/auth/admin/roles/crew",
        &admin,
        None,
    )
    .await;
    t.ask("revokeRole", "DELETE", &role(&id, "crew"), &admin, None)
        .await;
    t.ask("revokeRole", "DELETE", &role(&root, "admin"), &admin, None)
        .await;
    t.ask(
        "removeRole",
        "DELETE",
        "/auth/admin/roles/crew",
        &admin,
        None,
    )
    .await;
    t.ask(
        "removeRole",
        "DELETE",
        "/auth/admin/roles/crew",
        &admin,
        None,
    )
    .await;
    t.ask(
        "listUsers",
        "GET",
        "/auth/admin/users?limit=1&query=x",
        &admin,
        None,
    )
    .await;
    t.ask(
        "listUsers",
        "GET",
        "/auth/admin/users?limit=0",
        &admin,
        None,
    )
    .await;
    let user = |user: &str, verb: &str| format!("/auth/admin/users/{user}{verb}");
    t.ask("showUser", "GET", &user(&id, ""), &admin, None).await;
    t.ask("showUser", "GET", &user("1", ""), &admin, None).await;
    t.ask("disableUser", "POST", &user(&id, "/disable"), &admin, None)
        .await;
    t.ask(
        "disableUser",
        "POST",
        &user(&root, "/disable"),
        &admin,
        None,
    )
    .await;
    t.ask("enableUser", "POST", &user(&id, "/enable"), &admin, None)
        .await;
    t.ask("signOutUser", "POST", &user(&id, "/signout"), &admin, None)
        .await;
    t.ask(
        "listAudit",
        "GET",
        "/auth/admin/audit?limit=3",
        &admin,
        None,
    )
    .await;
    t.ask(
        "listAudit",
        "GET",
        "/auth/admin/audit?cursor=x",
        &admin,
        None,
    )
    .await;
    let keys = "/auth/admin/api-keys";
    for days in [json!(9), Value::Null] {
        let body = json!({ "name": "x", "roles": ["customer"], "expires_in_days": days });
        t.ask("makeApiKey", "POST", keys, &admin, Some(body)).await;
    }
    let body = json!({ "name": "x", "roles": ["nobody"] });
    t.ask("makeApiKey", "POST", keys, &admin, Some(body)).await;
    let listed = t
        .ask(
            "listApiKeys",
            "GET",
            &format!("{keys}?limit=1"),
            &admin,
            None,
        )
        .await;
    let key = format!("{keys}/{}", text(&listed["api_keys"][0]["id"]));
    t.ask("revokeApiKey", "DELETE", &key, &admin, None).await;
    t.ask("revokeApiKey", "DELETE", &key, &admin, None).await;
    tour
}

fn faults(document: &Value, answers: &[Value]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/identity/openapi.py");
    let mut child = Command::new(python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python runs");
    let asked = json!({ "document": document, "answers": answers }).to_string();
    let mut stdin = child.stdin.take().unwrap();
    // One that fails before it reads closes the pipe.
    let _ = stdin.write_all(asked.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.is_empty(),
        "{said}\nscripts/install-test-deps installs what is missing"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_description_is_openapi_and_the_service_answers_as_it_says() {
    let site = Site::start();
    let tour = answers(&site).await;
    let document = site.api().request("GET", "/auth/openapi.json");
    let document = Answer::to(document).await.json();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|item| item.as_object().unwrap().values());
    for operation in operations {
        let name = text(&operation["operationId"]);
        assert!(tour.has(&name, |status| status < 300), "{name}: no success");
    }
    let faults = faults(&document, &tour.answers);
    assert_eq!(faults, "", "\n{faults}");
}

#[test]
fn the_validator_finds_faults() {
    let response = json!({
        "description": "",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/N" } } },
    });
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": "t", "version": "1" },
        "paths": { "/{a}": { "get": { "operationId": "n", "responses": { "200": response } } } },
        "components": { "schemas": { "N": { "type": "integer" } } },
    });
    let answer = |status: u16, body: Value| {
        json!({
            "operation": "n", "status": status, "content_type": "application/json", "body": body,
        })
    };
    let answers = [
        answer(200, json!(1)),
        answer(200, json!("1")),
        answer(404, Value::Null),
    ];
    let said = faults(&document, &answers);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    // The path's parameter is not described.
    assert!(lines[0].starts_with("document: "), "{said}");
    assert!(
        lines[1].starts_with("n 200: ") && lines[2].starts_with("n 404: "),
        "{said}"
    );
}
