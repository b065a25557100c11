//! Roles: who may change them, and what a change does.

use super::*;

fn path(id: &str, role: &str) -> String {
    format!("/auth/admin/users/{id}/roles/{role}")
}

#[tokio::test]
async fn roles_are_listed_made_given_and_taken_away() {
    let site = Site::start();
    let admin = site.admin("root@example.com").await;
    for (index, api) in site.both().into_iter().enumerate() {
        let email = format!("ann{index}@example.com");
        let (id, _) = api.join(&email).await;
        let crew = format!("crew{index}");
        let body = json!({ "name": crew });
        let make = || api.request("POST", "/auth/admin/roles").bearer_auth(&admin);
        let made = Answer::to(make().json(&body)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(made.json()["role"]["name"], crew);
        let again = Answer::to(make().json(&body)).await;
        again.refused(409, "role_exists");
        for wrong in ["", "a b", "a/b", &"r".repeat(65)] {
            let answer = Answer::to(make().json(&json!({ "name": wrong }))).await;
            answer.refused(422, "invalid_field");
        }
        let unknown = Answer::to(make().json(&json!({ "name": "x", "power": 9 }))).await;
        unknown.refused(422, "unknown_field");

        let listed = api.ask("GET", "/auth/admin/roles", &admin).await.json();
        let names: Vec<_> = listed["roles"].as_array().unwrap().iter().collect();
        assert!(
            names.iter().any(|role| role["name"] == crew.as_str()),
            "{listed}"
        );

        // Both may be said twice.
        for (method, roles) in [
            ("PUT", json!([crew, "customer"])),
            ("DELETE", json!(["customer"])),
        ] {
            for _ in 0..2 {
                let answer = api.ask(method, &path(&id, &crew), &admin).await;
                assert_eq!(answer.status, 204, "{method}: {}", answer.body);
                assert_eq!(answer.body, "");
            }
            let token = api.token(&email).await;
            let me = api.ask("GET", "/auth/me", &token).await;
            assert_eq!(me.json()["user"]["roles"], roles, "{method}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let site = Site::start();
    let admin = site.admin("root@example.com").await;
    let (id, _) = site.api().join("ann@example.com").await;
    let nobody = "01900000-0000-7000-8000-000000000000";
    for api in site.both() {
        for method in ["PUT", "DELETE"] {
            for user in [nobody, "1", "'%20OR%201=1", &id.to_uppercase()] {
                let answer = api.ask(method, &path(user, "admin"), &admin).await;
                answer.refused(404, "unknown_user");
            }
            for role in ["pilot", "ADMIN", "a%20b"] {
                let answer = api.ask(method, &path(&id, role), &admin).await;
                answer.refused(404, "unknown_role");
            }
        }
        let nowhere = api.ask("GET", "/auth/nowhere", &admin).await;
        nowhere.refused(404, "no_route");
        let answer = api.ask("GET", "/auth/signup", &admin).await;
        answer.refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "POST");
    }
}

#[tokio::test]
async fn rule_19_only_admins_change_roles() {
    let site = Site::start();
    site.add("root@example.com", &["admin"]);
    let (id, token) = site.api().join("ann@example.com").await;
    let requests = [
        ("GET", "/auth/admin/roles".to_owned()),
        ("POST", "/auth/admin/roles".to_owned()),
        ("PUT", path(&id, "admin")),
        ("DELETE", path(&id, "customer")),
    ];
    for api in site.both() {
        for (method, path) in &requests {
            let request = || {
                let body = (*method == "POST").then(|| json!({ "name": "crew" }));
                let request = api.request(method, path);
                match body {
                    Some(body) => request.json(&body),
                    None => request,
                }
            };
            let by_nobody = Answer::to(request()).await;
            by_nobody.refused(401, "invalid_token");
            let by_customer = Answer::to(request().bearer_auth(&token)).await;
            by_customer.refused(403, "forbidden");
        }
    }
    let me = site.api().ask("GET", "/auth/me", &token).await;
    assert_eq!(me.json()["user"]["roles"], json!(["customer"]));
}

#[tokio::test]
async fn rule_19_a_former_admins_token_opens_nothing() {
    let site = Site::start();
    let api = site.api();
    let root = site.admin("root@example.com").await;
    let former_id = site.add("former@example.com", &["admin"]);
    let former = api.token("former@example.com").await;
    let answer = api.ask("GET", "/auth/admin/roles", &former).await;
    assert_eq!(answer.status, 200);
    let demoted = api.ask("DELETE", &path(&former_id, "admin"), &root).await;
    assert_eq!(demoted.status, 204, "{}", demoted.body);
    // The token still says `admin`, and ended with the role.
    let answer = api.ask("PUT", &path(&former_id, "admin"), &former).await;
    answer.refused(401, "invalid_token");
    let former = api.token("former@example.com").await;
    let answer = api.ask("PUT", &path(&former_id, "admin"), &former).await;
    answer.refused(403, "forbidden");
}

#[tokio::test]
async fn rule_19_the_last_admin_stays_one() {
    let site = Site::start();
    let api = site.api();
    let ids = [
        site.add("root@example.com", &["admin"]),
        site.add("other@example.com", &["admin"]),
    ];
    let emails = ["root@example.com", "other@example.com"];
    let mut tokens = [api.token(emails[0]).await, api.token(emails[1]).await];
    for round in 0..5 {
        // Both at once, each the other: one of them must fail, whichever comes second.
        let (first_path, second_path) = (path(&ids[1], "admin"), path(&ids[0], "admin"));
        let (first, second) = tokio::join!(
            api.ask("DELETE", &first_path, &tokens[0]),
            api.ask("DELETE", &second_path, &tokens[1]),
        );
        let (demoted, admin) = match (first.status, second.status) {
            (204, _) => (1, 0),
            (_, 204) => (0, 1),
            both => panic!("round {round}: {both:?}"),
        };
        let refused = if demoted == 1 { &second } else { &first };
        // Asked before or after it was demoted itself.
        match refused.status {
            401 => refused.refused(401, "invalid_token"),
            403 => refused.refused(403, "forbidden"),
            _ => refused.refused(409, "last_admin"),
        }
        for api in site.both() {
            let last = api
                .ask("DELETE", &path(&ids[admin], "admin"), &tokens[admin])
                .await;
            last.refused(409, "last_admin");
        }
        let back = api
            .ask("PUT", &path(&ids[demoted], "admin"), &tokens[admin])
            .await;
        assert_eq!(back.status, 204, "{}", back.body);
        tokens[demoted] = api.token(emails[demoted]).await;
    }
}

#[tokio::test]
async fn a_role_that_was_given_opens_its_routes_from_the_next_signin() {
    let site = Site::start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let (id, old) = api.join("ann@example.com").await;
    let company = async |token: &str| api.ask("POST", "/company", token).await;
    company(&old).await.refused(403, "forbidden");
    assert_eq!(site.origin.count(), 0);

    let given = api.ask("PUT", &path(&id, "flight_company"), &admin).await;
    assert_eq!(given.status, 204);
    // Rule 18: the change ended the old token, at the edge too, from the next request on.
    company(&old).await.refused(401, "unauthenticated");
    assert_eq!(site.origin.count(), 0);
    let new = api.token("ann@example.com").await;
    assert_eq!(company(&new).await.status, 200);
    assert_eq!(
        site.origin.last().header("x-auth-roles"),
        Some("customer,flight_company")
    );

    let taken = api
        .ask("DELETE", &path(&id, "flight_company"), &admin)
        .await;
    assert_eq!(taken.status, 204);
    company(&new).await.refused(401, "unauthenticated");
    let newest = api.token("ann@example.com").await;
    company(&newest).await.refused(403, "forbidden");
    assert_eq!(site.origin.count(), 1);
}
