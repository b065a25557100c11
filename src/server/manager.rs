//! What systemd is told (`sd_notify(3)`), where it is the one who started the process: ready, reloading,
//! stopping, and who is the main process after a hand-over.

use sd_notify::NotifyState;

/// Requests are served, by this process.
pub fn tell_ready() {
    tell(&[NotifyState::Ready, NotifyState::MainPid(std::process::id())]);
}

/// Begins and ends around a reload: `systemctl reload` waits for it.
pub fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("the service manager can't be told of a reload: {error}"),
    }
}

pub fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        log::warn!("the service manager can't be told: {error}");
    }
}
