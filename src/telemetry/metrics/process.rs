//! What the system knows of the process, under the names that Prometheus clients have for it.

use super::{Kind, Page};

/// Writes processor time, memory, open files and the start; nothing where the system does not tell.
pub fn write_process(page: &mut Page) {
    let Ok(me) = procfs::process::Process::myself() else {
        return;
    };
    let ticks = procfs::ticks_per_second() as f64;
    if let Ok(stat) = me.stat() {
        let name = "process_cpu_seconds_total";
        page.family(name, Kind::Counter, "Processor time, of user and system.");
        page.sample(name, &[], (stat.utime + stat.stime) as f64 / ticks);
        let name = "process_resident_memory_bytes";
        page.family(name, Kind::Gauge, "Memory that is in use.");
        page.sample(name, &[], stat.rss * procfs::page_size());
        let name = "process_virtual_memory_bytes";
        page.family(name, Kind::Gauge, "Addresses that are in use.");
        page.sample(name, &[], stat.vsize);
        let name = "process_threads";
        page.family(name, Kind::Gauge, "Threads.");
        page.sample(name, &[], stat.num_threads);
        if let Ok(booted) = procfs::boot_time_secs() {
            let name = "process_start_time_seconds";
            page.family(name, Kind::Gauge, "When the process began, since 1970.");
            page.sample(name, &[], booted as f64 + stat.starttime as f64 / ticks);
        }
    }
    if let Ok(open) = me.fd_count() {
        let name = "process_open_fds";
        page.family(name, Kind::Gauge, "Open files, sockets among them.");
        page.sample(name, &[], open as u64);
    }
    if let Ok(limits) = me.limits()
        && let procfs::process::LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        let name = "process_max_fds";
        page.family(name, Kind::Gauge, "Open files that the system allows.");
        page.sample(name, &[], most);
    }
}
