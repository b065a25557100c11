//! API keys: made, listed and revoked by admins; the key is shown once.

use super::*;

const PATH: &str = "/auth/admin/api-keys";

impl Site {
    async fn make_key(&self, admin: &str, body: Value) -> Answer {
        let mut request = json_request("POST", PATH, &body.to_string());
        let bearer = format!("Bearer {admin}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        self.send(request).await
    }

    /// What the edge makes of a key: the principal's name and roles.
    fn at_the_edge(&self, key: &str) -> Result<(String, Vec<String>), String> {
        let keys = self.identity.api_keys();
        let found = keys.verify(key, self.clock.unix_seconds());
        found
            .map(|found| (found.user.clone(), found.roles.clone()))
            .map_err(|error| error.reason().to_owned())
    }
}

#[tokio::test]
async fn a_key_is_shown_once_taken_at_once_and_ends_at_once() {
    let site = site_with("roles: [customer, auditor]");
    let (admin_id, admin) = site.admin("root@example.com").await;
    let wanted = json!({ "name": "nightly", "roles": ["auditor", "admin", "auditor"], "expires_in_days": 2 });
    let made = site.make_key(&admin, wanted).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("cache-control"), "no-store");
    let body = made.json();
    let key = body["key"].as_str().unwrap();
    let id = body["api_key"]["id"].as_str().unwrap();
    assert_eq!(
        body["api_key"],
        json!({
            "id": id,
            "name": "nightly",
            "roles": ["admin", "auditor"],
            "created_by": admin_id,
            "created_at": "2027-01-15T08:00:00Z",
            "expires_at": "2027-01-17T08:00:00Z",
        })
    );
    let principal = (
        format!("api_key:{id}"),
        ["admin", "auditor"].map(str::to_owned).to_vec(),
    );
    assert_eq!(site.at_the_edge(key), Ok(principal));

    let list = site.ask("GET", PATH, &admin).await;
    assert_eq!(list.json()["api_keys"], json!([body["api_key"]]));
    let secret = key.rsplit('_').next().unwrap();
    assert!(!list.body.contains(secret), "{}", list.body);

    let path = format!("{PATH}/{id}");
    assert_eq!(site.ask("DELETE", &path, &admin).await.status, 204);
    assert_eq!(site.at_the_edge(key), Err("unknown_api_key".to_owned()));
    let again = site.ask("DELETE", &path, &admin).await;
    assert_eq!(again.refusal(), refused(404, "unknown_api_key"));
    let list = site.ask("GET", PATH, &admin).await.json();
    assert_eq!(list, json!({ "api_keys": [], "next_cursor": null }));
}

#[tokio::test]
async fn a_key_expires_on_its_day() {
    let site = site();
    let (_, admin) = site.admin("root@example.com").await;
    let wanted = json!({ "name": "x", "roles": [], "expires_in_days": 1 });
    let made = site.make_key(&admin, wanted).await.json();
    let key = made["key"].as_str().unwrap();
    site.clock.advance(86_399_000);
    assert!(site.at_the_edge(key).is_ok());
    site.clock.advance(1_000);
    assert_eq!(site.at_the_edge(key), Err("expired".to_owned()));
    // An expired key is still listed, so that its owner sees why it opens nothing.
    let admin = site.token("root@example.com").await;
    let list = site.ask("GET", PATH, &admin).await.json();
    assert_eq!(list["api_keys"][0]["expires_at"], "2027-01-16T08:00:00Z");
}

