//! What is counted of the requests of one route.

use std::time::Duration;

use super::{Gauge, Histogram, Kind, Page, Statuses, Words};

/// A route's own counters; routes of one name share theirs, because their label is one.
#[derive(Debug, Default)]
pub struct RouteMeters {
    pub in_flight: Gauge,
    /// Why callers were refused for who they are.
    pub auth_refusals: Words,
    statuses: Statuses,
    duration: Histogram,
    gateway: Histogram,
}

impl RouteMeters {
    /// Counts a request that is over. `gateway` is what of its `duration` passed in Airside itself;
    /// status 0 stands for no answer.
    pub fn count(&self, status: u16, duration: Duration, gateway: Duration) {
        self.statuses.count(status);
        self.duration.observe(duration);
        self.gateway.observe(gateway);
    }

    fn is_used(&self) -> bool {
        self.in_flight.value() != 0 || self.statuses.counts().next().is_some()
    }
}

/// Writes the families of all routes, by name. One that nobody has asked for yet is left out: ten thousand
/// routes are as many pages of zeros.
pub fn write_routes<'a>(
    page: &mut Page,
    routes: impl Iterator<Item = (&'a str, &'a RouteMeters)> + Clone,
) {
    let name = "airside_requests_total";
    let help = "Requests that are over, by route and status; 0 is a request without an answer.";
    page.family(name, Kind::Counter, help);
    for (route, meters) in routes.clone() {
        for (status, count) in meters.statuses.counts() {
            let mut digits = itoa::Buffer::new();
            let labels = [("route", route), ("status", digits.format(status))];
            page.sample(name, &labels, count);
        }
    }
    let used = routes.filter(|(_, meters)| meters.is_used());
    let name = "airside_request_duration_seconds";
    let help = "From a request's head to the end of its answer.";
    page.family(name, Kind::Histogram, help);
    for (route, meters) in used.clone() {
        page.histogram(name, &[("route", route)], &meters.duration);
    }
    let name = "airside_gateway_duration_seconds";
    let help = "What of that passed in Airside itself.";
    page.family(name, Kind::Histogram, help);
    for (route, meters) in used.clone() {
        page.histogram(name, &[("route", route)], &meters.gateway);
    }
    let name = "airside_auth_refusals_total";
    let help = "Callers who were refused for who they are, or are not, by reason.";
    page.family(name, Kind::Counter, help);
    for (route, meters) in used.clone() {
        for (reason, count) in meters.auth_refusals.counts() {
            page.sample(name, &[("route", route), ("reason", reason)], count);
        }
    }
    let name = "airside_in_flight_requests";
    page.family(name, Kind::Gauge, "Requests that are going on.");
    for (route, meters) in used {
        page.sample(name, &[("route", route)], meters.in_flight.value());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_busy_routes_are_written_in_time_and_idle_ones_not_at_all() {
        let routes: Vec<_> = (0..10_000)
            .map(|number| (format!("/route/{number}"), RouteMeters::default()))
            .collect();
        for (_, meters) in routes.iter().skip(1) {
            meters.count(200, Duration::from_millis(3), Duration::from_micros(80));
        }
        // What this thread has of the processor: how busy the machine is besides does not count.
        let worked = || {
            let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            let nanos = line.split(' ').next().unwrap().parse().unwrap();
            Duration::from_nanos(nanos)
        };
        let begun = worked();
        let mut page = Page::default();
        write_routes(
            &mut page,
            routes.iter().map(|(name, meters)| (name.as_str(), meters)),
        );
        let text = String::from_utf8(page.into_text()).unwrap();
        // A release build takes some 30 ms.
        let most = Duration::from_millis(if cfg!(debug_assertions) { 5_000 } else { 100 });
        let took = worked() - begun;
        assert!(took < most, "{took:?}");
        assert!(!text.contains("\"/route/0\""));
        assert!(text.contains("airside_requests_total{route=\"/route/9999\",status=\"200\"} 1\n"));
    }
}
