//! Certificates that can't be used any more when they are read again.

use std::fs;

use super::{Bystander, admin};
use crate::support::edge::{request, with_top};
use crate::support::origin::Origin;
use crate::support::port;
use crate::support::server::Airside;
use crate::support::tls::{Authority, Leaf};
use crate::support::wait::wait_for;

const LISTENERS: &str = r#"
listeners:
  - { address: "{gateway}" }
  - { address: "{secure}", tls: { certificates: [{ cert: one.pem, key: one.key }] } }
"#;
const ASK: &str = "GET /well HTTP/1.1\r\nHost: one.test\r\n\r\n";

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_certificate_that_can_not_be_read_or_is_over_cuts_nobody_and_is_told() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let secure = port::free();
    let set_up = with_top(LISTENERS, "  - { path: /*, upstream: origin }").origin(&origin);
    let good = authority.sign(&["one.test"]);
    good.write(set_up.folder(), "one");
    let airside = set_up.set("secure", secure).start();
    let bystander = Bystander::of(&airside);
    let mut kept = authority.hello("one.test").connect(secure).unwrap();
    assert_eq!(kept.exchange(ASK).status, 200);
    let shows = |leaf: &Leaf| {
        let connection = authority.hello("one.test").connect(secure);
        connection.is_ok_and(|mut connection| {
            connection.shown() == leaf.chain()[0] && connection.exchange(ASK).status == 200
        })
    };
    let reload = |airside: &Airside| admin(airside, request("POST", "/reload", &[])).status;

    // Gone, garbage, and without its key: the one that is in use stays, after a reload too.
    let (cert, key) = (
        airside.folder().join("one.pem"),
        airside.folder().join("one.key"),
    );
    let faults: [(&str, &dyn Fn()); 3] = [
        ("gone", &|| fs::remove_file(&cert).unwrap()),
        ("garbage", &|| fs::write(&cert, "garbage").unwrap()),
        ("without its key", &|| fs::remove_file(&key).unwrap()),
    ];
    for (what, fault) in faults {
        let before = airside.stderr().matches("can't be used").count();
        fault();
        reload(&airside);
        wait_for("the log", || {
            airside.stderr().matches("can't be used").count() > before
        });
        assert!(shows(&good), "{what}");
        assert_eq!(kept.exchange(ASK).status, 200, "{what}");
        bystander.goes_on(5);
        good.write(airside.folder(), "one");
        assert_eq!(reload(&airside), 200, "{what}");
        wait_for("the sound one", || shows(&good));
    }

    // Over: it is what the operator has put there, so it is served, and clients say no.
    let over = authority.sign_until(&["one.test"], 2_020);
    over.write(airside.folder(), "one");
    assert_eq!(reload(&airside), 200);
    wait_for("the log", || {
        airside.stderr().contains("this certificate is over")
    });
    wait_for("the refusal of clients", || {
        authority.hello("one.test").connect(secure).is_err()
    });
    assert_eq!(kept.exchange(ASK).status, 200, "who is connected stays");
    let next = authority.sign(&["one.test"]);
    next.write(airside.folder(), "one");
    wait_for("the next one", || shows(&next));
    bystander.was_untouched();
}
