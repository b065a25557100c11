//! The pages about safety and security name tests: they must be there.

use std::fs;
use std::path::Path;

#[test]
fn each_test_that_the_pages_of_safety_and_security_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = ["docs/SAFETY.md", "SECURITY.md"];
    let pages = pages.map(|page| fs::read_to_string(root.join(page)).unwrap());
    let mut sources = String::new();
    for folder in ["tests/it", "src"] {
        collect(&root.join(folder), &mut sources);
    }
    // Of the second, the rows of promises: others tell of headers and keys.
    let promises = pages[1].split("## What is promised").nth(1).unwrap();
    let page = format!(
        "{}{}",
        pages[0],
        promises.split("## What is not").next().unwrap()
    );
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let names: Vec<_> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|word| word.contains('_'))
        .collect();
    assert!(names.len() > 60, "only {names:?}");
    for name in names {
        // What is long is cut off.
        let known = match name.strip_suffix('…') {
            Some(beginning) => sources.contains(&format!("fn {beginning}")),
            None => sources.contains(&format!("fn {name}(")),
        };
        let is_file = root.join(format!("tests/it/{name}.rs")).is_file();
        assert!(known || is_file, "no test is named {name}");
    }
}

/// The unwinding of a panic is what keeps it in its request: nothing may turn it off.
#[test]
fn no_build_ends_the_process_with_a_panic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(!manifest.contains("panic = \"abort\""));
    let own = root.join(".cargo/config.toml");
    assert!(!own.exists(), "it could say so, too: read it here");
    const { assert!(cfg!(panic = "unwind")) };
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
