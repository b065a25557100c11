//! Bodies that are no signup: not JSON, not said to be, too long, doubled, nested.

use super::*;

#[tokio::test]
async fn rule_22_a_body_that_cannot_be_read_is_refused() {
    let site = Site::start();
    let deep = format!(r#"{{"email":{}1{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    let bad = (400, "bad_request");
    let field = (422, "invalid_field");
    let cases = [
        ("", bad),
        ("{", bad),
        ("nonsense", bad),
        (r#"{"email":"a@b.example""#, bad),
        (r#"{"email":"a@b.example"} {}"#, bad),
        (r#"{"email":"a@x.org","password":"a","password":"b"}"#, bad),
        (deep.as_str(), bad),
        ("[]", field),
        ("null", field),
        ("{}", field),
        (r#"{"email":"a@b.example"}"#, field),
        (r#"{"email":1,"password":"a seat by the window"}"#, field),
        (r#"{"email":"a@b.example","password":null}"#, field),
    ];
    for api in site.both() {
        for path in ["/auth/signup", "/auth/signin"] {
            for (body, (status, code)) in cases {
                let request = api.request("POST", path);
                let request = request.header("Content-Type", "application/json");
                let answer = Answer::to(request.body(body.to_owned())).await;
                println!("{path} {body:.40}");
                answer.refused(status, code);
            }
        }
    }
}

#[tokio::test]
async fn only_json_is_read_as_json() {
    let site = Site::start();
    let body = account("ann@example.com", PASSWORD).to_string();
    for api in site.both() {
        for kind in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/jsonp"),
        ] {
            let request = api.request("POST", "/auth/signup").body(body.clone());
            let request = kind.into_iter().fold(request, |request, kind| {
                request.header("Content-Type", kind)
            });
            Answer::to(request).await.refused(415, "bad_request");
        }
    }
    let nobody = site.api().sign_in("ann@example.com", PASSWORD).await;
    nobody.refused(401, "invalid_credentials");
    let request = site.api().request("POST", "/auth/signup").body(body);
    let request = request.header("Content-Type", "application/JSON; charset=utf-8");
    assert_eq!(Answer::to(request).await.status, 201);
}

#[tokio::test]
async fn rule_22_a_body_has_at_most_16_kib() {
    let site = Site::start();
    for (index, api) in site.both().into_iter().enumerate() {
        let email = format!("ann{index}@example.com");
        let small = account(&email, PASSWORD).to_string();
        let padded = |bytes: usize| format!("{}{small}", " ".repeat(bytes - small.len()));
        for bytes in [16 * 1024 + 1, 20 * 1024, 200 * 1024] {
            let request = api.request("POST", "/auth/signup");
            let request = request.header("Content-Type", "application/json");
            let answer = Answer::to(request.body(padded(bytes))).await;
            answer.refused(413, "body_too_large");
        }
        let request = api.request("POST", "/auth/signup");
        let request = request.header("Content-Type", "application/json");
        let answer = Answer::to(request.body(padded(16 * 1024))).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}
