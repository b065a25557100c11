//! What a limit may say, and what is told of one that says too much.

use super::*;
use crate::base::yaml;

fn read(source: &str) -> (Option<Limit>, Vec<String>) {
    let mut report = Report::default();
    let limit = Limit::decode(&yaml::read(source).unwrap(), &mut report);
    let report = report.sorted();
    let show = |problem: &Problem| {
        let Place { line, column } = problem.place;
        format!("{line}:{column} {}", problem.message)
    };
    (limit, report.problems().iter().map(show).collect())
}

#[test]
fn defaults_are_those_of_the_contract() {
    let (limit, problems) = read("rate: 20/2m");
    assert!(problems.is_empty(), "{problems:?}");
    let limit = limit.unwrap();
    assert_eq!(limit.by, By(vec![Part::Ip]));
    assert_eq!(limit.algorithm, Algorithm::SlidingWindow);
    assert_eq!(limit.on_missing, OnMissing::Share);
    assert_eq!((limit.max_keys.0, limit.ipv6_prefix.0), (100_000, 64));
}

#[test]
fn what_is_counted_by_is_one_part_or_a_list() {
    let by = |source| read(source).0.unwrap().by.0;
    assert_eq!(by("{rate: 1/1s, by: user}"), [Part::User]);
    let list = by("{rate: 1/1s, by: [ip, route, global]}");
    assert_eq!(list, [Part::Ip, Part::Route, Part::Global]);
    let header = by("{rate: 1/1s, by: 'header:X-Tenant'}");
    assert_eq!(header, [Part::Header(HeaderName::from_static("x-tenant"))]);
}

#[test]
fn a_limit_has_exactly_one_quota() {
    assert_eq!(
        read("by: ip").1,
        ["1:1 a limit needs `rate` or `concurrent`"]
    );
    let (_, problems) = read("rate: 1/1s\nconcurrent: 3");
    assert_eq!(
        problems,
        ["1:1 a limit has `rate` or `concurrent`, never both"]
    );
    // A rate that can't be read is one problem and not two.
    assert_eq!(read("rate: 20").1.len(), 1);
}

#[test]
fn numbers_out_of_range_are_told_at_their_line() {
    let (_, problems) = read("rate: 1/1s\nmax_keys: 0\nipv6_prefix: 129\nby: []");
    assert_eq!(
        problems,
        [
            "2:11 0 is out of range: 1 to 16000000",
            "3:14 129 is out of range: 1 to 128",
            "4:5 `by` needs at least one part; `global` counts all calls together"
        ]
    );
}

#[test]
fn what_has_no_meaning_beside_the_rest_is_told_at_its_line() {
    let problems = |source: &str| read(source).1;
    assert_eq!(
        problems(
            "concurrent: 3\nalgorithm: token_bucket\nburst: 3\nper_role: { a: 1/1s }\ncount: failures"
        ),
        [
            "2:1 `algorithm` counts calls over time, and `concurrent` does not",
            "4:1 `per_role` raises a `rate`, and this limit has `concurrent`",
            "5:1 `count` is of answers, and `concurrent` counts calls without one"
        ]
    );
    assert_eq!(
        problems("rate: 1/1s\nburst: 5"),
        ["2:1 `burst` needs `algorithm: token_bucket`"]
    );
    assert_eq!(
        problems("rate: 10/1m\nper_role: { gold: 20/1m, low: 19/2m, same: 20/2m }"),
        [
            "2:26 the rate of `low` is not higher than everyone's",
            "2:38 the rate of `same` is not higher than everyone's"
        ]
    );
    assert_eq!(
        problems("rate: 1/1d\nalgorithm: token_bucket\nburst: 4000"),
        ["3:1 a bucket that takes more than ten years to fill"]
    );
    assert_eq!(
        problems("concurrent: 0"),
        ["1:13 0 is out of range: 1 to 16777215"]
    );
    assert!(problems("rate: 50/1s\nalgorithm: token_bucket\nburst: 100").is_empty());
}

#[test]
fn what_is_counted_for_all_is_a_rate_and_only_that_asks_what_if_the_store_fails() {
    for (wrong, why) in [
        ("concurrent: 1\nscope: cluster", "give its places back"),
        ("rate: 1/1s\non_store_error: deny", "needs `scope: cluster`"),
    ] {
        let (_, problems) = read(wrong);
        assert_eq!(problems.len(), 1, "{wrong}: {problems:?}");
        assert!(problems[0].contains(why), "{problems:?}");
    }
    let (_, problems) = read("rate: 1/1s\nscope: cluster\non_store_error: deny");
    assert_eq!(problems, Vec::<String>::new());
}
