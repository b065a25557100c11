//! The scripts on a real server, Redis and Valkey, against the arithmetic that counts on one node.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command as Program, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::Commands;

use super::*;
use crate::base::decode::Decode;
use crate::base::report::Report;
use crate::base::yaml;

/// Runs each case on each of the servers.
macro_rules! on_each_server {
    ($($case:ident)*) => {
        mod on_redis {
            $(#[test]
            fn $case() {
                super::$case(super::Site::start("redis-server".into()));
            })*
        }

        mod on_valkey {
            $(#[test]
            fn $case() {
                super::$case(super::Site::start(super::valkey_server().clone()));
            })*
        }
    };
}

on_each_server! {
    windows_are_decided_as_on_one_node
    buckets_are_decided_as_on_one_node
    a_call_that_is_taken_back_leaves_nothing_and_no_key_is_for_ever
    a_failure_is_debt_and_a_hold_whose_gateway_is_gone_becomes_one
}

/// A server of the test's own, and a store that is it.
struct Site {
    child: Child,
    _folder: tempfile::TempDir,
    store: Arc<Store>,
    direct: redis::Connection,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    fn start(server: PathBuf) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address: SocketAddr = free.local_addr().unwrap();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        let child = Program::new(server)
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("a server; scripts/install-test-deps installs it");
        let url = format!("redis://{address}/0");
        let client = redis::Client::open(&*url).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let direct = loop {
            match client.get_connection() {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        let store = Store::start(&url, Duration::from_secs(5), None).unwrap();
        Self {
            child,
            _folder: folder,
            store: Arc::new(store),
            direct,
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    fn shared(&self, source: &str) -> Arc<Shared> {
        let mut report = Report::default();
        let config = config::Limit::decode(&yaml::read(source).unwrap(), &mut report).unwrap();
        assert!(!report.has_errors(), "{source}: {report:?}");
        Arc::new(Shared::new("sample", 0, &config, self.store.clone()).unwrap())
    }

    fn millis(&mut self) -> u64 {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(&mut self.direct).unwrap();
        seconds * 1_000 + micros / 1_000
    }

    /// Puts a state there, asks, and brings what is told and what is kept then.
    fn ask(&mut self, shared: &Shared, tier: usize, kept: &[u64]) -> (Told, Vec<u64>) {
        let texts: Vec<_> = kept.iter().map(ToString::to_string).collect();
        let () = self.direct.set("k", texts.join(" ")).unwrap();
        let command = shared.question("k".to_owned(), tier, false).unwrap();
        let answer = self.runtime.block_on(self.store.ask(&command)).unwrap();
        let kept: String = self.direct.get("k").unwrap();
        let kept = kept.split(' ').map(|number| number.parse().unwrap());
        (shared.read(tier, &answer).unwrap(), kept.collect())
    }

    fn end(&mut self, taken: Taken, end: End) {
        let command = taken.command(end).unwrap();
        self.runtime.block_on(self.store.ask(&command)).unwrap();
    }

    fn take(&mut self, shared: &Arc<Shared>, key: &str) -> (Decision, Option<Taken>) {
        // The last tier is everyone's.
        let tier = match &shared.way {
            Way::Windows { tiers, .. } => tiers.len() - 1,
            Way::Bucket { fills, .. } => fills.len() - 1,
        };
        let asked = shared.ask(key.to_owned(), tier, false);
        self.runtime.block_on(asked).unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `scripts/install-test-deps` puts it; the script is run where it is missing.
fn valkey_server() -> &'static PathBuf {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    SERVER.get_or_init(|| {
        // `…/debug/deps/airside-…` lies three folders below where builds go.
        let program = std::env::current_exe().unwrap();
        let builds = program.ancestors().nth(3).unwrap();
        let server = builds.join("test-python/bin/valkey-server");
        if !server.exists() {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install-test-deps");
            let mut install = Program::new("sh");
            install.arg(script).env("CARGO_TARGET_DIR", builds);
            assert!(install.status().unwrap().success(), "{script} has failed");
        }
        server
    })
}

fn check<S: Strategy>(strategy: S, test: impl Fn(S::Value)) {
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(400)
    };
    let test = |value| {
        test(value);
        Ok(())
    };
    TestRunner::new(config).run(&strategy, test).unwrap();
}

/// Counts and widths from the smallest to the largest that a configuration may have: products up to 2^63.
fn rates() -> impl Strategy<Value = (u32, u64)> {
    let count = prop_oneof![4 => 1..=8_u32, 2 => 1..=3_000_u32, 1 => 16_000_000..=16_777_215_u32];
    let width = prop_oneof![2 => 40..=900_u64, 3 => 1_000..=120_000_u64, 1 => 300_000_000_000..=316_224_000_000_u64];
    (count, width)
}

fn windows_are_decided_as_on_one_node(site: Site) {
    let site = std::cell::RefCell::new(site);
    let shares = (0..=1_000_u64, 0..=1_000_u64, 0..=3_u64, 0..=1_usize);
    check(
        (rates(), shares),
        |((count, width), (one, two, back, tier))| {
            let mut site = site.borrow_mut();
            let wide = width * 2;
            let higher = (count.saturating_mul(4)).min(16_777_215);
            let source =
                format!("{{ rate: {count}/{width}ms, per_role: {{ gold: {higher}/{width}ms }} }}");
            let several =
                format!("{{ rate: {count}/{wide}ms, per_role: {{ gold: {higher}/{width}ms }} }}");
            for source in [source, several] {
                if wide > 316_000_000_000 && source.contains(&wide.to_string()) || higher <= count {
                    continue;
                }
                let shared = site.shared(&source);
                let Way::Windows { meters, tiers } = &shared.way else {
                    panic!()
                };
                let now = site.millis();
                // Between nothing and a little more than what is admitted.
                let most = tiers[tier].1;
                let (current, previous) = (most * one / 900, most * two / 900);
                let kept = meters.iter().flat_map(|meter| {
                    let most = meter.arguments()[1] as u64;
                    [
                        (now / meter.width() + 1).saturating_sub(back),
                        current.min(most),
                        previous.min(most),
                    ]
                });
                let kept: Vec<_> = kept.collect();
                let (told, after) = site.ask(&shared, tier, &kept);
                for (number, meter) in meters.iter().enumerate() {
                    let [window, current, previous] = kept[3 * number..][..3] else {
                        panic!()
                    };
                    let before = meter.starting_with(window, current, previous);
                    let (own, count) = tiers[tier];
                    let next = match number == own {
                        true => {
                            let ((decision, _), next) = meter.decide(count, before, told.at);
                            assert_eq!(told.decision, decision, "{source} {kept:?}");
                            next
                        }
                        false if told.decision.admitted => meter.charge(before, told.at).1,
                        false => None,
                    };
                    let left = &after[3 * number..][..3];
                    if told.decision.admitted {
                        let tally = meter.tally(next.unwrap_or(before), told.at);
                        assert_eq!(
                            left,
                            [tally.window, tally.current, tally.previous],
                            "{source} {kept:?}"
                        );
                    } else {
                        assert_eq!(left, &kept[3 * number..][..3], "a refusal counts nothing");
                    }
                }
            }
        },
    );
}

fn buckets_are_decided_as_on_one_node(site: Site) {
    let site = std::cell::RefCell::new(site);
    let shares = (
        0..=1_000_u128,
        0..=1_000_u64,
        0..=1_usize,
        any::<bool>(),
        0..=1_000_u64,
    );
    check(
        (rates(), shares),
        |((count, width), (debt, ago, tier, holds, held))| {
            let mut site = site.borrow_mut();
            let higher = (count.saturating_mul(3)).min(16_777_215);
            if higher <= count {
                return;
            }
            let failures = if holds { "count: failures, " } else { "" };
            let shared = site.shared(&format!(
            "{{ rate: {count}/{width}ms, algorithm: token_bucket, {failures}per_role: {{ gold: {higher}/{width}ms }} }}"
        ));
            let Way::Bucket { bucket, fills, .. } = &shared.way else {
                panic!()
            };
            let fill = fills[tier];
            let [interval, capacity, _, _, deepest] =
                bucket.arguments(fill).map(|number| number as u64);
            assert!(deepest < 1 << 53);
            let debt = (u128::from(interval * capacity) * debt / 990).min(deepest.into()) as u64;
            let now = site.millis();
            let base = now - (width * ago / 990).min(1 << 31);
            let held = if holds { held * capacity / 4_000 } else { 0 };
            let (told, _) = site.ask(&shared, tier, &[base, debt, now / 600_000, held, 0]);
            let before = bucket.packed(debt, held, base);
            let (decision, _) = bucket.decide(fill, before, told.at);
            assert_eq!(told.decision, decision, "{fill:?} {debt} {base} {held}");
        },
    );
}

fn a_call_that_is_taken_back_leaves_nothing_and_no_key_is_for_ever(mut site: Site) {
    for (number, source) in [
        "{ rate: 3/1h }",
        "{ rate: 3/1h, per_role: { gold: 9/2h } }",
        "{ rate: 3/1h, algorithm: token_bucket }",
        "{ rate: 3/1h, algorithm: token_bucket, count: failures }",
    ]
    .into_iter()
    .enumerate()
    {
        let shared = site.shared(source);
        let key = format!("k{number}");
        for _ in 0..2 {
            let taken: Vec<_> = (0..3)
                .map(|_| site.take(&shared, &key).1.expect("admitted"))
                .collect();
            assert!(!site.take(&shared, &key).0.admitted, "{source}");
            let ttl: i64 = site.direct.pttl(&key).unwrap();
            assert!(ttl > 0 && ttl < 3 * 7_200_000, "{source} {ttl}");
            for taken in taken {
                site.end(taken, End::Undone);
            }
        }
        let (decision, _) = site.take(&shared, &key);
        assert_eq!(
            (decision.admitted, decision.remaining),
            (true, 2),
            "{source}"
        );
    }
}

fn a_failure_is_debt_and_a_hold_whose_gateway_is_gone_becomes_one(mut site: Site) {
    let shared = site.shared("{ rate: 3/1h, algorithm: token_bucket, count: failures }");
    for left in [2, 1, 0] {
        let (decision, taken) = site.take(&shared, "k");
        assert_eq!(decision.remaining, left);
        site.end(taken.unwrap(), End::Failed);
    }
    assert!(!site.take(&shared, "k").0.admitted);
    let now = site.millis();
    let slot = now / 600_000;
    let (told, kept) = site.ask(&shared, 0, &[now, 0, slot - 2, 2, 1]);
    assert!(!told.decision.admitted && told.decision.remaining == 0);
    // Refused, and yet kept: what was held is debt from now on.
    assert_eq!(kept[2..], [slot, 0, 0]);
    assert!(kept[1] > 0);
}
