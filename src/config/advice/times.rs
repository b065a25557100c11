//! Attempts that a route's own time does not let happen.

use super::Judged;
use crate::base::report::{Code, Problem, Report};
use crate::base::units::show_duration;
use crate::config::Config;

pub fn advise(config: &Config, routes: &[Judged], report: &mut Report) {
    for route in routes {
        let Some(timeout) = route.keys.timeout else {
            continue;
        };
        for name in route.upstreams() {
            let Some(upstream) = config.upstreams.find(name) else {
                continue;
            };
            let (Some(retry), Some(timeouts)) = (&upstream.retry, &upstream.timeouts) else {
                continue;
            };
            let Some(each) = timeouts.first_byte else {
                continue;
            };
            let all = each.saturating_mul(retry.attempts);
            let all = timeouts.total.map_or(all, |total| total.min(all));
            if retry.attempts > 1 && all > timeout {
                let message = format!(
                    "{} attempts at `{name}` may take {}, and the route `{}` has {}",
                    retry.attempts,
                    show_duration(all),
                    route.route.name(),
                    show_duration(timeout)
                );
                let problem = Problem::warning(Code::Unlikely, route.route.place, message);
                report.push(
                    problem.help("make `first_byte` shorter, or the route's `timeout` longer"),
                );
            }
        }
    }
}
