//! Another process in place of this one, on the same listening sockets: the successor asks for them by
//! SIGQUIT, gets them through a socket in `server.run_dir`, and says by the pid file there that it
//! serves. Until then the predecessor goes on as if nothing had happened.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::sockets::Sockets;
use crate::base::private::{self, PrivateError};

/// Where two processes find each other.
#[derive(Debug, Clone)]
pub struct RunDir {
    folder: PathBuf,
}

/// This process's side of it.
pub struct Handover {
    /// `None` where the configuration has no `server.run_dir`.
    run_dir: Option<RunDir>,
    sockets: Sockets,
    /// The program's file at the start; a newer one may be there by now.
    program: io::Result<PathBuf>,
}

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("{0}: the path of a socket in it would be too long; at most {LONGEST} bytes")]
    TooLong(PathBuf),
}

impl RunDir {
    /// Makes the folder with mode 0700 where it is missing; refuses one that others may look into.
    pub fn open(folder: &Path) -> Result<Self, RunDirError> {
        private::create_folder(folder)?;
        private::check_folder(folder)?;
        let folder = folder.canonicalize().map_err(private::at(folder))?;
        let run_dir = Self { folder };
        match run_dir.socket().as_os_str().len() <= LONGEST {
            true => Ok(run_dir),
            false => Err(RunDirError::TooLong(run_dir.folder)),
        }
    }

    /// Where a successor waits for the sockets.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("upgrade.sock")
    }

    /// The process that serves, where one does: it lives, and is one of ours.
    pub fn serving(&self) -> Option<Pid> {
        let pid: i32 = fs::read_to_string(self.pid_file())
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        let same = name(&pid.to_string()).is_some_and(|other| Some(other) == name("self"));
        (pid > 0 && same).then(|| Pid::from_raw(pid))
    }

    /// Says that this process serves.
    fn claim(&self) -> io::Result<()> {
        let draft = self.folder.join("airside.pid.new");
        fs::write(&draft, format!("{}\n", std::process::id()))?;
        fs::rename(draft, self.pid_file())
    }

    /// Has a successor ask this process for its sockets, as soon as it listens for them.
    pub fn ask(&self, predecessor: Pid) -> io::Result<()> {
        let socket = self.socket();
        let work = move || {
            for _ in 0..ASKED {
                if is_listened_on(&socket) {
                    if let Err(error) = kill(predecessor, Signal::SIGQUIT) {
                        log::error!(
                            "process {predecessor} can't be asked for its listeners: {error}"
                        );
                    }
                    return;
                }
                thread::sleep(MOMENT);
            }
        };
        let thread = thread::Builder::new().name("airside-ask".to_owned());
        thread.spawn(work).map(drop)
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("airside.pid")
    }
}

impl Handover {
    pub fn new(run_dir: Option<RunDir>, sockets: Sockets) -> Self {
        Self {
            run_dir,
            sockets,
            program: std::env::current_exe(),
        }
    }

    /// Says that this process serves.
    pub fn claim(&self) {
        if let Some(run_dir) = &self.run_dir
            && let Err(error) = run_dir.claim()
        {
            log::error!("{}: {error}", run_dir.pid_file().display());
        }
    }

    /// Takes the word back, unless another process has its own there by now.
    pub fn release(&self) {
        if let Some(run_dir) = &self.run_dir
            && run_dir.serving() == Some(Pid::this())
        {
            let _ = fs::remove_file(run_dir.pid_file());
        }
    }

    /// Starts a successor of the program as its file is now, with the same arguments.
    pub fn begin(&self) {
        if self.run_dir.is_none() {
            log::warn!("no successor is started: {NO_RUN_DIR}");
            return;
        }
        let program = match &self.program {
            Ok(program) => program,
            Err(error) => return log::error!("the program's own file is not known: {error}"),
        };
        let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        arguments.retain(|argument| argument != UPGRADE);
        arguments.push(UPGRADE.into());
        log::info!("starting a successor: {}", program.display());
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .spawn();
        match child.map(|mut child| child.wait()) {
            Ok(Ok(status)) => log::error!("the successor ended: {status}; this process goes on"),
            Ok(Err(error)) | Err(error) => log::error!("no successor: {error}"),
        }
    }

    /// Gives the listeners to the successor that waits for them, and waits until it serves. False where
    /// there is none: then nothing was done.
    pub fn hand_over(&self) -> bool {
        let Some(run_dir) = &self.run_dir else {
            log::warn!("no successor can take the listeners: {NO_RUN_DIR}");
            return false;
        };
        let socket = run_dir.socket();
        if !is_listened_on(&socket) {
            log::warn!(
                "nobody waits for the listeners at {}: `airside run --upgrade` would; nothing was done",
                socket.display()
            );
            return false;
        }
        if let Err(why) = self.sockets.send(&socket) {
            log::error!("the listeners can't be handed over: {why}; this process goes on");
            return false;
        }
        log::info!("the listeners are handed over; waiting until the successor serves");
        for waited in 0_u64.. {
            match run_dir.serving() {
                Some(pid) if pid != Pid::this() => {
                    log::info!("process {pid} serves");
                    return true;
                }
                _ if waited == LATE => {
                    log::error!(
                        "the successor does not serve yet; this process goes on until it does"
                    );
                }
                _ => {}
            }
            thread::sleep(MOMENT);
        }
        false
    }
}

/// Does a process listen on this socket? Asked of the system: to connect would be taken for the hand-over.
fn is_listened_on(path: &Path) -> bool {
    const LISTENS: &str = "00010000";
    let known = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    known.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        fields.nth(3) == Some(LISTENS) && line.ends_with(&format!(" {}", path.display()))
    })
}

/// The argument of a successor.
const UPGRADE: &str = "--upgrade";
const NO_RUN_DIR: &str = "the configuration has no `server.run_dir`";
/// `sun_path` has 108 bytes, one of them for the end.
const LONGEST: usize = 107;
const MOMENT: Duration = Duration::from_millis(10);
/// Moments to wait for the own socket: ten seconds.
const ASKED: u32 = 1_000;
/// Moments after which a successor is late: fifteen seconds.
const LATE: u64 = 1_500;
