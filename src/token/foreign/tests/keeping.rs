//! When keys are fetched, on a clock that stands still until it is told to move.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};

use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Duration, advance};

use super::*;
use crate::token::foreign::keeper::{EVERY, RETRY, follow};

/// An issuer whose answers the test decides, and how often it was asked.
struct Server {
    answer: Mutex<Result<String, String>>,
    asked: AtomicUsize,
}

impl Server {
    fn new(answer: Result<String, String>) -> Arc<Self> {
        let (answer, asked) = (Mutex::new(answer), AtomicUsize::new(0));
        Arc::new(Self { answer, asked })
    }

    fn say(&self, answer: Result<String, String>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

fn start(issuer: &Arc<ForeignVerifier>, server: &Arc<Server>) -> JoinHandle<()> {
    let (issuer, server) = (Arc::clone(issuer), Arc::clone(server));
    let (first, _) = mpsc::channel();
    tokio::task::spawn_local(async move {
        let fetch = async || {
            server.asked.fetch_add(1, SeqCst);
            server.answer.lock().unwrap().clone()
        };
        follow(&issuer, fetch, first).await;
    })
}

/// Lets the follower do all that it has to do by now, then moves the clock.
async fn after(time: Duration) {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    advance(time).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn by_kid(corp: &Corp, kid: &str) -> String {
    let mut jwk = corp.jwk("ES256");
    jwk["kid"] = json!(kid);
    json!({ "keys": [jwk] }).to_string()
}

const NONE: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn a_new_key_is_fetched_at_once_and_strangers_cause_one_fetch_in_30_s() {
    let (old, new) = (Corp::new(), Corp::new());
    let issuer = issuer("ES256");
    let server = Server::new(Ok(by_kid(&old, "ES256-1")));
    let work = async {
        start(&issuer, &server);
        after(NONE).await;
        assert_eq!(server.asked(), 1);
        assert!(verify(&issuer, &old.token("ES256"), NOW).is_ok());

        server.say(Ok(by_kid(&new, "ES256-2")));
        let renewed = new.with_header("kid", json!("ES256-2"));
        assert_eq!(refusal(&issuer, &renewed), Some(TokenError::UnknownKey));
        after(NONE).await;
        assert_eq!(server.asked(), 2);
        assert!(verify(&issuer, &renewed, NOW).is_ok());
        assert_eq!(
            refusal(&issuer, &old.token("ES256")),
            Some(TokenError::UnknownKey)
        );

        // 100,000 tokens, with signatures that nobody gets to look at.
        let claims = URL_SAFE_NO_PAD.encode(claims().to_string());
        for second in 0..RETRY.as_secs() - 1 {
            for n in 0..3_500 {
                let header = json!({ "alg": "ES256", "kid": format!("{second}-{n}") });
                let header = URL_SAFE_NO_PAD.encode(header.to_string());
                let stranger = format!("{header}.{claims}.c2lnbmF0dXJl");
                assert_eq!(refusal(&issuer, &stranger), Some(TokenError::UnknownKey));
            }
            after(Duration::from_secs(1)).await;
            assert_eq!(server.asked(), 2, "{second}");
        }
        after(Duration::from_secs(1)).await;
        assert_eq!(server.asked(), 3);
        // Nobody asks any more.
        after(RETRY).await;
        after(RETRY).await;
        assert!(server.asked() <= 4, "{}", server.asked());
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test(start_paused = true)]
async fn what_names_another_issuer_or_algorithm_causes_no_fetch() {
    let corp = Corp::new();
    let issuer = issuer("ES256");
    let server = Server::new(Ok(by_kid(&corp, "ES256-1")));
    let work = async {
        start(&issuer, &server);
        after(NONE).await;
        let header = json!({ "alg": "ES256", "kid": "unknown" }).to_string();
        let mut others = claims();
        others["iss"] = json!("https://elsewhere.example");
        for token in [
            corp.forge("ES256", &header, &others.to_string()),
            corp.forge(
                "ES256",
                &header.replace("ES256", "RS256"),
                &claims().to_string(),
            ),
            corp.forge("ES256", &header, "{}"),
            corp.forge(
                "ES256",
                &header.replace("unknown", "ES256-1"),
                &others.to_string(),
            ),
            Corp::new().token("ES256"),
        ] {
            assert!(refusal(&issuer, &token).is_some());
            after(Duration::from_secs(1)).await;
            assert_eq!(server.asked(), 1, "{token}");
        }
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test(start_paused = true)]
async fn keys_stay_in_use_while_the_issuer_is_down_or_talks_nonsense() {
    let corp = Corp::new();
    let issuer = issuer("ES256");
    let server = Server::new(Ok(by_kid(&corp, "ES256-1")));
    let work = async {
        start(&issuer, &server);
        after(NONE).await;
        let mut asked = server.asked();
        for trouble in [
            Err("away".to_owned()),
            Ok("<html>".to_owned()),
            Ok("{}".to_owned()),
            Ok(r#"{"keys":[]}"#.to_owned()),
            Ok(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#.to_owned()),
        ] {
            server.say(trouble);
            after(EVERY).await;
            assert!(server.asked() > asked);
            asked = server.asked();
            assert!(verify(&issuer, &corp.token("ES256"), NOW).is_ok());
            assert_eq!(issuer.ready(), Ok(()));
        }
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_no_longer_published_is_no_longer_taken() {
    let (old, new) = (Corp::new(), Corp::new());
    let issuer = issuer("ES256");
    let server = Server::new(Ok(by_kid(&old, "ES256-1")));
    let work = async {
        start(&issuer, &server);
        after(NONE).await;
        server.say(Ok(by_kid(&new, "ES256-2")));
        after(EVERY - Duration::from_secs(1)).await;
        assert!(verify(&issuer, &old.token("ES256"), NOW).is_ok());
        after(Duration::from_secs(1)).await;
        assert_eq!(server.asked(), 2);
        assert_eq!(
            refusal(&issuer, &old.token("ES256")),
            Some(TokenError::UnknownKey)
        );
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_the_start_is_tried_soon_and_ever_more_patiently() {
    let corp = Corp::new();
    let issuer = issuer("ES256");
    let server = Server::new(Err("connection refused".to_owned()));
    let work = async {
        start(&issuer, &server);
        after(NONE).await;
        assert_eq!(
            issuer.ready(),
            Err("no keys: connection refused".to_owned())
        );
        let mut waits = Vec::new();
        for _ in 0..6 {
            let (asked, mut waited) = (server.asked(), 0);
            while server.asked() == asked {
                after(Duration::from_secs(1)).await;
                waited += 1;
            }
            waits.push(waited);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 16]);
        server.say(Ok(by_kid(&corp, "ES256-1")));
        after(Duration::from_secs(16)).await;
        assert!(verify(&issuer, &corp.token("ES256"), NOW).is_ok());
        assert_eq!(issuer.ready(), Ok(()));
    };
    LocalSet::new().run_until(work).await;
}

#[test]
fn the_same_keys_again_are_no_change() {
    let corp = Corp::new();
    let issuer = known(&corp);
    assert!(!publish(&issuer, &corp.jwks()));
    assert!(publish(&issuer, &Corp::new().jwks()));
    assert!(publish(&issuer, &json!({ "keys": [corp.jwk("ES256")] })));
}
