//! The router against a model that knows nothing of trees: random configurations and requests, through the
//! program. The model holds every route up to the request, as the documentation tells it, and takes the best.

use std::cmp::Reverse;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::support::edge;
use crate::support::origin::Origin;

/// A route of the model; its place in the file is its answer.
#[derive(Debug, Clone, PartialEq)]
struct Route {
    host: Option<&'static str>,
    path: String,
    methods: Vec<&'static str>,
    header: Option<&'static str>,
    query: Option<&'static str>,
    priority: u32,
}

#[derive(Debug)]
struct Request {
    host: &'static str,
    path: String,
    method: &'static str,
    header: Option<&'static str>,
    query: Option<&'static str>,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Route(usize),
    NotAllowed(Vec<&'static str>),
    Nothing,
}

const HOSTS: [&str; 4] = ["a.test", "*.a.test", "*.b.a.test", "b.a.test"];
const ASKED_HOSTS: [&str; 5] = ["a.test", "b.a.test", "c.b.a.test", "x.a.test", "other.test"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const WORDS: [&str; 3] = ["x", "y", "z"];
const VALUES: [&str; 2] = ["1", "2"];

/// How well a host pattern fits: none, any host, a wildcard (the longer the better), exact.
fn host_fit(pattern: Option<&str>, host: &str) -> Option<usize> {
    match pattern {
        None => Some(0),
        Some(pattern) => match pattern.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix).then_some(suffix.len()),
            None => (pattern == host).then_some(usize::MAX),
        },
    }
}

/// How well a path pattern fits: for each segment, from the left, 2 static, 1 parameter, 0 the rest.
fn path_fit(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let patterns: Vec<&str> = pattern[1..].split('/').collect();
    let segments: Vec<&str> = path[1..].split('/').collect();
    let mut fit = Vec::new();
    for (index, part) in patterns.iter().enumerate() {
        if *part == "*" {
            fit.push(0);
            return Some(fit);
        }
        let segment = segments.get(index)?;
        match part.starts_with('{') {
            true if !segment.is_empty() => fit.push(1),
            false if part == segment => fit.push(2),
            _ => return None,
        }
    }
    // Ending here is as exact as a static segment.
    fit.push(2);
    (patterns.len() == segments.len()).then_some(fit)
}

impl Route {
    fn conditions(&self) -> usize {
        usize::from(!self.methods.is_empty())
            + usize::from(self.header.is_some())
            + usize::from(self.query.is_some())
    }

    /// Host, path and conditions but for the method; the greater the rank, the more specific.
    fn rank(&self, request: &Request) -> Option<(usize, Vec<u8>, usize, u32)> {
        let host = host_fit(self.host, request.host)?;
        let path = path_fit(&self.path, &request.path)?;
        let header = self.header.is_none() || self.header == request.header;
        let query = self.query.is_none() || self.query == request.query;
        (header && query).then_some((host, path, self.conditions(), self.priority))
    }

    fn yaml(&self, index: usize) -> String {
        let mut keys = format!("path: \"{}\"", self.path);
        if let Some(host) = self.host {
            keys += &format!(", host: \"{host}\"");
        }
        if !self.methods.is_empty() {
            keys += &format!(", methods: [{}]", self.methods.join(", "));
        }
        let header = self
            .header
            .map(|value| format!("headers: {{ x-h: \"{value}\" }}"));
        let query = self
            .query
            .map(|value| format!("query: {{ q: \"{value}\" }}"));
        let when: Vec<String> = header.into_iter().chain(query).collect();
        if !when.is_empty() {
            keys += &format!(", when: {{ {} }}", when.join(", "));
        }
        format!(
            "  - {{ {keys}, priority: {}, respond: {{ body: \"{index}\" }} }}\n",
            self.priority
        )
    }
}

fn expected(routes: &[Route], request: &Request) -> Expected {
    let fitting = routes.iter().enumerate();
    let mut fitting: Vec<_> = fitting
        .filter_map(|(index, route)| Some((route.rank(request)?, index, route)))
        .collect();
    fitting.sort_by_key(|(rank, ..)| Reverse(rank.clone()));
    let allows =
        |route: &Route| route.methods.is_empty() || route.methods.contains(&request.method);
    if let Some((_, index, _)) = fitting.iter().find(|(_, _, route)| allows(route)) {
        return Expected::Route(*index);
    }
    let named = |method: &&&str| {
        fitting
            .iter()
            .any(|(_, _, route)| route.methods.contains(*method))
    };
    let allowed: Vec<_> = METHODS.iter().filter(named).copied().collect();
    match allowed.is_empty() {
        true => Expected::Nothing,
        false => Expected::NotAllowed(allowed),
    }
}

