//! A hundred thousand tokens, each of a key that nobody has heard of.

use std::thread;
use std::time::Instant;

use super::Bystander;
use crate::support::corp::{Corp, JWKS};
use crate::support::edge::{request, with_top};
use crate::support::origin::Origin;
use crate::support::process::memory;
use crate::support::token;

const TOP: &str = r#"
issuers:
  corp: { issuer: "https://login.corp.example", audience: [api], algorithms: [EdDSA], jwks: "{jwks}" }
telemetry: { access_log: { to: off } }
"#;
const ROUTES: &str =
    "  - { path: /*, upstream: origin, auth: { issuers: [corp] }, methods: [GET] }\n";
const WORKERS: usize = 8;

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_hundred_thousand_unknown_kids_cause_no_more_fetches_and_take_bounded_memory() {
    let (origin, server) = (Origin::start(), Origin::start());
    let corp = Corp::new("https://login.corp.example");
    corp.publish(&server);
    let set_up = with_top(TOP, ROUTES).origin(&origin);
    let jwks = format!("http://{}{JWKS}", server.address());
    let mut airside = set_up.set("jwks", jwks).start();
    let id = airside.daemon().id();
    let authorization = format!("Bearer {}", corp.token("EdDSA"));
    let asks = request("GET", "/well", &[("Authorization", &authorization)]);
    let bystander = Bystander::asking(airside.address(), asks);
    let claims = token::encode(corp.claims().to_string());
    let begun = Instant::now();
    let flood = |count: usize, word: &str| {
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (airside, claims) = (&airside, &claims);
                scope.spawn(move || {
                    let mut raw = airside.raw();
                    for number in 0..count / WORKERS {
                        let kid = format!("{word}-{worker}-{number}");
                        let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#);
                        let token = format!("{}.{claims}.c2lnbmF0dXJl", token::encode(header));
                        let authorization = format!("Bearer {token}");
                        let headers = [("Authorization", &*authorization)];
                        assert_eq!(raw.exchange(request("GET", "/a", &headers)).status, 401);
                    }
                });
            }
        });
    };
    flood(10_000, "first");
    let before = memory(id);
    flood(90_000, "then");
    let windows = 1 + begun.elapsed().as_secs() as usize / 30;
    let fetches = server.count() - 1;
    println!(
        "{fetches} fetches in {:?}, {before:.1} and then {:.1} MiB",
        begun.elapsed(),
        memory(id)
    );
    assert!((1..=windows).contains(&fetches), "{fetches}");
    assert!(memory(id) < before + 8.0, "{before} to {} MiB", memory(id));
    bystander.was_untouched();
}
