//! Renewed certificates, and authorities of client certificates, are taken up from their files while the gateway runs.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::tls::{Acceptor, TlsError};

/// Looks at the files again and again, on a thread of its own.
pub fn start(all: Vec<Arc<Acceptor>>, clock: Clock) {
    if all.is_empty() {
        return;
    }
    let work = move || {
        loop {
            thread::sleep(INTERVAL);
            for acceptor in &all {
                let read = acceptor.reload_if_changed(clock.unix_seconds());
                read.into_iter().for_each(tell);
            }
        }
    };
    let thread = thread::Builder::new().name("airside-certificates".to_owned());
    if let Err(error) = thread.spawn(work) {
        log::error!("renewed certificates can't be taken up: {error}");
    }
}

fn tell(read: Result<(), TlsError>) {
    match read {
        Ok(()) => log::info!("the certificates were read again"),
        Err(why) => log::error!("a renewed certificate can't be used, the old one stays: {why}"),
    }
}

/// A `stat` call a file: cheap enough to be there when the next client comes.
const INTERVAL: Duration = Duration::from_secs(1);
