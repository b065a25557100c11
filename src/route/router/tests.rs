//! The router against a matcher that tries every route and takes the best by the documented order.

use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::base::decode::FromText;
use crate::route::method::Method;
use crate::route::pattern::Segment;

fn matcher(host: Option<&str>, path: &str, methods: Option<&[Method]>, priority: u32) -> Matcher {
    Matcher {
        host: host.map(|host| HostPattern::from_text(host).unwrap()),
        path: PathPattern::from_text(path).unwrap(),
        predicates: Predicates {
            methods: methods.map(|methods| MethodSet::of(methods.iter().copied())),
            ..Predicates::default()
        },
        priority,
    }
}

fn find(matchers: &[Matcher], host: &str, path: &str, method: Method) -> Found {
    let headers = HeaderMap::new();
    let asked = Asked {
        method,
        headers: &headers,
        query: "",
    };
    Router::new(matchers).find(host, path, asked)
}

fn route_of(found: &Found) -> Option<u32> {
    match found {
        Found::Route { route, .. } => Some(*route),
        _ => None,
    }
}

#[test]
fn a_star_matches_the_folder_itself_and_all_below_but_no_sibling() {
    let routes = [matcher(None, "/a/*", None, 0)];
    for (path, hit) in [
        ("/a", true),
        ("/a/", true),
        ("/a/b/c", true),
        ("/ab", false),
        ("/", false),
    ] {
        assert_eq!(
            route_of(&find(&routes, "h", path, Method::Get)).is_some(),
            hit,
            "{path}"
        );
    }
}

#[test]
fn a_method_that_no_route_takes_is_told_which_would_do() {
    let routes = [
        matcher(None, "/a", Some(&[Method::Get, Method::Head]), 0),
        matcher(None, "/{x}", Some(&[Method::Post]), 0),
        matcher(None, "/b", Some(&[Method::Put]), 0),
    ];
    let Found::MethodNotAllowed(allowed) = find(&routes, "h", "/a", Method::Delete) else {
        panic!()
    };
    assert_eq!(allowed.to_string(), "GET, HEAD, POST");
    assert_eq!(find(&routes, "h", "/c/d", Method::Delete), Found::Nothing);
    assert_eq!(route_of(&find(&routes, "h", "/a", Method::Post)), Some(1));
}

#[test]
fn the_longest_wildcard_host_goes_first() {
    let routes = [
        matcher(None, "/*", None, 0),
        matcher(Some("*.example.com"), "/*", None, 0),
        matcher(Some("*.api.example.com"), "/*", None, 0),
        matcher(Some("api.example.com"), "/*", None, 0),
    ];
    for (host, route) in [
        ("x.api.example.com", 2),
        ("a.b.example.com", 1),
        ("api.example.com", 3),
        ("example.com", 0),
        ("badexample.com", 0),
    ] {
        assert_eq!(
            route_of(&find(&routes, host, "/", Method::Get)),
            Some(route),
            "{host}"
        );
    }
}

#[test]
fn captures_are_those_of_the_route_that_won() {
    let routes = [
        matcher(None, "/{a}/x/{b}", None, 0),
        matcher(None, "/{a}/{*rest}", None, 0),
    ];
    let path = "/one/x/two/three";
    let Found::Route { route, captures } = find(&routes, "h", path, Method::Get) else {
        panic!()
    };
    assert_eq!(
        (route, captures.of(path, 0), captures.of(path, 1)),
        (1, "one", "x/two/three")
    );
    assert_eq!(captures.of(path, 2), "");
}

/// Does the route fit, and how specific is it? Written from the documentation alone.
fn naive(matchers: &[Matcher], host: &str, path: &str, method: Method) -> (Option<u32>, MethodSet) {
    let parts: Vec<&str> = path[1..].split('/').collect();
    let mut allowed = MethodSet::default();
    let mut best: Option<(_, u32)> = None;
    for (index, route) in matchers.iter().enumerate() {
        let host_rank = match &route.host {
            None => (0, 0),
            Some(HostPattern::Below(name)) if host.ends_with(&format!(".{name}")) => {
                (1, name.len())
            }
            Some(HostPattern::Exact(name)) if name == host => (2, 0),
            _ => continue,
        };
        let segments = &route.path.segments;
        let enough = match route.path.rest {
            Some(_) => parts.len() >= segments.len(),
            None => parts.len() == segments.len(),
        };
        let fits = |(segment, part): (&Segment, &&str)| match segment {
            Segment::Literal(text) => text == part,
            Segment::Param(_) => !part.is_empty(),
        };
        if !enough || !segments.iter().zip(&parts).all(fits) {
            continue;
        }
        if !route.predicates.allows(method) {
            allowed = allowed.union(route.predicates.methods.unwrap());
            continue;
        }
        let mut path_rank: Vec<u8> = segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 3,
                Segment::Param(_) => 2,
            })
            .collect();
        // Nothing more to match is as specific as a static segment.
        path_rank.push(if route.path.rest.is_some() { 1 } else { 3 });
        let rank = (
            host_rank,
            path_rank,
            route.predicates.count(),
            route.priority,
        );
        if best.as_ref().is_none_or(|(known, _)| rank > *known) {
            best = Some((rank, index as u32));
        }
    }
    (best.map(|(_, index)| index), allowed)
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let host = prop_oneof![
        3 => Just(None),
        1 => Just(Some("h.example")),
        1 => Just(Some("*.example")),
        1 => Just(Some("*.h.example")),
    ];
    let segment = prop_oneof![3 => "[ab]", 1 => Just("{P}".to_owned())];
    let end = prop_oneof![2 => Just(""), 1 => Just("/*"), 1 => Just("/")];
    let path = (prop::collection::vec(segment, 0..4), end).prop_map(|(segments, end)| {
        let mut path = String::new();
        for (index, segment) in segments.iter().enumerate() {
            path.push('/');
            path.push_str(&segment.replace('P', &format!("p{index}")));
        }
        path.push_str(end);
        if path.is_empty() {
            "/".to_owned()
        } else {
            path
        }
    });
    let methods = prop_oneof![
        2 => Just(None),
        1 => Just(Some(&[Method::Get][..])),
        1 => Just(Some(&[Method::Get, Method::Post][..])),
        1 => Just(Some(&[Method::Put][..])),
    ];
    (host, path, methods, 0u32..3)
        .prop_map(|(host, path, methods, priority)| matcher(host, &path, methods, priority))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_router_agrees_with_a_naive_matcher(
        all in prop::collection::vec(any_matcher(), 0..12),
        asked in prop::collection::vec(("(/[ab]){0,4}/?", 0usize..4, 0usize..4), 1..12),
    ) {
        // Ties are refused when a configuration is checked.
        let mut routes: Vec<Matcher> = Vec::new();
        for one in all {
            if !routes.iter().any(|known| known.ties_with(&one)) {
                routes.push(one);
            }
        }
        for (path, host, method) in asked {
            let path = if path.is_empty() { "/".to_owned() } else { path };
            let host = ["h.example", "x.h.example", "y.example", "other"][host];
            let method = [Method::Get, Method::Post, Method::Put, Method::Delete][method];
            let (expected, allowed) = naive(&routes, host, &path, method);
            match find(&routes, host, &path, method) {
                Found::Route { route, .. } => prop_assert_eq!(Some(route), expected, "{} {}", host, path),
                Found::MethodNotAllowed(methods) => {
                    prop_assert_eq!(None, expected);
                    prop_assert_eq!(methods, allowed);
                }
                Found::Nothing => prop_assert!(expected.is_none() && allowed.is_empty()),
            }
        }
    }
}
