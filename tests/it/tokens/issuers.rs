//! Other issuers' tokens, on routes that take them beside our own or in their place.

use super::*;
use crate::support::corp::{ALGORITHMS, Corp, JWKS, now};
use crate::support::server::{Airside, SetUp};

mod forged;
mod keys;
mod python;
mod rotation;
mod tls;

const CORP: &str = "https://login.corp.example";
const PARTNER: &str = "https://id.partner.example/";

/// A gateway with the built-in issuer, `corp` that publishes its keys, and `partner` whose keys are a file.
struct Company {
    site: Site,
    corp: Corp,
    partner: Corp,
    /// Where `corp` publishes its keys.
    server: Origin,
}

impl Company {
    fn start() -> Self {
        let (origin, server) = (Origin::start(), Origin::start());
        let (corp, partner) = (Corp::new(CORP), Corp::new(PARTNER));
        corp.publish(&server);
        let airside = set_up(&origin, &server, &partner).start();
        Self {
            site: Site { airside, origin },
            corp,
            partner,
            server,
        }
    }

    async fn ask(&self, path: &str, token: &str) -> Answer {
        self.site.api().ask("GET", path, token).await
    }

    async fn ready(&self) -> Answer {
        ready(&self.site.airside).await
    }
}

async fn ready(airside: &Airside) -> Answer {
    let admin = people::Api::at(airside.admin_url(""));
    Answer::to(admin.request("GET", "/readyz")).await
}

fn set_up(origin: &Origin, server: &Origin, partner: &Corp) -> SetUp {
    Airside::with(CONFIG)
        .origin(origin)
        .set("jwks", format!("http://{}{JWKS}", server.address()))
        .file("partner.json", partner.jwks().to_string())
}

const CONFIG: &str = r#"
listeners: [{ address: "{gateway}" }]
identity:
  listen: "{identity}"
  store: "sqlite::memory:"
  keys: keys
  issuer: https://api.example.com
  audience: api
  password: { bcrypt_cost: 10, workers: 2, queue: 64 }
issuers:
  corp:
    issuer: https://login.corp.example
    audience: [api, bookings]
    algorithms: [RS256, ES256, EdDSA]
    jwks: "{jwks}"
    roles_claim: realm_access.roles
  partner:
    issuer: https://id.partner.example/
    audience: [api]
    algorithms: [ES256]
    keys: partner.json
    roles_claim: realm_access.roles
    leeway: 1s
admin: { listen: "{admin}" }
limits:
  per_user: { rate: 2/1h, by: user }
upstreams: { origin: { servers: ["{origin}"] } }
routes:
  - { path: "/auth/*", upstream: identity, auth: public }
  - { path: /own, upstream: origin, auth: required }
  - { path: /corp, upstream: origin, auth: { issuers: [corp] } }
  - { path: /partner, upstream: origin, auth: { issuers: [partner] } }
  - { path: /all, upstream: origin, auth: { issuers: [airside, corp, partner] } }
  - { path: /company, upstream: origin, auth: { issuers: [airside, corp], roles: [flight_company] } }
  - { path: /admins, upstream: origin, auth: { issuers: [airside, corp], roles: [admin] } }
  - { path: /counted, upstream: origin, auth: { issuers: [airside, corp] }, limits: [per_user] }
telemetry:
  log: { level: debug }
  access_log: { to: stdout }
"#;

#[tokio::test]
async fn another_issuers_token_opens_the_routes_that_name_it() {
    let company = Company::start();
    for algorithm in ALGORITHMS {
        let token = company.corp.token(algorithm);
        for path in ["/corp", "/all", "/company"] {
            let answer = company.ask(path, &token).await;
            assert_eq!(answer.status, 200, "{algorithm} {path}: {}", answer.body);
            let roles = "staff,flight_company";
            let expected = some(["employee-7", "eve@corp.example", roles, "corp"]);
            assert_eq!(company.site.caller(), expected, "{algorithm} {path}");
        }
        for path in ["/own", "/partner"] {
            company
                .ask(path, &token)
                .await
                .refused(401, "unauthenticated");
        }
        company
            .ask("/admins", &token)
            .await
            .refused(403, "forbidden");
    }
    let partner = company.partner.token("ES256");
    for path in ["/partner", "/all"] {
        assert_eq!(company.ask(path, &partner).await.status, 200, "{path}");
        assert_eq!(company.site.caller()[3].as_deref(), Some("partner"));
    }
    assert_eq!(company.server.count(), 1);
}

