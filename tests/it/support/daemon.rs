//! A program that runs beside the test: its output is kept, and it ends with the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::wait::until;

/// A running program. It is killed when dropped.
pub struct Daemon {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// What a program that has ended leaves.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Daemon {
    /// Starts `command`. Where the program itself is missing, the failure names the Debian `package`
    /// that brings it.
    pub fn start(command: &mut Command, package: &str) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}", cannot_run(&name, package, &error)));
        Self {
            stdout: Lines::of(child.stdout.take().expect("stdout is a pipe")),
            stderr: Lines::of(child.stderr.take().expect("stderr is a pipe")),
            name,
            child,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its standard output so far, whole lines only.
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// What it wrote to its standard error so far, whole lines only.
    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits until `ready`, or fails with what the program said.
    #[track_caller]
    pub fn wait_until(&mut self, patience: Duration, what: &str, mut ready: impl FnMut() -> bool) {
        let outcome = until(patience, || match self.child.try_wait() {
            Ok(Some(status)) => Some(Err(format!("ended with {status}"))),
            _ => ready().then_some(Ok(())),
        });
        let trouble = match outcome {
            Some(Ok(())) => return,
            Some(Err(ended)) => ended,
            None => format!("not so after {patience:?}"),
        };
        self.kill();
        let (said, name) = (self.output(), &self.name);
        panic!("{name}: waited for {what}: {trouble}. It said:\n{said}");
    }

    /// Waits until the program ends by itself.
    #[track_caller]
    pub fn wait_until_ended(&mut self, patience: Duration) -> Ended {
        let status = until(patience, || self.child.try_wait().expect("it can be asked"));
        let Some(status) = status else {
            self.kill();
            let (said, name) = (self.output(), &self.name);
            panic!(
                "{name} still ran after {patience:?}:
{said}"
            );
        };
        Ended {
            status,
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }

    /// Sends a signal by its name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("bash")
            .args(["-c", "kill -s \"$1\" \"$2\"", "bash", name, &id])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "no signal sent");
    }

    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn output(&mut self) -> String {
        format!("{}{}", self.stdout.all(), self.stderr.all())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `command` to its end, or fails with what it said.
pub fn run(command: &mut Command, package: &str) {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}", cannot_run(&name, package, &error)));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed:\n{said}");
}

fn cannot_run(name: &str, package: &str, error: &std::io::Error) -> String {
    format!(
        "cannot run `{name}`: {error}. It comes with the package `{package}`; \
         scripts/install-test-deps installs it"
    )
}

/// The lines of a pipe, read on a thread of their own so that the program never blocks on it.
struct Lines {
    text: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                kept.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self {
            text,
            reader: Some(reader),
        }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// Everything, once the program has ended. A child of its own may hold the pipe open: its words
    /// are not waited for.
    fn all(&mut self) -> String {
        let reader = self.reader.take();
        if let Some(reader) = reader {
            let ended = until(Duration::from_secs(1), || {
                reader.is_finished().then_some(())
            });
            if ended.is_some() {
                let _ = reader.join();
            }
        }
        self.so_far()
    }
}

#[cfg(test)]
mod tests;
