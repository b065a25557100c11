//! API keys at the gateway: from the answer that shows one to the request that it no longer opens.

use std::time::{Duration, Instant};

use super::*;
use crate::support::people::Api;
use crate::support::server::SetUp;
use crate::support::wait::PATIENCE;

const PATH: &str = "/auth/admin/api-keys";
/// How soon another gateway must know.
const SOON: Duration = Duration::from_secs(1);

/// A gateway with routes that take keys: `/keys` alone, `/either` tokens too.
fn set_up(origin: &Origin) -> SetUp {
    people::set_up_with(
        origin,
        r#"
  - { path: "/keys/*", upstream: origin, auth: { api_key: true } }
  - { path: /audit, upstream: origin, auth: { api_key: true, roles: [admin] } }
  - { path: /either, upstream: origin, auth: { api_key: true, issuers: [airside] } }
  - { path: /own, upstream: origin, auth: { api_key: true }, request_headers: { set: { X-API-Key: "ours" } } }
"#,
    )
}

fn start() -> Site {
    let origin = Origin::start();
    let airside = set_up(&origin).start();
    Site { airside, origin }
}

/// Makes a key, which must succeed: its id and the key.
async fn make(api: &Api, admin: &str, roles: &[&str]) -> (String, String) {
    let body = json!({ "name": "nightly report", "roles": roles });
    let request = api.request("POST", PATH).bearer_auth(admin).json(&body);
    let made = Answer::to(request).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let made = made.json();
    (text(&made["api_key"]["id"]), text(&made["key"]))
}

async fn with_key(api: &Api, path: &str, key: &str) -> Answer {
    Answer::to(api.request("GET", path).header("X-API-Key", key)).await
}

async fn by_scheme(api: &Api, path: &str, key: &str) -> Answer {
    let value = format!("ApiKey {key}");
    Answer::to(api.request("GET", path).header("Authorization", value)).await
}

