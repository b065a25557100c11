//! Roles: only admins change them, and the change is in the next token.

use super::*;

fn assignment(user: &str, role: &str) -> String {
    format!("/auth/admin/users/{user}/roles/{role}")
}

async fn post_role(site: &Site, token: &str, body: Value) -> Answer {
    let mut request = json_request("POST", "/auth/admin/roles", &body.to_string());
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    site.send(request).await
}

#[tokio::test]
async fn an_admin_lists_and_makes_roles() {
    let site = site_with("roles: [customer, crew]");
    let (_, token) = site.admin("root@example.com").await;
    let made = post_role(&site, &token, json!({ "name": "pilot" })).await;
    assert_eq!(made.status, 201);
    let time = "2027-01-15T08:00:00Z";
    assert_eq!(
        made.json(),
        json!({ "role": { "name": "pilot", "created_at": time } })
    );
    let list = site.ask("GET", "/auth/admin/roles", &token).await;
    assert_eq!(list.status, 200);
    let names: Vec<_> = list.json()["roles"].as_array().unwrap().clone();
    let names: Vec<_> = names
        .iter()
        .map(|role| role["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["admin", "crew", "customer", "pilot"]);
}

#[tokio::test]
async fn a_role_that_cannot_be_made_is_refused() {
    let site = site();
    let (_, token) = site.admin("root@example.com").await;
    for (body, expected) in [
        (json!({ "name": "customer" }), refused(409, "role_exists")),
        (json!({ "name": "a b" }), refused(422, "invalid_field")),
        (json!({ "name": "" }), refused(422, "invalid_field")),
        (json!({ "name": 1 }), refused(422, "invalid_field")),
        (json!({}), refused(422, "invalid_field")),
        (
            json!({ "name": "crew", "id": 1 }),
            refused(422, "unknown_field"),
        ),
    ] {
        assert_eq!(
            post_role(&site, &token, body.clone()).await.refusal(),
            expected,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_role_that_is_granted_or_taken_is_in_the_next_token() {
    let site = site_with("roles: [customer, crew]");
    let (_, admin) = site.admin("root@example.com").await;
    let ann = site.sign_up("ann@example.com").await.json();
    let path = assignment(ann["user"]["id"].as_str().unwrap(), "crew");
    let roles = async || {
        let token = site.token("ann@example.com").await;
        let answer = site.ask("GET", "/auth/verify", &token).await;
        answer.header("x-auth-roles").to_owned()
    };
    for (method, expected) in [("PUT", "crew,customer"), ("DELETE", "customer")] {
        for _ in 0..2 {
            let answer = site.ask(method, &path, &admin).await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
            assert_eq!(roles().await, expected);
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let site = site();
    let (id, token) = site.admin("root@example.com").await;
    let nobody = "0199c7b0-0000-7000-8000-000000000000";
    for method in ["PUT", "DELETE"] {
        for (path, code) in [
            (assignment(nobody, "customer"), "unknown_user"),
            (assignment("root", "customer"), "unknown_user"),
            (assignment(&id, "crew"), "unknown_role"),
            (assignment(&id, "a%20b"), "unknown_role"),
        ] {
            let answer = site.ask(method, &path, &token).await;
            assert_eq!(answer.refusal(), refused(404, code), "{path}");
        }
    }
    let undecodable = site.ask("PUT", &assignment(&id, "%ff"), &token).await;
    assert_eq!(undecodable.refusal(), refused(400, "bad_request"));
}

#[tokio::test]
async fn rule_19_only_who_is_an_admin_now_changes_roles() {
    let site = site();
    let (_, first) = site.admin("root@example.com").await;
    let (second_id, second) = site.admin("second@example.com").await;
    let ann = site.sign_up("ann@example.com").await.json();
    let ann_id = ann["user"]["id"].as_str().unwrap();
    let customer = site.token("ann@example.com").await;
    let attempts = async |token: &str, expected: (u16, String)| {
        for answer in [
            site.ask("GET", "/auth/admin/roles", token).await,
            post_role(&site, token, json!({ "name": "crew" })).await,
            site.ask("PUT", &assignment(ann_id, "admin"), token).await,
            site.ask("DELETE", &assignment(ann_id, "customer"), token)
                .await,
        ] {
            assert_eq!(answer.refusal(), expected);
        }
    };
    attempts(&customer, refused(403, "forbidden")).await;
    attempts("a.b.c", refused(401, "invalid_token")).await;
    // With the role goes the token that said so.
    let demoted = site
        .ask("DELETE", &assignment(&second_id, "admin"), &first)
        .await;
    assert_eq!(demoted.status, 204);
    attempts(&second, refused(401, "invalid_token")).await;

    // The store decides, not what a token still says that nobody ended.
    let (third_id, third) = site.admin("third@example.com").await;
    let file = rusqlite::Connection::open(site._folder.path().join("data/airside.db")).unwrap();
    let sql = "DELETE FROM user_roles WHERE user_id = ?";
    file.execute(sql, [&third_id]).unwrap();
    assert_eq!(site.ask("GET", "/auth/verify", &third).await.status, 200);
    attempts(&third, refused(403, "forbidden")).await;
}

#[tokio::test]
async fn rule_19_the_last_admin_stays_one() {
    let site = site();
    let (id, token) = site.admin("root@example.com").await;
    let answer = site.ask("DELETE", &assignment(&id, "admin"), &token).await;
    assert_eq!(answer.refusal(), refused(409, "last_admin"));
    assert_eq!(
        site.ask("GET", "/auth/admin/roles", &token).await.status,
        200
    );
}

#[tokio::test]
async fn the_shell_makes_users_with_roles_that_exist() {
    let site = site();
    let service = site.identity.service();
    let made = service
        .add_user("ann@example.com", PASSWORD, &[role("crew")])
        .await;
    assert_eq!(made, Err(crate::identity::refused::Refused::UnknownRole));
    assert_eq!(site.sign_in("ann@example.com", PASSWORD).await.status, 401);
}
