//! What the macros promise, on a sample mapping.

use std::time::Duration;

use super::*;
use crate::base::yaml;

keys! {
    /// A mapping with one key of each sort.
    pub struct Sample {
        /// Needed.
        pub name: String,
        pub size: At<u16>,
        /// Has a default.
        pub wait: Duration = Duration::from_secs(1),
        pub note: Option<String>,
        pub r#for: Option<Duration>,
        pub future: Option<String>; unbuilt,
        pub shape: Shape = Shape::Round,
    }
}
mappings!(Sample);

words! {
    pub enum Shape {
        Round = "round",
        Square = "square",
        Odd = "odd"; unbuilt,
    }
}

fn read(source: &str) -> (Option<Sample>, Vec<String>) {
    let mut report = Report::default();
    let sample = Sample::decode(&yaml::read(source).unwrap(), &mut report);
    let show = |problem: &Problem| {
        let help = problem.help.clone().unwrap_or_default();
        format!(
            "{}:{} {} {help}",
            problem.place.line, problem.place.column, problem.message
        )
    };
    (sample, report.problems().iter().map(show).collect())
}

#[test]
fn defaults_fill_what_is_left_out() {
    let (sample, problems) = read("name: a\nsize: 7\nfor: 2s\n");
    let sample = sample.unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!((sample.name.as_str(), sample.size.value), ("a", 7));
    assert_eq!((sample.wait.as_secs(), sample.note), (1, None));
    assert_eq!(sample.r#for, Some(Duration::from_secs(2)));
    assert_eq!(sample.shape, Shape::Round);
}

#[test]
fn all_problems_are_told_at_once() {
    let (sample, problems) = read("nmae: a\nsize: 70000\nwait: soon\nshape: rond\n");
    assert!(sample.is_none());
    assert_eq!(problems.len(), 5, "{problems:#?}");
    assert!(
        problems
            .iter()
            .any(|p| p.contains("unknown key `nmae` did you mean `name`?"))
    );
    assert!(problems.iter().any(|p| p.contains("missing key `name`")));
    assert!(
        problems
            .iter()
            .any(|p| p.starts_with("2:7 70000 is out of range"))
    );
    assert!(problems.iter().any(|p| p.contains("did you mean `round`?")));
}

#[test]
fn what_is_not_built_is_refused_and_not_ignored() {
    let (sample, problems) = read("name: a\nsize: 1\nfuture: x\nshape: odd\n");
    let sample = sample.unwrap();
    assert_eq!(
        (sample.future.as_deref(), sample.shape.word()),
        (Some("x"), "odd")
    );
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].contains("`future` is not built yet"));
    assert!(problems[1].contains("`odd` is not built yet"));
}

#[test]
fn the_schema_says_what_the_reader_takes() {
    let schema = Sample::schema(&mut SchemaGenerator::default()).to_value();
    assert_eq!(schema["required"], serde_json::json!(["name", "size"]));
    assert_eq!(schema["properties"]["name"]["description"], "Needed.");
    assert!(schema["properties"]["for"].is_object());
    assert_eq!(schema["additionalProperties"], false);
}
