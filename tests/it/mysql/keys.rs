//! Rule 24 across gateways: two of them on one database, each with a folder of keys of its own.

use reqwest::Method;

use super::Site;
use crate::support::mariadb::Mariadb;
use crate::support::token::decode;
use crate::support::wait::wait_until;

fn kid_of(token: &str) -> String {
    let header = decode(token.split('.').next().unwrap());
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rule_24_the_second_gateway_takes_a_new_keys_tokens_from_its_first_use_on() {
    let server = Mariadb::shared();
    let url = server.new_database("keys").await;
    let one = Site::ready(&url).await;
    one.sign_up("ann@x.org").await;
    let before = one.token("ann@x.org").await;
    // It is not ready before others know its key.
    let two = Site::start(&url);
    let (status, said) = two.readiness().await;
    assert_eq!(status, 503, "{said}");
    two.wait_until_ready().await;
    let guarded = async |site: &Site, token: &str| {
        let answer = site.ask(Method::GET, "/guarded", token).await;
        answer.status
    };
    let theirs = two.token("ann@x.org").await;
    assert_ne!(kid_of(&theirs), kid_of(&before));
    assert_eq!(guarded(&one, &theirs).await, 200);
    assert_eq!(guarded(&two, &before).await, 200);

    let rotated = one.gateway.command(&["keys", "rotate"], "");
    assert_eq!(rotated.status.code(), Some(0), "{rotated:?}");
    let next = String::from_utf8(rotated.stdout).unwrap();
    let next = next.trim();
    let mut tokens = 0;
    wait_until("a token of the new key", async || {
        let token = one.token("ann@x.org").await;
        tokens += 1;
        // Each at once, at the gateway that did not make it.
        assert_eq!(guarded(&two, &token).await, 200, "{}", kid_of(&token));
        kid_of(&token) == next
    })
    .await;
    assert!(tokens > 1, "it signed before it could be known");
    for token in [&before, &theirs] {
        for site in [&one, &two] {
            assert_eq!(guarded(site, token).await, 200);
        }
    }
    // The other gateway's key is its own.
    assert_eq!(kid_of(&two.token("ann@x.org").await), kid_of(&theirs));
    let list = two.gateway.command(&["keys", "list"], "");
    let list = String::from_utf8(list.stdout).unwrap();
    let state = |kid: &str| {
        let line = list.lines().find(|line| line.starts_with(kid)).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        (words[2].to_owned(), words[4..].join(" "))
    };
    let is = |state: &str, place: &str| (state.to_owned(), place.to_owned());
    assert_eq!(state(&kid_of(&before)), is("retiring", "not here"));
    assert_eq!(state(next), is("active", "not here"));
    assert_eq!(state(&kid_of(&theirs)), is("active", "here"));
}

#[tokio::test]
async fn rule_24_a_key_that_is_ended_beside_one_gateway_is_refused_by_the_other_within_a_second() {
    let server = Mariadb::shared();
    let url = server.new_database("keys_ended").await;
    let (one, two) = (Site::ready(&url).await, Site::ready(&url).await);
    one.sign_up("ann@x.org").await;
    let (stolen, theirs) = (one.token("ann@x.org").await, two.token("ann@x.org").await);
    let kid = kid_of(&stolen);
    // Each gateway has to keep one to sign with: another's does not help it.
    let early = one.gateway.command(&["keys", "retire", &kid], "");
    assert_eq!(early.status.code(), Some(1), "{early:?}");
    let rotated = one.gateway.command(&["keys", "rotate"], "");
    let next = String::from_utf8(rotated.stdout).unwrap();
    wait_until("a token of the new key", async || {
        kid_of(&one.token("ann@x.org").await) == next.trim()
    })
    .await;
    let guarded = async |site: &Site, token: &str| {
        let answer = site.ask(Method::GET, "/guarded", token).await;
        answer.status
    };
    assert_eq!(guarded(&two, &stolen).await, 200);
    let ended = one.gateway.command(&["keys", "retire", &kid], "");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let begun = std::time::Instant::now();
    for site in [&two, &one] {
        wait_until("its end", async || guarded(site, &stolen).await == 401).await;
    }
    assert!(begun.elapsed().as_secs_f64() < 1.0, "{:?}", begun.elapsed());
    for site in [&one, &two] {
        assert_eq!(guarded(site, &theirs).await, 200);
        site.token("ann@x.org").await;
    }
}

#[tokio::test]
async fn rule_7_keys_go_on_while_the_database_is_away() {
    let mut server = Mariadb::start();
    let url = format!("{}?acquire_timeout=500ms&query_timeout=500ms", server.url());
    let one = Site::ready(&url).await;
    one.sign_up("ann@x.org").await;
    let two = Site::ready(&url).await;
    let tokens = [one.token("ann@x.org").await, two.token("ann@x.org").await];
    server.daemon().kill();
    wait_until("the end of readiness", async || {
        one.readiness().await.0 == 503 && two.readiness().await.0 == 503
    })
    .await;
    for site in [&one, &two] {
        for token in &tokens {
            let answer = site.ask(Method::GET, "/guarded", token).await;
            assert_eq!(answer.status, 200);
        }
    }
}
