//! What was counted and learnt before a reload, and goes on after it.

use super::*;

#[test]
fn counts_outlive_a_reload_that_leaves_their_limit_as_it_is() {
    let with = |limits: &str, own: &str| {
        let more = format!("limits: {{ shared: {limits} }}");
        saying("one", &more)
            + &format!(
                "  - {{ path: /named, respond: {{ status: 200 }}, limits: [shared] }}\n\
                 \x20 - {{ path: /own, respond: {{ status: 200 }}, limits: [{own}] }}\n"
            )
    };
    let mut airside = Airside::start(&with("{ rate: 3/1h }", "{ rate: 2/1h }"));
    let status = |airside: &Airside, path: &str| airside.raw().exchange(get(path)).status;
    for path in ["/named", "/named", "/own"] {
        assert_eq!(status(&airside, path), 200);
    }
    // Moved and written in other words.
    airside.write_config(&format!(
        "\n\n{}",
        with("{ by: ip, rate: 3/60m }", "{ by: [ip], rate: 2/1h }")
    ));
    assert_eq!(reload(&airside).0, 200);
    for path in ["/named", "/own"] {
        assert_eq!(status(&airside, path), 200);
        assert_eq!(status(&airside, path), 429);
    }
    // Another rate counts anew.
    airside.write_config(&with("{ rate: 4/1h }", "{ rate: 2/1h }"));
    assert_eq!(reload(&airside).0, 200);
    assert_eq!(status(&airside, "/named"), 200);
    assert_eq!(status(&airside, "/own"), 429);
}

#[test]
fn what_is_counted_by_route_stays_with_its_route_when_others_come_before_it() {
    let one = "  - { path: /one, respond: { status: 200 }, limits: [each] }\n";
    let two = "  - { path: /two, respond: { status: 200 }, limits: [each] }\n";
    let with = |routes: &[&str]| {
        let limits = "limits: { each: { rate: 2/1h, by: [ip, route] } }";
        saying("x", limits) + &routes.concat()
    };
    let mut airside = Airside::start(&with(&[two]));
    let status = |airside: &Airside, path: &str| airside.raw().exchange(get(path)).status;
    assert_eq!(status(&airside, "/two"), 200);
    airside.write_config(&with(&[one, two]));
    assert_eq!(reload(&airside).0, 200);
    for path in ["/two", "/one", "/one"] {
        assert_eq!(status(&airside, path), 200, "{path}");
    }
    assert_eq!(
        (status(&airside, "/one"), status(&airside, "/two")),
        (429, 429)
    );
}

#[test]
fn a_server_keeps_its_state_when_the_list_around_it_changes_and_a_removed_one_is_not_probed_on() {
    let servers = [Origin::start(), Origin::start(), Origin::start()];
    let [drained, ejected, fresh] = servers.each_ref();
    let alone = Origin::start();
    let [one, two, three, other] = [drained, ejected, fresh, &alone].map(Origin::address);
    let upstreams = |list: String, more: &str| {
        let keys = "ejection: { failures: 1, for: 60s, max_ejected: 90% }, \
                    health: { tcp: true, every: 100ms, timeout: 100ms }";
        let upstreams = format!("upstreams:\n  a: {{ servers: [{list}], {keys} }}\n{more}");
        let route = "\x20 - { path: /*, upstream: a }\n";
        saying("x", &upstreams) + route
    };
    let probed = format!(
        "  b: {{ servers: [\"{other}\"], health: {{ path: /well, every: 50ms, timeout: 50ms }} }}"
    );
    let mut airside = Airside::start(&upstreams(format!("\"{one}\", \"{two}\""), &probed));
    let path = format!("/upstreams/a/servers/{one}/drain");
    assert_eq!(admin(&airside, request("POST", &path, &[])).status, 200);
    ejected.on("/bad", Reply::new(503, "no"));
    assert_eq!(airside.raw().exchange(get("/bad")).status, 503);
    wait_for("probes", || alone.count() > 2);

    let list = format!("\"{one}\", \"{three}\", {{ address: \"{two}\", weight: 2 }}");
    airside.write_config(&upstreams(list, ""));
    assert_eq!(reload(&airside).0, 200);
    let view = admin(&airside, get("/upstreams")).json();
    let view = &view["upstreams"];
    assert_eq!(view.as_array().unwrap().len(), 1, "{view}");
    let states = view[0]["servers"].as_array().unwrap().iter();
    let states: Vec<_> = states
        .map(|server| server["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["drained", "in", "ejected"]);
    for _ in 0..4 {
        assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    }
    assert_eq!((drained.count(), fresh.count()), (0, 4));

    // One that was on its way may still come; then the server that is gone hears nothing more.
    wait_for("the end of the probes", || {
        let before = alone.count();
        thread::sleep(Duration::from_millis(500));
        alone.count() == before
    });
}
