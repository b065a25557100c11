//! Public routes that take a part of what a protected one guards. A literal in the path, or a list of methods
//! alone, says that it is meant; a parameter or a header that anyone may send does not.

use std::collections::HashMap;

use super::{Judged, Place};
use crate::base::report::{Code, Problem, Report};

pub fn advise(routes: &[Judged], report: &mut Report) {
    let mut guarded: HashMap<(Place, bool), Vec<&Judged>> = HashMap::new();
    for route in routes.iter().filter(|route| route.requirement().is_some()) {
        let key = (route.place(), route.matcher.path.rest.is_some());
        guarded.entry(key).or_default().push(route);
    }
    for route in routes.iter().filter(|route| route.requirement().is_none()) {
        if let Some(other) = covered(route, &guarded) {
            let message = format!(
                "`{}` is public, and takes requests that `{}` asks for a token",
                route.route.name(),
                other.route.name()
            );
            let place = route.route.matches.path.place;
            let problem = Problem::warning(Code::Unlikely, place, message);
            report.push(problem.related(other.route.matches.path.place, "this one needs a token"));
        }
    }
}

/// The nearest protected route that this one takes requests from.
fn covered<'a>(
    route: &Judged,
    guarded: &HashMap<(Place, bool), Vec<&'a Judged<'a>>>,
) -> Option<&'a Judged<'a>> {
    let mut key = (route.place(), route.matcher.path.rest.is_some());
    let same_path = guarded.get(&key).into_iter().flatten();
    let by_choice = |other: &&&Judged| other.rank() < route.rank() && asks_for_more(route, other);
    let mut found = same_path.filter(by_choice).find(|other| meet(route, other));
    // From the longest beginning to the shortest, as long as only parameters are left out.
    key.1 = true;
    while found.is_none() && key.0.segments.pop()?.is_none() {
        let around = guarded.get(&key).into_iter().flatten();
        found = around.into_iter().find(|other| meet(route, other));
    }
    found.copied()
}

/// Does one request fit both, and lead to the same upstream?
fn meet(route: &Judged, other: &Judged) -> bool {
    route.matcher.predicates.overlap(&other.matcher.predicates)
        && route
            .upstreams()
            .any(|name| other.upstreams().any(|known| known == name))
}

/// Has it a header or a query parameter that the other does not ask for?
fn asks_for_more(route: &Judged, other: &Judged) -> bool {
    let (own, theirs) = (&route.matcher.predicates, &other.matcher.predicates);
    own.headers
        .iter()
        .any(|header| !theirs.headers.contains(header))
        || own.query.iter().any(|pair| !theirs.query.contains(pair))
}
