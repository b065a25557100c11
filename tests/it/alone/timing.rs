//! What a refused sign-in's time tells of its cause: nothing (rule 15).

use std::sync::Arc;
use std::time::{Duration, Instant};

use airside::base::clock::Clock;
use airside::base::decode::{Decode, FromText};
use airside::base::report::Report;
use airside::base::yaml;
use airside::identity::email::Email;
use airside::identity::role::RoleName;
use airside::identity::service::Admin;
use airside::identity::store::Source;
use airside::identity::user::MovedIn;
use airside::identity::{Identity, config};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use rand::seq::SliceRandom;
use tower::ServiceExt;

use crate::support::people::{PASSWORD, account};
use crate::support::statistics::{auc, distance, median};

const CLASSES: [&str; 7] = [
    "unknown",
    "wrong",
    "empty",
    "over-long",
    "disabled",
    "throttled",
    "moved in",
];
const SAMPLES: usize = 200;
/// A fair pair of series of this length has an area of 0.5 ± 0.029 (one standard error), and a distance
/// above 0.2 once in a thousand times.
const MOST_AREA: f64 = 0.12;
const MOST_DISTANCE: f64 = 0.22;
/// Failures that an account of these tests may have.
const FREE: usize = 50;

/// Names of accounts of a class, each for fewer samples than it may fail.
fn accounts(class: &str) -> impl Iterator<Item = String> {
    (0..=SAMPLES / (FREE - 5)).map(move |index| format!("{}{index}@x.org", class.replace(' ', "")))
}

/// A service with accounts of each class, on a clock that stands still: what waits goes on waiting.
async fn service(folder: &std::path::Path) -> Identity {
    airside::token::install_crypto();
    let yaml = format!(
        "store: \"sqlite:airside.db\"\npassword: {{ bcrypt_cost: 10 }}\n\
         throttle: {{ account_failures: {FREE}, ip_per_minute: 0 }}\n"
    );
    let mut report = Report::default();
    let config = config::Identity::decode(&yaml::read(&yaml).unwrap(), &mut report).unwrap();
    assert!(!report.has_errors(), "{:?}", report.problems());
    let clock = Clock::at(1_800_000_000_000);
    let identity = Identity::open(&config, folder, clock).unwrap();
    let service = identity.service();
    let customer = RoleName::from_text("customer").unwrap();
    for class in ["wrong", "empty", "over-long", "disabled", "throttled"] {
        for email in accounts(class) {
            let roles = [customer.clone()];
            let user = service.add_user(&email, PASSWORD, &roles).await.unwrap();
            if class == "disabled" {
                let id = user.id.to_string();
                let source = Source::default();
                let disabled = service.set_disabled(Admin::shell(), &id, true, source);
                disabled.await.unwrap();
            }
        }
    }
    for email in accounts("moved in") {
        // PyPI's bcrypt, at a cost that takes a sixty-fourth of the present one's time.
        let hash = "$2a$04$AVLQroDmeInsWvFk/.CYc.S4DpAqoouv/vVCybtGPIGOE6BI9Jefm";
        let user = MovedIn::new(Email::parse(&email).unwrap(), hash, Vec::new()).unwrap();
        service.move_in(Admin::shell(), user).await.unwrap();
    }
    identity
}

async fn sign_in(router: &Router, email: &str, password: &str) -> (Duration, u16, String) {
    let body = account(email, password).to_string();
    let request = Request::post("/auth/signin").header("content-type", "application/json");
    let request = request.header("x-request-id", "one").body(Body::from(body));
    let began = Instant::now();
    let response = router.clone().oneshot(request.unwrap()).await.unwrap();
    let took = began.elapsed();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (took, status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures time: run by `make test` when nothing else runs"]
async fn rule_15_no_cause_of_a_refused_signin_is_told_by_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let identity = service(folder.path()).await;
    let router = identity.router(Arc::default());
    let throttled = accounts("throttled").next().unwrap();
    for _ in 0..FREE {
        sign_in(&router, &throttled, "not the password").await;
    }
    let checks = identity.password_checks();
    let long = "x".repeat(5_000);
    let mut series = vec![Vec::new(); CLASSES.len()];
    let mut bodies = Vec::new();
    for round in 0..SAMPLES {
        let mut order: Vec<_> = (0..CLASSES.len()).collect();
        order.shuffle(&mut rand::rng());
        for class in order {
            let name = CLASSES[class];
            let email = match name {
                "unknown" => format!("nobody{round}@x.org"),
                "throttled" => throttled.clone(),
                _ => accounts(name).nth(round / (FREE - 5)).unwrap(),
            };
            let password = match name {
                "empty" => "",
                "over-long" => &long,
                "disabled" => PASSWORD,
                _ => "not the password",
            };
            let (took, status, body) = sign_in(&router, &email, password).await;
            assert_eq!(status, 401, "{name}: {body}");
            series[class].push(took.as_secs_f64() * 1_000.0);
            bodies.push(body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    // Nothing was hashed for the one that had to wait, everything for all others.
    let hashed = identity.password_checks() - checks;
    assert_eq!(hashed as usize, SAMPLES * (CLASSES.len() - 1));
    // What an answer without a hash would look like: the measure must see it.
    let mut bare = Vec::new();
    for _ in 0..SAMPLES {
        let request = Request::get("/auth/me").body(Body::empty()).unwrap();
        let began = Instant::now();
        router.clone().oneshot(request).await.unwrap();
        bare.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    let reference = &series[1];
    assert!(auc(&bare, reference) < 0.01 && distance(&bare, reference) > 0.99);
    let mut told = Vec::new();
    for (name, one) in CLASSES.iter().zip(&series) {
        let (area, distance) = (auc(one, reference), distance(one, reference));
        let median = median(one);
        println!("{name:10} median {median:6.2} ms  area {area:.3}  distance {distance:.3}");
        if (area - 0.5).abs() > MOST_AREA || distance > MOST_DISTANCE {
            told.push(*name);
        }
    }
    assert!(told.is_empty(), "told by their time: {told:?}");
}
