//! What a reload can't change, because it is bound to sockets, threads or a database that are made once.

use crate::base::report::{Code, Problem, Report};
use crate::base::yaml;
use crate::config::Config;

/// Reports each part of `next` that a running gateway can't take over from `current`. Nothing of such a
/// configuration is put in place: half of it would be one that nobody wrote.
pub fn check(current: &Config, next: &Config, source: &str, report: &mut Report) {
    let (server, next_server) = (&current.server, &next.server);
    let (telemetry, next_telemetry) = (&current.telemetry, &next.telemetry);
    let parts: [(&[&str], bool); 7] = [
        (
            &["server", "threads"],
            server.threads == next_server.threads,
        ),
        (
            &["server", "run_dir"],
            server.run_dir == next_server.run_dir,
        ),
        (&["listeners"], current.listeners == next.listeners),
        (&["identity"], current.identity == next.identity),
        (&["admin"], current.admin == next.admin),
        (&["redis"], current.redis == next.redis),
        (
            &["telemetry", "access_log"],
            telemetry.access_log == next_telemetry.access_log,
        ),
    ];
    for (path, same) in parts {
        if same {
            continue;
        }
        let message = format!(
            "a change of `{}` takes effect with a restart",
            path.join(".")
        );
        let place = yaml::place_of(source, path);
        let problem = Problem::error(Code::NeedsRestart, place, message);
        report.push(
            problem.help(
                "start anew, or put back what is running: until then nothing of this file is",
            ),
        );
    }
}
