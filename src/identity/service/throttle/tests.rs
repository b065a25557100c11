//! Clients that leave while their attempt is being counted or settled.

use std::task::Poll;

use super::*;
use crate::base::decode::Decode;
use crate::base::report::Report;
use crate::base::yaml;
use crate::identity::email::Email;
use crate::identity::{Identity, config};
use crate::token::install_crypto;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A service whose accounts may fail so often, and how many of their
/// attempts count.
fn service(failures: u32) -> (Identity, impl Fn() -> u64) {
    install_crypto();
    let throttle = format!("account_failures: {failures}, ip_per_minute: 0");
    let node = yaml::read(&format!("{{ throttle: {{ {throttle} }} }}")).unwrap();
    let config = config::Identity::decode(&node, &mut Report::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::open(&config, folder.path(), Clock::at(1_800_000_000_000)).unwrap();
    let counted = move || {
        let file = rusqlite::Connection::open(folder.path().join("data/airside.db")).unwrap();
        let count = "SELECT COALESCE(SUM(failures + pending), 0) FROM auth_throttle";
        file.query_row(count, [], |row| row.get(0)).unwrap()
    };
    (identity, counted)
}

fn aim() -> Aim {
    Aim::sign_in(Email::parse("ann@example.com").unwrap().key(), HERE)
}

/// Polls it once, and drops it.
async fn abandon(work: impl Future) {
    let mut work = Box::pin(work);
    let polled = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
    assert!(polled.is_pending(), "it was over at once");
}

#[tokio::test]
async fn rule_16_an_attempt_that_is_counted_while_its_client_leaves_is_given_back() {
    let (identity, counted) = service(1);
    for _ in 0..5 {
        abandon(identity.service().admit(Some(aim()), HERE)).await;
        // Counted, and then given back, or the next would have to wait for its end.
        let admitted = timeout(
            Duration::from_secs(20),
            identity.service().admit(Some(aim()), HERE),
        );
        let Ok(Ok(Admission::Granted(reservation))) = admitted.await else {
            panic!("the attempt that was left is still counted");
        };
        let settled = identity.service().settle(reservation, Outcome::NotMade);
        settled.await.unwrap();
    }
    assert_eq!(counted(), 0);
}

#[tokio::test]
async fn rule_16_an_attempt_ends_once_though_its_client_leaves_meanwhile() {
    let (identity, counted) = service(2);
    let admit = || identity.service().admit(Some(aim()), HERE);
    let (Ok(Admission::Granted(left)), Ok(Admission::Granted(mut other))) =
        (admit().await, admit().await)
    else {
        panic!("two may be under way");
    };
    left.begun.store(true, Ordering::Release);
    abandon(identity.service().settle(left, Outcome::Succeeded)).await;
    // What was asked of the store before this is done before it. A success leaves nothing behind; settled again, as
    // failed, it would, and in the place of the other.
    for _ in 0..2 {
        let settled = identity.service().settle(other, Outcome::NotMade);
        settled.await.unwrap();
        other = match admit().await {
            Ok(Admission::Granted(next)) => next,
            _ => panic!("nobody else tries"),
        };
    }
    let settled = identity.service().settle(other, Outcome::NotMade);
    settled.await.unwrap();
    assert_eq!(counted(), 0);
}
