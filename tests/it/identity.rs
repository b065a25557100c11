//! Accounts, sign-in and roles, over sockets: each endpoint's success and its refusals, through the
//! gateway's route and on the identity service's own listener alike.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::origin::Origin;
use crate::support::people::{self, AUDIENCE, Answer, PASSWORD, Site, account};

mod admin;
mod algorithms;
mod api_keys;
mod bodies;
mod keys;
mod openapi;
mod rotation;
mod sessions;
mod throttle;

#[tokio::test]
async fn an_account_is_made_and_signs_in_both_ways() {
    let site = Site::start();
    for (index, api) in site.both().into_iter().enumerate() {
        let email = format!("Ann{index}@Example.com");
        let answer = api.sign_up(&email).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
        let made = answer.json();
        assert_eq!(made["user"]["email"], email);
        assert_eq!(made["user"]["roles"], json!(["customer"]));
        assert_eq!(
            keys_of(&made["user"]),
            ["created_at", "email", "id", "roles"]
        );

        let answer = api.sign_in(&email.to_lowercase(), PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
        let signed_in = answer.json();
        assert_eq!(signed_in["token_type"], "Bearer");
        assert_eq!(signed_in["expires_in"], 900);
        assert_eq!(signed_in["user"], made["user"]);

        let token = signed_in["access_token"].as_str().unwrap();
        let verified = api.ask("GET", "/auth/verify", token).await;
        assert_eq!(verified.status, 200, "{}", verified.body);
        let user = &made["user"];
        let shown = json!({ "id": user["id"], "email": email, "roles": ["customer"] });
        assert_eq!(verified.json()["user"], shown);
        assert!(verified.json()["expires_at"].is_string());
        assert_eq!(verified.header("x-auth-user"), user["id"].as_str().unwrap());
        assert_eq!(verified.header("x-auth-email"), email);
        assert_eq!(verified.header("x-auth-roles"), "customer");
        assert_eq!(verified.header("x-auth-issuer"), "airside");

        let me = api.ask("GET", "/auth/me", token).await;
        assert_eq!(me.status, 200, "{}", me.body);
        assert_eq!(me.json(), json!({ "user": user }));
    }
}

#[tokio::test]
async fn a_signup_that_cannot_be_is_refused() {
    let site = Site::start();
    for (index, api) in site.both().into_iter().enumerate() {
        let email = format!("frederick@{index}.example");
        assert_eq!(api.sign_up(&email).await.status, 201);
        let taken = api.sign_up(&email.to_uppercase()).await;
        taken.refused(409, "email_taken");
        for wrong in ["", "ann", "a@b@c", "a b@x", &"a".repeat(300)] {
            let answer = api.sign_up(wrong).await;
            answer.refused(422, "invalid_field");
        }
        let other = format!("frederick@other.{index}.example");
        let long = "x".repeat(72);
        for weak in ["", "short", "password", "Frederick", &long, "a\0aaaaaaaa"] {
            let answer = api.post("/auth/signup", &account(&other, weak)).await;
            answer.refused(422, "weak_password");
        }
        // 71 bytes is the most that bcrypt sees: no byte of a password is without effect.
        let longest = "x".repeat(71);
        let answer = api.post("/auth/signup", &account(&other, &longest)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(api.sign_in(&other, &longest).await.status, 200);
        let almost = api.sign_in(&other, &longest[1..]).await;
        almost.refused(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn nobody_signs_up_where_signing_up_is_switched_off() {
    let origin = Origin::start();
    let airside = people::set_up(&origin).set("signup", false).start();
    let site = Site { airside, origin };
    for api in site.both() {
        let answer = api.sign_up("ann@example.com").await;
        answer.refused(403, "signup_disabled");
    }
    // Whom the operator made signs in all the same.
    site.add("ann@example.com", &["customer"]);
    site.api().token("ann@example.com").await;
}

#[tokio::test]
async fn rule_19_nobody_signs_up_as_admin() {
    let site = Site::start();
    for api in site.both() {
        for (field, value) in [
            ("roles", json!(["admin"])),
            ("role", json!("admin")),
            ("admin", json!(true)),
            ("id", json!("01900000-0000-7000-8000-000000000000")),
            ("token_version", json!(9)),
            ("Email", json!("bob@example.com")),
        ] {
            let mut body = account("ann@example.com", PASSWORD);
            body[field] = value;
            let answer = api.post("/auth/signup", &body).await;
            answer.refused(422, "unknown_field");
        }
        let nobody = api.sign_in("ann@example.com", PASSWORD).await;
        nobody.refused(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn rule_15_every_wrong_signin_has_one_answer() {
    let site = Site::start();
    site.add("ann@example.com", &[]);
    for api in site.both() {
        let wrong = api.sign_in("ann@example.com", "not her password").await;
        wrong.refused(401, "invalid_credentials");
        let wrong = wrong.without_its_request();
        let long = "x".repeat(5_000);
        for (email, password) in [
            ("nobody@example.com", PASSWORD),
            ("nobody@example.com", ""),
            ("ann@example.com", ""),
            ("ann@example.com", &long),
            ("ann@example.com", "a seat by the window\0"),
            ("ann@example.com", "A seat by the window"),
            ("not an address", PASSWORD),
            ("", ""),
            (&long, PASSWORD),
        ] {
            let answer = api.sign_in(email, password).await;
            let case = format!("{email:.30} {password:.30}");
            assert_eq!(answer.without_its_request(), wrong, "{case}");
        }
    }
}

#[tokio::test]
async fn rule_15_an_unknown_address_costs_a_hash_as_well() {
    let site = Site::start();
    site.add("ann@example.com", &[]);
    let api = site.api();
    let fastest = async |email: &str| {
        let mut fastest = std::time::Duration::MAX;
        for _ in 0..5 {
            let began = std::time::Instant::now();
            let answer = api.sign_in(email, "not her password").await;
            fastest = fastest.min(began.elapsed());
            answer.refused(401, "invalid_credentials");
        }
        fastest
    };
    let known = fastest("ann@example.com").await;
    for email in ["nobody@example.com", "not an address"] {
        let unknown = fastest(email).await;
        // Without the hash it would be a matter of a millisecond.
        assert!(unknown * 3 > known, "{email}: {unknown:?}, not {known:?}");
    }
}

#[tokio::test]
async fn rule_20_of_fifty_signups_with_one_email_one_succeeds() {
    let site = Site::start();
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let api = site.api();
        tasks.spawn(async move { api.sign_up("ann@example.com").await });
    }
    let answers = tasks.join_all().await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 49));
    for answer in refused {
        answer.refused(409, "email_taken");
    }
    site.api().token("ann@example.com").await;
}

#[tokio::test]
async fn rule_21_addresses_that_look_alike_are_different_people() {
    let site = Site::start();
    let api = site.api();
    for email in ["josé@x.org", "jose@x.org", "ıan@x.org", "ian@x.org"] {
        let answer = api.sign_up(email).await;
        assert_eq!(answer.status, 201, "{email}: {}", answer.body);
    }
    for same in [" JOSÉ@x.org ", "jose\u{301}@X.ORG"] {
        api.sign_up(same).await.refused(409, "email_taken");
        assert_eq!(api.sign_in(same, PASSWORD).await.status, 200, "{same}");
    }
}

#[tokio::test]
async fn who_asks_about_themselves_needs_a_token() {
    let site = Site::start();
    let (_, token) = site.api().join("ann@example.com").await;
    for api in site.both() {
        for path in ["/auth/verify", "/auth/me"] {
            let without = Answer::to(api.request("GET", path)).await;
            without.refused(401, "invalid_token");
            assert!(without.header("www-authenticate").starts_with("Bearer"));
            let wrong = api.ask("GET", path, "a.b.c").await;
            wrong.refused(401, "invalid_token");
            assert_eq!(wrong.without_its_request(), without.without_its_request());

            let twice = api.request("GET", path);
            let twice = twice.bearer_auth(&token).bearer_auth(&token);
            Answer::to(twice).await.refused(400, "bad_request");
            let other_header = api.request("GET", path).header("X-Access-Token", &token);
            assert_eq!(Answer::to(other_header).await.status, 200, "{path}");
        }
    }
}

fn keys_of(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object.as_object().unwrap().keys().collect();
    keys.sort();
    keys.into_iter().map(String::as_str).collect()
}
