//! `scope: cluster`: two gateways and one real Redis, or Valkey, admit together what one would.

use redis::Commands;

use super::*;
use crate::support::people::Site;
use crate::support::redis::{Product, Redis};

use outages::{
    a_server_that_dies_under_load_fails_no_call_and_is_found_again,
    a_server_that_forgot_the_scripts_is_given_them_again,
    a_server_that_hangs_costs_one_deadline_and_not_one_a_call,
};

mod outages;
mod tls;

/// Runs each case on Redis and on Valkey.
macro_rules! on_each_product {
    ($($case:ident)*) => {
        mod on_redis {
            $(#[test]
            fn $case() {
                super::$case(super::Product::Redis);
            })*
        }

        mod on_valkey {
            $(#[test]
            fn $case() {
                super::$case(super::Product::Valkey);
            })*
        }
    };
}

on_each_product! {
    two_gateways_admit_the_limit_together_and_not_twice
    a_call_that_one_limit_refuses_counts_in_none
    successes_are_given_back_across_gateways_and_failures_are_not
    a_limit_that_watches_counts_for_all_and_refuses_nobody
    nothing_stays_for_ever_and_no_key_names_a_client
    a_call_costs_one_script_and_all_share_one_connection
    a_server_that_hangs_costs_one_deadline_and_not_one_a_call
    a_server_that_dies_under_load_fails_no_call_and_is_found_again
    a_server_that_forgot_the_scripts_is_given_them_again
}

const ROUTES: &str = "  - { path: /*, upstream: origin, limits: [all] }";
const ROLES: &str = r#"
listeners: [{ address: "{gateway}" }]
identity:
  listen: "{identity}"
  store: "sqlite:a.db"
  keys: "keys"
  password: { bcrypt_cost: 10, workers: 1 }
  roles: [gold, customer]
admin: { listen: "{admin}" }
redis: { url: "{redis}", timeout: 20s }
limits: { all: { rate: 2/1h, by: user, scope: cluster, per_role: { gold: 4/1h } } }
upstreams: { origin: { servers: ["{origin}"] } }
routes:
  - { path: "/auth/*", upstream: identity, auth: public }
  - { path: /mine, upstream: origin, auth: required, limits: [all] }
"#;
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
    // At once: calls may go on meanwhile.
    let keys: Vec<String> = direct.keys("*").unwrap();
    let is_ours = |key: &String| key.starts_with("airside:");
    assert!(keys.iter().all(is_ours), "{keys:?}");
    let keys = keys.into_iter().map(|key| {
        let ttl = direct.pttl(&key).unwrap();
        (key, ttl)
    });
    keys.filter(|(_, ttl)| *ttl != -2).collect()
}

/// What is kept of the one key of this limit.
fn kept(redis: &Redis, limit: &str) -> Vec<String> {
    let mut direct = direct(redis);
    let keys: Vec<String> = direct.keys(format!("airside:{limit}:*")).unwrap();
    assert_eq!(keys.len(), 1, "{limit}: {keys:?}");
    let kept: String = direct.get(&keys[0]).unwrap();
    kept.split(' ').map(str::to_owned).collect()
}

