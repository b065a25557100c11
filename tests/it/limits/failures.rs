//! `count: failures`: successes are free, wrong tries are not, also when they come at the same time.

use super::*;

const LIMITS: &str = r#"{ signin: { rate: 5/1h, count: failures },
    bucket: { rate: 5/1h, count: failures, algorithm: token_bucket } }"#;
const ROUTES: &str = r#"
  - { path: /window/*, upstream: origin, limits: [signin] }
  - { path: /bucket/*, upstream: origin, limits: [bucket] }
"#;
const WAYS: [(&str, &str); 2] = [("/window", "signin"), ("/bucket", "bucket")];

#[test]
fn successes_are_free_and_five_failures_are_enough() {
    let (airside, origin) = start(LIMITS, ROUTES);
    let one = "203.0.113.1";
    for (way, limit) in WAYS {
        let (right, wrong) = (format!("{way}/right"), format!("{way}/wrong"));
        origin.on(&wrong, Reply::new(401, "no"));
        for _ in 0..12 {
            let answer = call(&airside, &right, one);
            assert_eq!((answer.status, state(&answer, limit).0), (200, 5));
        }
        for left in (0..5).rev() {
            let answer = call(&airside, &wrong, one);
            assert_eq!((answer.status, state(&answer, limit).0), (401, left));
        }
        let before = origin.count();
        for target in [&right, &wrong] {
            let refused = call(&airside, target, one);
            assert_refused(&refused, 429, "rate_limited");
            assert!(refused.header("retry-after").parse::<u64>().unwrap() > 60);
        }
        assert_eq!(origin.count(), before);
        assert_eq!(call(&airside, &right, "203.0.113.2").status, 200);
    }
}

#[test]
fn fifty_wrong_tries_at_the_same_time_let_exactly_five_through() {
    let (airside, origin) = start(LIMITS, ROUTES);
    for (way, _) in WAYS {
        let target = format!("{way}/wrong");
        let slowly = Reply::new(401, "no").after(Duration::from_millis(50));
        origin.on(&target, slowly);
        let before = origin.count();
        let statuses: Vec<_> = std::thread::scope(|scope| {
            let calls =
                (0..50).map(|_| scope.spawn(|| airside.raw().exchange(get(&target)).status));
            let calls: Vec<_> = calls.collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5);
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 45);
        assert_eq!(origin.count() - before, 5);
    }
}

#[test]
fn our_own_refusals_are_failures_too_and_who_hangs_up_has_tried() {
    let (airside, origin) = start(LIMITS, ROUTES);
    for (number, (way, _)) in WAYS.into_iter().enumerate() {
        let closes = format!("{way}/closes");
        origin.on(&closes, Answer::Close);
        let one = format!("203.0.113.{number}");
        for _ in 0..5 {
            assert_refused(&call(&airside, &closes, &one), 502, "upstream_unreachable");
        }
        assert_refused(&call(&airside, &closes, &one), 429, "rate_limited");
        // Without an address of its own: nobody has called from there yet.
        let slow = format!("{way}/slow");
        let arrivals = hold(&origin, &slow);
        for _ in 0..5 {
            let mut raw = airside.raw();
            raw.send(get(&slow));
            let _held = arrivals.recv().unwrap();
        }
        wait_for("the refusal", || {
            let other = format!("{way}/x");
            airside.raw().exchange(get(&other)).status == 429
        });
    }
}

#[test]
fn a_switch_of_protocols_is_a_success() {
    let (airside, origin) = start(LIMITS, ROUTES);
    for (way, limit) in WAYS {
        let target = format!("{way}/ws");
        let taker = |stream: TcpStream, _: &Request| {
            let switch =
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            let _ = std::io::Write::write_all(&mut &stream, switch);
            // Until the other side ends.
            let _ = std::io::Read::read(&mut &stream, &mut [0]);
        };
        origin.on(&target, Answer::Take(Arc::new(taker)));
        for _ in 0..8 {
            let upgrade = request("GET", &target, &UPGRADE);
            let answer = airside.raw().exchange(upgrade);
            assert_eq!((answer.status, state(&answer, limit).0), (101, 5));
        }
    }
}