#[test]
fn the_table_of_routes_says_whose_tokens_each_takes() {
    let company = Company::start();
    let output = company.site.airside.command(&["routes"], "");
    let table = String::from_utf8(output.stdout).unwrap();
    for row in [
        "signed in, at corp ",
        "signed in, at airside or corp or partner ",
        "flight_company, at airside or corp ",
    ] {
        assert!(table.contains(row), "{row}\n{table}");
    }
}

#[tokio::test]
async fn our_own_tokens_pass_beside_others_and_only_where_they_are_named() {
    let company = Company::start();
    let (id, own) = company.site.api().join("ann@example.com").await;
    for path in ["/own", "/all"] {
        assert_eq!(company.ask(path, &own).await.status, 200, "{path}");
        let expected = some([&id, "ann@example.com", "customer", "airside"]);
        assert_eq!(company.site.caller(), expected);
    }
    for path in ["/corp", "/partner"] {
        company
            .ask(path, &own)
            .await
            .refused(401, "unauthenticated");
    }
    company
        .ask("/company", &own)
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn two_issuers_users_of_one_name_are_two_users() {
    let company = Company::start();
    let (id, own) = company.site.api().join("ann@example.com").await;
    let namesake = company.corp.with_claim("sub", id.clone());
    for token in [&own, &namesake] {
        for _ in 0..2 {
            assert_eq!(company.ask("/counted", token).await.status, 200);
            assert_eq!(company.site.caller()[0].as_deref(), Some(id.as_str()));
        }
        company
            .ask("/counted", token)
            .await
            .refused(429, "rate_limited");
    }
}

#[tokio::test]
async fn a_holders_name_may_be_any_text_and_never_breaks_a_header() {
    let company = Company::start();
    let token = company.corp.with_claim("sub", "Zoë|auth0:7");
    assert_eq!(company.ask("/corp", &token).await.status, 200);
    assert_eq!(company.site.caller()[0].as_deref(), Some("Zoë|auth0:7"));
    let roles = json!({ "roles": ["staff", "x,admin", "adm\r\nX-Auth-User: root", "Flug Büro"] });
    let token = company.corp.with_claim("realm_access", roles);
    assert_eq!(company.ask("/corp", &token).await.status, 200);
    assert_eq!(company.site.caller()[2].as_deref(), Some("staff,Flug Büro"));
    let token = company.corp.with_claim("sub", "a\r\nX-Auth-Roles: admin");
    company
        .ask("/corp", &token)
        .await
        .refused(401, "unauthenticated");
    // An address that nobody verified is not passed on.
    let token = company.corp.with_claim("email_verified", false);
    assert_eq!(company.ask("/corp", &token).await.status, 200);
    assert_eq!(company.site.caller()[1], None);
}

#[tokio::test]
async fn rule_9_a_token_that_passed_a_moment_ago_ends_with_its_session_or_its_time() {
    let company = Company::start();
    let (_, own) = company.site.api().join("ann@example.com").await;
    let short = company.partner.with_claim("exp", now() + 1);
    for _ in 0..3 {
        assert_eq!(company.ask("/all", &own).await.status, 200);
    }
    let signout = company.site.api().request("POST", "/auth/signout");
    let signout = signout
        .bearer_auth(&own)
        .json(&json!({ "scope": "current" }));
    assert_eq!(Answer::to(signout).await.status, 204);
    company
        .ask("/all", &own)
        .await
        .refused(401, "unauthenticated");

    // Its leeway is one second.
    let until = now() + 2;
    crate::support::wait::wait_until("the end of a token", async || {
        company.ask("/all", &short).await.status == 401
    })
    .await;
    assert!(now() >= until - 1);
}

#[tokio::test]
async fn rule_7_tokens_pass_while_their_issuer_is_gone() {
    let company = Company::start();
    let token = company.corp.token("RS256");
    let Company {
        site, corp, server, ..
    } = company;
    drop(server);
    for algorithm in ALGORITHMS {
        let answer = site.api().ask("GET", "/corp", &corp.token(algorithm)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(site.api().ask("GET", "/all", &token).await.status, 200);
    assert_eq!(ready(&site.airside).await.status, 200);
}
