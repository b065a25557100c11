//! Any text is a configuration that has a plan, or is refused with a reason for each refusal and a place that the text
//! has; in time, and without harm.

use std::time::{Duration, Instant};

use airside::base::report::{Problem, Report};
use airside::base::secret::{Source, brought};
use airside::config::{advise, effective, parse};
use airside::plan::{Shared, compile};

pub fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let begun = Instant::now();
    let (config, report) = parse(text, &Table);
    told(text, &report);
    assert!(
        config.is_some() || report.has_errors(),
        "refused without a reason"
    );
    if let Some(config) = config.filter(|_| !report.has_errors()) {
        let mut late = Report::default();
        let plan = compile(&config, &Shared::offline(&config), None, &mut late);
        assert_eq!(plan.is_some(), !late.has_errors());
        advise(&config, &mut late);
        told(text, &late);
        // What nothing may print: where there is a reference, it is known.
        let brought = brought(text, &Table);
        assert!(
            brought.is_empty() || text.contains('$') || text.contains('\\'),
            "{brought:?}"
        );
    }
    // What the admin listener shows, whether it is sound or not.
    if let Some(shown) = effective(text) {
        let shown = shown.to_string();
        assert!(shown.len() < (16 << 20) + 64 * text.len());
    }
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "took {:?}",
        begun.elapsed()
    );
}

/// Each problem has words, and a place within the text.
fn told(text: &str, report: &Report) {
    // YAML ends a line with any of the three (YAML 1.2 §5.4).
    let text_in_lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text_in_lines.split('\n').collect();
    for problem in report.problems() {
        let Problem { message, place, .. } = problem;
        assert!(!message.is_empty());
        assert!(!message.contains(SECRET), "{message}");
        if place.line > 0 {
            assert!(place.line as usize <= lines.len() + 1, "{problem:?}");
            let width = lines
                .get(place.line as usize - 1)
                .map_or(0, |line| line.chars().count());
            assert!(
                (1..=width + 2).contains(&(place.column as usize)),
                "{problem:?} in {text:?}"
            );
        }
    }
    if !report.problems().is_empty() {
        assert!(!report.text("airside.yaml", text, false).contains(SECRET));
        assert!(
            report.json("airside.yaml", text).is_array()
                || report.json("airside.yaml", text).is_object()
        );
    }
}

/// The only secret that there is.
struct Table;

impl Source for Table {
    fn env(&self, name: &str) -> Option<String> {
        (name == NAME).then(|| SECRET.to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

const NAME: &str = "FUZZ";
const SECRET: &str = "s3cret-of-the-fuzzer-0123456789abcdef";
