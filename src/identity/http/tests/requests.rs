//! What every request must be, whatever it asks for.

use super::*;

#[tokio::test]
async fn a_body_is_one_strict_object() {
    let site = site();
    let long = format!(r#"{{"email":"{}"}}"#, "x".repeat(16 * 1024));
    let deep = format!(r#"{{"email":{}"#, "[".repeat(200));
    for path in ["/auth/signup", "/auth/signin"] {
        for (body, expected) in [
            ("", refused(400, "bad_request")),
            ("{", refused(400, "bad_request")),
            (r#"{"email":"a@x"} x"#, refused(400, "bad_request")),
            (
                r#"{"email":"a@x","email":"b@x"}"#,
                refused(400, "bad_request"),
            ),
            (&deep, refused(400, "bad_request")),
            ("[]", refused(422, "invalid_field")),
            ("null", refused(422, "invalid_field")),
            ("{}", refused(422, "invalid_field")),
            (r#"{"email":"a@x"}"#, refused(422, "invalid_field")),
            (
                r#"{"email":"a@x","password":null}"#,
                refused(422, "invalid_field"),
            ),
            (
                r#"{"email":"a@x","password":["x"]}"#,
                refused(422, "invalid_field"),
            ),
            (
                r#"{"email":{},"password":"x"}"#,
                refused(422, "invalid_field"),
            ),
            (
                r#"{"email":"a@x","password":"x","x":1}"#,
                refused(422, "unknown_field"),
            ),
            (&long, refused(413, "body_too_large")),
        ] {
            let answer = site.send(json_request("POST", path, body)).await;
            assert_eq!(answer.refusal(), expected, "{path} {body}");
        }
    }
}

#[tokio::test]
async fn a_body_says_that_it_is_json() {
    let site = site();
    let body = json!({ "email": "ann@example.com", "password": PASSWORD }).to_string();
    let sent = async |content_type: Option<&str>| {
        let request = Request::post("/auth/signup");
        let request = match content_type {
            Some(value) => request.header("content-type", value),
            None => request,
        };
        site.send(request.body(Body::from(body.clone())).unwrap())
            .await
    };
    for wrong in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some(""),
    ] {
        assert_eq!(
            sent(wrong).await.refusal(),
            refused(415, "bad_request"),
            "{wrong:?}"
        );
    }
    assert_eq!(
        sent(Some("Application/JSON; charset=utf-8")).await.status,
        201
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let site = site();
    for path in ["/", "/auth", "/auth/signup/", "/auth/admin/roles/x/y"] {
        let answer = site.ask("GET", path, "x").await;
        assert_eq!(answer.refusal(), refused(404, "no_route"), "{path}");
    }
    for (method, path, allow) in [
        ("GET", "/auth/signup", "POST"),
        ("DELETE", "/auth/signin", "POST"),
        ("POST", "/auth/verify", "GET,HEAD"),
        ("PUT", "/auth/admin/roles", "GET,HEAD,POST"),
    ] {
        let answer = site.ask(method, path, "x").await;
        assert_eq!(
            answer.refusal(),
            refused(405, "method_not_allowed"),
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), allow);
    }
}

#[tokio::test]
async fn rule_6_credentials_that_do_not_count_have_one_answer() {
    let site = site();
    let verify = async |headers: &[(&str, &str)]| {
        let mut request = Request::get("/auth/verify").header("x-request-id", "r1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        (answer.refusal(), answer.body)
    };
    let absent = verify(&[]).await;
    assert_eq!(absent.0, refused(401, "invalid_token"));
    for credential in ["Bearer a.b.c", "Bearer", "Basic YTpi", "Bearer a b"] {
        assert_eq!(
            verify(&[("authorization", credential)]).await,
            absent,
            "{credential}"
        );
    }
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    assert_eq!(verify(&twice).await.0, refused(400, "bad_request"));
}

#[tokio::test]
async fn the_requests_id_is_kept_where_it_is_sane() {
    let site = site();
    for (sent, kept) in [
        ("r-1", true),
        ("a b", false),
        (&"x".repeat(129), false),
        ("", false),
    ] {
        let request = Request::get("/").header("x-request-id", sent);
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        answer.refusal();
        assert_eq!(answer.json()["request_id"] == sent, kept, "{sent}");
    }
}

#[tokio::test]
async fn the_public_keys_are_public_and_nothing_else() {
    let site = site();
    let request = Request::get("/.well-known/jwks.json");
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "public, max-age=5");
    let key = &answer.json()["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"]),
        (&json!("OKP"), &json!("Ed25519"))
    );
    assert!(key.get("d").is_none() && key.get("k").is_none());
}

#[tokio::test]
async fn an_address_beyond_ascii_passes_through_the_headers() {
    let site = site();
    site.sign_up("jos\u{e9}@example.com").await;
    let token = site.token("JOS\u{c9}@example.com").await;
    let answer = site.ask("GET", "/auth/verify", &token).await;
    assert_eq!(answer.header("x-auth-email"), "jos\u{e9}@example.com");
}
