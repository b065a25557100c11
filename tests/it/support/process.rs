//! What the system knows of a process: its memory and its files.

use std::fs;

/// Resident memory in MiB.
#[track_caller]
pub fn memory(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kib.expect("a size") / 1_024.0
}

/// Open files.
#[track_caller]
pub fn files(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd"))
        .expect("it runs")
        .count()
}

#[test]
fn an_open_file_is_counted() {
    let id = std::process::id();
    assert!(memory(id) > 1.0);
    let before = files(id);
    let held: Vec<_> = (0..50)
        .map(|_| fs::File::open("/dev/null").unwrap())
        .collect();
    // Others open and close files too.
    assert!(files(id) + 25 > before + held.len());
}
