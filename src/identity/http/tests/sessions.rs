//! Sessions: what ends, and that it ends at once.

use super::*;

/// A signed-in user's tokens.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Tokens {
    pub(super) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let body = answer.json();
        let text = |field: &str| body[field].as_str().unwrap().to_owned();
        Self {
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

impl Site {
    pub(super) async fn begin(&self, email: &str) -> Tokens {
        Tokens::of(&self.sign_in(email, PASSWORD).await)
    }

    pub(super) async fn refresh(&self, token: &str) -> Answer {
        self.post("/auth/refresh", json!({ "refresh_token": token }))
            .await
    }

    async fn say(&self, path: &str, token: &str, body: Value) -> Answer {
        let mut request = json_request("POST", path, &body.to_string());
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        self.send(request).await
    }

    /// The status at which a token is taken, by the verifier that the edge uses too.
    pub(super) async fn taken(&self, token: &str) -> u16 {
        let by_edge = self
            .identity
            .verifier()
            .verify(token, self.clock.unix_seconds());
        let answer = self.ask("GET", "/auth/verify", token).await;
        assert_eq!(by_edge.is_ok(), answer.status == 200);
        answer.status.as_u16()
    }
}

pub(super) async fn ann() -> Site {
    let site = site();
    site.sign_up("ann@example.com").await;
    site
}

#[tokio::test]
async fn rule_18_signing_out_ends_one_session_or_all_of_them_at_once() {
    let site = ann().await;
    let (one, other, third) = (
        site.begin("ann@example.com").await,
        site.begin("ann@example.com").await,
        site.begin("ann@example.com").await,
    );
    let out = site
        .say("/auth/signout", &one.access, json!({ "scope": "current" }))
        .await;
    assert_eq!((out.status.as_u16(), out.body.as_str()), (204, ""));
    assert_eq!(
        (
            site.taken(&one.access).await,
            site.taken(&other.access).await
        ),
        (401, 200)
    );
    assert_eq!(
        site.refresh(&one.refresh).await.refusal(),
        refused(401, "invalid_refresh_token")
    );

    let out = site
        .say("/auth/signout", &other.access, json!({ "scope": "all" }))
        .await;
    assert_eq!(out.status, 204);
    assert_eq!(
        (
            site.taken(&other.access).await,
            site.taken(&third.access).await
        ),
        (401, 401)
    );
    assert_eq!(
        site.refresh(&third.refresh).await.refusal(),
        refused(401, "invalid_refresh_token")
    );
    assert_eq!(
        site.taken(&site.begin("ann@example.com").await.access)
            .await,
        200
    );

    for body in [json!({}), json!({ "scope": "some" }), json!({ "scope": 1 })] {
        let token = site.token("ann@example.com").await;
        assert_eq!(
            site.say("/auth/signout", &token, body).await.refusal(),
            refused(422, "invalid_field")
        );
    }
}

#[tokio::test]
async fn rule_18_a_change_of_roles_ends_older_tokens_at_once() {
    let site = site_with("roles: [customer, crew]");
    let (_, admin) = site.admin("root@example.com").await;
    let user = site.sign_up("ann@example.com").await.json();
    let path = format!(
        "/auth/admin/users/{}/roles/crew",
        user["user"]["id"].as_str().unwrap()
    );
    for method in ["PUT", "DELETE"] {
        let before = site.begin("ann@example.com").await;
        assert_eq!(site.ask(method, &path, &admin).await.status, 204);
        assert_eq!(site.taken(&before.access).await, 401);
        // The session goes on: its next token has the roles of now.
        let after = Tokens::of(&site.refresh(&before.refresh).await);
        assert_eq!(site.taken(&after.access).await, 200);
        // A change that changes nothing ends nothing.
        assert_eq!(site.ask(method, &path, &admin).await.status, 204);
        assert_eq!(site.taken(&after.access).await, 200);
    }
}

#[tokio::test]
async fn rule_18_a_new_password_ends_all_sessions_and_is_asked_for_from_then_on() {
    let site = ann().await;
    let (tokens, other) = (
        site.begin("ann@example.com").await,
        site.begin("ann@example.com").await,
    );
    let change =
        |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    for (body, code) in [
        (change("wrong horse", "a new horse"), "invalid_field"),
        (change(PASSWORD, "short"), "weak_password"),
        (change(PASSWORD, "password1"), "weak_password"),
        (json!({ "current_password": PASSWORD }), "invalid_field"),
    ] {
        assert_eq!(
            site.say("/auth/password", &tokens.access, body)
                .await
                .refusal(),
            refused(422, code)
        );
    }
    assert_eq!(site.taken(&tokens.access).await, 200);
    let changed = site
        .say(
            "/auth/password",
            &tokens.access,
            change(PASSWORD, "a new horse"),
        )
        .await;
    assert_eq!(changed.status, 204, "{}", changed.body);
    assert_eq!(
        (
            site.taken(&tokens.access).await,
            site.taken(&other.access).await
        ),
        (401, 401)
    );
    assert_eq!(
        site.refresh(&other.refresh).await.refusal(),
        refused(401, "invalid_refresh_token")
    );
    assert_eq!(
        site.sign_in("ann@example.com", PASSWORD).await.refusal(),
        refused(401, "invalid_credentials")
    );
    assert_eq!(
        site.sign_in("ann@example.com", "a new horse").await.status,
        200
    );
}

#[tokio::test]
async fn a_user_sees_and_ends_their_own_sessions_and_no_one_elses() {
    let site = ann().await;
    site.sign_up("bob@example.com").await;
    let bob = site.begin("bob@example.com").await;
    let one = site.begin("ann@example.com").await;
    site.clock.advance(1_000);
    let other = site.begin("ann@example.com").await;
    let list = async |token: &str| {
        let answer = site.ask("GET", "/auth/sessions", token).await;
        assert_eq!(answer.status, 200);
        answer.json()["sessions"].as_array().unwrap().clone()
    };
    let sessions = list(&one.access).await;
    assert_eq!(sessions.len(), 2);
    assert_eq!(
        (&sessions[0]["current"], &sessions[1]["current"]),
        (&json!(false), &json!(true))
    );
    let newest = sessions[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/auth/sessions/{newest}");
    assert_eq!(
        site.ask("DELETE", &path, &bob.access).await.refusal(),
        refused(404, "unknown_session")
    );
    assert_eq!(site.taken(&other.access).await, 200);
    assert_eq!(site.ask("DELETE", &path, &one.access).await.status, 204);
    assert_eq!(site.taken(&other.access).await, 401);
    assert_eq!(list(&one.access).await.len(), 1);
    for gone in [path.as_str(), "/auth/sessions/x"] {
        assert_eq!(
            site.ask("DELETE", gone, &one.access).await.refusal(),
            refused(404, "unknown_session")
        );
    }
    for path in ["/auth/sessions", "/auth/verify"] {
        assert_eq!(
            site.ask("GET", path, "x").await.refusal(),
            refused(401, "invalid_token")
        );
    }
}

#[tokio::test]
async fn what_was_ended_stays_ended_after_a_restart() {
    let site = ann().await;
    let tokens = site.begin("ann@example.com").await;
    site.say(
        "/auth/signout",
        &tokens.access,
        json!({ "scope": "current" }),
    )
    .await;
    let again = Identity::open(&site.config, site._folder.path(), site.clock.clone()).unwrap();
    again.start_upkeep();
    assert!(
        again
            .verifier()
            .verify(&tokens.access, site.clock.unix_seconds())
            .is_err()
    );
}

#[tokio::test]
async fn another_gateway_learns_of_it_without_being_told() {
    let site = ann().await;
    let other = Identity::open(&site.config, site._folder.path(), site.clock.clone()).unwrap();
    let tokens = site.begin("ann@example.com").await;
    let taken = || {
        other
            .verifier()
            .verify(&tokens.access, site.clock.unix_seconds())
            .is_ok()
    };
    other.service().catch_up().await.unwrap();
    assert!(taken());
    site.say("/auth/signout", &tokens.access, json!({ "scope": "all" }))
        .await;
    assert!(taken(), "nobody has told it yet");
    other.service().catch_up().await.unwrap();
    assert!(!taken());
}

#[tokio::test]
async fn rule_12_a_hash_of_a_lower_cost_is_replaced_when_its_owner_signs_in() {
    let site = ann().await;
    let mut config = site.config.clone();
    config.password.bcrypt_cost = Within(11);
    let stronger = Identity::open(&config, site._folder.path(), site.clock.clone()).unwrap();
    let router = stronger.router(Arc::default());
    let sign_in = json_request(
        "POST",
        "/auth/signin",
        &json!({ "email": "ann@example.com", "password": PASSWORD }).to_string(),
    );
    assert_eq!(router.oneshot(sign_in).await.unwrap().status(), 200);
    let file = rusqlite::Connection::open(site._folder.path().join("data/airside.db")).unwrap();
    let hash: String = file
        .query_row("SELECT password_hash FROM users", [], |row| row.get(0))
        .unwrap();
    assert!(hash.starts_with("$2b$11$"), "{hash}");
    assert_eq!(site.sign_in("ann@example.com", PASSWORD).await.status, 200);
}
