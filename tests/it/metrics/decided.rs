//! What limits decided, and what was known of tokens.

use super::*;

#[test]
fn what_each_limit_decided_is_counted_and_outlives_a_reload_that_leaves_the_limit_alone() {
    let config = |shared: &str| {
        format!(
            "listeners: [{{ address: \"{{gateway}}\" }}]\nadmin: {{ listen: \"{{admin}}\" }}\n\
             defaults: {{ auth: public }}\n\
             limits: {{ shared: {shared}, trial: {{ rate: 1/1h, mode: shadow }}, idle: {{ rate: 1/1h }},\n\
             \x20 tenant: {{ rate: 9/1h, by: \"header:X-Tenant\", on_missing: deny }},\n\
             \x20 maybe: {{ rate: 9/1h, by: \"header:X-Tenant\", on_missing: skip }} }}\n\
             routes:\n\
             \x20 - {{ path: /a, respond: {{ status: 200 }}, limits: [shared, trial] }}\n\
             \x20 - {{ path: /b, respond: {{ status: 200 }}, limits: [tenant] }}\n\
             \x20 - {{ path: /c, respond: {{ status: 200 }}, limits: [maybe] }}\n\
             \x20 - {{ path: /own, methods: [GET], respond: {{ status: 200 }}, limits: [{{ rate: 1/1h }}] }}\n\
             \x20 - {{ path: /own, methods: [POST], respond: {{ status: 200 }}, limits: [{{ rate: 1/1h }}] }}\n"
        )
    };
    let mut airside = Airside::start(&config("{ rate: 3/1h }"));
    let ask = |airside: &Airside, method: &str, path: &str, tenant: bool| {
        let tenant: &[(&str, &str)] = if tenant { &[("X-Tenant", "acme")] } else { &[] };
        airside.raw().exchange(request(method, path, tenant)).status
    };
    for expected in [200, 200, 200, 429, 429] {
        assert_eq!(ask(&airside, "GET", "/a", false), expected);
    }
    for (path, tenant, expected) in [
        ("/b", true, 200),
        ("/b", false, 403),
        ("/c", true, 200),
        ("/c", false, 200),
    ] {
        assert_eq!(ask(&airside, "GET", path, tenant), expected, "{path}");
    }
    // Two limits of one name, which is their routes'.
    for (method, expected) in [("GET", 200), ("POST", 200), ("GET", 429)] {
        assert_eq!(ask(&airside, method, "/own", false), expected);
    }
    let decisions = |samples: &BTreeMap<String, f64>, limit: &str| {
        ["admitted", "refused", "shadow_refused", "skipped", "denied"].map(|decision| {
            let labels = format!("limit=\"{limit}\",decision=\"{decision}\"");
            let name = format!("airside_limit_decisions_total{{{labels}}}");
            *samples.get(&name).unwrap_or_else(|| panic!("{name}"))
        })
    };
    let samples = scrape(&airside);
    assert_eq!(decisions(&samples, "shared"), [3.0, 2.0, 0.0, 0.0, 0.0]);
    // What another limit has refused is not asked of one that only watches.
    assert_eq!(decisions(&samples, "trial"), [1.0, 0.0, 2.0, 0.0, 0.0]);
    assert_eq!(decisions(&samples, "tenant"), [1.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(decisions(&samples, "maybe"), [1.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(decisions(&samples, "/own"), [2.0, 1.0, 0.0, 0.0, 0.0]);
    let text = format!("{samples:?}");
    assert!(
        !text.contains("\\\"idle\\\"") && !text.contains("acme"),
        "{text}"
    );

    airside.write_config(&("\n".to_owned() + &config("{ rate: 3/60m }")));
    assert_eq!(reload(&airside), 200);
    assert_eq!(
        decisions(&scrape(&airside), "shared"),
        decisions(&samples, "shared")
    );
    airside.write_config(&config("{ rate: 4/1h }"));
    assert_eq!(reload(&airside), 200);
    assert_eq!(ask(&airside, "GET", "/a", false), 200);
    let samples = scrape(&airside);
    assert_eq!(decisions(&samples, "shared"), [1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(decisions(&samples, "tenant"), [1.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn calls_that_were_decided_without_redis_are_counted() {
    let origin = Origin::start();
    let nowhere = crate::support::port::free();
    let top = format!(
        "redis: {{ url: \"redis://{nowhere}\" }}\n\
         limits: {{ here: {{ rate: 1/1h, scope: cluster }}, \
         open: {{ rate: 1/1h, scope: cluster, on_store_error: allow }}, \
         shut: {{ rate: 9/1h, scope: cluster, on_store_error: deny }} }}"
    );
    let routes = "  - { path: /here, upstream: origin, limits: [here] }\n\
                  \x20 - { path: /open, upstream: origin, limits: [open] }\n\
                  \x20 - { path: /shut, upstream: origin, limits: [shut] }";
    let airside = edge::with_top(&top, routes).origin(&origin).start();
    for (path, statuses) in [
        ("/here", [200, 429]),
        ("/open", [200; 2]),
        ("/shut", [429; 2]),
    ] {
        let calls = statuses.map(|_| airside.raw().exchange(get(path)).status);
        assert_eq!(calls, statuses, "{path}");
    }
    let samples = scrape(&airside);
    let decided = |limit: &str, decision: &str| {
        let labels = format!("limit=\"{limit}\",decision=\"{decision}\"");
        of(
            &samples,
            &format!("airside_limit_decisions_total{{{labels}}}"),
        )
    };
    assert_eq!(
        (decided("here", "admitted"), decided("here", "refused")),
        (1.0, 1.0)
    );
    assert_eq!(
        (decided("open", "skipped"), decided("shut", "refused")),
        (2.0, 2.0)
    );
    for limit in ["here", "open", "shut"] {
        let name = format!("airside_limit_store_errors_total{{limit=\"{limit}\"}}");
        assert_eq!(of(&samples, &name), 2.0, "{limit}");
    }
}

#[tokio::test]
async fn what_is_known_of_tokens_is_counted() {
    let origin = Origin::start();
    let airside = people::set_up(&origin).start();
    let api = Api::at(airside.url(""));
    api.join("ann@example.com").await;
    let token = api.token("ann@example.com").await;
    let of_cache = || {
        let samples = scrape(&airside);
        ["hits", "misses", "evictions"]
            .map(|what| of(&samples, &format!("airside_token_cache_{what}_total")))
    };
    let [hits, misses, _] = of_cache();
    for _ in 0..3 {
        assert_eq!(api.ask("GET", "/members", &token).await.status, 200);
    }
    let [after, missed, evicted] = of_cache();
    assert_eq!((after - hits, missed - misses, evicted), (2.0, 1.0, 0.0));
    api.ask("GET", "/members", "no.token.atall")
        .await
        .refused(401, "unauthenticated");
    assert_eq!(of_cache(), [after, missed + 1.0, 0.0]);
}

/// Reloads; brings the answer's status.
fn reload(airside: &Airside) -> u16 {
    let address = airside.admin_url("");
    let address = address.trim_start_matches("http://").parse().unwrap();
    once(
        address,
        request("POST", "/reload", &[("Content-Length", "0")]),
    )
    .status
}
