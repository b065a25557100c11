//! `scope: cluster`: two gateways and one real Redis admit together what one would; and whatever becomes of
//! that Redis, calls are answered.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use redis::Commands;

use super::*;
use crate::support::port;
use crate::support::redis::Redis;

const ROUTES: &str = "  - { path: /*, upstream: origin, limits: [all] }";
/// For what is exact: longer than any busy machine takes.
const PATIENT: &str = "20s";

fn gateway(url: &str, timeout: &str, limits: &str, routes: &str, origin: &Origin) -> Airside {
    let top = format!(
        "server: {{ trusted_proxies: [127.0.0.0/8] }}\n\
         redis: {{ url: \"{url}\", timeout: {timeout} }}\nlimits: {limits}"
    );
    edge::with_top(&top, routes).origin(origin).start()
}

/// Two gateways with the same file.
fn pair(redis: &Redis, limits: &str, routes: &str) -> ([Airside; 2], Origin) {
    let origin = Origin::start();
    let start = || gateway(&redis.url(), PATIENT, limits, routes, &origin);
    ([start(), start()], origin)
}

fn direct(redis: &Redis) -> redis::Connection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_connection().unwrap()
}

/// Keys of limits, with how long each is kept; `-1` were for ever.
fn keys(redis: &Redis) -> Vec<(String, i64)> {
    let mut direct = direct(redis);
    let keys: Vec<String> = direct.keys("airside:*").unwrap();
    let all: Vec<String> = direct.keys("*").unwrap();
    assert_eq!(all.len(), keys.len(), "{all:?}");
    let keys = keys.into_iter().map(|key| {
        let ttl = direct.pttl(&key).unwrap();
        (key, ttl)
    });
    keys.filter(|(_, ttl)| *ttl != -2).collect()
}

/// How often a limit's count has been written.
fn is_counted_in(redis: &Redis) -> bool {
    keys(redis)
        .iter()
        .any(|(key, _)| key.starts_with("airside:all:"))
}

/// The statuses of so many calls at each gateway, at the same time.
fn storm(gateways: &[Airside], target: &str, calls: usize) -> Vec<u16> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .flat_map(|_| gateways)
            .map(|airside| {
                scope.spawn(move || {
                    let calls = (0..calls / 4).map(|_| airside.raw().exchange(get(target)).status);
                    calls.collect::<Vec<_>>()
                })
            })
            .collect();
        let threads = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        threads.collect()
    })
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|one| **one == status).count()
}

#[test]
fn two_gateways_admit_the_limit_together_and_not_twice() {
    let redis = Redis::start();
    let (gateways, origin) = pair(
        &redis,
        r#"{ window: { rate: 20/1h, scope: cluster },
             bucket: { rate: 20/1h, burst: 30, algorithm: token_bucket, scope: cluster } }"#,
        r#"
  - { path: /window, upstream: origin, limits: [window] }
  - { path: /bucket, upstream: origin, limits: [bucket] }
  - { path: /both, upstream: origin, limits: [bucket, window] }
"#,
    );
    for (target, most) in [("/window", 20), ("/bucket", 30)] {
        let before = origin.count();
        let statuses = storm(&gateways, target, 40);
        assert_eq!(count(&statuses, 200), most, "{target}");
        assert_eq!(count(&statuses, 429), 80 - most, "{target}");
        assert_eq!(origin.count() - before, most);
    }
    for airside in &gateways {
        let refused = call(airside, "/both", "127.0.0.1");
        assert_refused(&refused, 429, "rate_limited");
        assert!(refused.header("ratelimit").starts_with("\"bucket\";r=0;t="));
        assert!(refused.header("ratelimit").contains(", \"window\";r=0;t="));
        assert_eq!(
            refused.header("ratelimit-policy"),
            "\"bucket\";q=30;w=5400, \"window\";q=20;w=3600"
        );
        // The longest wait of both: that of the window.
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 200);
        assert_eq!(call(airside, "/window", "203.0.113.9").status, 200);
    }
}

#[test]
fn a_call_that_one_limit_refuses_counts_in_none() {
    let redis = Redis::start();
    let (gateways, _origin) = pair(
        &redis,
        r#"{ wide: { rate: 9/1h, scope: cluster }, tub: { rate: 9/1h, scope: cluster, algorithm: token_bucket },
             here: { rate: 1/1h }, all: { rate: 2/1h, scope: cluster } }"#,
        r#"
  - { path: /x, upstream: origin, limits: [wide, tub, here, all] }
  - { path: /wide, upstream: origin, limits: [wide, tub] }
"#,
    );
    let [one, other] = &gateways;
    let answer = call(one, "/x", "203.0.113.1");
    assert_eq!(answer.status, 200);
    for _ in 0..3 {
        let refused = call(one, "/x", "203.0.113.1");
        assert_refused(&refused, 429, "rate_limited");
        let told = refused.header("ratelimit");
        for (name, left) in [("wide", 8), ("tub", 8), ("here", 0), ("all", 1)] {
            assert!(told.contains(&format!("\"{name}\";r={left};t=")), "{told}");
        }
    }
    // Giving back is waited for by nobody: until it has happened, a call is refused or finds less.
    let kept = || -> Vec<String> {
        let mut direct = direct(&redis);
        let keys: Vec<String> = direct.keys("airside:wide:*").unwrap();
        keys.iter().map(|key| direct.get(key).unwrap()).collect()
    };
    wait_for("the counts", || {
        kept().len() == 1 && kept()[0].split(' ').skip(1).any(|calls| calls == "1")
    });
    wait_for("both counts", || {
        call(other, "/wide", "203.0.113.1")
            .header("ratelimit")
            .starts_with("\"wide\";r=")
    });
    assert_eq!(call(other, "/x", "203.0.113.1").status, 200);
    assert_refused(&call(other, "/x", "203.0.113.1"), 429, "rate_limited");
}

