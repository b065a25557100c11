//! What an attempt is counted under.

use super::*;
use crate::identity::email::Email;

fn aim(email: &str, client: &str) -> Aim {
    let email = Email::parse(email).unwrap();
    Aim::sign_in(email.key(), client.parse().unwrap())
}

#[test]
fn subjects_differ_where_accounts_or_networks_do() {
    let one = aim("ann@x.org", "192.0.2.1");
    let same = aim(" ANN@X.org", "::ffff:192.0.2.1");
    assert_eq!((one.account, one.from_here), (same.account, same.from_here));
    let elsewhere = aim("ann@x.org", "192.0.2.2");
    assert_eq!(one.account, elsewhere.account);
    assert_ne!(one.from_here, elsewhere.from_here);
    assert_ne!(one.account, aim("bob@x.org", "192.0.2.1").account);
    assert_ne!(Some(one.account), one.from_here);
    // What the address ends with is not what the network begins with.
    let glued = [aim("ann@x.1", "1.1.1.1"), aim("ann@x.11", "1.1.1.1")];
    assert_ne!(glued[0].from_here, glued[1].from_here);
}

#[test]
fn rule_16_ipv6_counts_by_subscriber() {
    let address = |text: &str| Subject::address(text.parse().unwrap());
    assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
    assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
}

#[test]
fn what_is_switched_off_is_not_counted() {
    let rules = |account_failures, ip_per_minute| Rules {
        account_failures,
        account_max_delay: 1_000,
        ip_per_minute,
    };
    let counted = |rules: Rules| {
        let attempt = Attempt {
            address: Subject::address("192.0.2.1".parse().unwrap()),
            aim: Some(aim("ann@x.org", "192.0.2.1")),
            at: 1_800_000_000_000,
            rules,
        };
        let (reserved, changes) = attempt.judge(&Rows::default());
        assert!(matches!(reserved, Reserved::Granted(_)));
        (attempt.subjects().len(), changes.len())
    };
    assert_eq!(counted(rules(5, 30)), (3, 2));
    assert_eq!(counted(rules(0, 30)), (1, 1));
    assert_eq!(counted(rules(5, 0)), (2, 1));
    assert_eq!(counted(rules(0, 0)), (0, 0));
    assert!(rules(0, 0).are_off() && !rules(0, 1).are_off());
}
