//! What admins see and stop, and what the audit log says of it.

use super::*;

fn user_path(id: &str, verb: &str) -> String {
    format!("/auth/admin/users/{id}{verb}")
}

async fn id_of(site: &Site, email: &str) -> String {
    let user = site.sign_up(email).await.json();
    user["user"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn users_are_listed_page_by_page_each_once() {
    let site = site();
    let (_, admin) = site.admin("root@example.com").await;
    for number in 0..7 {
        site.sign_up(&format!("user{number}@example.com")).await;
    }
    let mut seen = Vec::new();
    let mut path = "/auth/admin/users?limit=3".to_owned();
    loop {
        let page = site.ask("GET", &path, &admin).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let page = page.json();
        let users = page["users"].as_array().unwrap();
        assert!(users.len() <= 3);
        seen.extend(
            users
                .iter()
                .map(|user| user["email"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/auth/admin/users?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen.len(), 8);
    seen.dedup();
    assert_eq!(seen.len(), 8);
    let found = site
        .ask("GET", "/auth/admin/users?query=USER3", &admin)
        .await
        .json();
    assert_eq!(found["users"].as_array().unwrap().len(), 1);
    // What a search for anything would look like in SQL finds nothing here.
    let found = site
        .ask("GET", "/auth/admin/users?query=%25", &admin)
        .await
        .json();
    assert_eq!(found["users"], json!([]));
}

#[tokio::test]
async fn a_list_that_is_asked_for_wrongly_is_refused() {
    let site = site();
    let (_, admin) = site.admin("root@example.com").await;
    for (query, code) in [
        ("limit=0", "invalid_field"),
        ("limit=201", "invalid_field"),
        ("limit=x", "invalid_field"),
        ("cursor=x", "invalid_field"),
        ("curser=1", "unknown_field"),
    ] {
        for list in ["users", "audit"] {
            let answer = site
                .ask("GET", &format!("/auth/admin/{list}?{query}"), &admin)
                .await;
            assert_eq!(answer.refusal(), refused(422, code), "{list} {query}");
        }
    }
}

#[tokio::test]
async fn rule_18_a_disabled_user_is_out_at_once_and_may_come_back() {
    let site = site();
    let (_, admin) = site.admin("root@example.com").await;
    let id = id_of(&site, "ann@example.com").await;
    let tokens = site.sign_in("ann@example.com", PASSWORD).await.json();
    let (access, refresh) = (
        tokens["access_token"].as_str().unwrap(),
        tokens["refresh_token"].as_str().unwrap(),
    );
    for _ in 0..2 {
        assert_eq!(
            site.ask("POST", &user_path(&id, "/disable"), &admin)
                .await
                .status,
            204
        );
    }
    assert_eq!(
        site.ask("GET", "/auth/verify", access).await.refusal(),
        refused(401, "invalid_token")
    );
    let refreshed = site
        .post("/auth/refresh", json!({ "refresh_token": refresh }))
        .await;
    assert_eq!(refreshed.refusal(), refused(401, "invalid_refresh_token"));
    assert_eq!(
        site.sign_in("ann@example.com", PASSWORD).await.refusal(),
        refused(401, "invalid_credentials")
    );
    let shown = site.ask("GET", &user_path(&id, ""), &admin).await.json();
    assert_eq!(shown["user"]["disabled"], true);
    for _ in 0..2 {
        assert_eq!(
            site.ask("POST", &user_path(&id, "/enable"), &admin)
                .await
                .status,
            204
        );
    }
    assert_eq!(site.sign_in("ann@example.com", PASSWORD).await.status, 200);
    assert_eq!(site.ask("GET", "/auth/verify", access).await.status, 401);
}

#[tokio::test]
async fn an_admin_signs_another_user_out() {
    let site = site();
    let (_, admin) = site.admin("root@example.com").await;
    let id = id_of(&site, "ann@example.com").await;
    let token = site.token("ann@example.com").await;
    assert_eq!(
        site.ask("POST", &user_path(&id, "/signout"), &admin)
            .await
            .status,
        204
    );
    assert_eq!(site.ask("GET", "/auth/verify", &token).await.status, 401);
    assert_eq!(site.sign_in("ann@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn rule_19_the_last_admin_cannot_be_disabled() {
    let site = site();
    let (id, admin) = site.admin("root@example.com").await;
    let disabled = site.ask("POST", &user_path(&id, "/disable"), &admin).await;
    assert_eq!(disabled.refusal(), refused(409, "last_admin"));
    assert_eq!(site.ask("GET", "/auth/verify", &admin).await.status, 200);
    let (second, _) = site.admin("second@example.com").await;
    assert_eq!(
        site.ask("POST", &user_path(&second, "/disable"), &admin)
            .await
            .status,
        204
    );
    // One who can't sign in is no admin that could stay.
    let disabled = site.ask("POST", &user_path(&id, "/disable"), &admin).await;
    assert_eq!(disabled.refusal(), refused(409, "last_admin"));
}

#[tokio::test]
async fn a_role_goes_when_nobody_has_it() {
    let site = site_with("roles: [customer, crew, pilot]");
    let (_, admin) = site.admin("root@example.com").await;
    let id = id_of(&site, "ann@example.com").await;
    site.ask("PUT", &user_path(&id, "/roles/crew"), &admin)
        .await;
    for (role, expected) in [
        ("crew", refused(409, "role_in_use")),
        ("admin", refused(409, "role_in_use")),
        ("nobody", refused(404, "unknown_role")),
        ("a%20b", refused(404, "unknown_role")),
    ] {
        let answer = site
            .ask("DELETE", &format!("/auth/admin/roles/{role}"), &admin)
            .await;
        assert_eq!(answer.refusal(), expected, "{role}");
    }
    assert_eq!(
        site.ask("DELETE", "/auth/admin/roles/pilot", &admin)
            .await
            .status,
        204
    );
    let list = site.ask("GET", "/auth/admin/roles", &admin).await.body;
    assert!(!list.contains("pilot") && list.contains("crew"), "{list}");
}

#[tokio::test]
async fn rule_28_every_change_leaves_its_row() {
    let site = site_with("roles: [customer, crew]");
    let (admin_id, admin) = site.admin("root@example.com").await;
    let id = id_of(&site, "ann@example.com").await;
    for (method, path) in [
        ("PUT", user_path(&id, "/roles/crew")),
        ("DELETE", user_path(&id, "/roles/crew")),
        ("DELETE", "/auth/admin/roles/crew".to_owned()),
        ("POST", user_path(&id, "/disable")),
        ("POST", user_path(&id, "/enable")),
        ("POST", user_path(&id, "/signout")),
    ] {
        assert_eq!(
            site.ask(method, &path, &admin).await.status,
            204,
            "{method} {path}"
        );
    }
    let log = site
        .ask("GET", "/auth/admin/audit?limit=6", &admin)
        .await
        .json();
    let entries = log["entries"].as_array().unwrap();
    let actions: Vec<_> = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "all_sessions_ended",
            "user_enabled",
            "user_disabled",
            "role_deleted",
            "role_revoked",
            "role_granted",
        ]
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry["actor"] == admin_id.as_str())
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry["at"] == "2027-01-15T08:00:00Z")
    );
    let cursor = log["next_cursor"].as_str().unwrap();
    let older = site
        .ask("GET", &format!("/auth/admin/audit?cursor={cursor}"), &admin)
        .await;
    assert!(
        older.body.contains("user_created") && !older.body.contains("role_granted"),
        "{}",
        older.body
    );
    // A change that changes nothing is none.
    let before = site.ask("GET", "/auth/admin/audit", &admin).await.body;
    site.ask("POST", &user_path(&id, "/enable"), &admin).await;
    assert_eq!(
        site.ask("GET", "/auth/admin/audit", &admin).await.body,
        before
    );
}

#[tokio::test]
async fn rule_19_what_is_for_admins_is_for_nobody_else() {
    let site = site();
    site.admin("root@example.com").await;
    let id = id_of(&site, "ann@example.com").await;
    let token = site.token("ann@example.com").await;
    for (method, path) in [
        ("GET", "/auth/admin/users".to_owned()),
        ("GET", user_path(&id, "")),
        ("POST", user_path(&id, "/disable")),
        ("POST", user_path(&id, "/enable")),
        ("POST", user_path(&id, "/signout")),
        ("GET", "/auth/admin/audit".to_owned()),
        ("DELETE", "/auth/admin/roles/customer".to_owned()),
    ] {
        assert_eq!(
            site.ask(method, &path, &token).await.refusal(),
            refused(403, "forbidden"),
            "{path}"
        );
        assert_eq!(
            site.ask(method, &path, "x").await.refusal(),
            refused(401, "invalid_token"),
            "{path}"
        );
    }
    assert_eq!(site.ask("GET", "/auth/verify", &token).await.status, 200);
}
