//! What clients are told, to the millisecond of a virtual clock: the fields of each answer hold what
//! then happens, for every way to count.

use pingora::http::RequestHeader;

use super::*;
use crate::base::clock::Clock;
use crate::base::net::Client;
use crate::base::template::Captures;
use crate::base::yaml;

/// Some limits on one route, and time.
struct Site {
    policy: BeforeAuth,
    clock: Clock,
}

/// What an answer said.
struct Told {
    status: u16,
    policy: String,
    state: String,
    retry_after: Option<u64>,
}

impl Site {
    fn new(limits: &[(&str, &str)]) -> Self {
        let limits = limits.iter().map(|(name, source)| {
            let node = yaml::read(source).unwrap();
            let config = limit::config::Limit::decode(&node, &mut Report::default()).unwrap();
            Used {
                limit: Arc::new(Limit::new((*name).into(), &config).unwrap()),
                place: Place::default(),
                is_own: false,
            }
        });
        Self {
            policy: BeforeAuth(limits.collect()),
            clock: Clock::at(1_700_000_000_000),
        }
    }

    /// A call, and its answer of this status unless it is refused.
    fn answered(&self, status: u16) -> Told {
        let mut findings = Findings::default();
        let verdict = self.ask(&mut findings);
        let (status, headers) = match verdict {
            Verdict::Continue => (StatusCode::from_u16(status).unwrap(), Vec::new()),
            Verdict::Answer(reply) => (reply.status, reply.headers),
            Verdict::Wait(_) => panic!("nothing to wait for"),
        };
        settle(&mut findings, status, Duration::default);
        let mut response = HeaderMap::new();
        tell(&findings, &mut response);
        let field = |name| {
            let value = response.get(name);
            value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
        };
        let retry_after = headers.iter().find(|(name, _)| name == header::RETRY_AFTER);
        Told {
            status: status.as_u16(),
            policy: field("ratelimit-policy"),
            state: field("ratelimit"),
            retry_after: retry_after.map(|(_, value)| value.to_str().unwrap().parse().unwrap()),
        }
    }

    fn call(&self) -> Told {
        self.answered(200)
    }

    fn ask(&self, findings: &mut Findings) -> Verdict {
        let header = RequestHeader::build("GET", b"/", None).unwrap();
        self.policy.request(&mut Call {
            header: &header,
            client: Client {
                address: [192, 0, 2, 1].into(),
                via_trusted_proxy: false,
            },
            path: "/",
            captures: &Captures::default(),
            route: 0,
            now_millis: self.clock.monotonic_millis(),
            unix_seconds: self.clock.unix_seconds(),
            findings,
        })
    }
}

impl Told {
    /// `r` and `t` of the only limit.
    fn numbers(&self) -> (u64, u64) {
        let (_, state) = self.state.split_once(";r=").unwrap();
        let (remaining, reset) = state.split_once(";t=").unwrap();
        (remaining.parse().unwrap(), reset.parse().unwrap())
    }
}

const TIMED: [(&str, u64); 4] = [
    ("rate: 20/2m", 20),
    ("{ rate: 3/7s, algorithm: sliding_window }", 3),
    ("{ rate: 50/1s, burst: 100, algorithm: token_bucket }", 100),
    ("{ rate: 7/1m, burst: 3, algorithm: token_bucket }", 3),
];

#[test]
fn who_comes_back_at_retry_after_is_admitted_and_a_second_earlier_is_not() {
    for (source, quota) in TIMED {
        let site = Site::new(&[("a", source)]);
        for left in (0..quota).rev() {
            assert_eq!(site.call().numbers().0, left, "{source}");
        }
        let refused = site.call();
        let wait = refused.retry_after.unwrap();
        assert_eq!(
            (refused.status, refused.numbers()),
            (429, (0, wait)),
            "{source}"
        );
        // Whole seconds are rounded up: the last of them may be too early by less than a second.
        site.clock.advance((wait - 1) * 1_000);
        let earlier = site.call();
        let still_refused = earlier.status == 429;
        assert!(still_refused || wait == 1, "{source}");
        if still_refused {
            assert_eq!(earlier.retry_after, Some(1), "{source}");
            site.clock.advance(1_000);
            assert_eq!(site.call().status, 200, "{source}");
        }
    }
}

#[test]
fn after_the_time_that_is_told_the_quota_is_whole() {
    for (source, quota) in TIMED {
        let site = Site::new(&[("a", source)]);
        (0..quota).for_each(|_| drop(site.call()));
        let (_, wait) = site.call().numbers();
        site.clock.advance(wait * 1_000);
        let (_, reset) = site.call().numbers();
        site.clock.advance(reset * 1_000);
        assert_eq!(site.call().numbers().0, quota - 1, "{source}");
    }
}

#[test]
fn a_refused_call_prolongs_nothing() {
    for (source, quota) in TIMED {
        let site = Site::new(&[("a", source)]);
        (0..quota).for_each(|_| drop(site.call()));
        let wait = site.call().retry_after.unwrap();
        for _ in 0..wait * 10 - 1 {
            site.clock.advance(100);
            site.call();
        }
        site.clock.advance(100);
        // Some have been admitted meanwhile, as soon as they could.
        let last = site.call();
        assert!(
            last.retry_after.is_none_or(|again| again <= wait),
            "{source}"
        );
    }
}

#[test]
fn each_limit_is_told_and_the_longest_wait_counts() {
    let site = Site::new(&[
        ("minute", "rate: 2/1m"),
        (
            "bucket",
            "{ rate: 60/1m, burst: 2, algorithm: token_bucket }",
        ),
        ("open", "rate: 9/1m"),
        ("places", "concurrent: 5"),
        ("trial", "{ rate: 1/1m, mode: shadow }"),
    ]);
    let first = site.call();
    assert_eq!(
        first.policy,
        "\"minute\";q=2;w=60, \"bucket\";q=2;w=2, \"open\";q=9;w=60, \"places\";q=5;qu=\"concurrent-requests\""
    );
    // 1_700_000_000 s lie 20 s after the begin of a minute.
    assert_eq!(
        first.state,
        "\"minute\";r=1;t=100, \"bucket\";r=1;t=1, \"open\";r=8;t=100, \"places\";r=4"
    );
    site.call();
    let refused = site.call();
    // 40 s to the next minute, and half of that one until one of two calls has faded.
    assert_eq!((refused.status, refused.retry_after), (429, Some(70)));
    assert_eq!(
        refused.state,
        "\"minute\";r=0;t=70, \"bucket\";r=0;t=1, \"open\";r=7;t=100, \"places\";r=5"
    );
}

#[test]
fn a_limit_of_failures_tells_what_is_left_after_the_answer() {
    for source in [
        "{ rate: 5/1m, count: failures }",
        "{ rate: 5/1m, count: failures, algorithm: token_bucket }",
    ] {
        let site = Site::new(&[("signin", source)]);
        assert_eq!(site.answered(200).numbers(), (5, 0), "{source}");
        assert_eq!(site.answered(304).numbers(), (5, 0), "{source}");
        assert_eq!(site.answered(401).numbers().0, 4, "{source}");
        assert_eq!(site.answered(500).numbers().0, 3, "{source}");
        assert_eq!(site.answered(204).numbers().0, 3, "{source}");
    }
}

#[test]
fn a_call_without_a_part_of_the_key_gets_403_and_no_time() {
    let site = Site::new(&[("a", "{ rate: 5/1m, by: 'header:x-key', on_missing: deny }")]);
    let denied = site.call();
    assert_eq!((denied.status, denied.retry_after), (403, None));
    assert_eq!(denied.state, "");
}
