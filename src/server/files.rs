//! The limit of open files, and whether it is enough for the connections that the configuration allows. A gateway that
//! runs out of files can't take a connection, nor make one, nor read its configuration anew.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::base::report::{Code, Problem, Report};
use crate::config::Config;

/// Raises the soft limit to the hard one, and gives it.
pub fn raise() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return u64::MAX;
    };
    match soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        true => hard,
        false => soft,
    }
}

/// What `raise` could reach; nothing is changed.
pub fn most() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard)
}

/// Reports where `files` are too few for `server.limits.connections`.
pub fn check(config: &Config, files: u64, report: &mut Report) {
    let Some(connections) = &config.server.limits.connections else {
        return;
    };
    let need = need(connections.value);
    if need <= files {
        return;
    }
    let message = format!(
        "{} connections need {need} open files, and the limit is {files}",
        connections.value
    );
    let problem = Problem::error(Code::InvalidValue, connections.place, message);
    let most = room(files);
    report.push(problem.help(format!(
        "raise the limit (`ulimit -n {need}`, or `LimitNOFILE={need}` in the unit of systemd), or allow {most} connections"
    )));
}

/// The connections that so many files leave room for, where the configuration does not say how many there may be.
pub fn room(files: u64) -> u32 {
    let room = files.saturating_sub(REST) / 3 * 2;
    u32::try_from(room).unwrap_or(u32::MAX).clamp(1, USUAL)
}

/// Unused connections to all servers together: they are files too.
pub fn kept(config: &Config) -> usize {
    let upstreams = config.upstreams.iter();
    let kept = upstreams.map(|(_, upstream)| {
        let servers = upstream.servers.value.len();
        servers * upstream.keepalive.unwrap_or_default() as usize
    });
    kept.sum::<usize>().max(1_024)
}

/// Half as many again go to upstreams, and the rest is for listeners, stores and files.
fn need(connections: u32) -> u64 {
    let connections = u64::from(connections);
    connections + connections.div_ceil(2) + REST
}

const USUAL: u32 = 10_000;
const REST: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_room_for_is_never_too_much() {
        for files in [256, 1_024, 4_096, 15_128, 20_000, 1 << 20] {
            let room = room(files);
            assert!(need(room) <= files, "{room} connections of {files} files");
        }
        assert_eq!(room(256), 84);
        assert_eq!((room(64), room(u64::MAX)), (1, USUAL));
        assert_eq!(need(10_000), 15_128);
    }
}
