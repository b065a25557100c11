//! Signing up, signing in, and the caller's own account.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn a_signup_makes_a_user_with_the_configured_roles() {
    let site = site();
    let answer = site.sign_up(" Ann@Example.com ").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let user = &answer.json()["user"];
    assert_eq!(user["email"], "Ann@Example.com");
    assert_eq!(user["roles"], json!(["customer"]));
    assert_eq!(user["created_at"], "2027-01-15T08:00:00Z");
    assert_eq!(user.as_object().unwrap().len(), 4);
    assert!(!answer.body.contains("$2b$"));
}

#[tokio::test]
async fn a_signup_that_cannot_be_is_refused() {
    let site = site();
    assert_eq!(site.sign_up("ann@example.com").await.status, 201);
    let again = site.sign_up("ANN@example.com").await;
    assert_eq!(again.refusal(), refused(409, "email_taken"));
    let shape = site.sign_up("ann").await;
    assert_eq!(shape.refusal(), refused(422, "invalid_field"));
    for weak in [
        "short",
        "password",
        "frederick",
        &"x".repeat(72),
        "a\0aaaaaaaa",
    ] {
        let body = json!({ "email": "frederick@example.com", "password": weak });
        let answer = site.post("/auth/signup", body).await;
        assert_eq!(answer.refusal(), refused(422, "weak_password"), "{weak}");
        assert!(
            answer.json()["detail"]
                .as_str()
                .unwrap()
                .starts_with("`password`: it ")
        );
    }
}

#[tokio::test]
async fn a_signup_is_refused_where_nobody_may_sign_up() {
    let site = site_with("signup: { enabled: false }");
    let answer = site.sign_up("ann@example.com").await;
    assert_eq!(answer.refusal(), refused(403, "signup_disabled"));
}

#[tokio::test]
async fn rule_19_nobody_signs_up_as_admin() {
    let site = site();
    for field in ["roles", "role", "id", "admin", "token_version", "Email", ""] {
        let mut body = json!({ "email": "ann@example.com", "password": PASSWORD });
        body[field] = json!(["admin"]);
        let answer = site.post("/auth/signup", body).await;
        assert_eq!(answer.refusal(), refused(422, "unknown_field"), "{field}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&format!("`{field}`")), "{detail}");
    }
    assert_eq!(site.sign_in("ann@example.com", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn rule_20_of_fifty_signups_with_one_email_one_succeeds() {
    let site = Arc::new(site());
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let site = Arc::clone(&site);
        tasks.spawn(async move { site.sign_up("ann@example.com").await.status.as_u16() });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert_eq!(statuses[1..], [409; 49]);
}

#[tokio::test]
async fn a_signin_gives_a_token_that_is_good_until_it_expires() {
    let site = site();
    site.sign_up("ann@example.com").await;
    let answer = site.sign_in(" ANN@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    let mut members: Vec<_> = body.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(
        members,
        [
            "access_token",
            "expires_in",
            "refresh_token",
            "token_type",
            "user"
        ]
    );
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );

    let token = body["access_token"].as_str().unwrap();
    let verified = site.ask("GET", "/auth/verify", token).await;
    assert_eq!(verified.status, 200);
    let id = &body["user"]["id"];
    assert_eq!(
        verified.json(),
        json!({
            "user": { "id": id, "email": "ann@example.com", "roles": ["customer"] },
            "expires_at": "2027-01-15T08:15:00Z",
        })
    );
    assert_eq!(verified.header("x-auth-user"), id.as_str().unwrap());
    assert_eq!(verified.header("x-auth-email"), "ann@example.com");
    assert_eq!(verified.header("x-auth-roles"), "customer");
    assert_eq!(verified.header("x-auth-issuer"), "airside");
    // The edge's verifier agrees.
    assert!(site.identity.verifier().verify(token, NOW / 1_000).is_ok());

    let me = site.ask("GET", "/auth/me", token).await;
    assert_eq!(me.json(), json!({ "user": body["user"] }));

    site.clock.advance(905_000);
    for path in ["/auth/verify", "/auth/me"] {
        let answer = site.ask("GET", path, token).await;
        assert_eq!(answer.refusal(), refused(401, "invalid_token"));
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
}

#[tokio::test]
async fn a_token_also_comes_as_x_access_token() {
    let site = site();
    site.sign_up("ann@example.com").await;
    let token = site.token("ann@example.com").await;
    let request = Request::get("/auth/verify").header("x-access-token", token);
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn rule_15_every_wrong_signin_has_one_answer() {
    let site = site();
    site.sign_up("ann@example.com").await;
    let sign_in = async |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password }).to_string();
        let mut request = json_request("POST", "/auth/signin", &body);
        request
            .headers_mut()
            .insert("x-request-id", "r1".parse().unwrap());
        let answer = site.send(request).await;
        assert_eq!(answer.refusal(), refused(401, "invalid_credentials"));
        (format!("{:?}", answer.headers), answer.body)
    };
    let wrong = sign_in("ann@example.com", "wrong horse").await;
    for (email, password) in [
        ("bob@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        ("ann@example.com", ""),
        ("ann@example.com", "-"),
        ("ann@example.com", &"x".repeat(9_000)),
        ("ann@example.com", "correct horse\0"),
    ] {
        assert_eq!(sign_in(email, password).await, wrong, "{email}");
    }
}

#[tokio::test]
async fn rule_15_a_disabled_account_signs_in_no_more() {
    let site = site();
    site.sign_up("ann@example.com").await;
    let token = site.token("ann@example.com").await;
    let db = rusqlite::Connection::open(site._folder.path().join("data/airside.db")).unwrap();
    db.execute("UPDATE users SET disabled_at = 1", []).unwrap();
    let answer = site.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!(answer.refusal(), refused(401, "invalid_credentials"));
    let me = site.ask("GET", "/auth/me", &token).await;
    assert_eq!(me.refusal(), refused(401, "invalid_token"));
}

#[tokio::test]
async fn rule_14_a_full_queue_is_told_to_come_back() {
    let site = Arc::new(site_with("password: { workers: 1, queue: 1 }"));
    site.sign_up("ann@example.com").await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let site = Arc::clone(&site);
        tasks.spawn(async move { site.sign_in("ann@example.com", PASSWORD).await });
    }
    let answers = tasks.join_all().await;
    let (good, busy): (Vec<_>, Vec<_>) = answers.iter().partition(|one| one.status == 200);
    assert!(!good.is_empty() && !busy.is_empty(), "{}", good.len());
    for answer in busy {
        assert_eq!(answer.refusal(), refused(503, "busy"));
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(site.sign_in("ann@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn rule_26_a_store_that_is_away_is_told_and_comes_back() {
    let site = site();
    site.sign_up("ann@example.com").await;
    let token = site.token("ann@example.com").await;
    let path = site._folder.path().join("data/airside.db");
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute("ALTER TABLE users RENAME TO hidden", [])
        .unwrap();
    for answer in [
        site.sign_up("bob@example.com").await,
        site.sign_in("ann@example.com", PASSWORD).await,
    ] {
        assert_eq!(answer.refusal(), refused(503, "overloaded"));
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!answer.body.contains("users\""), "{}", answer.body);
    }
    // Rule 7: a token needs no store.
    assert_eq!(site.ask("GET", "/auth/verify", &token).await.status, 200);
    db.execute("ALTER TABLE hidden RENAME TO users", [])
        .unwrap();
    assert_eq!(site.sign_in("ann@example.com", PASSWORD).await.status, 200);
    assert_eq!(site.identity.ready().await, Ok(()));
}