#[tokio::test]
async fn a_key_that_is_asked_for_wrongly_is_refused_and_not_made() {
    let site = site();
    let (_, admin) = site.admin("root@example.com").await;
    let long = "n".repeat(65);
    let many: Vec<_> = (0..33).map(|number| format!("r{number}")).collect();
    for (body, expected) in [
        (json!({ "name": "x" }), refused(422, "invalid_field")),
        (json!({ "roles": [] }), refused(422, "invalid_field")),
        (
            json!({ "name": "", "roles": [] }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": " x", "roles": [] }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": "a\nb", "roles": [] }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": long, "roles": [] }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": 1, "roles": [] }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": "x", "roles": "admin" }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": "x", "roles": [1] }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": "x", "roles": many }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": "x", "roles": ["nobody"] }),
            refused(404, "unknown_role"),
        ),
        (
            json!({ "name": "x", "roles": ["a b"] }),
            refused(404, "unknown_role"),
        ),
        (
            json!({ "name": "x", "roles": [], "expires_in_days": 0 }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": "x", "roles": [], "expires_in_days": 3651 }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": "x", "roles": [], "expires_in_days": 1.5 }),
            refused(422, "invalid_field"),
        ),
        (
            json!({ "name": "x", "roles": [], "key": "airside_mine" }),
            refused(422, "unknown_field"),
        ),
    ] {
        let answer = site.make_key(&admin, body.clone()).await;
        assert_eq!(answer.refusal(), expected, "{body}");
    }
    let list = site.ask("GET", PATH, &admin).await.json();
    assert_eq!(list["api_keys"], json!([]));
    // Nothing but the list's own parameters, as in other lists.
    for (query, code) in [
        ("limit=0", "invalid_field"),
        ("cursor=x", "invalid_field"),
        ("q=1", "unknown_field"),
    ] {
        let answer = site.ask("GET", &format!("{PATH}?{query}"), &admin).await;
        assert_eq!(answer.refusal(), refused(422, code), "{query}");
    }
}

#[tokio::test]
async fn keys_are_listed_page_by_page_each_once() {
    let site = site();
    let (_, admin) = site.admin("root@example.com").await;
    for number in 0..5 {
        let wanted = json!({ "name": format!("key{number}"), "roles": ["customer"] });
        assert_eq!(site.make_key(&admin, wanted).await.status, 201);
    }
    let (mut seen, mut path) = (Vec::new(), format!("{PATH}?limit=2"));
    loop {
        let page = site.ask("GET", &path, &admin).await.json();
        let keys = page["api_keys"].as_array().unwrap().clone();
        seen.extend(keys.iter().map(|key| key["name"].to_string()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{PATH}?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn rule_19_only_admins_make_see_and_revoke_keys() {
    let site = site();
    let (_, admin) = site.admin("root@example.com").await;
    site.sign_up("ann@example.com").await;
    let token = site.token("ann@example.com").await;
    let wanted = json!({ "name": "x", "roles": ["admin"] });
    let made = site.make_key(&admin, wanted.clone()).await.json();
    let path = format!("{PATH}/{}", made["api_key"]["id"].as_str().unwrap());
    // Not even with a key of an admin's role: keys are for the routes of the gateway.
    let key = made["key"].as_str().unwrap();
    for (token, expected) in [
        (token.as_str(), refused(403, "forbidden")),
        ("x", refused(401, "invalid_token")),
        (key, refused(401, "invalid_token")),
    ] {
        let answer = site.make_key(token, wanted.clone()).await;
        assert_eq!(answer.refusal(), expected);
        assert_eq!(site.ask("GET", PATH, token).await.refusal(), expected);
        assert_eq!(site.ask("DELETE", &path, token).await.refusal(), expected);
    }
    assert!(site.at_the_edge(key).is_ok());
}

#[tokio::test]
async fn rule_28_making_and_revoking_a_key_leave_their_rows() {
    let site = site();
    let (admin_id, admin) = site.admin("root@example.com").await;
    let wanted = json!({ "name": "x", "roles": ["customer"] });
    let made = site.make_key(&admin, wanted).await.json();
    let id = made["api_key"]["id"].as_str().unwrap();
    site.ask("DELETE", &format!("{PATH}/{id}"), &admin).await;
    let log = site.ask("GET", "/auth/admin/audit?limit=2", &admin).await;
    let entries = log.json()["entries"].clone();
    for (entry, action, detail) in [
        (&entries[0], "api_key_revoked", ""),
        (&entries[1], "api_key_created", "x: customer"),
    ] {
        assert_eq!(entry["action"], action);
        assert_eq!(entry["detail"], detail);
        assert_eq!(
            (&entry["actor"], &entry["subject"]),
            (&json!(admin_id), &json!(id))
        );
    }
    let key = made["key"].as_str().unwrap();
    assert!(!log.body.contains(key.rsplit('_').next().unwrap()));
}
