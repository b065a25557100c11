//! The examples of `docs/EXPLAIN.md`, run: what a page shows of a command is what the command says.

use std::fs;
use std::path::Path;
use std::process::Command;

const PAGE: &str = "docs/EXPLAIN.md";

#[test]
fn the_page_shows_what_the_commands_say() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut run = 0;
    for (info, block) in blocks(&page) {
        match info.as_str() {
            "yaml whole" => fs::write(folder.path().join("airside.yaml"), block).unwrap(),
            "yaml fragment" => {
                let more = folder.path().join("more.yaml");
                if !more.exists() {
                    fs::write(more, block).unwrap();
                }
            }
            "console" => {
                run += 1;
                let (command, expected) = block.split_once('\n').unwrap();
                let said = say(command.strip_prefix("$ ").unwrap(), folder.path());
                assert_eq!(without_time(&said), without_time(expected), "{command}");
            }
            _ => {}
        }
    }
    assert!(run >= 4, "only {run} examples");
}

/// What a command prints, in the folder of the page's files.
fn say(command: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_airside"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let output = Command::new("bash")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", path)
        .env("AIRSIDE_CONFIG", "airside.yaml")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).unwrap()
}

/// How long a window still lasts is different at each run.
fn without_time(text: &str) -> String {
    let mut parts = text.split(";t=");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += ";t=";
        out += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out
}

fn blocks(page: &str) -> Vec<(String, String)> {
    let parts = page.split("```").skip(1).step_by(2);
    parts
        .map(|part| {
            let (info, text) = part.split_once('\n').unwrap();
            (info.to_owned(), text.to_owned())
        })
        .collect()
}
