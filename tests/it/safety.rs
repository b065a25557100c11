//! The pages about safety, security and reliability name tests: they must be there.

use std::fs;
use std::path::Path;

#[test]
fn each_test_that_the_page_of_safety_names_is_there() {
    names_tests(&page("docs/SAFETY.md"), 30);
}

#[test]
fn each_test_that_the_page_of_reliability_names_is_there() {
    names_tests(&page("docs/RELIABILITY.md"), 60);
}

/// The rows of promises: others tell of headers and keys.
#[test]
fn each_test_that_the_page_of_security_names_is_there() {
    let page = page("SECURITY.md");
    let promises = page.split("## What is promised").nth(1).unwrap();
    names_tests(promises.split("## What is not").next().unwrap(), 10);
}

/// The unwinding of a panic is what keeps it in its request: nothing may turn it off.
#[test]
fn no_build_ends_the_process_with_a_panic() {
    assert!(!page("Cargo.toml").contains("panic = \"abort\""));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cargo/config.toml");
    assert!(!own.exists(), "it could say so, too: read it here");
    const { assert!(cfg!(panic = "unwind")) };
}

/// Those that `scripts/mutations` breaks.
#[test]
fn the_table_of_rules_is_the_list_that_is_tried() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(root.join("tests/mutations.toml")).unwrap();
    let rows: Vec<_> = list.split("[[mutant]]").skip(1).map(row).collect();
    assert!(rows.len() >= 40, "{}", rows.len());
    let page = fs::read_to_string(root.join("docs/RELIABILITY.md")).unwrap();
    let (_, table) = page.split_once("| rule | says that |").unwrap();
    let shown: Vec<_> = table
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix('|'))
        .collect();
    let expected: Vec<_> = rows
        .iter()
        .map(|row| row.strip_prefix('|').unwrap())
        .collect();
    assert_eq!(shown, expected, "`scripts/mutations --table` prints it");
    for mutant in list.split("[[mutant]]").skip(1) {
        let (file, find) = (value(mutant, "file"), block(mutant, "find"));
        let source = fs::read_to_string(root.join(file)).unwrap();
        assert_eq!(source.matches(find).count(), 1, "{file}: {find}");
    }
}

fn row(mutant: &str) -> String {
    let [rule, says, test] = ["rule", "says", "test"].map(|name| value(mutant, name));
    format!("| {rule} | {says} | `{test}` |")
}

/// What stands behind `name = "`.
fn value<'a>(mutant: &'a str, name: &str) -> &'a str {
    let (_, rest) = mutant.split_once(&format!("\n{name} = \"")).unwrap();
    rest.split('"').next().unwrap()
}

/// The same, for texts with quotes in them.
fn block<'a>(mutant: &'a str, name: &str) -> &'a str {
    let (_, rest) = mutant.split_once(&format!("\n{name} = '''")).unwrap();
    rest.split("'''").next().unwrap()
}

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn names_tests(page: &str, least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["tests/it", "src"] {
        collect(&root.join(folder), &mut sources);
    }
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let names: Vec<_> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|word| word.contains('_'))
        .collect();
    assert!(names.len() > least, "only {names:?}");
    for name in names {
        // Of a path the last part.
        let name = name.rsplit("::").next().unwrap_or(name);
        // What is long is cut off. `bytes::` stands for all in there.
        let known = match name.strip_suffix('…') {
            Some(beginning) => sources.contains(&format!("fn {beginning}")),
            None => sources.contains(&format!("fn {name}(")),
        };
        let is_file = root.join(format!("tests/it/{name}.rs")).is_file();
        assert!(known || is_file, "no test is named {name}");
    }
}

fn collect(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