#[tokio::test]
async fn a_key_opens_what_its_roles_open_and_nothing_after_it_is_revoked() {
    let site = start();
    let admin = site.admin("root@example.com").await;
    for api in site.both() {
        let gateway = site.api();
        let (id, key) = make(&api, &admin, &["customer"]).await;
        for answer in [
            with_key(&gateway, "/keys/1", &key).await,
            by_scheme(&gateway, "/keys/1", &key).await,
            with_key(&gateway, "/either", &key).await,
        ] {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        let missing = with_key(&gateway, "/audit", &key).await;
        missing.refused(403, "forbidden");
        let (_, powerful) = make(&api, &admin, &["admin", "customer"]).await;
        let opened = with_key(&gateway, "/audit", &powerful).await;
        assert_eq!(opened.status, 200, "{}", opened.body);

        let revoked = api.ask("DELETE", &format!("{PATH}/{id}"), &admin).await;
        assert_eq!(revoked.status, 204, "{}", revoked.body);
        // From the next request on.
        let refused = with_key(&gateway, "/keys/1", &key).await;
        refused.refused(401, "unauthenticated");
        assert_eq!(with_key(&gateway, "/audit", &powerful).await.status, 200);
    }
}

#[tokio::test]
async fn the_upstream_learns_whose_key_it_is_and_never_the_key() {
    let site = start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let (id, key) = make(&api, &admin, &["admin", "customer"]).await;
    let secret = key.rsplit('_').next().unwrap();
    for path in ["/keys/1", "/either"] {
        for answer in [
            with_key(&api, path, &key).await,
            by_scheme(&api, path, &key).await,
        ] {
            assert_eq!(answer.status, 200, "{}", answer.body);
            let got = site.origin.last();
            assert_eq!(got.header("x-auth-user"), Some(&*format!("api_key:{id}")));
            assert_eq!(got.header("x-auth-roles"), Some("admin,customer"));
            assert_eq!(got.header("x-auth-issuer"), Some("airside"));
            assert_eq!(got.header("x-auth-email"), None);
            assert_eq!(got.header("x-api-key"), None);
            assert_eq!(got.header("authorization"), None);
            let all = got.head.headers.iter();
            assert!(all.clone().all(|(_, value)| !value.contains(secret)));
        }
    }
    // What the configuration sets under the same name is the upstream's own.
    assert_eq!(with_key(&api, "/own", &key).await.status, 200);
    assert_eq!(site.origin.last().header("x-api-key"), Some("ours"));
    // A token goes on as ever, and where no key is taken its header is none of the gateway's business.
    let token = api.token("root@example.com").await;
    assert_eq!(api.ask("GET", "/either", &token).await.status, 200);
    let bearer = format!("Bearer {token}");
    assert_eq!(site.origin.last().header("authorization"), Some(&*bearer));
    let request = api.request("GET", "/members").bearer_auth(&token);
    let answer = Answer::to(request.header("X-API-Key", "theirs")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(site.origin.last().header("x-api-key"), Some("theirs"));
    assert_eq!(with_key(&api, "/public", "theirs").await.status, 200);
    assert_eq!(site.origin.last().header("x-api-key"), Some("theirs"));
}

#[tokio::test]
async fn a_route_takes_what_it_says_and_nothing_else() {
    let site = start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let (_, key) = make(&api, &admin, &["admin", "flight_company"]).await;
    for path in ["/members", "/company"] {
        for answer in [
            with_key(&api, path, &key).await,
            by_scheme(&api, path, &key).await,
            api.ask("GET", path, &key).await,
        ] {
            answer.refused(401, "unauthenticated");
            assert_eq!(
                answer.header("www-authenticate"),
                r#"Bearer realm="airside""#
            );
        }
    }
    // Anybody may have signed up; who asks for keys gets no tokens unless told so.
    let answer = api.ask("GET", "/keys/1", &admin).await;
    answer.refused(401, "unauthenticated");
    assert_eq!(
        answer.header("www-authenticate"),
        r#"ApiKey realm="airside""#
    );
    assert_eq!(site.origin.count(), 0);
    let answer = api.ask("GET", "/either", &admin).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn rule_6_one_identical_401_for_every_cause() {
    let site = start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let (id, revoked) = make(&api, &admin, &["admin"]).await;
    api.ask("DELETE", &format!("{PATH}/{id}"), &admin).await;
    let mut altered = make(&api, &admin, &["admin"]).await.1;
    let last = altered.pop().unwrap();
    altered.push(if last == '0' { '1' } else { '0' });
    for path in ["/keys/1", "/either", "/audit"] {
        let nothing = Answer::to(api.request("GET", path)).await;
        nothing.refused(401, "unauthenticated");
        for wrong in [
            &revoked,
            &altered,
            "",
            "airside_",
            "nonsense",
            &"k".repeat(8_000),
        ] {
            for answer in [
                with_key(&api, path, wrong).await,
                by_scheme(&api, path, wrong).await,
            ] {
                let (one, other) = (answer.without_its_request(), nothing.without_its_request());
                assert_eq!(one, other, "{path} {wrong}");
            }
        }
        let basic = api
            .request("GET", path)
            .header("Authorization", "Basic YTpi");
        let basic = Answer::to(basic).await;
        assert_eq!(basic.without_its_request(), nothing.without_its_request());
    }
    assert_eq!(site.origin.count(), 0);
}

#[tokio::test]
async fn rule_6_a_key_comes_alone_or_the_request_is_bad() {
    let site = start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let (_, key) = make(&api, &admin, &["admin"]).await;
    let (scheme, bearer) = (format!("ApiKey {key}"), format!("Bearer {admin}"));
    for path in ["/keys/1", "/either", "/audit"] {
        for [one, other] in [
            [("X-API-Key", &key), ("X-API-Key", &key)],
            [("X-API-Key", &key), ("Authorization", &scheme)],
            [("X-API-Key", &key), ("Authorization", &bearer)],
            [("X-API-Key", &key), ("X-Access-Token", &admin)],
            [("Authorization", &scheme), ("X-Access-Token", &admin)],
            [("Authorization", &scheme), ("Authorization", &scheme)],
        ] {
            let request = api.request("GET", path);
            let request = request.header(one.0, one.1).header(other.0, other.1);
            let answer = Answer::to(request).await;
            answer.refused(400, "bad_request");
        }
    }
    assert_eq!(site.origin.count(), 0);
}

#[tokio::test]
async fn rule_7_keys_pass_while_the_database_is_away() {
    let site = start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let (id, key) = make(&api, &admin, &["customer"]).await;
    let file = site.airside.folder().join("airside.db");
    let database = rusqlite::Connection::open(file).unwrap();
    let away = "ALTER TABLE api_keys RENAME TO keys_away; ALTER TABLE users RENAME TO users_away";
    database.execute_batch(away).unwrap();
    let list = api.ask("GET", PATH, &admin).await;
    list.refused(503, "overloaded");
    // The store is asked three times a second: several answers have failed by the end.
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        assert_eq!(with_key(&api, "/keys/1", &key).await.status, 200);
    }
    let back = "ALTER TABLE users_away RENAME TO users; ALTER TABLE keys_away RENAME TO api_keys";
    database.execute_batch(back).unwrap();
    let revoked = api.ask("DELETE", &format!("{PATH}/{id}"), &admin).await;
    assert_eq!(revoked.status, 204, "{}", revoked.body);
    let refused = with_key(&api, "/keys/1", &key).await;
    refused.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_key_survives_a_restart_of_the_gateway() {
    let Site { airside, origin } = start();
    let site = Site { airside, origin };
    let admin = site.admin("root@example.com").await;
    let (_, key) = make(&site.api(), &admin, &[]).await;
    let Site { airside, origin } = site;
    let site = Site {
        airside: airside.restart(),
        origin,
    };
    assert_eq!(with_key(&site.api(), "/keys/1", &key).await.status, 200);
}

#[tokio::test]
async fn rule_23_the_log_names_the_key_by_its_id_alone() {
    let site = start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let (id, key) = make(&api, &admin, &["customer"]).await;
    with_key(&api, "/keys/mine?key=query", &key).await;
    by_scheme(&api, "/audit", &key).await;
    with_key(&api, "/members", &key).await;
    let lines = site.airside.wait_for_access_log(5);
    let user = format!("api_key:{id}");
    let of_key: Vec<_> = lines.iter().filter(|line| line["user"] == *user).collect();
    assert_eq!(of_key.len(), 2, "{lines:?}");
    assert_eq!(of_key[0]["roles"], json!(["customer"]));
    assert_eq!(of_key[1]["status"], 403);
    let Site { mut airside, .. } = site;
    airside.daemon().signal("TERM");
    let ended = airside.daemon().wait_until_ended(PATIENCE);
    let secret = key.rsplit('_').next().unwrap();
    for said in [&ended.stdout, &ended.stderr] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let site = start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let body = json!({ "name": "x", "roles": [], "expires_in_days": 1 });
    let request = api.request("POST", PATH).bearer_auth(&admin).json(&body);
    let made = Answer::to(request).await.json();
    let key = made["key"].as_str().unwrap();
    assert_eq!(with_key(&api, "/keys/1", key).await.status, 200);
    // A day goes by, in the store; the next start reads it.
    let file = site.airside.folder().join("airside.db");
    let database = rusqlite::Connection::open(file).unwrap();
    let sql = "UPDATE api_keys SET expires_at = expires_at - 86400000";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    let Site { airside, origin } = site;
    let site = Site {
        airside: airside.restart(),
        origin,
    };
    let expired = with_key(&site.api(), "/keys/1", key).await;
    expired.refused(401, "unauthenticated");
}

#[test]
fn the_table_of_routes_says_whose_credentials_are_taken() {
    let origin = Origin::start();
    let output = set_up(&origin).command(&["routes"], "");
    let table = String::from_utf8(output.stdout).unwrap();
    let line = |path: &str| table.lines().find(|line| line.starts_with(path)).unwrap();
    assert!(line("/keys/").contains(" API key  "), "{table}");
    assert!(line("/audit").contains(" API key: admin  "), "{table}");
    assert!(
        line("/either").contains(" API key or token of airside  "),
        "{table}"
    );
}

#[tokio::test]
async fn a_limit_by_api_key_counts_each_key_alone_and_wherever_it_comes_from() {
    let origin = Origin::start();
    let limited = r#"
  - { path: /few, upstream: origin, auth: { api_key: true, issuers: [airside] }, limits: [{ rate: 2/1h, by: api_key, on_missing: skip }] }
"#;
    let airside = people::set_up_with(&origin, limited).start();
    let site = Site { airside, origin };
    let (admin, api) = (site.admin("root@example.com").await, site.api());
    for _ in 0..2 {
        let (_, key) = make(&api, &admin, &[]).await;
        for status in [200, 200, 429] {
            assert_eq!(with_key(&api, "/few", &key).await.status, status);
        }
        assert_eq!(by_scheme(&api, "/few", &key).await.status, 429);
    }
    for _ in 0..3 {
        assert_eq!(api.ask("GET", "/few", &admin).await.status, 200, "no key");
    }
}

#[tokio::test]
async fn another_gateway_learns_of_a_key_and_of_its_end_within_a_second() {
    let server = crate::support::mariadb::Mariadb::shared();
    let url = server.new_database("api_keys").await;
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start();
    let gateways = [0; 2].map(|_| {
        set_up(&origin)
            .set("scheme", "")
            .set("store", &url)
            .set("keys", folder.path().join("data/keys").display())
            .start()
    });
    let [here, there] = [0, 1].map(|one: usize| Api::at(gateways[one].url("")));
    let file = gateways[0].folder().join("airside.yaml");
    let added = people::add_user(&file, "root@example.com", &["admin"], PASSWORD);
    assert!(added.status.success(), "{added:?}");
    let admin = here.token("root@example.com").await;
    for round in 0..5 {
        let (id, key) = make(&here, &admin, &["customer"]).await;
        assert_eq!(with_key(&here, "/keys/1", &key).await.status, 200);
        for (status, until) in [(200, 401), (401, 200)] {
            if status == 401 {
                let revoked = here.ask("DELETE", &format!("{PATH}/{id}"), &admin).await;
                assert_eq!(revoked.status, 204, "{}", revoked.body);
                assert_eq!(with_key(&here, "/keys/1", &key).await.status, 401);
            }
            let begun = Instant::now();
            while with_key(&there, "/keys/1", &key).await.status == until {
                assert!(
                    begun.elapsed() < SOON,
                    "round {round}: {:?}",
                    begun.elapsed()
                );
            }
            assert_eq!(with_key(&there, "/keys/1", &key).await.status, status);
            println!("{status} after {:?}", begun.elapsed());
        }
    }
}
