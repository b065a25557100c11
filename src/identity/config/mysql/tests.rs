//! Addresses that are taken, and what is said of those that are not.

use super::*;

fn parse(text: &str) -> Result<Mysql, Problem> {
    Mysql::parse(text, Place::default())
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().message
}

#[test]
fn an_address_is_read_with_all_its_options() {
    let read = parse(
        "air%40side:p%3Aw%25@db.internal:3307/users?require_ssl=true&ca=tls%2Fdb.pem&pool_min=0\
         &pool_max=4&acquire_timeout=250ms&query_timeout=1m",
    );
    let read = read.unwrap();
    assert_eq!((read.host.as_str(), read.port), ("db.internal", 3307));
    assert_eq!(
        (read.user.as_str(), read.password.reveal()),
        ("air@side", "p:w%")
    );
    assert_eq!(read.database, "users");
    let expected = Options {
        require_ssl: Some(true),
        ca: Some("tls/db.pem".into()),
        pool_min: 0,
        pool_max: 4,
        acquire_timeout: Duration::from_millis(250),
        query_timeout: Duration::from_secs(60),
    };
    assert_eq!(read.options, expected);
}

#[test]
fn what_is_left_out_has_a_default() {
    let read = parse("ann@localhost/users").unwrap();
    assert_eq!((read.port, read.password.reveal()), (3306, ""));
    assert_eq!(read.options, Options::default());
    let read = parse("ann@[::1]/users").unwrap();
    assert_eq!((read.host.as_str(), read.port), ("::1", 3306));
    assert_eq!(parse("ann@[::1]:3307/users").unwrap().port, 3307);
}

#[test]
fn a_password_may_have_what_separates_the_rest() {
    let read = parse("ann:p@ss/w?rd:x&a=b@127.0.0.1/users").unwrap();
    assert_eq!(read.password.reveal(), "p@ss/w?rd:x&a=b");
    assert_eq!(read.host, "127.0.0.1");
}

#[test]
fn an_option_that_is_not_known_is_named_and_never_ignored() {
    for (option, said) in [
        ("requiressl=true", "unknown option `requiressl`"),
        ("verify_ca=false", "unknown option `verify_ca`"),
        ("verify_identity=false", "unknown option `verify_identity`"),
        ("prefer_socket=true", "unknown option `prefer_socket`"),
        ("Hunter2", "unknown option with an unusual name"),
        (
            "pool_max=0",
            "`pool_max` in the store's address must be a number",
        ),
        ("pool_max=1&pool_max=2", "`pool_max` stands twice"),
        (
            "pool_min=3&pool_max=2",
            "`pool_min` in the store's address is greater",
        ),
        (
            "query_timeout=3",
            "`query_timeout` in the store's address must be a duration",
        ),
        (
            "acquire_timeout=0s",
            "`acquire_timeout` in the store's address must be",
        ),
        (
            "require_ssl=yes",
            "`require_ssl` in the store's address must be `true` or",
        ),
        (
            "ca=ca.pem",
            "`ca` in the store's address needs `require_ssl=true`",
        ),
    ] {
        let message = message(&format!("u:hunter2@localhost/d?{option}"));
        assert!(message.starts_with(said), "{option}: {message}");
    }
    let help = parse("u@localhost/d?requiressl=true").unwrap_err().help;
    assert_eq!(help.as_deref(), Some("did you mean `require_ssl`?"));
}

#[test]
fn an_address_without_one_of_its_parts_is_refused() {
    for wrong in [
        "localhost/d",
        "@localhost/d",
        ":pw@localhost/d",
        "u@localhost",
        "u@localhost/",
        "u@localhost/a/b",
        "u@/d",
        "u@:3306/d",
        "u@localhost:x/d",
        "u@localhost:0/d",
        "u@[::1/d",
        "u@[::1]3306/d",
        "u:100%@localhost/d",
        "u:%zz@localhost/d",
        "u:%ff@localhost/d",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn another_machine_is_reached_in_the_clear_only_where_that_is_said() {
    for host in [
        "db.internal",
        "10.0.0.7",
        "[2001:db8::1]",
        "localhost.example.com",
    ] {
        let message = message(&format!("u:hunter2@{host}/d"));
        assert!(
            message.starts_with("the store is on another machine"),
            "{message}"
        );
        for said in ["true", "false"] {
            assert!(parse(&format!("u@{host}/d?require_ssl={said}")).is_ok());
        }
    }
    for host in ["localhost", "127.0.0.1", "127.8.0.1", "[::1]"] {
        assert!(parse(&format!("u@{host}/d")).is_ok());
    }
}

#[test]
fn rule_23_no_message_repeats_the_password() {
    for wrong in [
        "u:hunter2@db.internal/d",
        "u:hunter2@localhost",
        "u:hunter2@localhost/d?hunter=1",
        "u:hunter2%@localhost/d",
        "u:hunter2/d",
        "u:hunter2@localhost:x/d",
    ] {
        let problem = format!("{:?}", parse(wrong).unwrap_err());
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}
