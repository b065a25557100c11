//! Routes that no request gets, as far as that can be told for certain.

use std::collections::HashMap;

use super::Judged;
use crate::base::report::{Code, Problem, Report};
use crate::route::method::MethodSet;

pub fn advise(routes: &[Judged], report: &mut Report) {
    let mut groups: HashMap<_, Vec<&Judged>> = HashMap::new();
    for route in routes {
        padded_values(route, report);
        let key = (route.place(), route.matcher.path.rest.is_some());
        groups.entry(key).or_default().push(route);
    }
    for group in groups.values() {
        for route in group {
            shadowed(route, group, report);
        }
    }
}

/// On one path, is each request that fits `route` taken by others that are asked first?
fn shadowed(route: &Judged, group: &[&Judged], report: &mut Report) {
    let first = group.iter().filter(|other| other.rank() > route.rank());
    let takes = first.filter(|other| fits_whatever_fits(other, route));
    let mut taken = MethodSet::default();
    let mut by = Vec::new();
    for other in takes {
        if taken.holds(methods(route)) {
            break;
        }
        if methods(other).meets(methods(route)) {
            taken = taken.union(methods(other));
            by.push(other);
        }
    }
    if !taken.holds(methods(route)) {
        return;
    }
    let message = format!("no request gets to the route `{}`", route.route.name());
    let place = route.route.matches.path.place;
    let mut problem = Problem::warning(Code::Unreachable, place, message);
    for other in by {
        let path = other.route.matches.path.place;
        problem = problem.related(path, "this one takes them");
    }
    report.push(problem);
}

/// Headers and query: does `one` ask for nothing that `other` does not ask for?
fn fits_whatever_fits(one: &Judged, other: &Judged) -> bool {
    let (one, other) = (&one.matcher.predicates, &other.matcher.predicates);
    one.headers
        .iter()
        .all(|header| other.headers.contains(header))
        && one.query.iter().all(|pair| other.query.contains(pair))
}

fn methods(route: &Judged) -> MethodSet {
    route.route.matches.methods()
}

/// A header's value never begins or ends with a space (RFC 9110 §5.5).
fn padded_values(route: &Judged, report: &mut Report) {
    let when = route.route.matches.when.iter();
    for (name, value) in when.flat_map(|when| &when.headers.0) {
        if value.value.trim() != value.value {
            let message = format!(
                "no request gets to the route `{}`: `{}` never begins or ends with a space",
                route.route.name(),
                name.value
            );
            report.push(Problem::warning(Code::Unreachable, value.place, message));
        }
    }
}