/// At most three segments of few words, so that routes and requests meet often.
fn random_path(random: &mut StdRng, pattern: bool) -> String {
    let mut path = String::new();
    for _ in 0..random.random_range(1..=3) {
        path.push('/');
        match random.random_range(0..10) {
            0..4 if pattern => path += &format!("{{p{}}}", path.len()),
            _ => path += WORDS.choose(random).unwrap(),
        }
    }
    match random.random_range(0..10) {
        0..3 if pattern => path + "/*",
        3 => path + "/",
        _ => path,
    }
}

fn random_route(random: &mut StdRng, priority: u32) -> Route {
    let mut methods: Vec<_> = METHODS
        .into_iter()
        .filter(|_| random.random_bool(0.4))
        .collect();
    if random.random_bool(0.5) {
        methods.clear();
    }
    Route {
        host: random
            .random_bool(0.5)
            .then(|| *HOSTS.choose(random).unwrap()),
        path: random_path(random, true),
        methods,
        header: random
            .random_bool(0.25)
            .then(|| *VALUES.choose(random).unwrap()),
        query: random
            .random_bool(0.25)
            .then(|| *VALUES.choose(random).unwrap()),
        priority,
    }
}

fn random_request(random: &mut StdRng) -> Request {
    Request {
        host: ASKED_HOSTS.choose(random).unwrap(),
        path: random_path(random, false),
        method: METHODS.choose(random).unwrap(),
        header: random
            .random_bool(0.5)
            .then(|| *VALUES.choose(random).unwrap()),
        query: random
            .random_bool(0.5)
            .then(|| *VALUES.choose(random).unwrap()),
    }
}

#[test]
fn the_router_agrees_with_the_model_on_random_configurations() {
    let (mut routed, mut not_allowed, mut nothing) = (0, 0, 0);
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        // A priority of its own for each, so that nothing can tie; in random order, so that neither the
        // first nor the last of the file is favoured.
        let count = 25;
        let mut priorities: Vec<u32> = (0..count).collect();
        rand::seq::SliceRandom::shuffle(priorities.as_mut_slice(), &mut random);
        let routes: Vec<Route> = priorities
            .into_iter()
            .map(|priority| random_route(&mut random, priority))
            .collect();
        let lines = routes
            .iter()
            .enumerate()
            .map(|(index, route)| route.yaml(index));
        let config: String = lines.collect();
        let origin = Origin::start();
        let airside = edge::gateway(&config).origin(&origin).start();
        let mut raw = airside.raw();
        for _ in 0..60 {
            let request = random_request(&mut random);
            let query = request
                .query
                .map_or(String::new(), |value| format!("?q={value}"));
            let header = request
                .header
                .map_or(String::new(), |value| format!("X-H: {value}\r\n"));
            let answer = raw.exchange(format!(
                "{} {}{query} HTTP/1.1\r\nHost: {}\r\n{header}\r\n",
                request.method, request.path, request.host
            ));
            let found = match answer.status {
                200 => {
                    routed += 1;
                    Expected::Route(answer.text().parse().unwrap())
                }
                405 => {
                    not_allowed += 1;
                    let allowed = answer.header("allow").split(", ");
                    let known = |name: &str| METHODS.into_iter().find(|method| *method == name);
                    Expected::NotAllowed(allowed.map(|name| known(name).unwrap()).collect())
                }
                404 => {
                    nothing += 1;
                    Expected::Nothing
                }
                status => panic!("{status} for {request:?}"),
            };
            let wanted = expected(&routes, &request);
            assert_eq!(found, wanted, "seed {seed}: {request:?} with\n{config}");
        }
    }
    // The comparison means something only where all three come up.
    assert!(
        routed > 150 && not_allowed > 30 && nothing > 30,
        "{routed} {not_allowed} {nothing}"
    );
}
