//! An ordinary life: accounts, roles, restarts, and what many do at once.

use reqwest::Method;
use serde_json::json;

use super::{Site, set_up};
use crate::support::http::client;
use crate::support::mariadb::Mariadb;

#[tokio::test]
async fn accounts_and_roles_outlive_a_restart() {
    let server = Mariadb::shared();
    let site = Site::ready(&server.new_database("life").await).await;
    let made = site.sign_up("ann@x.org").await;
    assert_eq!(made.status, 201, "{}", made.body);
    let ann = made.body["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!(made.body["user"]["roles"], json!(["customer"]));
    site.add_admin("root@x.org");
    let admin = site.token("root@x.org").await;
    let path = format!("/auth/admin/users/{ann}/roles/admin");
    assert_eq!(site.ask(Method::PUT, &path, &admin).await.status, 204);

    let Site {
        gateway, _origin, ..
    } = site;
    let site = Site {
        gateway: gateway.restart(),
        // Connections to the old process are gone.
        client: client(),
        _origin,
    };
    site.wait_until_ready().await;
    assert_eq!(site.ask(Method::GET, "/guarded", &admin).await.status, 200);
    let token = site.token("ann@x.org").await;
    let me = site.ask(Method::GET, "/auth/me", &token).await;
    assert_eq!(me.body["user"]["roles"], json!(["admin", "customer"]));
    assert_eq!(site.sign_up("ANN@x.org").await.code(), (409, "email_taken"));
}

#[tokio::test]
async fn rule_20_of_fifty_parallel_signups_one_succeeds_and_none_fails_inside() {
    let server = Mariadb::shared();
    let site = Site::ready(&server.new_database("signups").await).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let request = site.client.post(site.gateway.url("/auth/signup"));
        let request = request.header("Content-Type", "application/json");
        let body = json!({ "email": "ann@x.org", "password": super::PASSWORD });
        tasks.spawn(super::Answer::of(request.body(body.to_string())));
    }
    let answers = tasks.join_all().await;
    let mut codes: Vec<_> = answers.iter().map(super::Answer::code).collect();
    codes.sort_unstable();
    let mut expected = vec![(201, "")];
    expected.resize(50, (409, "email_taken"));
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn rule_19_nobody_signs_up_as_admin_and_the_last_one_stays() {
    let server = Mariadb::shared();
    let store = server.new_database("admins").await;
    let site = Site::ready(&store).await;
    let body = json!({ "email": "eve@x.org", "password": super::PASSWORD, "roles": ["admin"] });
    let refused = site.post("/auth/signup", &body).await;
    assert_eq!(refused.code(), (422, "unknown_field"));
    assert_eq!(site.sign_in("eve@x.org").await.status, 401);
    // Two gateways on one database, an admin at each, who remove each other at once.
    let (other, _origin) = set_up(&store);
    let other = Site {
        gateway: other.start(),
        client: client(),
        _origin,
    };
    other.wait_until_ready().await;
    let ids = [site.add_admin("ann@x.org"), other.add_admin("bob@x.org")];
    let tokens = [
        site.token("ann@x.org").await,
        other.token("bob@x.org").await,
    ];
    let path = |id: &str| format!("/auth/admin/users/{id}/roles/admin");
    let (paths, sites) = ([path(&ids[1]), path(&ids[0])], [&site, &other]);
    let (one, two) = tokio::join!(
        sites[0].ask(Method::DELETE, &paths[0], &tokens[0]),
        sites[1].ask(Method::DELETE, &paths[1], &tokens[1]),
    );
    // Who comes second is no admin any more, or is told that the other is the last one.
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert!(matches!(statuses, [204, 403 | 409]), "{statuses:?}");
    let stayed = usize::from(one.status == 204);
    let (stayed, at) = match stayed {
        1 => (0, sites[0]),
        _ => (1, sites[1]),
    };
    let refused = at
        .ask(Method::DELETE, &path(&ids[stayed]), &tokens[stayed])
        .await;
    assert_eq!(refused.code(), (409, "last_admin"));
}
