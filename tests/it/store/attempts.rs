//! Attempts at passwords: no more are granted than may fail, by however many gateways.

use std::net::IpAddr;
use std::sync::Arc;

use airside::identity::email::Email;
use airside::identity::throttle::{Aim, Attempt, Outcome, Reserved, Rules, Subject, Ticket};

use super::{Backend, NOW};

const RULES: Rules = Rules {
    account_failures: 5,
    account_max_delay: 900_000,
    ip_per_minute: 30,
};

fn attempt(email: &str, client: &str, millis: u64) -> Attempt {
    let client: IpAddr = client.parse().unwrap();
    let email = Email::parse(email).unwrap();
    Attempt {
        address: Subject::address(client),
        aim: Some(Aim::sign_in(email.key(), client)),
        at: NOW + millis,
        rules: RULES,
    }
}

async fn granted(on: &impl Backend, attempt: Attempt) -> Ticket {
    match on.store().reserve_attempt(attempt).await.unwrap() {
        Reserved::Granted(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

async fn count(on: &impl Backend) -> usize {
    on.rows("SELECT failures FROM auth_throttle").await.len()
}

pub(super) async fn rule_16_of_fifty_attempts_at_once_five_are_granted(on: &impl Backend) {
    for (round, email) in ["ann@x.org", "bob@x.org"].into_iter().enumerate() {
        let mut tasks = Vec::new();
        for index in 0..50 {
            let store = Arc::clone([on.store(), on.other()][index % 2]);
            let client = format!("192.0.2.{index}");
            let attempt = attempt(email, &client, 0);
            tasks.push(tokio::spawn(
                async move { store.reserve_attempt(attempt).await },
            ));
        }
        let mut tickets = Vec::new();
        for task in tasks {
            match task.await.unwrap().unwrap() {
                Reserved::Granted(ticket) => tickets.push(ticket),
                other => assert_eq!(other, Reserved::Pending),
            }
        }
        assert_eq!(tickets.len(), 5, "round {round}");
        for ticket in tickets {
            on.other()
                .settle_attempt(ticket, Outcome::Failed, NOW)
                .await
                .unwrap();
        }
        let next = attempt(email, "192.0.2.99", 400);
        let next = on.store().reserve_attempt(next).await.unwrap();
        assert_eq!(next, Reserved::AccountDelayed(600));
    }
}

pub(super) async fn rule_16_an_address_is_counted_across_accounts_and_gateways(on: &impl Backend) {
    for index in 0..30 {
        let store = [on.store(), on.other()][index % 2];
        let attempt = attempt(&format!("{index}@x.org"), "2001:db8::1", 0);
        let Reserved::Granted(ticket) = store.reserve_attempt(attempt).await.unwrap() else {
            panic!("{index}");
        };
        store
            .settle_attempt(ticket, Outcome::Failed, NOW)
            .await
            .unwrap();
    }
    let same_network = attempt("ann@x.org", "2001:db8::2", 45_000);
    let spent = on.store().reserve_attempt(same_network).await.unwrap();
    assert_eq!(spent, Reserved::AddressSpent(15_000));
    granted(on, attempt("ann@x.org", "2001:db8:0:1::1", 45_000)).await;
    granted(on, attempt("ann@x.org", "2001:db8::2", 60_000)).await;
}

pub(super) async fn rule_16_a_success_wipes_out_failures_and_makes_a_network_known(
    on: &impl Backend,
) {
    let (home, away) = ("192.0.2.1", "192.0.2.2");
    for end in [Outcome::Failed, Outcome::Failed, Outcome::Succeeded] {
        let ticket = granted(on, attempt("ann@x.org", home, 0)).await;
        on.store().settle_attempt(ticket, end, NOW).await.unwrap();
    }
    // From elsewhere five more may fail: the two are gone.
    for _ in 0..5 {
        let ticket = granted(on, attempt("ann@x.org", away, 0)).await;
        let failed = on.store().settle_attempt(ticket, Outcome::Failed, NOW);
        failed.await.unwrap();
    }
    let elsewhere = on.other().reserve_attempt(attempt("ann@x.org", away, 0));
    assert_eq!(elsewhere.await.unwrap(), Reserved::AccountDelayed(1_000));
    granted(on, attempt("ann@x.org", home, 0)).await;
}

pub(super) async fn what_an_attempt_leaves_behind_is_forgotten_in_time(on: &impl Backend) {
    // Neither what was not made nor a success of no known network leaves a row.
    for email in ["ann@x.org", "bob@x.org"] {
        let ticket = granted(on, attempt(email, "192.0.2.1", 0)).await;
        let undone = on.store().settle_attempt(ticket, Outcome::NotMade, NOW);
        undone.await.unwrap();
    }
    let left = count(on).await;
    assert_eq!(left, 0);
    for index in 0..6 {
        let attempt = attempt(&format!("{index}@x.org"), &format!("192.0.2.{index}"), 0);
        let ticket = granted(on, attempt).await;
        let outcome = [Outcome::Failed, Outcome::Succeeded][index / 5];
        on.store()
            .settle_attempt(ticket, outcome, NOW)
            .await
            .unwrap();
    }
    // Five accounts and their addresses, and one network that is known.
    assert_eq!(count(on).await, 11);
    let forget = async |at: u64, most: u32| on.store().forget_attempts(at, most).await.unwrap();
    assert_eq!(forget(NOW + 60_000, 100).await, 0);
    assert_eq!(forget(NOW + 3_600_000, 2).await, 2);
    assert_eq!(forget(NOW + 3_600_000, 100).await, 3);
    assert_eq!(forget(NOW + 86_400_000, 100).await, 5);
    assert_eq!(forget(NOW + 29 * 86_400_000, 100).await, 0);
    assert_eq!(forget(NOW + 30 * 86_400_000, 100).await, 1);
}

pub(super) async fn an_attempt_whose_gateway_died_counts_as_failed(on: &impl Backend) {
    for _ in 0..5 {
        granted(on, attempt("ann@x.org", "192.0.2.1", 0)).await;
    }
    let ask = async |millis| {
        let attempt = attempt("ann@x.org", "192.0.2.1", millis);
        on.other().reserve_attempt(attempt).await.unwrap()
    };
    assert_eq!(ask(29_999).await, Reserved::Pending);
    // They count from the moment that they were granted, so that their delay is over.
    granted(on, attempt("ann@x.org", "192.0.2.1", 30_000)).await;
    assert_eq!(ask(30_000).await, Reserved::Pending);
}