#[test]
fn successes_are_given_back_across_gateways_and_failures_are_not() {
    let redis = Redis::start();
    let (gateways, origin) = pair(
        &redis,
        r#"{ window: { rate: 5/1h, count: failures, scope: cluster },
             bucket: { rate: 5/1h, count: failures, algorithm: token_bucket, scope: cluster } }"#,
        r#"
  - { path: /window/*, upstream: origin, limits: [window] }
  - { path: /bucket/*, upstream: origin, limits: [bucket] }
"#,
    );
    for way in ["/window", "/bucket"] {
        let (right, wrong) = (format!("{way}/right"), format!("{way}/wrong"));
        origin.on(&wrong, Reply::new(401, "no"));
        let mut passed = 0;
        wait_for("twelve successes", || {
            let answer = call(&gateways[passed % 2], &right, "203.0.113.1");
            passed += usize::from(answer.status == 200);
            passed == 12
        });
        // The last ones are on their way back.
        wait_for("the last success", || {
            let answer = call(&gateways[0], &right, "203.0.113.1");
            answer.status == 200 && state(&answer, &way[1..]).0 == 5
        });
        wait_for("its own", || {
            let look = call(&gateways[1], &right, "203.0.113.1");
            look.status == 200 && state(&look, &way[1..]).0 == 5
        });
        let before = origin.count();
        let statuses: Vec<_> = (0..12)
            .map(|number| call(&gateways[number % 2], &wrong, "203.0.113.1").status)
            .collect();
        // One at most is held by the success before.
        assert!(
            (4..=5).contains(&count(&statuses, 401)),
            "{way} {statuses:?}"
        );
        assert_eq!(origin.count() - before, count(&statuses, 401));
        wait_for("the fifth", || {
            call(&gateways[0], &wrong, "203.0.113.1").status == 429
        });
    }
}

#[test]
fn a_limit_that_watches_counts_for_all_and_refuses_nobody() {
    let redis = Redis::start();
    let limits = "{ all: { rate: 2/1h, scope: cluster, mode: shadow } }";
    let (gateways, _origin) = pair(&redis, limits, ROUTES);
    for number in 0..4 {
        let answer = gateways[number % 2].raw().exchange(get("/"));
        assert_eq!(
            (answer.status, answer.head.header("ratelimit")),
            (200, None)
        );
    }
    for airside in &gateways {
        let log = airside.wait_for_access_log(2);
        assert_eq!(log[0]["decision"], "admitted");
        assert_eq!(log[1]["decision"], "shadow_refused");
    }
}

#[test]
fn nothing_stays_for_ever_and_no_key_names_a_client() {
    let redis = Redis::start();
    let (gateways, _origin) = pair(
        &redis,
        r#"{ window: { rate: 2/1h, scope: cluster, by: [ip, "header:X-Tenant"] },
             bucket: { rate: 2/1m, algorithm: token_bucket, scope: cluster, by: route } }"#,
        r#"
  - { path: /*, upstream: origin, limits: [window, bucket] }
  - { path: /own, methods: [GET], upstream: origin, limits: [{ rate: 1/1h, scope: cluster }] }
  - { path: /own, methods: [POST], upstream: origin, limits: [{ rate: 1/1h, scope: cluster }] }
"#,
    );
    for airside in &gateways {
        for tenant in ["acme", "a:b\r"] {
            let tenant = [
                ("X-Tenant", tenant.trim()),
                ("X-Forwarded-For", "203.0.113.7"),
            ];
            airside.raw().exchange(request("GET", "/x", &tenant));
        }
    }
    // Two routes of one path count apart, each for both gateways.
    for (method, gateway, status) in [
        ("GET", 0, 200),
        ("POST", 1, 200),
        ("GET", 1, 429),
        ("POST", 0, 429),
    ] {
        let answer = gateways[gateway]
            .raw()
            .exchange(request(method, "/own", &[]));
        assert_eq!(answer.status, status, "{method}");
    }
    let keys = keys(&redis);
    assert!(keys.len() >= 5, "{keys:?}");
    for (key, ttl) in keys {
        assert!(ttl > 0 && ttl <= 7_201_000, "{key} {ttl}");
        assert!(!key.contains("203.0") && !key.contains("acme"), "{key}");
    }
}

#[test]
fn a_role_has_its_rate_at_every_gateway() {
    let redis = Redis::start();
    let limits = r#"{ all: { rate: 2/1h, scope: cluster, by: user, per_role: { gold: 5/1h } } }"#;
    // Nobody is known on a public route: the rate of everyone.
    let (gateways, _origin) = pair(&redis, limits, ROUTES);
    let statuses = storm(&gateways, "/", 8);
    assert_eq!(count(&statuses, 200), 2);
    let told = gateways[0].raw().exchange(get("/"));
    assert_eq!(told.header("ratelimit-policy"), "\"all\";q=2;w=3600");
}

#[test]
fn a_server_that_hangs_costs_one_deadline_and_not_one_a_call() {
    let mut redis = Redis::start();
    let origin = Origin::start();
    let limits = "{ all: { rate: 100000/1h, scope: cluster } }";
    let airside = gateway(&redis.url(), "400ms", limits, ROUTES, &origin);
    assert_eq!(airside.raw().exchange(get("/")).status, 200);
    redis.daemon().signal("STOP");
    let began = Instant::now();
    let statuses = storm(std::slice::from_ref(&airside), "/", 200);
    assert_eq!(count(&statuses, 200), 200);
    // 50 a thread, one after the other: 20 s if each waited.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    redis.daemon().signal("CONT");
    wait_for("the server's return", || airside.stderr().contains("back"));
    let told = airside.stderr();
    assert_eq!(told.matches("away").count(), 1, "{told}");
}

#[test]
fn a_server_that_dies_under_load_fails_no_call_and_is_found_again() {
    let mut redis = Redis::start();
    let origin = Origin::start();
    let limits = "{ all: { rate: 1000000/1h, scope: cluster } }";
    let airside = gateway(&redis.url(), "1s", limits, ROUTES, &origin);
    let over = AtomicBool::new(false);
    let statuses = std::thread::scope(|scope| {
        let call = || {
            let mut statuses = Vec::new();
            while !over.load(SeqCst) {
                statuses.push(airside.raw().exchange(get("/")).status);
            }
            statuses
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        for times in 1..=2 {
            wait_for("calls in Redis", || is_counted_in(&redis));
            redis.daemon().kill();
            let reached = origin.count();
            wait_for("calls without it", || origin.count() > reached + 50);
            redis.restart();
            wait_for("its return", || {
                airside.stderr().matches("back").count() == times
            });
        }
        // It was empty when it came.
        wait_for("calls in Redis", || is_counted_in(&redis));
        over.store(true, SeqCst);
        let threads = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        threads.collect::<Vec<_>>()
    });
    assert_eq!(count(&statuses, 200), statuses.len());
    assert_eq!(airside.stderr().matches("away").count(), 2);
}

#[test]
fn a_server_that_forgot_the_scripts_is_given_them_again() {
    let redis = Redis::start();
    let limits = "{ all: { rate: 9/1h, scope: cluster } }";
    let (gateways, _origin) = pair(&redis, limits, ROUTES);
    for left in (0..9).rev() {
        let () = redis::cmd("SCRIPT")
            .arg("FLUSH")
            .query(&mut direct(&redis))
            .unwrap();
        let answer = gateways[left % 2].raw().exchange(get("/"));
        assert_eq!(state(&answer, "all").0, left as u64);
    }
}

#[test]
fn without_a_server_each_limit_does_as_it_was_told_and_nothing_is_held_up() {
    let origin = Origin::start();
    let nowhere = format!("redis://someone:very-secret-word@{}/0", port::free());
    let airside = gateway(
        &nowhere,
        "20ms",
        r#"{ here: { rate: 2/1h, scope: cluster }, open: { rate: 1/1h, scope: cluster, on_store_error: allow },
             shut: { rate: 9/1h, scope: cluster, on_store_error: deny },
             trial: { rate: 9/1h, scope: cluster, on_store_error: deny, mode: shadow } }"#,
        r#"
  - { path: /here, upstream: origin, limits: [here, trial] }
  - { path: /open, upstream: origin, limits: [open] }
  - { path: /shut, upstream: origin, limits: [shut] }
"#,
        &origin,
    );
    assert_admits(&airside, "/here", "203.0.113.1", 2);
    for _ in 0..3 {
        let answer = call(&airside, "/open", "203.0.113.1");
        assert_eq!(
            (answer.status, answer.head.header("ratelimit")),
            (200, None)
        );
        let refused = call(&airside, "/shut", "203.0.113.1");
        assert_refused(&refused, 429, "rate_limited");
        assert_eq!(refused.header("retry-after"), "1");
    }
    let mut admin = Raw::connect(
        airside
            .admin_url("")
            .trim_start_matches("http://")
            .parse()
            .unwrap(),
    );
    assert_eq!(admin.exchange(get("/readyz")).status, 200);
    let told = airside.stderr();
    assert_eq!(told.matches("away").count(), 1, "{told}");
    assert!(!told.contains("secret-word"), "{told}");
}
