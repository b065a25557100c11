//! `per_role`: who has a role has more, and who loses it keeps their calls.

use super::*;
use crate::support::people::{Api, Site};

const CONFIG: &str = r#"
listeners: [{ address: "{gateway}" }]
identity:
  listen: "{identity}"
  store: "sqlite:a.db"
  keys: "keys"
  password: { bcrypt_cost: 10, workers: 1 }
  roles: [gold, pilot, customer]
admin: { listen: "{admin}" }
limits:
  per_user: { rate: 2/1h, by: user, per_role: { gold: 4/1h, pilot: 6/1h } }
  per_address: { rate: 2/1h, per_role: { gold: 5/1h } }
upstreams: { origin: { servers: ["{origin}"] } }
routes:
  - { path: "/auth/*", upstream: identity, auth: public }
  - { path: /user, upstream: origin, auth: required, limits: [per_user] }
  - { path: /address, upstream: origin, auth: required, limits: [per_address] }
"#;

fn site() -> Site {
    let origin = Origin::start();
    let airside = Airside::with(CONFIG).origin(&origin).start();
    Site { airside, origin }
}

/// How many calls in a row are admitted, and what the quota was said to be.
async fn admitted(api: &Api, path: &str, token: &str) -> (usize, String) {
    for number in 0.. {
        let answer = api.ask("GET", path, token).await;
        if answer.status == 429 {
            return (number, answer.header("ratelimit-policy").to_owned());
        }
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    unreachable!()
}

#[tokio::test]
async fn the_highest_of_a_callers_roles_counts() {
    let site = site();
    let api = site.api();
    for (email, roles, calls) in [
        ("ann@example.com", &[][..], 2),
        ("bob@example.com", &["gold"], 4),
        ("eve@example.com", &["gold", "pilot"], 6),
    ] {
        site.add(email, roles);
        let token = api.token(email).await;
        let policy = format!("\"per_user\";q={calls};w=3600");
        assert_eq!(
            admitted(&api, "/user", &token).await,
            (calls, policy),
            "{email}"
        );
    }
}

#[tokio::test]
async fn a_role_raises_a_limit_by_address_once_it_is_known() {
    let site = site();
    let api = site.api();
    site.add("ann@example.com", &[]);
    site.add("bob@example.com", &["gold"]);
    let (ann, bob) = (
        api.token("ann@example.com").await,
        api.token("bob@example.com").await,
    );
    // One address, so one count: what Ann has called is called.
    assert_eq!(admitted(&api, "/address", &ann).await.0, 2);
    assert_eq!(admitted(&api, "/address", &bob).await.0, 3);
    assert_eq!(admitted(&api, "/address", &ann).await.0, 0);
    // Nobody's role is known before their token is: wrong ones do not count here.
    api.ask("GET", "/address", "guess")
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test]
async fn who_loses_a_role_keeps_their_calls() {
    let site = site();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let id = site.add("bob@example.com", &["gold"]);
    let before = api.token("bob@example.com").await;
    assert_eq!(admitted(&api, "/user", &before).await.0, 4);
    let path = format!("/auth/admin/users/{id}/roles/gold");
    assert_eq!(api.ask("DELETE", &path, &admin).await.status, 204);
    let after = api.token("bob@example.com").await;
    assert_eq!(admitted(&api, "/user", &after).await.0, 0);
}
