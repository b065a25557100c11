//! What each signal does. One thread takes them all; what takes time it leaves to threads of its own.

use std::io;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2};
use signal_hook::iterator::Signals;

use super::handover::Handover;
use super::leave::{Cause, Leave};
use super::reload::Reload;

/// Takes the signals from now on; without a handler most of them would kill the process. Errors: the system has
/// no thread or no handler to give.
pub fn take(reload: Arc<Reload>, handover: Arc<Handover>, leave: Arc<Leave>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2])?;
    let work = move || {
        for signal in signals.forever() {
            match signal {
                SIGTERM => leave.begin(Cause::Stopped),
                SIGINT => leave.end(),
                // What came of it is in the log.
                SIGHUP => beside("reload", &reload, |reload| drop(reload.now("SIGHUP"))),
                SIGUSR2 => beside("successor", &handover, |handover| handover.begin()),
                _ => {
                    let leave = leave.clone();
                    beside("handover", &handover, move |handover| {
                        if handover.hand_over() {
                            leave.begin(Cause::Succeeded);
                        }
                    });
                }
            }
        }
    };
    thread::Builder::new()
        .name("airside-signals".to_owned())
        .spawn(work)
        .map(drop)
}

/// Has something done on a thread of its own, so that the next signal is not kept waiting.
fn beside<T: Send + Sync + 'static>(
    name: &str,
    on: &Arc<T>,
    work: impl FnOnce(&T) + Send + 'static,
) {
    let on = on.clone();
    let thread = thread::Builder::new().name(format!("airside-{name}"));
    if let Err(error) = thread.spawn(move || work(&on)) {
        log::error!("no thread for a signal's work ({name}): {error}");
    }
}