/// Is the debt of this limit's one bucket, of nine calls an hour, about so many calls?
fn has_debt_of(redis: &Redis, limit: &str, calls: u64) -> bool {
    // In ninths of a millisecond, of which a call is an hour.
    let debt: u64 = kept(redis, limit)[1].parse().unwrap();
    debt <= calls * 3_600_000
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

pub fn two_gateways_admit_the_limit_together_and_not_twice(product: Product) {
    let redis = Redis::of(product);
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

pub fn a_call_that_one_limit_refuses_counts_in_none(product: Product) {
    let redis = Redis::of(product);
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
    let given_back = || {
        let windows = [("wide", 1, "1"), ("all", 1, "1")];
        windows
            .iter()
            .all(|(name, field, calls)| kept(&redis, name)[*field] == *calls)
    };
    for _ in 0..3 {
        let refused = call(one, "/x", "203.0.113.1");
        assert_refused(&refused, 429, "rate_limited");
        let told = refused.header("ratelimit");
        for (name, left) in [("wide", 8), ("tub", 8), ("here", 0), ("all", 1)] {
            assert!(told.contains(&format!("\"{name}\";r={left};t=")), "{told}");
        }
        // Nobody waits for what is given back.
        wait_for("what it took", given_back);
        wait_for("what it took of the bucket", || {
            has_debt_of(&redis, "tub", 1)
        });
    }
    assert_eq!(call(other, "/x", "203.0.113.1").status, 200);
    assert_refused(&call(other, "/x", "203.0.113.1"), 429, "rate_limited");
}

pub fn successes_are_given_back_across_gateways_and_failures_are_not(product: Product) {
    let redis = Redis::of(product);
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
        // Nobody waits for what is given back.
        wait_for("the last success", || match way {
            "/window" => kept(&redis, "window")[1] == "0",
            _ => kept(&redis, "bucket")[3] == "0",
        });
        let before = origin.count();
        let answers = (0..12).map(|number| call(&gateways[number % 2], &wrong, "203.0.113.1"));
        let statuses: Vec<_> = answers.map(|answer| answer.status).collect();
        assert_eq!(statuses[..5], [401; 5], "{way}");
        assert_eq!(statuses[5..], [429; 7], "{way}");
        assert_eq!(origin.count() - before, 5);
    }
}

pub fn a_limit_that_watches_counts_for_all_and_refuses_nobody(product: Product) {
    let redis = Redis::of(product);
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

pub fn nothing_stays_for_ever_and_no_key_names_a_client(product: Product) {
    let redis = Redis::of(product);
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

pub fn a_call_costs_one_script_and_all_share_one_connection(product: Product) {
    let redis = Redis::of(product);
    let origin = Origin::start();
    let limits = "{ all: { rate: 1000/1h, scope: cluster } }";
    let airside = gateway(&redis.url(), PATIENT, limits, ROUTES, &origin);
    let told = |section: &str, name: &str| {
        let mut direct = direct(&redis);
        let text: String = redis::cmd("INFO").arg(section).query(&mut direct).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.unwrap_or_default().split(',').next().unwrap();
        number.parse::<usize>().unwrap_or_else(|_| panic!("{text}"))
    };
    let scripts = || told("commandstats", "cmdstat_evalsha:calls=");
    // The first call may have to bring the script.
    assert_eq!(airside.raw().exchange(get("/")).status, 200);
    let before = scripts();
    let statuses = storm(std::slice::from_ref(&airside), "/", 40);
    assert_eq!(count(&statuses, 200), 40);
    assert_eq!(scripts() - before, 40);
    // The gateway's, and the one that asks.
    assert_eq!(told("clients", "connected_clients:"), 2);
}

#[tokio::test]
async fn a_role_has_its_rate_in_redis_too() {
    let redis = Redis::start();
    let origin = Origin::start();
    let airside = Airside::with(ROLES)
        .set("redis", redis.url())
        .origin(&origin)
        .start();
    let site = Site { airside, origin };
    let api = site.api();
    for (email, roles, most) in [
        ("ann@example.com", &[][..], 2),
        ("bob@example.com", &["gold"], 4),
    ] {
        site.add(email, roles);
        let token = api.token(email).await;
        for number in 0..6 {
            let answer = api.ask("GET", "/mine", &token).await;
            let expected = if number < most { 200 } else { 429 };
            assert_eq!(answer.status, expected, "{email} {number}");
            let policy = format!("\"all\";q={most};w=3600");
            assert_eq!(answer.header("ratelimit-policy"), policy);
        }
    }
    let keys = keys(&redis).into_iter().map(|(key, _)| key);
    let counted = keys.filter(|key| key.starts_with("airside:all:"));
    assert_eq!(counted.count(), 2, "one for each of the two");
}
