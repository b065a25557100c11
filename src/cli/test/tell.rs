//! What came of all tests, and which routes none of them reached.

use serde_json::{Value, json};

use super::play::Played;
use crate::base::yaml::Place;
use crate::config::Config;

pub struct Summary {
    played: Vec<Played>,
    /// The configuration.
    file: String,
    /// Name and line of each route that no test reached.
    uncovered: Vec<(String, Place)>,
    routes: usize,
}

impl Summary {
    pub fn new(config: &Config, file: String, played: Vec<Played>) -> Self {
        let routes = config.routes().iter().enumerate();
        let reached = |index: usize| {
            let mut played = played.iter();
            played.any(|test| test.route.is_some_and(|route| route as usize == index))
        };
        let uncovered = routes.filter(|(index, _)| !reached(*index));
        let uncovered = uncovered.map(|(_, route)| (route.name(), route.place));
        Self {
            uncovered: uncovered.collect(),
            routes: config.routes().len(),
            file,
            played,
        }
    }

    pub fn failed(&self) -> usize {
        let failed = self.played.iter().filter(|test| !test.unmet.is_empty());
        failed.count()
    }

    /// The share of the routes that a test reached.
    pub fn coverage(&self) -> f64 {
        let covered = self.routes - self.uncovered.len();
        covered as f64 / self.routes.max(1) as f64
    }

    /// `wanted` is the share of the routes that should be covered.
    pub fn text(&self, wanted: Option<f64>) -> String {
        let mut out = String::new();
        for test in self.played.iter().filter(|test| !test.unmet.is_empty()) {
            let line = test.place.line;
            out += &format!("failed: {} ({}:{line})\n", test.name, test.file);
            for unmet in &test.unmet {
                out += &format!(
                    "  {}:{}: {}: expected {}, found {}\n",
                    test.file, unmet.place.line, unmet.key, unmet.expected, unmet.found
                );
            }
            out += &format!("  what became of it: {}\n\n", test.why);
        }
        let failed = self.failed();
        let passed = self.played.len() - failed;
        out += &format!("{}: {passed} passed, {failed} failed\n", self.file);
        let (covered, routes) = (self.routes - self.uncovered.len(), self.routes);
        out += &format!("{covered} of {routes} routes are covered");
        out += match self.uncovered.is_empty() {
            true => "\n",
            false => "; no test reaches\n",
        };
        for (name, place) in &self.uncovered {
            out += &format!("  {name} ({}:{})\n", self.file, place.line);
        }
        if let Some(wanted) = wanted.filter(|wanted| self.coverage() < *wanted) {
            let percent = |share: f64| format!("{:.0}%", share * 100.0);
            let (found, wanted) = (percent(self.coverage()), percent(wanted));
            out += &format!("{found} of the routes are covered, and {wanted} should be\n");
        }
        out
    }

    pub fn json(&self) -> Value {
        let tests = self.played.iter().map(|test| {
            json!({
                "name": test.name,
                "file": test.file,
                "line": test.place.line,
                "passed": test.unmet.is_empty(),
                "failures": test.unmet.iter().map(|unmet| json!({
                    "key": unmet.key,
                    "line": unmet.place.line,
                    "expected": unmet.expected,
                    "found": unmet.found,
                })).collect::<Vec<_>>(),
                "became": test.why,
            })
        });
        let uncovered = self.uncovered.iter();
        let uncovered = uncovered.map(|(name, place)| json!({ "name": name, "line": place.line }));
        json!({
            "file": self.file,
            "passed": self.played.len() - self.failed(),
            "failed": self.failed(),
            "tests": tests.collect::<Vec<_>>(),
            "coverage": self.coverage(),
            "uncovered": uncovered.collect::<Vec<_>>(),
        })
    }
}
