//! A bash session: commands that share variables, each with its own output.

use std::process::{Command, Stdio};

/// Runs `commands` in one session and brings what each of them printed.
pub fn session<C: AsRef<str>>(commands: &[C]) -> Vec<String> {
    let mut script = String::from("exec 2>&1\n");
    for command in commands {
        script.push_str(&format!("{}\nprintf '{END}'\n", command.as_ref()));
    }
    let output = Command::new("bash")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut outputs: Vec<String> = text.split(END).map(str::to_owned).collect();
    // What follows the last end.
    outputs.pop();
    assert_eq!(
        outputs.len(),
        commands.len(),
        "the session ended early: {text}"
    );
    outputs
}

/// Ends each command's output; no command prints it.
const END: &str = "@@end@@";

#[test]
fn a_variable_lives_on_and_outputs_stay_apart() {
    let outputs = session(&["A=1; echo one", "echo two $A; false", "printf three >&2"]);
    assert_eq!(outputs, ["one\n", "two 1\n", "three"]);
}
