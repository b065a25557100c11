//! Keys that come and go, and issuers that are away or answer badly.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::support::origin::{self, Reply};
use crate::support::port;
use crate::support::wait::wait_until;

#[tokio::test]
async fn a_key_that_the_issuer_begins_to_use_is_taken_at_once_and_the_old_one_no_more() {
    let company = Company::start();
    let old = company.corp.token("ES256");
    assert_eq!(company.ask("/corp", &old).await.status, 200);
    let rotated = company.corp.rotated();
    rotated.publish(&company.server);
    let began = Instant::now();
    let new = rotated.token("RS256");
    wait_until("the new key", async || {
        let answer = company.ask("/corp", &new).await;
        assert!([200, 401].contains(&answer.status), "{}", answer.body);
        answer.status == 200
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(company.server.count(), 2);
    // The old token was good and remembered; its key is gone.
    company
        .ask("/corp", &old)
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test]
async fn strangers_with_unknown_kids_cause_one_fetch_in_30_s() {
    let company = Company::start();
    let began = Instant::now();
    let mut sent = 0;
    let claims = token::encode(company.corp.claims().to_string());
    let mut client = company.site.airside.raw();
    while sent < 3_000 {
        // Without a signature: it is not looked at where the key is not known.
        let header = json!({ "alg": "ES256", "kid": format!("stranger-{sent}") });
        let token = format!(
            "{}.{claims}.c2lnbmF0dXJl",
            token::encode(header.to_string())
        );
        let path = if sent % 2 == 0 { "/corp" } else { "/all" };
        let answer = client.exchange(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
        ));
        assert_eq!(answer.status, 401);
        sent += 1;
    }
    let windows = 1 + began.elapsed().as_secs() as usize / 30;
    let fetches = company.server.count() - 1;
    assert!(
        fetches >= 1 && fetches <= windows,
        "{fetches} in {:?}",
        began.elapsed()
    );
    assert_eq!(
        company
            .ask("/corp", &company.corp.token("EdDSA"))
            .await
            .status,
        200
    );
}

/// A gateway whose issuer `corp` is, or is not, at this address.
fn with_keys_at(address: SocketAddr, origin: Origin) -> Site {
    let partner = Corp::new(PARTNER);
    let airside = Airside::with(CONFIG)
        .origin(&origin)
        .set("jwks", format!("http://{address}{JWKS}"))
        .file("partner.json", partner.jwks().to_string())
        .start();
    Site { airside, origin }
}

#[tokio::test]
async fn a_gateway_starts_without_its_issuer_says_so_and_takes_it_in_when_it_comes() {
    let (address, corp) = (port::free(), Corp::new(CORP));
    let site = with_keys_at(address, Origin::start());
    let api = site.api();
    let token = corp.token("ES256");
    for path in ["/corp", "/all"] {
        let answer = api.ask("GET", path, &token).await;
        answer.refused(503, "overloaded");
        assert_eq!(answer.header("retry-after"), "5");
        assert!(!answer.body.contains("corp"), "{}", answer.body);
    }
    let not_ready = ready(&site.airside).await;
    assert_eq!(not_ready.status, 503);
    let why = not_ready.json()["not_ready"]["issuers.corp"].to_string();
    assert!(why.contains("can't connect"), "{why}");
    assert_eq!(not_ready.json()["not_ready"].as_object().unwrap().len(), 1);
    // What is no token is no token, and everybody else passes.
    api.ask("GET", "/corp", "nonsense")
        .await
        .refused(401, "unauthenticated");
    let (_, own) = api.join("ann@example.com").await;
    assert_eq!(api.ask("GET", "/all", &own).await.status, 200);

    let server = Origin::start_at(address);
    corp.publish(&server);
    wait_until("the issuer's keys", async || {
        api.ask("GET", "/corp", &token).await.status == 200
    })
    .await;
    assert_eq!(ready(&site.airside).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_is_none_and_the_gateway_does_not_wait_for_it() {
    let corp = Corp::new(CORP);
    let sound = corp.jwks().to_string();
    let elsewhere = Origin::start();
    corp.publish(&elsewhere);
    let there = format!("http://{}{JWKS}", elsewhere.address());
    let mut padded = corp.jwks();
    padded["pad"] = json!("p".repeat(300 << 10));
    let bare = |text: &str| origin::Answer::Bytes(text.as_bytes().to_vec());
    let cases: Vec<(&str, origin::Answer, &str)> = vec![
        ("garbage", Reply::new(200, "<html>").into(), "no JWK set"),
        ("an error", Reply::new(500, sound.clone()).into(), "500"),
        ("not found", Reply::new(404, sound.clone()).into(), "404"),
        (
            "a redirect",
            Reply::new(302, "").header("Location", &there).into(),
            "302",
        ),
        (
            "too large",
            Reply::new(200, padded.to_string()).into(),
            "more than",
        ),
        (
            "10 MB",
            Reply::new(200, vec![b' '; 10 << 20]).into(),
            "more than",
        ),
        ("no HTTP", bare("220 mail ready\r\n"), "no HTTP answer"),
        (
            "half of it",
            bare("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"keys\":"),
            "broke off",
        ),
        ("nothing", origin::Answer::Close, "no HTTP answer"),
        (
            "no keys",
            Reply::new(200, r#"{"keys":[]}"#).into(),
            "no key in it",
        ),
        (
            "slow",
            Reply::new(200, sound).after(Duration::from_secs(8)).into(),
            "no answer within 5 s",
        ),
    ];
    let token = corp.token("ES256");
    for (what, answer, why) in cases {
        let server = Origin::start();
        server.on(JWKS, answer);
        let site = with_keys_at(server.address(), Origin::start());
        let api = site.api();
        wait_until(what, async || {
            let ready = ready(&site.airside).await;
            assert_eq!(ready.status, 503, "{what}: {}", ready.body);
            let said = ready.json()["not_ready"]["issuers.corp"].to_string();
            said.contains(why)
        })
        .await;
        api.ask("GET", "/corp", &token)
            .await
            .refused(503, "overloaded");
        assert_eq!(api.ask("GET", "/partner", "x").await.status, 401, "{what}");
    }
    assert_eq!(elsewhere.connections(), 0, "a redirect was followed");
}

#[tokio::test]
async fn keys_stay_in_use_when_the_issuer_answers_badly_later() {
    let company = Company::start();
    let corp = &company.corp;
    company
        .server
        .on(JWKS, Reply::new(200, "<html>maintenance</html>"));
    let stranger = corp.rotated().token("ES256");
    let token = corp.token("RS256");
    wait_until("a fetch that fails", async || {
        company
            .ask("/corp", &stranger)
            .await
            .refused(401, "unauthenticated");
        let said = company.site.airside.stderr();
        said.contains("the last ones stay in use")
    })
    .await;
    assert_eq!(company.ask("/corp", &token).await.status, 200);
    assert_eq!(company.ready().await.status, 200);
}

#[tokio::test]
async fn a_file_of_keys_is_read_again_when_it_changes() {
    let company = Company::start();
    let (old, new) = (&company.partner, company.partner.rotated());
    let (old_token, new_token) = (old.token("ES256"), new.token("ES256"));
    assert_eq!(company.ask("/partner", &old_token).await.status, 200);
    company
        .ask("/partner", &new_token)
        .await
        .refused(401, "unauthenticated");

    let file = company.site.airside.folder().join("partner.json");
    std::fs::write(&file, "half of {").unwrap();
    wait_until("the file's trouble", async || {
        let said = company.site.airside.stderr();
        said.contains("partner.json: it is no JWK set")
    })
    .await;
    assert_eq!(company.ask("/partner", &old_token).await.status, 200);

    std::fs::write(&file, new.jwks().to_string()).unwrap();
    wait_until("the new key", async || {
        company.ask("/partner", &new_token).await.status == 200
    })
    .await;
    company
        .ask("/partner", &old_token)
        .await
        .refused(401, "unauthenticated");
}
